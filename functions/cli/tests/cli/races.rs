//! Several people at one home at once.

use crate::process::{Said, World};

#[test]
fn of_two_that_set_if_absent_one_wins() {
    let world = World::ready();
    for round in 0..20 {
        let name = format!("T_{round}");
        let words = ["secrets", "set", &name, "--env", "dev", "--if-absent"];
        let both = [b"first-value", b"other-value"].map(|value| world.spawn(&words, value));
        let mut exits = both.map(|child| Said::from(child.wait_with_output().unwrap()).exit);
        exits.sort_unstable();
        assert_eq!(exits, [0, 4], "round {round}");
        let versions = world.json(&format!("secrets history {name} --env dev"));
        assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn every_set_that_succeeds_is_a_version_and_no_other_is() {
    let world = World::ready();
    let words = ["secrets", "set", "T", "--env", "dev"];
    let all: Vec<_> = (0..12).map(|n| world.spawn(&words, format!("value-number-{n}").as_bytes())).collect();
    let exits: Vec<i32> =
        all.into_iter().map(|child| Said::from(child.wait_with_output().unwrap()).exit).collect();
    let won = exits.iter().filter(|exit| **exit == 0).count();
    assert!(exits.iter().all(|exit| [0, 4].contains(exit)) && 1 <= won, "{exits:?}");
    let history = world.json("secrets history T --env dev");
    assert_eq!(history["versions"].as_array().unwrap().len(), won);
    assert_eq!(world.json("doctor")["records"].as_u64(), Some(won as u64));
    world.ok("audit verify");
}
