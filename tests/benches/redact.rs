//! How fast the leak guard reads clean text, and how long it takes to load it.
//!
//! `cargo bench -p undertone-tests --bench redact`, with `-- --check` to fail if a target is missed.

mod ratio;

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use undertone_core::redact::Guard;

const MIB: usize = 1 << 20;
const ROUNDS: usize = 7;

fn main() {
    let mut random = fastrand::Rng::with_seed(42);
    let texts = [("log lines", logs(&mut random)), ("JSON", json(&mut random))];
    let mut met = true;
    for (count, least) in [(10, 500.0), (1_000, 200.0)] {
        let secrets: Vec<String> =
            (0..count).map(|_| format!("sk_live_{}", token(&mut random, 32))).collect();
        let load = || {
            let named = secrets.iter().enumerate();
            named
                .fold(Guard::builder(), |guard, (n, value)| {
                    guard.add(&format!("SECRET_{n}"), value.as_bytes())
                })
                .build()
        };
        let [loading] = ratio::least(ROUNDS, [&mut || drop(black_box(load()))]);
        met &= ratio::time(&format!("{count} secrets: load"), loading, Duration::from_millis(50));
        let guard = load();
        for (kind, text) in &texts {
            let mut scan = || assert!(matches!(guard.clean(black_box(text)), Cow::Borrowed(_)));
            let [took] = ratio::least(ROUNDS, [&mut scan]);
            let speed = text.len() as f64 / MIB as f64 / took.as_secs_f64();
            met &= ratio::rate(&format!("{count} secrets: clean {kind}"), speed, least);
        }
    }
    ratio::end(met);
}

fn token(random: &mut fastrand::Rng, length: usize) -> String {
    (0..length).map(|_| random.alphanumeric()).collect()
}

fn logs(random: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    while text.len() < 16 * MIB {
        text += &format!(
            "2026-03-0{}T10:00:{:02}.{:06}Z INFO app::orders request_id={} space=sp_{} status={} request finished, connection closed\n",
            random.u8(1..9),
            random.u8(..60),
            random.u32(..1_000_000),
            token(random, 16),
            token(random, 8),
            random.u16(200..500),
        );
    }
    text
}

fn json(random: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    while text.len() < 16 * MIB {
        text += &format!(
            "{{\n  \"id\": \"rc_{}\",\n  \"email\": \"{}@example.com\",\n  \"amount\": {},\n  \"note\": \"The quick brown fox jumps over the lazy dog\",\n  \"image\": \"{}\"\n}},\n",
            token(random, 10),
            token(random, 9),
            random.u32(..),
            token(random, 120),
        );
    }
    text
}
