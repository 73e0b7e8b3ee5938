//! A panic shows where it happened. What it says may hold a value, and isn't shown.

use undertone_runtime::Event;
use undertone_runtime::log::install_panic_hook;
use undertone_tests::child::{is_child, run_again};
use undertone_tests::encodings::{CANARY, assert_clean, find};
use undertone_tests::world::{TOPIC, event};

use super::{read, texts, world};

const TEST: &str = "panics::a_panic_shows_its_place_and_not_its_message";

#[test]
fn a_panic_shows_its_place_and_not_its_message() {
    if is_child() {
        return as_child();
    }
    let shown = |hook: &str| {
        let output = run_again(TEST, &[("HOOK", hook), ("RUST_BACKTRACE", "full")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        [output.stdout, output.stderr].concat()
    };
    // Without the hook the same child does show it: the finder sees that.
    assert!(find(&shown("none"), CANARY).is_some());
    let shown = shown("ours");
    assert_clean(&shown, CANARY);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let places = shown.matches("panicked at tests/leaks/panics.rs:").count()
        + shown.matches("panicked at leaks/panics.rs:").count();
    assert_eq!(places, 3 + texts(CANARY).len(), "{shown}");
}

#[tokio::main(flavor = "current_thread")]
async fn as_child() {
    if std::env::var("HOOK").unwrap() == "ours" {
        install_panic_hook();
    }
    let world = world().await;
    let panics = |event: Event| async move {
        let token = read(&event, "TOKEN").await;
        let in_a_task = token.clone();
        assert!(tokio::spawn(async move { panic!("{in_a_task}") }).await.is_err());
        let in_a_thread = token.clone();
        assert!(std::thread::spawn(move || panic!("{in_a_thread}")).join().is_err());
        std::hint::black_box(Err::<(), String>(token)).unwrap();
        Ok(())
    };
    let report = world.dispatch(world.listener().on(TOPIC, panics), &event(TOPIC, "dev/red")).await;
    assert!(!report.is_success());
    for (_, text) in texts(CANARY) {
        let listener = world.listener().on(TOPIC, move |_: Event| {
            let text = text.clone();
            async move {
                match text.is_empty() {
                    true => Ok(()),
                    false => panic!("it was {text}"),
                }
            }
        });
        assert!(!world.dispatch(listener, &event(TOPIC, "dev/red")).await.is_success());
    }
}
