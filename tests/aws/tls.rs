//! TLS to AWS: who isn't whom it should be is told nothing.

use std::sync::Arc;

use undertone_aws::Connection;
use undertone_core::{KeyError, SystemClock};
use undertone_tests::certificates::{Authority, Shown};
use undertone_tests::child::is_child;
use undertone_tests::servers::{Answer, Server};

use crate::cloud::config;
use crate::credentials::{asked_of_kms, child};

#[tokio::test]
async fn what_can_never_be_sent_is_no_outage() {
    let nowhere = Connection::new(config("ftp://127.0.0.1:9", None), Arc::new(SystemClock::default()));
    let asked = asked_of_kms(Arc::new(nowhere)).await;
    assert!(matches!(&asked, Err(KeyError::Denied(problem)) if problem.contains("endpoint")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_trusted_is_told_nothing_and_a_redirect_is_not_followed() {
    if is_child() {
        let asked = asked_of_kms(Arc::new(Connection::from_environment())).await;
        match std::env::var("WANTED").unwrap().as_str() {
            "denied" => assert!(matches!(asked, Err(KeyError::Denied(_))), "{asked:?}"),
            "bad answer" => assert!(matches!(asked, Err(KeyError::BadAnswer(_))), "{asked:?}"),
            _ => assert!(matches!(asked, Err(KeyError::Unavailable(_))), "{asked:?}"),
        }
        return;
    }
    let test = "tls::a_server_that_is_not_trusted_is_told_nothing_and_a_redirect_is_not_followed";
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.root_pem()).unwrap();
    let elsewhere = Server::plain(|_| Answer::status(200)).await;
    let to = elsewhere.url("/");
    let refuses: fn(&str) -> Answer = |_| {
        let headers = [("content-type", "application/x-amz-json-1.1")];
        Answer::new(400, &headers, r#"{"__type":"InvalidCiphertextException"}"#)
    };
    let leads_away: fn(&str) -> Answer = |to| Answer::redirect(303, to);
    for (shown, answer, wanted, requests) in [
        (Shown::Right, refuses, "denied", 1),
        (Shown::Right, leads_away, "bad answer", 1),
        (Shown::Expired, refuses, "unavailable", 0),
        (Shown::NotYet, refuses, "unavailable", 0),
        (Shown::OtherHost, refuses, "unavailable", 0),
        (Shown::SelfSigned, refuses, "unavailable", 0),
    ] {
        let to = to.clone();
        let server = Server::tls(&authority, shown, move |_| answer(&to)).await;
        let variables = [
            ("WANTED", wanted),
            ("SSL_CERT_FILE", &roots.display().to_string()),
            ("AWS_ACCESS_KEY_ID", "AKIDVARIABLE"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_ENDPOINT_URL", &server.url("")),
        ];
        child(test, &variables);
        assert_eq!(server.requests().len(), requests, "{wanted}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}
