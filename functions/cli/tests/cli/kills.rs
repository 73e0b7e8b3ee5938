//! Killed at any moment, `secrets set` leaves the old value or the new one.

use std::time::Instant;

use crate::process::World;

const KILLS: u32 = 200;

#[test]
fn a_killed_set_leaves_the_old_value_or_the_new_one() {
    let world = World::ready();
    let words = ["secrets", "set", "T", "--env", "dev"];
    let started = Instant::now();
    world.ok_with("secrets set T --env dev", "value-number-0");
    let usual = started.elapsed();
    let mut version = 1;
    let mut landed = 0;
    let mut seed = 0x5EED_u64;
    for kill in 0..KILLS {
        let mut child = world.spawn(&words, format!("value-number-{kill}").as_bytes());
        std::thread::sleep(usual.mul_f64(random(&mut seed) * 1.2));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        let now = current_version(&world);
        assert!(now == version || now == version + 1, "kill {kill}: from {version} to {now}");
        assert!(!finished || now == version + 1, "kill {kill}: success was said and the value is old");
        landed += u32::from(now != version);
        version = now;
        if kill % 20 == 0 {
            check(&world, version);
        }
    }
    check(&world, version);
    println!("{landed} of {KILLS} landed");
    assert!(0 < landed && landed < KILLS, "{landed} of {KILLS}: the moments are not spread");
}

fn current_version(world: &World) -> u64 {
    let history = world.json("secrets history T --env dev");
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.iter().filter(|version| version["current"] == true).count(), 1);
    versions[0]["version"].as_u64().unwrap()
}

/// All records open, and every row of audit is as it was written.
fn check(world: &World, version: u64) {
    assert_eq!(world.json("doctor")["records"].as_u64(), Some(version));
    world.ok("audit verify");
}

/// From 0 to 1, the same each time the test runs.
fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    f64::from(u32::try_from(*seed >> 32).unwrap()) / f64::from(u32::MAX)
}
