//! Where credentials come from, in a process of its own for each: they are found by its variables.

use std::sync::Arc;

use serde_json::json;
use undertone_aws::{Connection, KmsKey, KmsOpener};
use undertone_core::keys::{Provider, WrappedKey};
use undertone_core::{KeyError, KeyId, KeyScope, Opener};
use undertone_tests::child::{again, is_child};
use undertone_tests::fake_aws::{FakeAws, REGION};
use undertone_tests::servers::{Answer, Received, Server};

use crate::cloud::STORE;

/// What a child asks of KMS: it can't succeed, since nothing was wrapped, so only who asks matters.
pub async fn asked_of_kms(connection: Arc<Connection>) -> Result<(), KeyError> {
    let opener = KmsOpener::new(connection, KmsKey::new("alias/red").unwrap());
    let wrapped =
        WrappedKey { provider: Provider::Kms, id: KeyId([7; 16]), generation: 1, blob: Arc::from([7]) };
    opener.unwrap_key(&KeyScope::store(STORE), &wrapped).await.map(drop)
}

/// Runs the test again as a child with these variables and no other of AWS's.
pub fn child(test: &str, variables: &[(&str, &str)]) {
    let mut command = again(test);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("AWS_") || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", REGION)]);
    let output = command.envs(variables.iter().copied()).output().expect("a test's binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

/// Whose key signed a request.
fn signer(request: &Received) -> String {
    let header = request.header("authorization").expect("a request that is signed");
    let text = std::str::from_utf8(header).expect("a header in ASCII");
    let key = text.split_once("Credential=").expect("a signature names its key").1;
    key.split_once('/').expect("and its scope").0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_lambda_the_variables_or_the_address_in_them_give_credentials_and_nothing_else_is_looked_at() {
    if is_child() {
        let connection = Arc::new(Connection::from_environment());
        let asked = asked_of_kms(connection.clone()).await;
        match std::env::var("WANTED").unwrap().as_str() {
            "asked" => assert!(matches!(asked, Err(KeyError::Denied(_))), "{asked:?}"),
            "asked twice" => {
                assert!(matches!(asked, Err(KeyError::Denied(_))), "{asked:?}");
                assert!(connection.secrets_manager().get_secret_value().secret_id("a").send().await.is_err());
            }
            _ => assert!(
                matches!(&asked, Err(KeyError::Denied(problem)) if problem.contains("there are none")),
                "{asked:?}"
            ),
        }
        return;
    }
    let test = "credentials::\
        on_lambda_the_variables_or_the_address_in_them_give_credentials_and_nothing_else_is_looked_at";
    let refusal = || {
        let headers = [("content-type", "application/x-amz-json-1.1")];
        Answer::new(400, &headers, r#"{"__type":"InvalidCiphertextException"}"#)
    };
    let container = Server::plain(|request| {
        assert_eq!(request.header("authorization"), Some(&b"pass"[..]));
        let given = json!({ "AccessKeyId": "AKIDCONTAINER", "SecretAccessKey": "s", "Token": "t",
                            "Expiration": "2099-01-01T00:00:00Z" });
        Answer::new(200, &[("content-type", "application/json")], given.to_string())
    })
    .await;
    let everywhere = Server::plain(move |_| refusal()).await;
    let of_kms = Server::plain(move |_| refusal()).await;
    let (everywhere_url, kms_url) = (everywhere.url(""), of_kms.url(""));
    let credentials_url = container.url("/v2/credentials");
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDVARIABLE"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let address = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", credentials_url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pass"),
        // A proxy would see what is asked of a container, and what it answers.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
    ];
    let asked = [("WANTED", "asked"), ("AWS_ENDPOINT_URL", everywhere_url.as_str())];
    child(test, &[&asked[..], &keys].concat());
    assert_eq!(signer(&everywhere.request()), "AKIDVARIABLE");
    let for_kms = [("AWS_ENDPOINT_URL_KMS", kms_url.as_str())];
    let twice = [("WANTED", "asked twice"), ("AWS_ENDPOINT_URL", everywhere_url.as_str())];
    child(test, &[&twice[..], &for_kms, &address].concat());
    assert_eq!(signer(&of_kms.request()), "AKIDCONTAINER");
    assert_eq!(signer(&everywhere.requests()[1]), "AKIDCONTAINER");
    assert_eq!(everywhere.requests().len(), 2, "a service's own endpoint is stronger");
    // What other programs would find is there.
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("credentials");
    std::fs::write(&profiles, "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n")
        .unwrap();
    let (instance, profiles) = (Server::plain(|_| Answer::status(404)).await, profiles.display().to_string());
    let variables = [
        ("WANTED", "none"),
        ("AWS_SHARED_CREDENTIALS_FILE", profiles.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance.url("")),
        ("AWS_ENDPOINT_URL", &everywhere_url),
    ];
    child(test, &variables);
    assert_eq!((everywhere.requests().len(), instance.requests().len()), (2, 0));
    assert_eq!(container.requests().len(), 1, "one process asks once for all services");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_refused_is_no_outage() {
    if is_child() {
        let asked = asked_of_kms(Arc::new(Connection::load(None, Some("worker")).await)).await;
        let unavailable = std::env::var_os("AWAY").is_some();
        match asked {
            Err(KeyError::Denied(_)) if !unavailable => {}
            Err(KeyError::Unavailable(_)) if unavailable => {}
            other => panic!("{other:?}"),
        }
        return;
    }
    let test = "credentials::a_role_that_is_refused_is_no_outage";
    let folder = tempfile::tempdir().unwrap();
    let profiles = folder.path().join("config");
    let text = "\
        [profile worker]\nrole_arn = arn:aws:iam::111122223333:role/worker\nsource_profile = base\n\
        [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n";
    std::fs::write(&profiles, text).unwrap();
    let kms = FakeAws::start().await;
    for (status, code, away) in [
        (403, "AccessDenied", false),
        (403, "ExpiredTokenException", false),
        (400, "ValidationError", false),
        (503, "ServiceUnavailable", true),
    ] {
        let sts = Server::plain(move |_| {
            let body = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
            );
            Answer::new(status, &[("content-type", "text/xml")], body)
        })
        .await;
        let (sts_url, kms_url, profiles) = (sts.url(""), kms.url(), profiles.display().to_string());
        let mut variables = vec![
            ("AWS_CONFIG_FILE", profiles.as_str()),
            ("AWS_ENDPOINT_URL_STS", sts_url.as_str()),
            ("AWS_ENDPOINT_URL_KMS", kms_url.as_str()),
        ];
        if away {
            variables.push(("AWAY", "1"));
        }
        child(test, &variables);
        assert_eq!(signer(&sts.requests()[0]), "AKIDBASE");
        assert!(kms.kms().calls().is_empty(), "{code}: nothing is asked of KMS");
    }
}
