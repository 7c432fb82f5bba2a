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
pub(super) struct Complaints {
    said: BTreeMap<(Whom, &'static str), String>,
    /// The number of the message that each was said in.
    messages: BTreeMap<(Whom, &'static str), usize>,
    /// The number of the message that is looked at.
    number: usize,
    /// What ran on a CPU as something was said of it: `spin-holder[131]`.
    ran: BTreeMap<u32, String>,
}

impl Complaints {
    /// Of the messages of a log, oldest first.
    pub(super) fn of<'a>(messages: impl Iterator<Item = &'a str>) -> Complaints {
        let mut found = Complaints::default();
        // The CPUs of a stall are on the lines that follow.
        let mut stalled = false;
        for (at, text) in messages.enumerate() {
            found.number = at;
            let text = text.trim();
            let rcu = text.strip_prefix("rcu: ").unwrap_or(text).trim_start();
            if let Some(rest) = after(text, "soft lockup - CPU#") {
                let seconds = after(rest, "stuck for ").and_then(number);
                found.ran(number(rest), stuck(rest));
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
            } else if let Some(rest) = text.strip_prefix("CPU: ") {
                // The backtrace behind a stall or a hard lockup says what ran there.
                let cpu = number(rest).filter(|cpu| !found.about(&Whom::Cpu(*cpu)).is_empty());
                let task = after(rest, "PID: ").and_then(number).zip(after(rest, "Comm: "));
                let task = task.map(|(pid, comm)| {
                    let end = [" Not tainted", " Tainted", " Kdump"]
                        .iter()
                        .filter_map(|end| comm.find(end))
                        .min()
                        .unwrap_or(comm.len());
                    format!("{}[{pid}]", comm.get(..end).unwrap_or(comm))
                });
                found.ran(cpu, task);
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
            self.messages.insert((whom.clone(), kind), self.number);
            self.said.insert((whom, kind), words);
        }
    }

    fn ran(&mut self, cpu: Option<u32>, task: Option<String>) {
        if let Some((cpu, task)) = cpu.zip(task) {
            self.ran.insert(cpu, task);
        }
    }

    /// What was said of this one.
    pub(super) fn about(&self, whom: &Whom) -> Vec<&str> {
        let said = self.said.iter().filter(|((about, _), _)| about == whom);
        said.map(|(_, words)| words.as_str()).collect()
    }

    /// The messages in which it was said, by their numbers.
    pub(super) fn messages(&self, whom: &Whom) -> impl Iterator<Item = usize> {
        self.messages.iter().filter(move |((about, _), _)| about == whom).map(|(_, number)| *number)
    }

    /// The numbers of the tasks that something was said of.
    pub(super) fn tasks(&self) -> impl Iterator<Item = u32> {
        self.said.keys().filter_map(|(whom, _)| match whom {
            Whom::Task(pid) => Some(*pid),
            Whom::Cpu(_) => None,
        })
    }

    /// All of it in one sentence, those of whom the same was said together; empty when nothing was
    /// said. `label` is what a task of that number is called, where it is still there.
    pub(super) fn in_words(&self, label: impl Fn(u32) -> Option<String>) -> String {
        const NAMED: usize = 4;
        let mut groups: BTreeMap<&str, Vec<&Whom>> = BTreeMap::new();
        for ((whom, _), words) in &self.said {
            groups.entry(words).or_default().push(whom);
        }
        if groups.is_empty() {
            return String::new();
        }
        let groups = groups.into_iter().map(|(words, of)| {
            let mut names: Vec<String> = of
                .iter()
                .take(NAMED)
                .map(|whom| match whom {
                    Whom::Cpu(cpu) => match self.ran.get(cpu) {
                        Some(task) => format!("CPU {cpu}, which ran {task}"),
                        None => format!("CPU {cpu}"),
                    },
                    Whom::Task(pid) => label(*pid).unwrap_or_else(|| format!("task {pid}")),
                })
                .collect();
            if of.len() > NAMED {
                names.push(format!("{} more", of.len() - NAMED));
            }
            format!("{words}: {}", names.join(", "))
        });
        format!("The log says: {}.", groups.collect::<Vec<_>>().join("; "))
    }
}

/// The task that a message about a soft lockup names in its brackets: `[spin-holder:131]`.
fn stuck(text: &str) -> Option<String> {
    let (comm, pid) = text.rsplit_once('[')?.1.split_once(']')?.0.rsplit_once(':')?;
    Some(format!("{comm}[{}]", number(pid)?))
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
            found.in_words(|_| None),
            "The log says: hard lockup: CPU 3; soft lockup, stuck for 52 s: CPU 1, which ran \
             spin-holder[131]."
        );
    }

    #[test]
    fn hung_tasks_are_known_by_their_number_whatever_their_name() {
        let found = of(&["INFO: task kworker/u8:0:9 blocked for more than 120 seconds."]);
        assert_eq!(found.about(&Whom::Task(9)), ["hung for more than 120 s"]);
        assert_eq!(of(&["INFO: task x"]).in_words(|_| None), "");
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

    #[test]
    fn tasks_of_which_the_same_is_said_are_named_together() {
        let lines: Vec<String> = (99..105)
            .map(|pid| format!("INFO: task abba:{pid} blocked for more than 120 seconds."))
            .collect();
        let found = Complaints::of(lines.iter().map(String::as_str));
        let label = |pid| (pid != 100).then(|| format!("abba[{pid}]"));
        assert_eq!(
            found.in_words(label),
            "The log says: hung for more than 120 s: abba[99], task 100, abba[101], abba[102], 2 more."
        );
    }

    #[test]
    fn the_backtrace_behind_a_stall_says_what_ran_on_its_cpu() {
        let found = of(&[
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "rcu: \t0-....: (7 ticks this GP) idle=fe9c/1/0x4 softirq=137/138 fqs=12",
            "rcu: \t(detected by 4, t=5395 jiffies, g=-855, q=1 ncpus=6)",
            "CPU: 0 UID: 0 PID: 18 Comm: migration/0 Not tainted 7.2.12 #1 PREEMPT(lazy)",
            "CPU: 4 PID: 9 Comm: other Tainted: G W 6.1 #1",
        ]);
        assert_eq!(
            found.in_words(|_| None),
            "The log says: RCU stall: CPU 0, which ran migration/0[18]."
        );
    }
}
