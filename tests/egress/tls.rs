//! TLS: who can't prove that he is the host gets no byte of the request.

use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::encodings::{CANARY, assert_clean, find};
use undertone_tests::servers::{Answer, Server};

use super::{content, kind, send, server, world};

/// A ServerHello that chooses TLS 1.0.
const TLS_1_0: [u8; 47] = {
    let mut hello = [7; 47];
    let head = [22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    // No session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello[43] = 0;
    hello[44] = 0xc0;
    hello[45] = 0x13;
    hello[46] = 0;
    hello
};

#[tokio::test]
async fn a_server_with_a_wrong_certificate_gets_no_byte_of_the_request() {
    let authority = Authority::default();
    let mut world = world().await;
    world.roots.push(authority.root());
    for (shown, want) in [
        (Shown::Right, "200"),
        (Shown::Expired, "Connect"),
        (Shown::NotYet, "Connect"),
        (Shown::OtherHost, "Connect"),
        (Shown::SelfSigned, "Connect"),
    ] {
        let server = Server::tls(&authority, shown, content).await;
        let url = server.url("/");
        let result =
            send(&world, "dev", move |http, token| http.post(&url).bearer(token).query("q", token)).await;
        server.settled().await;
        assert_eq!(kind(&result), want, "{shown:?}");
        assert_eq!(server.requests().len(), usize::from(shown == Shown::Right), "{shown:?}");
        assert!(!server.wire().is_empty(), "{shown:?}: the client said hello");
        assert_clean(&server.wire(), CANARY);
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_nobody_trusts_is_refused() {
    let server = Server::tls(&Authority::default(), Shown::Right, content).await;
    let mut world = world().await;
    world.roots.push(Authority::default().root());
    let url = server.url("/");
    let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
    server.settled().await;
    assert_eq!(kind(&result), "Connect");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_for_a_name_does_not_do_for_its_address() {
    let authority = Authority::default();
    let server = Server::tls(&authority, Shown::Right, content).await;
    let mut world = world().await;
    world.roots.push(authority.root());
    let url = server.url("/").replace("localhost", "127.0.0.1");
    let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
    server.settled().await;
    assert_eq!(kind(&result), "Connect");
    assert_eq!((server.connections(), server.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_an_old_one_gets_a_hello_and_no_more() {
    let world = world().await;
    for (what, answer) in
        [("plain HTTP", Answer::status(200)), ("TLS 1.0", Answer::raw(TLS_1_0)), ("nothing", Answer::raw(""))]
    {
        let server = Server::blunt(answer).await;
        let url = server.url("/").replace("http://127.0.0.1", "https://localhost");
        let result = send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await;
        server.settled().await;
        assert_eq!(kind(&result), "Connect", "{what}");
        assert!(!server.wire().is_empty(), "{what}: the client said hello");
        assert_clean(&server.wire(), CANARY);
    }
    // The same record sees what plain HTTP would have given away.
    let open = server().await;
    let url = open.url("/");
    send(&world, "dev", move |http, token| http.post(&url).bearer(token)).await.unwrap();
    assert!(find(&open.wire(), CANARY).is_some());
}
