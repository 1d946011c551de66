//! The simulator: random runs in a hostile world, from a seed. A failure prints its seed; `TIDEMILL_SIM_SEEDS=FROM..TO`
//! runs others than the usual ones.
//!
//! The world (`world`) drives the engine through crashes, doubled, delayed, stale and invented reports, attempts that
//! hang, zombies and clocks that jump; the checker (`checker`) sees only the spec, the events and the records;
//! `oracle` computes slowly, from the records, what the engine keeps in its indexes; `mutants` shows that each
//! invariant has teeth.

mod checker;
mod mutants;
mod oracle;
mod plans;
mod prng;
mod world;

use std::ops::Range;

use crate::mutants::{MUTANTS, Mutant};
use crate::world::{Seen, simulate};

/// How long a mutant may live. The most secretive one known dies far below.
const MUTANT_SEEDS_MAX: u64 = 3_000;

#[expect(clippy::disallowed_methods, reason = "the ban is the engine's; a person may ask for other seeds")]
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("TIDEMILL_SIM_SEEDS") else { return 0..8_000 };
    let (from, to) = text.split_once("..").expect("TIDEMILL_SIM_SEEDS is FROM..TO");
    let number = |text: &str| text.parse().expect("seeds are numbers");
    number(from)..number(to)
}

#[test]
fn every_invariant_holds_for_thousands_of_seeds_and_the_seeds_see_everything() {
    let mut seen = Seen::default();
    let seeds = seeds();
    for seed in seeds.clone() {
        match simulate(seed, Mutant::None) {
            Ok(it) => seen.add(&it),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    if seeds.end - seeds.start >= 1_000 {
        for (what, count) in seen.counts() {
            assert!(count > 50, "the seeds hardly see this: {what}, {count} times: {seen:?}");
        }
    }
}

#[test]
fn one_seed_is_one_story() {
    for seed in 0..50 {
        let (first, second) = (simulate(seed, Mutant::None), simulate(seed, Mutant::None));
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "seed {seed}");
    }
}

#[test]
fn every_mutant_is_killed_by_the_invariant_that_it_breaks() {
    let mut survivors = Vec::new();
    for (mutant, invariant) in MUTANTS {
        let killed = |seed| simulate(seed, mutant).is_err_and(|violation| violation.invariant == invariant);
        if !(0..MUTANT_SEEDS_MAX).any(killed) {
            survivors.push(format!("{mutant:?} was to break {invariant:?}"));
        }
    }
    assert!(survivors.is_empty(), "no seed below {MUTANT_SEEDS_MAX} kills:\n{}", survivors.join("\n"));
}

#[test]
fn every_invariant_has_a_mutant() {
    for invariant in checker::Invariant::ALL {
        assert!(MUTANTS.iter().any(|(_, it)| *it == invariant), "{invariant:?} was never seen to fail");
    }
}
