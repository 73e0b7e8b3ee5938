//! Names: exact, without hidden characters, never two that look alike in one chain.

use undertone_core::vault::{SetRequest, Spelling, VaultError};
use undertone_core::{NameError, ResolveError, SecretName, SecretValue, StoreError, is_hidden};
use undertone_tests::world::{World, hosts, name, scope};

use crate::lookup::{Answer, Asker, HOST, value};

#[tokio::test]
async fn a_name_that_looks_like_another_of_its_chain_is_refused() {
    // Where the first name is, where the second is to be, and whether they share a chain.
    let places = [
        ("live", "live", true),
        ("live", "live/red", true),
        ("live/red", "live", true),
        ("live/red", "live/red", true),
        ("live/red", "live/blue", false),
        ("live", "dev", false),
        ("live/red", "dev/red", false),
    ];
    let pairs = [
        ("SLACK_TOKEN", "slack_token"),
        ("SLACK_TOKEN", "Slack_Token"),
        ("Straße", "STRASSE"),
        ("ﬁle", "FILE"),
        ("Ⅳ", "iv"),
        ("clé d'accès", "cle\u{301} d'acce\u{300}s"),
        ("ＡＢＣ", "abc"),
        // A letter that has no small form before it is normalised, and one after.
        ("ℌOST", "HOST"),
    ];
    for (first_at, second_at, one_chain) in places {
        for (first, second) in pairs {
            let case = format!("{first} in {first_at}, {second} in {second_at}");
            let world = World::new().await;
            world.set_with(first_at, first, "first-value", hosts(&[HOST])).await;
            let refused = set(&world, second_at, second).await;
            let look_alike = VaultError::Store(StoreError::LookAlike {
                name: name(second),
                existing: name(first),
                scope: scope(first_at),
            });
            assert_eq!(refused, if one_chain { Err(look_alike) } else { Ok(()) }, "{case}");
            let asker = Asker::new(&world, &[first, second]);
            assert_eq!(asker.ask(first_at, first).await, value("first-value", first_at), "{case}");
            assert_eq!(set(&world, first_at, first).await, Ok(()), "{case}: its own spelling goes on");
        }
    }
}

#[tokio::test]
async fn names_that_only_look_related_live_side_by_side() {
    let world = World::new().await;
    // The last is Cyrillic: another letter, which folding doesn't touch.
    for text in ["SLACK_TOKEN", "SLACK-TOKEN", "SLACK TOKEN", "SLACK_TOKEN2", "SL\u{410}CK_TOKEN"] {
        assert_eq!(set(&world, "live", text).await, Ok(()), "{text}");
    }
}

#[tokio::test]
async fn a_name_is_found_in_its_exact_spelling_only() {
    let world = World::new().await;
    world.set_with("live", "SLACK_TOKEN", "a-value", hosts(&[HOST])).await;
    let asker = Asker::new(&world, &["SLACK_TOKEN", "slack_token", "SLACK_TOKEN2"]);
    assert_eq!(asker.ask("live", "SLACK_TOKEN").await, value("a-value", "live"));
    for other in ["slack_token", "SLACK_TOKEN2"] {
        assert_eq!(asker.ask("live", other).await, Answer::NotFound, "{other}");
    }
    for other in ["", "SLACK", "SLACK_TOKEN ", "slack_Token"] {
        assert_eq!(asker.ask("live", other).await, Answer::NotDeclared, "{other:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_canonical_needs_the_callers_word() {
    let world = World::new().await;
    for (text, canonical) in [("SLACK_TOKEN", true), ("slack_token2", false), ("Access key", false)] {
        let value = SecretValue::new(b"a-value".to_vec()).expect("it is short");
        let plain = world.vault.set(&scope("live"), SetRequest::new(name(text), value)).await.map(|_| ());
        let noncanonical = VaultError::Noncanonical(name(text));
        assert_eq!(plain, if canonical { Ok(()) } else { Err(noncanonical.clone()) }, "{text}");
        let blocked = world.vault.block(&scope("live"), &name(text), Spelling::Canonical).await.map(|_| ());
        assert_eq!(blocked, if canonical { Ok(()) } else { Err(noncanonical) }, "{text}");
        assert_eq!(set(&world, "live", text).await, Ok(()), "{text}");
    }
}

const HOSTILE: [&str; 12] = [
    "A\u{1b}[31mB",
    "A\u{1b}]0;title\u{7}",
    "A\u{202e}NEKOT",
    "\u{2066}A\u{2069}",
    "A\u{200b}B",
    "\u{feff}A",
    "A\rB",
    "A\nSECRET=1",
    "A\0B",
    "A\u{9b}31m",
    "A\u{e0041}",
    "A\u{fe0f}",
];

#[test]
fn a_hostile_name_is_no_name_and_is_shown_escaped() {
    for text in HOSTILE {
        let error = text.parse::<SecretName>().expect_err(text);
        assert!(matches!(error, NameError::Hidden { .. }), "{text:?}");
        assert!(!error.to_string().chars().any(is_hidden), "{error}");
        assert!(!format!("{error:?}").chars().any(is_hidden), "{error:?}");
    }
}

#[tokio::test]
async fn asking_for_a_hostile_name_is_answered_without_repeating_it() {
    let world = World::new().await;
    let asker = Asker::new(&world, &["SLACK_TOKEN"]);
    let long = "A".repeat(5_000);
    for text in HOSTILE.into_iter().chain([long.as_str()]) {
        let error = asker.handle("live", text).await.expect_err("it isn't declared");
        assert!(matches!(error, ResolveError::NotDeclared { .. }), "{text:?}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.chars().any(is_hidden), "{shown:?}");
        assert!(shown.len() < 1_000, "{} bytes", shown.len());
        let chain = scope("live").chain();
        asker.attempt().record_refusal(&chain, text, &error).await.expect("audit in memory works");
    }
    for row in world.rows().await {
        assert_eq!((&row["action"], &row["detail"]), (&"secret.resolve".into(), &"not_declared".into()));
        assert!(!row.to_string().chars().any(is_hidden), "{row}");
    }
}

#[tokio::test]
async fn close_names_are_those_that_the_agent_declares_and_that_have_a_value() {
    let world = World::new().await;
    for name in ["SLACK_TOKEN", "SLACK_TOKEN_OLD", "SLACK_TOKEN_GONE", "SLACK_TOKENS", "DATABASE_URL"] {
        world.set_with("live", name, "a-value", hosts(&[HOST])).await;
    }
    world.vault.destroy(&scope("live"), &name("SLACK_TOKEN_GONE")).await.expect("it is there");
    world.vault.unset(&scope("live"), &name("SLACK_TOKENS")).await.expect("it is there");
    let declared = ["SLACK_TOKE", "SLACK_TOKEN", "SLACK_TOKEN_GONE", "SLACK_TOKENS", "DATABASE_URL"];
    let asker = Asker::new(&world, &declared);
    let error = asker.handle("live/red", "SLACK_TOKE").await.expect_err("it isn't set");
    let want = ResolveError::NotFound {
        name: name("SLACK_TOKE"),
        scope: scope("live/red"),
        // `SLACK_TOKEN_OLD` is close too, but this agent doesn't declare it.
        close: vec![name("SLACK_TOKEN")],
    };
    assert_eq!(error, want);
    assert!(error.to_string().contains("(close: `SLACK_TOKEN`)"), "{error}");
}

async fn set(world: &World, at: &str, text: &str) -> Result<(), VaultError> {
    let value = SecretValue::new(b"first-value".to_vec()).expect("it is short");
    let request = SetRequest::new(name(text), value);
    let request = SetRequest { spelling: Spelling::Any, rules: hosts(&[HOST]), ..request };
    world.vault.set(&scope(at), request).await.map(|_| ())
}
