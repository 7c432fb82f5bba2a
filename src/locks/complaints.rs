//! What the kernel's own watchdogs said in its log: which CPU was stuck, which task hung.
//!
//! Sources: `kernel/{watchdog,hung_task}.c`, `kernel/watchdog_perf.c`, `kernel/rcu/tree_stall.h`.

use std::collections::BTreeMap;

/// Whom a message is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Whom {
    /// A CPU, by its number.
    Cpu(u32),
    /// A task, by its number.
    Task(u32),
}

/// What was said of whom, in few words; of several messages of one kind the last.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Complaints(BTreeMap<(Whom, &'static str), String>);

impl Complaints {
    /// Of the messages of a log, oldest first.
    pub(super) fn of<'a>(messages: impl Iterator<Item = &'a str>) -> Complaints {
        let mut found = Complaints::default();
        // The CPUs of a stall are on the lines that follow.
        let mut stalled = false;
        for text in messages {
            let text = text.trim();
            let rcu = text.strip_prefix("rcu: ").unwrap_or(text).trim_start();
            if let Some(rest) = after(text, "soft lockup - CPU#") {
                let seconds = after(rest, "stuck for ").and_then(number);
                let words = match seconds {
                    Some(seconds) => format!("soft lockup, stuck for {seconds} s"),
                    None => "soft lockup".to_owned(),
                };
                found.add(number(rest).map(Whom::Cpu), "soft", words);
            } else if let Some(rest) = after(text, "hard LOCKUP on cpu ") {
                found.add(number(rest).map(Whom::Cpu), "hard", "hard lockup".to_owned());
            } else if let Some(rest) = after(text, "INFO: task ") {
                let hung = after(rest, " blocked for more than ");
                // The name may have colons in it, the number has none.
                let name = rest.split(" blocked for more than ").next().unwrap_or("");
                let pid = name.rsplit(':').next().and_then(number);
                if let (Some(seconds), Some(pid)) = (hung.and_then(number), pid) {
                    let words = format!("hung for more than {seconds} s");
                    found.add(Some(Whom::Task(pid)), "hung", words);
                }
            } else if rcu.contains("self-detected stall on CPU")
                || rcu.contains("detected stalls on CPUs")
                || rcu.contains("detected expedited stalls on CPUs")
            {
                stalled = true;
            } else if let Some(rest) = after(rcu, "detected stall on CPU ") {
                found.add(number(rest).map(Whom::Cpu), "rcu", "RCU stall".to_owned());
            } else if stalled {
                // `2-....: (1 GPs behind) …`, and tasks as `P123`
                let cpu = rcu.split_once('-').filter(|(_, rest)| rest.contains(": ("));
                let task = after(rcu, "Tasks blocked on level");
                match (cpu.and_then(|(cpu, _)| cpu.parse().ok()), task) {
                    (Some(cpu), _) => {
                        found.add(Some(Whom::Cpu(cpu)), "rcu", "RCU stall".to_owned());
                    }
                    (None, Some(list)) => {
                        let tasks = list.split_whitespace().filter_map(|it| it.strip_prefix('P'));
                        for pid in tasks.filter_map(number) {
                            found.add(Some(Whom::Task(pid)), "rcu", "RCU stall".to_owned());
                        }
                    }
                    (None, None) => stalled = false,
                }
            }
        }
        found
    }

    fn add(&mut self, whom: Option<Whom>, kind: &'static str, words: String) {
        if let Some(whom) = whom {
            self.0.insert((whom, kind), words);
        }
    }

    /// What was said of this one.
    pub(super) fn about(&self, whom: &Whom) -> Vec<&str> {
        let said = self.0.iter().filter(|((about, _), _)| about == whom);
        said.map(|(_, words)| words.as_str()).collect()
    }

    /// The numbers of the tasks that something was said of.
    pub(super) fn tasks(&self) -> impl Iterator<Item = u32> {
        self.0.keys().filter_map(|(whom, _)| match whom {
            Whom::Task(pid) => Some(*pid),
            Whom::Cpu(_) => None,
        })
    }

    /// All of it in one sentence; empty when nothing was said.
    pub(super) fn in_words(&self) -> String {
        const NAMED: usize = 4;
        let mut parts: Vec<String> = self
            .0
            .iter()
            .take(NAMED)
            .map(|((whom, _), words)| match whom {
                Whom::Cpu(cpu) => format!("CPU {cpu}: {words}"),
                Whom::Task(pid) => format!("task {pid}: {words}"),
            })
            .collect();
        if parts.is_empty() {
            return String::new();
        }
        if self.0.len() > NAMED {
            parts.push(format!("and {} more", self.0.len() - NAMED));
        }
        format!("The log says: {}.", parts.join("; "))
    }
}

/// What follows `what` in a text.
fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    text.split_once(what).map(|(_, rest)| rest)
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Complaints {
        Complaints::of(lines.iter().copied())
    }

    #[test]
    fn lockups_are_tied_to_their_cpu_and_the_last_message_counts() {
        let found = of(&[
            "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spin-holder:131]",
            "BUG: soft lockup - CPU#1 stuck for 52s! [spin-holder:131]",
            "NMI watchdog: Watchdog detected hard LOCKUP on cpu 3",
        ]);
        assert_eq!(found.about(&Whom::Cpu(1)), ["soft lockup, stuck for 52 s"]);
        assert_eq!(found.about(&Whom::Cpu(3)), ["hard lockup"]);
        assert_eq!(
            found.in_words(),
            "The log says: CPU 1: soft lockup, stuck for 52 s; CPU 3: hard lockup."
        );
    }

    #[test]
    fn hung_tasks_are_known_by_their_number_whatever_their_name() {
        let found = of(&["INFO: task kworker/u8:0:9 blocked for more than 120 seconds."]);
        assert_eq!(found.about(&Whom::Task(9)), ["hung for more than 120 s"]);
        assert_eq!(of(&["INFO: task x"]).in_words(), "");
    }

    #[test]
    fn the_cpus_of_an_rcu_stall_are_on_the_lines_behind_it() {
        let found = of(&[
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "rcu: \t2-....: (1 GPs behind) idle=a1c/1/0x4000000000000000 softirq=71/72 fqs=2625",
            "rcu: \tTasks blocked on level-0 rcu_node (CPUs 0-3): P131/1:b..l",
            "\t(detected by 0, t=5252 jiffies, g=-711, q=12 ncpus=4)",
            "3-....: (not of the stall)",
        ]);
        assert_eq!(found.about(&Whom::Cpu(2)), ["RCU stall"]);
        assert_eq!(found.about(&Whom::Task(131)), ["RCU stall"]);
        assert_eq!(found.about(&Whom::Cpu(3)), [""; 0]);
        let old = of(&["INFO: rcu_sched_state detected stall on CPU 5 (t=65000 jiffies)"]);
        assert_eq!(old.about(&Whom::Cpu(5)), ["RCU stall"]);
    }
}
