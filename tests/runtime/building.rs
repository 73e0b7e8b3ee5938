//! What is wrong with a listener is said once, when it is built.

use undertone_core::SystemClock;
use undertone_core::memory::{MemoryAudit, MemoryKeys, MemoryStore};
use undertone_core::resolve::Freshness;
use undertone_runtime::{Event, Listener, ListenerError, Ports, Result, Runtime, RuntimeError, Uses, filter};

async fn nothing(_: Event) -> Result<()> {
    Ok(())
}

fn build(listener: Listener) -> std::result::Result<Runtime, RuntimeError> {
    let ports = Ports {
        store: std::sync::Arc::new(MemoryStore::default()),
        opener: std::sync::Arc::new(MemoryKeys::default()),
        audit: std::sync::Arc::new(MemoryAudit::default()),
        clock: std::sync::Arc::new(SystemClock::default()),
        external: None,
    };
    Runtime::new(listener, ports, Vec::new(), Freshness::default())
}

#[test]
fn a_wrong_listener_is_refused_with_what_is_wrong() {
    let fine = || Listener::new("tester");
    for (what, listener, want) in [
        ("an empty slug", Listener::new(""), "Slug"),
        ("a slug with a slash", Listener::new("a/b"), "Slug"),
        ("a slug that is too long", Listener::new(&"a".repeat(129)), "Slug"),
        ("an empty topic", fine().on("", nothing), "Topic"),
        ("an empty segment", fine().on("a::b", nothing), "Topic"),
        ("one wrong topic of two", fine().on(["a", "b:"], nothing), "Topic"),
        ("an empty namespace", fine().namespace("", |inner| inner.on("a", nothing)), "Topic"),
        ("a wrong filter", fine().on_where("a", serde_json::json!(["no", "object"]), nothing), "Filter"),
        ("an empty name", fine().uses(""), "Name"),
        ("a name with a hidden character", fine().uses("TOKEN\u{200b}"), "Name"),
        ("a name with a space at its end", fine().uses("TOKEN "), "Name"),
        ("a host with a scheme", fine().uses(Uses::secret("TOKEN").host("https://a.example")), "Host"),
        ("any host", fine().uses(Uses::secret("TOKEN").host("*")), "Host"),
        ("a child's topic", fine().nest(fine().on("", nothing)), "Topic"),
        ("a child's name", fine().nest(fine().uses("")), "Name"),
        ("within a namespace", fine().namespace("a", |inner| inner.on("", nothing)), "Topic"),
    ] {
        let found = match build(listener).err() {
            Some(RuntimeError::Listener(error)) => match error {
                ListenerError::Slug(_) => "Slug",
                ListenerError::Topic(_) => "Topic",
                ListenerError::Filter(_) => "Filter",
                ListenerError::Name(_) => "Name",
                ListenerError::Host(_) => "Host",
            },
            Some(RuntimeError::Tls) => "Tls",
            None => "nothing",
        };
        assert_eq!(found, want, "{what}");
    }
}

#[test]
fn a_right_listener_is_built_and_named() {
    let listener = Listener::new("tester")
        .uses("TOKEN")
        .uses(Uses::secret("OTHER").host("*.example.com").host("api.example.com:8443"))
        .on(["job:ready", "job:*:done"], nothing)
        .on_where("**", filter! { "payload.job": "space:*" }, nothing)
        .namespace("space:red", |red| red.on("record:**", nothing));
    assert_eq!(build(listener).unwrap().agent().as_str(), "tester");
    assert!(build(Listener::new("empty")).is_ok());
}
