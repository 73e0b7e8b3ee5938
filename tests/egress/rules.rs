//! The rules of use: checked before any byte leaves, and audited when they refuse.

use std::collections::BTreeSet;

use undertone_core::{Rules, Sink};
use undertone_runtime::Uses;
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::encodings::CANARY;
use undertone_tests::servers::Server;
use undertone_tests::world::{TOPIC, event, hosts, once, set};

use super::{content, kind, send, server, world};

#[tokio::test]
async fn a_use_that_a_rule_refuses_connects_to_nobody_and_is_audited() {
    let server = server().await;
    let here = server.host();
    let rules = |methods: Option<BTreeSet<_>>, sinks: Option<BTreeSet<_>>| Rules {
        hosts: set(&[&here]),
        methods,
        sinks,
        ..Rules::default()
    };
    for (rules, want, row) in [
        (hosts(&["slack.com"]), "HostNotAllowed", "refused host_not_allowed"),
        (hosts(&["127.0.0.1"]), "HostNotAllowed", "refused host_not_allowed"),
        (hosts(&[]), "HostNotAllowed", "refused host_not_allowed"),
        (rules(set(&["GET", "PUT"]), None), "MethodNotAllowed", "refused method_not_allowed"),
        (rules(None, Some([Sink::Query, Sink::Header].into())), "SinkNotAllowed", "refused sink_not_allowed"),
        (rules(set(&["POST"]), Some([Sink::Bearer].into())), "200", "allowed"),
    ] {
        let world = world().await;
        world.set_with("dev", "TOKEN", CANARY, rules).await;
        let before = server.connections();
        let url = server.url("/");
        let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want);
        let connected = usize::from(want == "200");
        assert_eq!(server.connections() - before, connected, "{want}");
        assert_eq!(world.rows_in_short().await, [format!("secret.use TOKEN {row}")]);
    }
}

#[tokio::test]
async fn one_refused_secret_keeps_back_the_request_and_the_other_secret() {
    let server = server().await;
    let world = world().await;
    world.set_with("dev", "OTHER", "another-canary", hosts(&["slack.com"])).await;
    let url = server.url("/");
    let result = world
        .within("dev", async move |event| {
            let token = event.secrets("TOKEN").await.unwrap();
            let other = event.secrets("OTHER").await.unwrap();
            event.http().post(&url).bearer(&token).query("other", &other).send().await
        })
        .await;
    assert_eq!(kind(&result), "HostNotAllowed");
    assert_eq!(server.connections(), 0);
    assert_eq!(world.rows_in_short().await, ["secret.use OTHER refused host_not_allowed"]);
}

#[tokio::test]
async fn a_secret_without_a_host_rule_leaves_in_development_only() {
    let authority = Authority::default();
    let server = Server::tls(&authority, Shown::Right, content).await;
    let mut world = world().await;
    world.roots.push(authority.root());
    for (at, want) in [("live", "NoHostRule"), ("live/red", "NoHostRule"), ("dev", "200"), ("dev/red", "200")]
    {
        // A public host: of a standard Environment, loopback would be refused before the rules are asked.
        let url = match at.starts_with("live") {
            true => "https://api.example.com/".to_owned(),
            false => server.url("/"),
        };
        let result = send(&world, at, move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{at}");
    }
    assert!(!world.network.lookups().contains(&"api.example.com".to_owned()));
}

#[tokio::test]
async fn in_a_standard_environment_the_named_host_passes_the_rules_and_no_other_does() {
    let world = world().await;
    world.set_with("live", "TOKEN", CANARY, hosts(&["api.example.com", "*.slack.com"])).await;
    // Where the rules let it through, the address is what refuses it.
    for host in ["api.example.com", "slack.com", "hooks.slack.com", "evil.example"] {
        world.network.answer(host, &[&["10.0.0.1"]]);
    }
    for (url, want) in [
        ("https://api.example.com/", "AddressNotAllowed"),
        ("https://hooks.slack.com/", "AddressNotAllowed"),
        ("https://slack.com/", "HostNotAllowed"),
        ("https://api.example.com:8443/", "HostNotAllowed"),
        ("https://evil.example/", "HostNotAllowed"),
        ("https://api.example.com.evil.example/", "HostNotAllowed"),
    ] {
        let result = send(&world, "live", move |http, token| http.post(url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{url}");
    }
    assert_eq!(world.network.lookups(), ["api.example.com", "hooks.slack.com"]);
}

#[tokio::test]
async fn rules_of_every_row_and_of_the_declaration_must_allow_a_use() {
    let server = server().await;
    let here = server.host();
    let elsewhere = "slack.com";
    for (environment, space, declared, want) in [
        (Some(here.as_str()), here.as_str(), None, "200"),
        (None, here.as_str(), None, "200"),
        (Some(elsewhere), here.as_str(), None, "HostNotAllowed"),
        (Some(here.as_str()), elsewhere, None, "HostNotAllowed"),
        (None, here.as_str(), Some(here.as_str()), "200"),
        (None, here.as_str(), Some(elsewhere), "HostNotAllowed"),
    ] {
        let world = world().await;
        let rule = environment.map(|host| hosts(&[host])).unwrap_or_default();
        world.set_with("dev", "TOKEN", "of the environment", rule).await;
        world.set_with("dev/red", "TOKEN", CANARY, hosts(&[space])).await;
        let uses = Uses::secret("TOKEN");
        let uses = declared.into_iter().fold(uses, Uses::host);
        let url = server.url("/");
        let (give, given) = std::sync::mpsc::channel();
        let listener = undertone_runtime::Listener::new("tester").uses(uses).on(
            TOPIC,
            once(async move |event| {
                let token = event.secrets("TOKEN").await?;
                give.send(event.http().post(&url).bearer(&token).send().await)?;
                Ok(())
            }),
        );
        world.dispatch(listener, &event(TOPIC, "dev/red")).await;
        let what = format!("{environment:?} {space} {declared:?}");
        assert_eq!(kind(&given.recv().expect("the handler ran")), want, "{what}");
    }
}

#[tokio::test]
async fn plain_http_reaches_loopback_in_development_and_nothing_else() {
    let server = server().await;
    let world = world().await;
    let here = server.host();
    world.set_with("live", "TOKEN", CANARY, hosts(&[&here, "api.example.com:80"])).await;
    let loopback = server.url("/");
    let named = loopback.replace("127.0.0.1", "localhost");
    world.network.answer("api.example.com", &[&["1.1.1.1"]]);
    for (at, url, want) in [
        ("live", loopback.as_str(), "PlainHttp"),
        ("live", named.as_str(), "PlainHttp"),
        ("live", "http://api.example.com/", "PlainHttp"),
        ("dev", "http://api.example.com/", "PlainHttp"),
        ("dev", "http://10.0.0.1/", "PlainHttp"),
        ("dev", loopback.as_str(), "200"),
        ("dev", named.as_str(), "200"),
    ] {
        let before = server.connections();
        let url = url.to_owned();
        let message = format!("{at} {url}");
        let result = send(&world, at, move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{message}");
        assert_eq!(server.connections() - before, usize::from(want == "200"), "{message}");
    }
}
