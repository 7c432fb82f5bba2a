//! Which package holds a kernel's debug information: what to type when it is missing.

use super::find::Identity;
use std::fmt;

/// How Ubuntu's packages with debug information become available.
const DDEBS: &str = "it is in the repository of debug symbols: apt install ubuntu-dbgsym-keyring; \
    echo \"deb http://ddebs.ubuntu.com $(lsb_release -cs)-updates main restricted universe\" \
    > /etc/apt/sources.list.d/ddebs.list; apt update";

/// What to install.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advice {
    /// Who made the kernel, as far as its release tells.
    pub distribution: Option<&'static str>,
    /// The package with its debug information.
    pub package: Option<String>,
    /// What to type to install it on a machine of that distribution.
    pub command: Option<String>,
    /// What to type on any machine that a debuginfod server is set up for (`DEBUGINFOD_URLS`).
    pub debuginfod: Option<String>,
}

impl Advice {
    /// Reads the kernel's maker off its release and version.
    #[must_use]
    pub fn new(of: &Identity) -> Advice {
        let release = of.release.as_deref().unwrap_or("");
        let id = of.build_id.as_deref().filter(|id| !id.is_empty() && is_plain(id));
        let debuginfod = id.map(|id| format!("debuginfod-find debuginfo {id}"));
        let nothing = Advice {
            distribution: None,
            package: None,
            command: None,
            debuginfod: debuginfod.clone(),
        };
        let advice = |distribution, package: String, command: String| Advice {
            distribution: Some(distribution),
            package: Some(package),
            command: Some(command),
            debuginfod,
        };
        if !is_plain(release) {
            return nothing;
        }
        if let Some(package) = red_hat(release) {
            let older = ["el5", "el6", "el7", "amzn1", "amzn2"];
            let older = release.split(['.', '-', '_']).any(|part| older.contains(&part));
            let command = if older {
                // It sets the repositories up itself (of yum-utils).
                format!("debuginfo-install {}", package.replacen("-debuginfo-", "-", 1))
            } else {
                format!("dnf --enablerepo='*debug*' install {package}")
            };
            let distribution = match release {
                _ if release.contains(".fc") => "Fedora",
                _ if release.contains("amzn") => "Amazon Linux",
                _ if release.contains("uek") => "Oracle Linux",
                _ => "Red Hat and its like",
            };
            return advice(distribution, package, command);
        }
        if let Some(flavour) = suse(release) {
            let package = format!("kernel-{flavour}-debuginfo");
            // A package's version has one number more than the release, so it is asked for by id.
            let command = match id {
                Some(id) => {
                    format!("zypper --plus-content debug install -C 'debuginfo(build-id)={id}'")
                }
                None => format!("zypper --plus-content debug install {package}"),
            };
            return advice("SUSE", package, command);
        }
        let version = of.version.as_deref().unwrap_or("");
        if version.contains("Debian") || release.ends_with("-amd64") {
            let package = format!("linux-image-{release}-dbg");
            // Kernels of one release may have been built more than once.
            let exact = debian_version(version).map(|its| format!("={its}")).unwrap_or_default();
            let command = format!("apt install {package}{exact}");
            return advice("Debian", package, command);
        }
        if version.contains("Ubuntu") || is_ubuntu(release) {
            // Until 4.13 kernels were signed where they were built.
            let unsigned = if before_4_15(release) { "" } else { "unsigned-" };
            let package = format!("linux-image-{unsigned}{release}-dbgsym");
            let command = format!("apt install {package}");
            return advice("Ubuntu", package, command);
        }
        nothing
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.distribution, &self.package, &self.command) {
            (Some(distribution), Some(package), Some(command)) => {
                write!(f, "On {distribution}, install {package}: {command}")?;
                if distribution == "Ubuntu" {
                    write!(f, " ({DDEBS})")?;
                }
            }
            _ => f.write_str("Name the vmlinux with which the kernel was built: -s VMLINUX")?,
        }
        match &self.debuginfod {
            Some(command) => write!(f, "; or with debuginfod: {command}"),
            None => Ok(()),
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte))
}

/// The version of the package in `#1 SMP Debian 6.1.176-1 (2026-07-02)`.
fn debian_version(version: &str) -> Option<&str> {
    let its = version.split("Debian ").nth(1)?.split(' ').next()?;
    let starts = its.starts_with(|c: char| c.is_ascii_digit());
    (starts && is_plain(its)).then_some(its)
}

fn before_4_15(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    major.zip(minor).is_some_and(|version| version < (4, 15))
}

/// `3.10.0-693.el7.x86_64`, `5.14.0-70.el9.x86_64+debug`, `4.18.0-193.rt13.51.el8.x86_64`,
/// `5.4.17-2136.el8uek.x86_64`, `6.5.6-300.fc39.x86_64`
fn red_hat(release: &str) -> Option<String> {
    let (plain, variant) = release.split_once('+').unwrap_or((release, ""));
    // As it was until el7.
    let (plain, variant) = match plain.strip_suffix(".debug") {
        Some(plain) => (plain, "debug"),
        None => (plain, variant),
    };
    let is_tag = |part: &str| {
        ["el", "fc", "amzn"].iter().any(|tag| {
            let digits = part.strip_prefix(tag).unwrap_or("");
            digits.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let parts = || plain.split(['.', '-']);
    if !parts().any(is_tag) {
        return None;
    }
    let rt = parts().any(|part| {
        part.strip_prefix("rt").is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    });
    let mut name = "kernel".to_owned();
    if parts().any(|part| part.ends_with("uek")) {
        name.push_str("-uek");
    } else if rt || variant.split('-').any(|part| part == "rt") {
        name.push_str("-rt");
    }
    if variant.split('-').any(|part| part == "debug") {
        name.push_str("-debug");
    }
    // `uname -r` of old kernels lacks the architecture.
    let arch = if plain.ends_with(".x86_64") { "" } else { ".x86_64" };
    Some(format!("{name}-debuginfo-{plain}{arch}"))
}

/// `5.14.21-150400.24.100-default`, `4.12.14-122.37-azure`: a number after the version, and the
/// flavour.
fn suse(release: &str) -> Option<&str> {
    let (rest, flavour) = release.rsplit_once('-')?;
    if !["default", "preempt", "azure", "rt", "64kb", "longterm"].contains(&flavour) {
        return None;
    }
    let (_version, build) = rest.split_once('-')?;
    let numbers = build.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    // Ubuntu's builds for Azure are one number: 5.15.0-1053-azure.
    (numbers && (build.contains('.') || flavour != "azure")).then_some(flavour)
}

/// `5.15.0-91-generic`, `6.5.0-1014-aws`
fn is_ubuntu(release: &str) -> bool {
    const FLAVOURS: [&str; 12] = [
        "generic",
        "lowlatency",
        "realtime",
        "aws",
        "azure",
        "gcp",
        "gke",
        "gkeop",
        "ibm",
        "kvm",
        "oem",
        "oracle",
    ];
    let mut parts = release.splitn(3, '-');
    let (Some(_), Some(build), Some(flavour)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    build.bytes().all(|byte| byte.is_ascii_digit())
        && FLAVOURS.contains(&flavour.split('-').next().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(release: &str) -> String {
        let of = Identity { release: Some(release.to_owned()), ..Identity::default() };
        Advice::new(&of).package.unwrap_or_default()
    }

    #[test]
    fn every_distribution_has_its_package() {
        for (release, wanted) in [
            ("6.1.0-50-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64-dbg"),
            ("6.12.107+deb13-amd64", "linux-image-6.12.107+deb13-amd64-dbg"),
            ("5.15.0-91-generic", "linux-image-unsigned-5.15.0-91-generic-dbgsym"),
            ("6.5.0-1014-aws", "linux-image-unsigned-6.5.0-1014-aws-dbgsym"),
            ("5.15.0-1053-azure", "linux-image-unsigned-5.15.0-1053-azure-dbgsym"),
            ("6.1.0-50-rt-amd64", "linux-image-6.1.0-50-rt-amd64-dbg"),
            ("5.15.0-91-lowlatency", "linux-image-unsigned-5.15.0-91-lowlatency-dbgsym"),
            ("4.4.0-21-generic", "linux-image-4.4.0-21-generic-dbgsym"),
            ("3.10.0-693.el7.x86_64", "kernel-debuginfo-3.10.0-693.el7.x86_64"),
            ("3.10.0-693.el7.x86_64.debug", "kernel-debug-debuginfo-3.10.0-693.el7.x86_64"),
            ("5.14.0-362.8.1.el9_3.x86_64+rt", "kernel-rt-debuginfo-5.14.0-362.8.1.el9_3.x86_64"),
            ("6.1.61-85.141.amzn2023.x86_64", "kernel-debuginfo-6.1.61-85.141.amzn2023.x86_64"),
            ("5.3.18-24.99-rt", "kernel-rt-debuginfo"),
            ("2.6.32-431.el6.x86_64", "kernel-debuginfo-2.6.32-431.el6.x86_64"),
            ("2.6.32-431.el6", "kernel-debuginfo-2.6.32-431.el6.x86_64"),
            ("4.18.0-193.rt13.51.el8.x86_64", "kernel-rt-debuginfo-4.18.0-193.rt13.51.el8.x86_64"),
            ("5.14.0-70.el9_0.x86_64+debug", "kernel-debug-debuginfo-5.14.0-70.el9_0.x86_64"),
            ("5.4.17-2136.el8uek.x86_64", "kernel-uek-debuginfo-5.4.17-2136.el8uek.x86_64"),
            ("6.5.6-300.fc39.x86_64", "kernel-debuginfo-6.5.6-300.fc39.x86_64"),
            ("5.14.21-150400.24.100-default", "kernel-default-debuginfo"),
            ("4.12.14-16.10-azure", "kernel-azure-debuginfo"),
            ("6.4.0-1-default", "kernel-default-debuginfo"),
            ("6.1.0", ""),
            ("6.1.0;rm-amd64", ""),
            ("", ""),
        ] {
            assert_eq!(package(release), wanted, "{release}");
        }
    }

    #[test]
    fn the_advice_is_something_to_type() {
        let of = |release: &str| Identity {
            release: Some(release.to_owned()),
            build_id: Some("abcdef12".to_owned()),
            version: release.contains("xanmod").then(|| "#1 SMP Debian 6.1".to_owned()),
        };
        assert_eq!(
            Advice::new(&of("3.10.0-693.el7.x86_64")).to_string(),
            "On Red Hat and its like, install kernel-debuginfo-3.10.0-693.el7.x86_64: \
             debuginfo-install kernel-3.10.0-693.el7.x86_64; \
             or with debuginfod: debuginfod-find debuginfo abcdef12"
        );
        let command = |release| Advice::new(&of(release)).command.unwrap();
        assert_eq!(
            command("5.14.21-150400.24.100-default"),
            "zypper --plus-content debug install -C 'debuginfo(build-id)=abcdef12'"
        );
        assert_eq!(
            command("5.14.0-70.el9_0.x86_64"),
            "dnf --enablerepo='*debug*' install kernel-debuginfo-5.14.0-70.el9_0.x86_64"
        );
        assert_eq!(
            command("6.5.6-300.fc39.x86_64"),
            "dnf --enablerepo='*debug*' install kernel-debuginfo-6.5.6-300.fc39.x86_64"
        );
        assert_eq!(command("2.6.32-431.el6"), "debuginfo-install kernel-2.6.32-431.el6.x86_64");
        assert_eq!(
            command("6.1.0-50-cloud-amd64"),
            "apt install linux-image-6.1.0-50-cloud-amd64-dbg"
        );
        let exact = Identity {
            version: Some("#1 SMP Debian 5.10.46-5 (2021-09-23)".to_owned()),
            ..of("5.10.0-8-amd64")
        };
        assert_eq!(
            Advice::new(&exact).command.unwrap(),
            "apt install linux-image-5.10.0-8-amd64-dbg=5.10.46-5"
        );
        let ubuntu = Advice::new(&of("5.15.0-91-generic")).to_string();
        assert!(
            ubuntu
                .contains(": apt install linux-image-unsigned-5.15.0-91-generic-dbgsym (it is in")
                && ubuntu.contains("deb http://ddebs.ubuntu.com $(lsb_release -cs)-updates main")
                && ubuntu.ends_with("; or with debuginfod: debuginfod-find debuginfo abcdef12"),
            "{ubuntu}"
        );
        assert!(Advice::new(&of("6.1-xanmod")).to_string().contains("linux-image-6.1-xanmod-dbg"));
        assert!(Advice::new(&of("6.1.0-mine")).to_string().contains("-s VMLINUX"));
    }
}
