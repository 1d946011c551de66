//! What a task sees in place of clocks and randomness: the same on every machine and at every replay.

use tidemill_plan::Digest;

/// How much time passes between two looks at a clock (ns): none may be found standing still.
const STEP_NS: u64 = 1_000;

/// The deterministic clock and random numbers of one attempt.
#[derive(Debug)]
pub(crate) struct StandIns {
    logical_time: i64,
    elapsed_ns: u64,
    random: blake3::OutputReader,
    insecure: blake3::OutputReader,
}

impl StandIns {
    pub(crate) fn new(logical_time: i64, seed: u64) -> Self {
        let stream = |purpose: &str| {
            let mut hasher = blake3::Hasher::new_derive_key(purpose);
            hasher.update(&seed.to_le_bytes());
            hasher.finalize_xof()
        };
        Self {
            logical_time,
            elapsed_ns: 0,
            random: stream("tidemill 2026 wasi:random/random of a task"),
            insecure: stream("tidemill 2026 wasi:random/insecure of a task"),
        }
    }

    /// Time since the attempt began (ns); a look takes a step.
    pub(crate) fn monotonic(&mut self) -> u64 {
        let now = self.elapsed_ns;
        self.elapsed_ns = now.saturating_add(STEP_NS);
        now
    }

    /// Without taking a step.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed_ns
    }

    /// Time of day (ns since 1970; WASI knows no time before): the run's logical time and what passed since.
    pub(crate) fn wall(&mut self) -> u64 {
        let since = i128::from(self.monotonic());
        u64::try_from(i128::from(self.logical_time) + since).unwrap_or(0)
    }

    /// Sleeping: time passes at once.
    pub(crate) fn advance_to(&mut self, deadline: u64) {
        self.elapsed_ns = self.elapsed_ns.max(deadline);
    }

    pub(crate) fn random(&mut self, length: usize) -> Vec<u8> {
        fill(&mut self.random, length)
    }

    pub(crate) fn insecure(&mut self, length: usize) -> Vec<u8> {
        fill(&mut self.insecure, length)
    }

    /// A fixed seed of this attempt's seed, for hash maps.
    pub(crate) fn hash_seed(&self) -> (u64, u64) {
        let bytes = Digest::of(&self.random.clone_start()).0;
        let word = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it));
        (word(0), word(8))
    }
}

trait Start {
    /// The first bytes of a stream, however far it was read.
    fn clone_start(&self) -> [u8; 32];
}

impl Start for blake3::OutputReader {
    fn clone_start(&self) -> [u8; 32] {
        let mut reader = self.clone();
        reader.set_position(0);
        let mut bytes = [0; 32];
        reader.fill(&mut bytes);
        bytes
    }
}

fn fill(reader: &mut blake3::OutputReader, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    reader.fill(&mut bytes);
    bytes
}
