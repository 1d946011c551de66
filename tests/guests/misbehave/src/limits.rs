//! Takes more than it may, or falls over.

use std::hint::black_box;

use crate::arrays;
use crate::exports::tidemill::task::handler::Error;
use crate::tidemill::task::context::{self, Level};

#[inline(never)]
pub fn endless_loop() -> Result<(), Error> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

#[inline(never)]
pub fn memory_bomb() -> Result<(), Error> {
    let mut held = Vec::new();
    loop {
        held.push(vec![1_u8; 1 << 20]);
        black_box(&held);
    }
}

#[inline(never)]
pub fn deep_recursion() -> Result<(), Error> {
    fn descend(depth: u64) -> u64 {
        if black_box(depth) == u64::MAX { 0 } else { black_box(descend(depth + 1)) + 1 }
    }
    black_box(descend(0));
    Ok(())
}

#[inline(never)]
pub fn log_flood() -> Result<(), Error> {
    loop {
        context::log(Level::Info, "again and again", &[("key".into(), "value".into())]);
    }
}

#[inline(never)]
pub fn stdout_flood() -> Result<(), Error> {
    loop {
        println!("again and again");
    }
}

#[inline(never)]
pub fn endless_line() -> Result<(), Error> {
    loop {
        print!("again and again ");
    }
}

#[inline(never)]
pub fn metric_flood() -> Result<(), Error> {
    for number in 0_u64.. {
        context::metric(&format!("metric number {number}"), 1.0);
    }
    Ok(())
}

#[inline(never)]
pub fn output_flood() -> Result<(), Error> {
    let output = arrays::begin()?;
    loop {
        output.write(4096, &arrays::good(4096))?;
    }
}

#[inline(never)]
pub fn large_checkpoint() -> Result<(), Error> {
    context::checkpoint_save(&[1, 2, 3])?;
    context::checkpoint_save(&vec![0; (1 << 20) + 1])
}

#[inline(never)]
pub fn panics() -> Result<(), Error> {
    let prices: Vec<f64> = black_box(vec![]);
    let last = prices.last().expect("a price for every day");
    black_box(last);
    Ok(())
}

#[inline(never)]
pub fn traps() -> Result<(), Error> {
    core::arch::wasm32::unreachable()
}

#[inline(never)]
pub fn reads_beyond() -> Result<(), Error> {
    let beyond = black_box(u32::MAX as usize - 3) as *const u8;
    // Never valid: no guest has that much memory. The point is that only this attempt ends.
    black_box(unsafe { beyond.read_volatile() });
    Ok(())
}
