//! How benches say whether a target is met. Machines are shared and noisy: what is compared was
//! measured in turn within one run, and the least of many rounds counts.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::{Duration, Instant};

/// Prints a ratio beside the most that it may be. Whether it is met.
pub fn report(what: &str, ratio: f64, most: f64) -> bool {
    verdict(what, &format!("{ratio:.2} x"), &format!("at most {most} x"), ratio <= most)
}

/// Prints a rate in MiB/s beside the least that it may be. Whether it is met.
pub fn rate(what: &str, mib_per_second: f64, least: f64) -> bool {
    let measured = format!("{mib_per_second:.0} MiB/s");
    verdict(what, &measured, &format!("at least {least} MiB/s"), least <= mib_per_second)
}

/// Prints a time beside the most that it may be. Whether it is met.
pub fn time(what: &str, took: Duration, most: Duration) -> bool {
    verdict(what, &format!("{took:.1?}"), &format!("at most {most:?}"), took <= most)
}

/// Prints how much memory it is beside the most that it may be. Whether it is met.
pub fn memory(what: &str, bytes: u64, most_mib: f64) -> bool {
    let mib = bytes as f64 / f64::from(1 << 20);
    verdict(what, &format!("{mib:.1} MiB"), &format!("at most {most_mib} MiB"), mib <= most_mib)
}

/// Prints a ratio that has no target.
pub fn note(what: &str, ratio: f64) {
    println!("{what:<56} {:>14}", format!("{ratio:.2} x"));
}

/// The least time that each piece of work takes, measured in turn.
pub fn least<const N: usize>(rounds: usize, works: [&mut dyn FnMut(); N]) -> [Duration; N] {
    let mut least = [Duration::MAX; N];
    let mut works = works;
    for _ in 0..rounds {
        for (least, work) in least.iter_mut().zip(works.iter_mut()) {
            let began = Instant::now();
            work();
            *least = (*least).min(began.elapsed());
        }
    }
    least
}

/// Ends the bench: with `--check`, a missed target is a failure.
pub fn end(all_met: bool) {
    if !all_met && std::env::args().any(|argument| argument == "--check") {
        std::process::exit(1);
    }
}

fn verdict(what: &str, measured: &str, target: &str, met: bool) -> bool {
    let word = if met { "met" } else { "MISSED" };
    println!("{what:<56} {measured:>14}   {target:<22} {word}");
    met
}
