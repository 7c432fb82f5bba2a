//! Which package holds a kernel's debug information: what to type when it is missing.

use super::find::Identity;
use std::fmt;

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
            let command = if release.contains(".el6") || release.contains(".el7") {
                format!("debuginfo-install {}", package.replace("-debuginfo-", "-"))
            } else {
                format!("dnf debuginfo-install {}", package.replace("-debuginfo-", "-"))
            };
            let distribution =
                if release.contains(".fc") { "Fedora" } else { "Red Hat and its like" };
            return advice(distribution, package, command);
        }
        if let Some(flavour) = suse(release) {
            let package = format!("kernel-{flavour}-debuginfo");
            // A package's version has one number more than the release, so it is asked for by id.
            let command = match id {
                Some(id) => format!("zypper install -C 'debuginfo(build-id)={id}'"),
                None => format!("zypper install {package}"),
            };
            return advice("SUSE", package, command);
        }
        let version = of.version.as_deref().unwrap_or("");
        if version.contains("Debian") || release.ends_with("-amd64") {
            let package = format!("linux-image-{release}-dbg");
            let command = format!("apt install {package}");
            return advice("Debian", package, command);
        }
        if version.contains("Ubuntu") || is_ubuntu(release) {
            let package = format!("linux-image-unsigned-{release}-dbgsym");
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
                    f.write_str(" (from ddebs.ubuntu.com)")?;
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

/// `3.10.0-693.el7.x86_64`, `5.14.0-70.el9.x86_64+debug`, `4.18.0-193.rt13.51.el8.x86_64`,
/// `5.4.17-2136.el8uek.x86_64`, `6.5.6-300.fc39.x86_64`
fn red_hat(release: &str) -> Option<String> {
    let (plain, variant) = release.split_once('+').unwrap_or((release, ""));
    let is_tag = |part: &str| {
        ["el", "fc"].iter().any(|tag| {
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
            ("3.10.0-693.el7.x86_64", "kernel-debuginfo-3.10.0-693.el7.x86_64"),
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
        assert_eq!(
            Advice::new(&of("5.14.21-150400.24.100-default")).command.as_deref(),
            Some("zypper install -C 'debuginfo(build-id)=abcdef12'")
        );
        assert!(Advice::new(&of("6.1-xanmod")).to_string().contains("linux-image-6.1-xanmod-dbg"));
        assert!(Advice::new(&of("6.1.0-mine")).to_string().contains("-s VMLINUX"));
    }
}
