//! What the kernel's own watchdogs said in its log: which CPU was stuck, which task hung.
//!
//! Sources: `kernel/{watchdog,hung_task}.c`, `kernel/watchdog_perf.c`, `kernel/rcu/tree_stall.h`.

use std::collections::BTreeMap;

/// What RCU says of a stall before it names the CPUs and tasks: in braces behind it where it is
/// expedited, and in all before 3.19; else on the lines that follow.
const STALLS: [&str; 3] =
    ["self-detected stall on CPU", "detected stalls on CPUs", "detected expedited stalls on CPUs"];

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
                // ` blocked for more than `, since 7.0 perhaps ` blocked in I/O wait for more than `.
                let hung = rest.split_once(" for more than ");
                // The name may have colons in it, the number has none.
                let name = hung.and_then(|(who, _)| who.rsplit_once(" blocked"));
                let pid = name.and_then(|(name, _)| number(name.rsplit(':').next()?));
                let seconds = hung.and_then(|(_, seconds)| number(seconds));
                if let (Some(seconds), Some(pid)) = (seconds, pid) {
                    let words = format!("hung for more than {seconds} s");
                    found.add(Some(Whom::Task(pid)), "hung", words);
                }
            } else if let Some(rest) = STALLS.iter().find_map(|stall| after(rcu, stall)) {
                stalled = true;
                found.stalled(rest);
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

    /// Those in braces on the very line that tells of a stall: `{ 2-...D P131 }`.
    fn stalled(&mut self, rest: &str) {
        let list = after(rest, "{").and_then(|list| list.split('}').next()).unwrap_or_default();
        for name in list.split_whitespace() {
            let whom = match name.strip_prefix('P') {
                Some(pid) => number(pid).map(Whom::Task),
                None => number(name).map(Whom::Cpu),
            };
            self.add(whom, "rcu", "RCU stall".to_owned());
        }
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
        // As 7.x says it; and what follows may have colons too.
        let io = of(&["INFO: task dd:456 blocked in I/O wait for more than 122 seconds. at 3:7"]);
        assert_eq!(io.about(&Whom::Task(456)), ["hung for more than 122 s"]);
    }

    #[test]
    fn a_stall_may_name_its_cpus_and_tasks_in_braces_on_its_own_line() {
        let expedited = "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 2-...D P131 } 21 jiffies s: 105 root: 0x4/.";
        let found = of(&[expedited]);
        assert_eq!(found.about(&Whom::Cpu(2)), ["RCU stall"]);
        assert_eq!(found.about(&Whom::Task(131)), ["RCU stall"]);
        assert_eq!(found.said.len(), 2);
        let old = of(&["INFO: rcu_sched self-detected stall on CPU { 3}  (t=60000 jiffies g=7)"]);
        assert_eq!(old.about(&Whom::Cpu(3)), ["RCU stall"]);
        let own = of(&[
            "rcu: INFO: rcu_preempt self-detected stall on CPU",
            "rcu: \t1-....: (5249 ticks this GP) idle=fe9c/1/0x4 softirq=137/138 fqs=2623",
            "4-port hub found",
        ]);
        assert_eq!(own.about(&Whom::Cpu(1)), ["RCU stall"]);
        assert_eq!(own.said.len(), 1);
    }

    #[test]
    fn what_was_said_is_known_by_its_message_and_the_tasks_by_their_numbers() {
        let found = of(&[
            "booting",
            "INFO: task abba:98 blocked for more than 120 seconds.",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spin-holder:131]",
            "INFO: task abba:98 blocked for more than 241 seconds.",
        ]);
        assert_eq!(found.messages(&Whom::Task(98)).collect::<Vec<_>>(), [3]);
        assert_eq!(found.messages(&Whom::Cpu(1)).collect::<Vec<_>>(), [2]);
        assert_eq!(found.messages(&Whom::Cpu(2)).count(), 0);
        assert_eq!(found.tasks().collect::<Vec<_>>(), [98]);
    }

    #[test]
    fn what_ran_on_a_cpu_is_what_its_backtrace_behind_the_complaint_says() {
        let told = |line: &str| {
            let hard = "NMI watchdog: Watchdog detected hard LOCKUP on cpu 4";
            let before = of(&[line, hard]).in_words(|_| None);
            assert_eq!(before, "The log says: hard lockup: CPU 4.", "{line}");
            of(&[hard, line]).in_words(|_| None)
        };
        for rest in ["Tainted: G W 6.1 #1", "Kdump: loaded Not tainted 4.18", "Not tainted 6.1"] {
            let words = told(&format!("CPU: 4 PID: 9 Comm: a b {rest}"));
            assert_eq!(words, "The log says: hard lockup: CPU 4, which ran a b[9].");
        }
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
