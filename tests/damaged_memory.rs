//! The kernel's nouns over memory that lies: nothing panics, nothing runs away.

use hangscope::dump::{Dump, Fault, Level, VirtAddr, Why};
use hangscope::kernel::{Cpus, Kernel, Log, Options, Session, Tasks};
use hangscope::memory::VirtualMemory;

static DEMO: &[u8] = include_bytes!("../assets/demo.vmcore");

/// Memory in which one 64-bit word in `every` is another one, and one page in `every` is missing.
struct Damaged<'m> {
    memory: &'m dyn VirtualMemory,
    every: u64,
    seed: u64,
}

impl Damaged<'_> {
    fn dice(&self, at: u64) -> u64 {
        // splitmix64
        let mut x = at.wrapping_add(self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

impl VirtualMemory for Damaged<'_> {
    fn read(&self, at: VirtAddr, buf: &mut [u8]) -> Result<(), Fault> {
        self.memory.read(at, buf)?;
        for (offset, byte) in (0..).zip(buf.iter_mut()) {
            let place = at.0.wrapping_add(offset);
            if self.dice(place >> 12 ^ u64::MAX).is_multiple_of(self.every) {
                return Err(Fault::virt(VirtAddr(place), Why::NotPresent { level: Level::Pte }));
            }
            let dice = self.dice(place >> 3);
            if dice.is_multiple_of(self.every) {
                // All ones, garbage, or the address of another place nearby.
                let wrong = match dice >> 62 {
                    0 => u64::MAX,
                    1 => self.dice(dice),
                    _ => (place & !7).wrapping_sub(dice >> 8 & 0xfff8),
                };
                *byte = wrong.to_le_bytes()[(place & 7) as usize];
            }
        }
        Ok(())
    }
}

#[test]
fn damaged_memory_costs_what_is_damaged_and_no_more() {
    let session = Session::from_dump(Dump::from_static(DEMO, "demo").unwrap(), &Options::default());
    let session = session.unwrap();
    let whole = session.tasks().len();
    let mut most = 0;
    for (every, seed) in (0..40).map(|seed| ([4, 40, 400, 4000][seed as usize % 4], seed)) {
        let memory = Damaged { memory: session.memory(), every, seed };
        let kernel = Kernel { memory: &memory, ..session.kernel() };
        let cpus = Cpus::read(kernel, session.dump().cpus());
        let tasks = Tasks::read(kernel, &cpus);
        let log = Log::read(kernel, session.dump().vmcoreinfo());
        if tasks.len() < whole {
            assert!(!tasks.notes.is_empty() || !cpus.notes.is_empty(), "1 in {every}, seed {seed}");
        }
        assert!(log.records.len() <= session.log().records.len() + 1);
        most = most.max(tasks.len());
    }
    assert!(most > whole / 2, "of {whole} tasks at most {most} were found");
}
