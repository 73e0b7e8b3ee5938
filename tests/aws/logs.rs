//! What the SDK logs at its most talkative: no value, no key, no credentials.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing::subscriber::DefaultGuard;
use undertone_aws::{Connection, KmsKey, KmsOpener, KmsSealer, SecretsManagerSource};
use undertone_core::{ExternalSource, KeyScope, Opener, Sealer, SystemClock};
use undertone_tests::encodings::{CANARY, assert_clean};
use undertone_tests::fake_aws::{Answer, FakeAws};

use crate::cloud::{STORE, config, connection};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what this thread logs, down to this level, until the guard is dropped.
fn log_to(kept: &Kept, level: Level) -> DefaultGuard {
    let to = kept.clone();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(false);
    tracing::subscriber::set_default(lines.with_writer(move || to.clone()).finish())
}

#[tokio::test]
async fn no_value_key_or_credential_is_logged_at_any_level() {
    let fake = FakeAws::start().await;
    let key = KmsKey::new(&fake.kms().create_key("alias/red")).unwrap();
    let secrets = connection(&fake.url()).secrets_manager();
    secrets.create_secret().name("db").secret_string(CANARY).send().await.unwrap();
    let kept = Kept::default();
    let (token, plaintext) = ("session-token-canary-7f3a", b"a-data-key-canary-of-32-bytes-91");
    {
        let _installed = log_to(&kept, Level::TRACE);
        let config = config(&fake.url(), Some(token));
        let connection = Arc::new(Connection::new(config, Arc::new(SystemClock::default())));
        let source =
            SecretsManagerSource::new(connection.secrets_manager(), Arc::new(SystemClock::default()));
        assert_eq!(&source.fetch("db").await.unwrap().bytes[..], CANARY.as_bytes());
        let scope = KeyScope::store(STORE);
        fake.kms().answer_next("GenerateDataKey", Answer::plaintext(plaintext));
        let (_, wrapped) = KmsSealer::new(connection.clone(), key.clone()).new_key(&scope, 1).await.unwrap();
        fake.kms().answer_next("Decrypt", Answer::plaintext(plaintext));
        let opened = KmsOpener::new(connection, key).unwrap_key(&scope, &wrapped).await.unwrap();
        assert_eq!(&opened[..], plaintext);
    }
    let logged = kept.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&logged);
    assert!(text.contains("TRACE") && text.contains("GenerateDataKey"), "the SDK says something");
    for secret in [CANARY, token, std::str::from_utf8(plaintext).unwrap()] {
        assert_clean(&logged, secret);
    }
}

#[tokio::test]
async fn a_call_that_is_tried_again_leaves_no_error_in_the_log() {
    let fake = FakeAws::start().await;
    let secrets = connection(&fake.url()).secrets_manager();
    secrets.create_secret().name("db").secret_string(CANARY).send().await.unwrap();
    let kept = Kept::default();
    let _installed = log_to(&kept, Level::WARN);
    fake.secrets().answer_next("GetSecretValue", Answer::raw(503, "text/html", "later"));
    let call = secrets.get_secret_value().secret_id("db").version_stage("AWSCURRENT");
    assert!(call.send().await.is_ok());
    assert_eq!(fake.secrets().calls_of("GetSecretValue"), 2);
    let logged = kept.0.lock().unwrap().clone();
    assert!(logged.is_empty(), "{}", String::from_utf8_lossy(&logged));
}
