//! Where a request may connect to: public addresses, in one spelling, vetted at the one lookup.

use std::time::Duration;

use undertone_tests::encodings::CANARY;
use undertone_tests::servers::Server;
use undertone_tests::world::hosts;

use super::{content, kind, send, server, world};

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_in_every_spelling_and_environment() {
    let world = world().await;
    // Instance metadata, loopback, private, shared, benchmarking, multicast and reserved addresses.
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        // Those that embed another address.
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:a9fe:a9fe::1]",
    ] {
        // A mapped address is refused for its spelling or for what it is; both are before the rules.
        let refused = ["AddressNotAllowed", "BadUrl"];
        for at in ["live", "dev"] {
            let url = format!("https://{address}/latest/meta-data/");
            let got = kind(&send(&world, at, move |http, token| http.post(&url).bearer(token)).await);
            assert!(refused.contains(&got.as_str()), "{at} {address}: {got}");
            let url = format!("http://{address}/latest/meta-data/");
            let got = kind(&send(&world, at, move |http, token| http.post(&url).bearer(token)).await);
            assert!(["PlainHttp", "BadUrl"].contains(&got.as_str()), "{at} {address}: {got}");
        }
    }
    assert_eq!(world.network.lookups(), Vec::<String>::new());
    let rows = world.rows_in_short().await;
    assert!(rows.iter().all(|row| row.starts_with("secret.use TOKEN refused ")), "{rows:?}");
}

#[tokio::test]
async fn this_machine_is_out_of_reach_of_a_standard_environment_in_every_spelling() {
    let server = server().await;
    let world = world().await;
    let port = server.port();
    for host in [
        "127.0.0.1",
        "127.9.9.9",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "127。0。0。1",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let got = kind(&send(&world, "live", move |http, token| http.post(&url).bearer(token)).await);
            let refused = ["AddressNotAllowed", "BadUrl", "PlainHttp"];
            assert!(refused.contains(&got.as_str()), "{scheme}://{host}: {got}");
        }
    }
    assert_eq!(server.connections(), 0);
    // The same server answers where loopback is in reach.
    let url = server.url("/");
    let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
    assert_eq!((kind(&result).as_str(), server.connections()), ("200", 1));
}

#[tokio::test]
async fn in_development_an_odd_spelling_of_this_machine_is_refused_too() {
    let server = server().await;
    let world = world().await;
    let port = server.port();
    for host in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "localhost.", "0.0.0.0"] {
        let url = format!("http://{host}:{port}/");
        let got = kind(&send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await);
        assert!(["BadUrl", "PlainHttp"].contains(&got.as_str()), "{host}: {got}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_url_that_is_no_canonical_https_url_is_refused_without_a_lookup() {
    let world = world().await;
    for url in [
        "https://user:pass@slack.com/",
        "https://slack.com@evil.example/",
        "https://slack.com\\@evil.example/",
        "https://slack.com\t.evil.example/",
        "https://slack.com\0.evil.example/",
        "https://slack.com%00.evil.example/",
        "https://slack.com#@evil.example\\/",
        "https://slack。com/",
        "https://ｓlack.com/",
        "https://slаck.com/",
        "file:///etc/passwd",
        "gopher://slack.com/",
        "ftp://slack.com/",
        "unix:/run/x.sock",
        "data:text/plain,x",
        "ws://slack.com/",
        "slack.com",
        "",
    ] {
        for at in ["live", "dev"] {
            let result = send(&world, at, move |http, token| http.post(url).bearer(token)).await;
            assert_eq!(kind(&result), "BadUrl", "{at} {url:?}");
        }
    }
    assert_eq!(world.network.lookups(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_is_refused_when_one_of_its_addresses_is_not_public() {
    let mut world = world().await;
    world.budget = Duration::from_secs(2);
    for (name, answer) in [
        ("private.example", &["10.0.0.1"][..]),
        ("metadata.example", &["169.254.169.254"]),
        ("loopback.example", &["127.0.0.1"]),
        ("mapped.example", &["::ffff:10.0.0.1"]),
        ("nat64.example", &["64:ff9b::a9fe:a9fe"]),
        ("six-to-four.example", &["2002:a9fe:a9fe::"]),
        ("mixed.example", &["1.1.1.1", "10.0.0.1"]),
        ("mixed-the-other-way.example", &["10.0.0.1", "1.1.1.1"]),
        ("mixed-families.example", &["1.1.1.1", "::1"]),
    ] {
        world.network.answer(name, &[answer]);
        for at in ["live", "dev"] {
            world.set_with(at, "TOKEN", CANARY, hosts(&[name])).await;
            let before = world.network.lookups().len();
            let url = format!("https://{name}/");
            let result = send(&world, at, move |http, token| http.get(&url).bearer(token)).await;
            assert_eq!(kind(&result), "AddressNotAllowed", "{at} {name}");
            assert_eq!(world.network.lookups().len() - before, 1, "{at} {name}: it isn't tried again");
        }
    }
}

#[tokio::test]
async fn localhost_is_refused_when_it_resolves_to_more_than_this_machine() {
    let server = server().await;
    let world = world().await;
    let url = server.url("/").replace("127.0.0.1", "localhost");
    for (answer, want) in [
        (&["127.0.0.1", "10.0.0.1"][..], "AddressNotAllowed"),
        (&["10.0.0.1", "127.0.0.1"], "AddressNotAllowed"),
        (&["1.1.1.1"], "AddressNotAllowed"),
        (&["127.0.0.1"], "200"),
    ] {
        world.network.answer("localhost", &[answer]);
        let before = server.connections();
        let url = url.clone();
        let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want, "{answer:?}");
        assert_eq!(server.connections() - before, usize::from(want == "200"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_is_looked_up_once_and_the_vetted_address_is_used() {
    let vetted = server().await;
    let other = Server::plain_at(&format!("127.0.0.2:{}", vetted.port()), content).await;
    let world = world().await;
    let url = vetted.url("/").replace("127.0.0.1", "localhost");
    world.network.answer("localhost", &[&["127.0.0.1"], &["127.0.0.2"], &["10.0.0.1"]]);
    for (want, reached) in [("200", (1, 0)), ("200", (1, 1)), ("AddressNotAllowed", (1, 1))] {
        let before = world.network.lookups().len();
        let url = url.clone();
        let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
        assert_eq!(kind(&result), want);
        assert_eq!((vetted.connections(), other.connections()), reached);
        assert_eq!(world.network.lookups().len() - before, 1, "one lookup for one attempt");
    }
}

#[tokio::test]
async fn an_address_that_is_refused_leaves_a_row_of_audit() {
    let world = world().await;
    world.network.answer("private.example", &[&["10.0.0.1"]]);
    for (at, url, want) in [
        ("dev", "https://169.254.169.254/", "secret.use TOKEN refused address_not_allowed"),
        ("live", "https://localhost/", "secret.use TOKEN refused address_not_allowed"),
        ("live", "http://api.example.com/", "secret.use TOKEN refused plain_http"),
        ("live", "http://127.0.0.1:9/", "secret.use TOKEN refused plain_http"),
        ("dev", "https://private.example/", "secret.use TOKEN failed address_not_allowed"),
    ] {
        let before = world.rows().await.len();
        let result = send(&world, at, move |http, token| http.post(url).bearer(token)).await;
        assert!(result.is_err(), "{url}");
        let rows = world.rows_in_short().await;
        assert_eq!(rows[before..].last().map(String::as_str), Some(want), "{at} {url}");
        let row = world.rows().await.pop().unwrap();
        assert_eq!(row["asked_in"]["environment"], at, "{url}");
        assert_eq!((row["sink"].as_str(), row["method"].as_str()), (Some("bearer"), Some("POST")), "{url}");
    }
}
