//! Keys under KMS: what is asked, which answers are believed, and what each refusal means.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use undertone_aws::{Connection, KmsCounts, KmsKey, KmsOpener, KmsRewrapper, KmsSealer};
use undertone_core::keys::{Provider, WrappedKey, unwrap_checked};
use undertone_core::{KeyError, KeyScope, Opener, Rewrapper, Scope, ScopeKey, Sealer, contract};
use undertone_tests::emulators::{Ministack, Moto};
use undertone_tests::fake_aws::{Answer, EXPIRED, FakeAws, REGION};

use crate::cloud::{RushedClock, STORE, config, connection, connection_by, keys, new_key};

/// A strict KMS with the keys `alias/red` and `alias/blue`.
struct Kms {
    aws: FakeAws,
    connection: Arc<Connection>,
    sealer: KmsSealer,
    opener: KmsOpener,
}

impl Kms {
    async fn start() -> Self {
        let aws = FakeAws::start().await;
        let red = aws.kms().create_key("alias/red");
        aws.kms().create_key("alias/blue");
        let connection = connection(&aws.url());
        let (sealer, opener) = keys(&connection, &red);
        Self { aws, connection, sealer, opener }
    }

    async fn make(&self) -> Result<(ScopeKey, WrappedKey), KeyError> {
        self.sealer.new_key(&space(), 7).await
    }

    async fn open(&self, wrapped: &WrappedKey) -> Result<ScopeKey, KeyError> {
        unwrap_checked(&self.opener, &space(), wrapped).await
    }
}

fn space() -> KeyScope {
    KeyScope::of(STORE, &Scope::Space("prod".parse().unwrap(), "sp_1".parse().unwrap()))
}

/// `unavailable`, `denied` or `wrong`.
fn kind<T>(result: Result<T, KeyError>) -> &'static str {
    match result {
        Ok(_) => "a key",
        Err(KeyError::Unavailable(_)) => "unavailable",
        Err(KeyError::Denied(_)) => "denied",
        Err(KeyError::BadAnswer(_)) => "wrong",
    }
}

#[tokio::test]
async fn kms_keeps_the_contract() {
    let fake = FakeAws::start().await;
    fake.kms().create_key("alias/red");
    for url in [Moto::start().url(), &fake.url()] {
        let connection = connection_by(url, Arc::new(RushedClock::default()));
        let key = new_key_of(&connection, &fake, url).await;
        contract::keys(&|| {
            let (sealer, opener) = keys(&connection, &key);
            (Arc::new(sealer), Arc::new(opener))
        })
        .await;
    }
}

async fn new_key_of(connection: &Connection, fake: &FakeAws, url: &str) -> String {
    if url == fake.url() { fake.kms().key_arn("alias/red") } else { new_key(connection).await }
}

#[tokio::test]
async fn every_call_names_the_key_and_has_the_whole_context() {
    let kms = Kms::start().await;
    let (red, blue) = (kms.aws.kms().key_arn("alias/red"), kms.aws.kms().key_arn("alias/blue"));
    let (_, wrapped) = kms.make().await.unwrap();
    kms.open(&wrapped).await.unwrap();
    let rewrapper =
        KmsRewrapper::new(kms.connection.clone(), KmsKey::new(&red).unwrap(), KmsKey::new(&blue).unwrap());
    rewrapper.rewrap(&space(), &wrapped).await.unwrap();
    let context = json!({
        "esr:v": "1",
        "esr:store": "a5".repeat(16),
        "esr:env": "prod",
        "esr:space": "sp_1",
        "esr:gen": "7",
    });
    let calls = kms.aws.kms().calls();
    let asked: Vec<_> = calls.iter().map(|call| (call.operation.as_str(), &call.request)).collect();
    let [("GenerateDataKey", made), ("Decrypt", opened), ("ReEncrypt", moved)] = asked[..] else {
        panic!("each power makes its own call and no other: {asked:?}");
    };
    assert_eq!([&made["KeyId"], &opened["KeyId"]], [&json!(red), &json!(red)]);
    assert_eq!([&made["EncryptionContext"], &opened["EncryptionContext"]], [&context, &context]);
    assert_eq!([&moved["SourceKeyId"], &moved["DestinationKeyId"]], [&json!(red), &json!(blue)]);
    let contexts = [&moved["SourceEncryptionContext"], &moved["DestinationEncryptionContext"]];
    assert_eq!(contexts, [&context, &context]);
}

#[tokio::test]
async fn a_wrong_answer_is_no_key() {
    let kms = Kms::start().await;
    let (key, wrapped) = kms.make().await.unwrap();
    let blue = kms.aws.kms().key_arn("alias/blue");
    for (what, answer) in [
        ("0 bytes", Answer::plaintext(b"")),
        ("31 bytes", Answer::plaintext(&[7; 31])),
        ("33 bytes", Answer::plaintext(&[7; 33])),
        ("zeros", Answer::plaintext(&[0; 32])),
        ("no plaintext", Answer::Without("Plaintext")),
        ("another key's id", Answer::key_id(&blue)),
        ("the same id elsewhere", Answer::key_id(&blue.replace(REGION, "us-east-1"))),
        ("no key's id", Answer::Without("KeyId")),
    ] {
        for operation in ["Decrypt", "GenerateDataKey"] {
            kms.aws.kms().reset_calls();
            kms.aws.kms().answer_next(operation, answer.clone());
            let result = match operation {
                "Decrypt" => kms.open(&wrapped).await,
                _ => kms.make().await.map(|(key, _)| key),
            };
            assert_eq!(kind(result), "wrong", "{operation} with {what}");
            assert_eq!(kms.aws.kms().calls_of(operation), 1, "{operation} with {what} isn't asked again");
        }
        // Sixteen wrong answers in one second would be held back.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    kms.aws.kms().answer_next("Decrypt", Answer::plaintext(&[7; 32]));
    assert_eq!(kind(kms.open(&wrapped).await), "wrong", "a key of the right form that is another");
    let opened = kms.open(&wrapped).await.unwrap();
    assert!(opened.expose() == key.expose());
    assert_eq!(kms.connection.kms_stats().counts().wrong, 16);
}

#[tokio::test]
async fn a_key_that_is_made_twice_is_refused_whatever_its_scope() {
    let kms = Kms::start().await;
    for scope in [space(), KeyScope::store(STORE)] {
        kms.aws.kms().answer_next("GenerateDataKey", Answer::plaintext(&[7; 32]));
        let made = kms.sealer.new_key(&scope, 1).await;
        let want = if scope == space() { "a key" } else { "wrong" };
        assert_eq!(kind(made), want);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_from_an_outage_and_read_only_so_far() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    let json = "application/x-amz-json-1.1";
    let long = format!("{{\"Plaintext\":\"{}\"}}", "A".repeat(10 << 20));
    for (what, answer, want, calls) in [
        ("a web page", Answer::raw(200, "text/html", "<html>hello</html>"), "wrong", 1),
        ("nothing", Answer::raw(200, json, ""), "wrong", 1),
        ("half an object", Answer::raw(200, json, "{\"Plaintext\":\"AAA"), "wrong", 1),
        ("no base64", Answer::raw(200, json, "{\"Plaintext\":\"%%%\",\"KeyId\":\"x\"}"), "wrong", 1),
        ("10 MiB", Answer::raw(200, json, long), "wrong", 1),
        ("a page with 404", Answer::raw(404, "text/html", "<html>no</html>"), "wrong", 1),
        ("a page with 403", Answer::raw(403, "text/html", "<html>no</html>"), "denied", 1),
        ("a page with 503", Answer::raw(503, "text/html", "<html>later</html>"), "unavailable", 3),
        ("429", Answer::raw(429, json, "{}"), "unavailable", 3),
    ] {
        kms.aws.kms().reset_calls();
        (0..3).for_each(|_| kms.aws.kms().answer_next("Decrypt", answer.clone()));
        let opened = kms.open(&wrapped).await;
        // Unread, it can't be known to be anything but long.
        let unread = matches!(&opened, Err(error) if error.to_string().contains("too great length"));
        assert_eq!(unread, what == "10 MiB", "{what}");
        assert_eq!(kind(opened), want, "{what}");
        assert_eq!(kms.aws.kms().calls_of("Decrypt"), calls, "{what}");
        for _ in calls..3 {
            // What the fake still has in store for others.
            let _ = kms.connection.kms().decrypt().ciphertext_blob(blob(&wrapped)).send().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    kms.aws.kms().answer_next("Decrypt", Answer::With { member: "Surprise", value: json!({"a": [1]}) });
    assert_eq!(kind(kms.open(&wrapped).await), "a key", "a member more is no harm");
}

fn blob(wrapped: &WrappedKey) -> aws_sdk_kms::primitives::Blob {
    aws_sdk_kms::primitives::Blob::new(wrapped.blob.to_vec())
}

#[tokio::test]
async fn a_refusal_is_no_outage() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    let fake = kms.aws.kms();
    type Step = fn(&undertone_tests::fake_aws::FakeKms);
    let steps: [(&str, Step, Step); 3] = [
        ("denied", |kms| kms.deny("Decrypt", Some(&[("esr:env", "prod")])), |kms| kms.allow_all()),
        ("disabled", |kms| kms.disable("alias/red"), |kms| kms.enable("alias/red")),
        (
            "going",
            |kms| kms.schedule_deletion("alias/red"),
            |kms| {
                kms.cancel_deletion("alias/red");
                kms.enable("alias/red");
            },
        ),
    ];
    for (what, begin, end) in steps {
        fake.reset_calls();
        begin(fake);
        assert_eq!(kind(kms.open(&wrapped).await), "denied", "{what}");
        assert_eq!(fake.calls_of("Decrypt"), 1, "{what} isn't asked again");
        end(fake);
        assert_eq!(kind(kms.open(&wrapped).await), "a key", "after it was {what}");
    }
    for code in [
        "AccessDeniedException",
        "DisabledException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnrecognizedClientException",
    ] {
        fake.reset_calls();
        fake.answer_next("Decrypt", Answer::refusal(code));
        let error = kms.open(&wrapped).await.err().unwrap();
        assert!(matches!(&error, KeyError::Denied(problem) if problem.contains(code)), "{error}");
        assert!(!error.to_string().contains("the test says so"), "messages of AWS aren't passed on: {error}");
        assert_eq!(fake.calls_of("Decrypt"), 1, "{code}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_three_times() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    for code in ["ThrottlingException", "KMSInternalException", "KeyUnavailableException"] {
        kms.aws.kms().reset_calls();
        (0..2).for_each(|_| kms.aws.kms().answer_next("Decrypt", Answer::refusal(code)));
        assert_eq!(kind(kms.open(&wrapped).await), "a key", "{code} twice");
        (0..3).for_each(|_| kms.aws.kms().answer_next("Decrypt", Answer::refusal(code)));
        assert_eq!(kind(kms.open(&wrapped).await), "unavailable", "{code} three times");
        assert_eq!(kms.aws.kms().calls_of("Decrypt"), 6, "{code}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let counts = kms.connection.kms_stats().counts();
    assert_eq!(counts, KmsCounts { calls: 19, unavailable: 15, ..KmsCounts::default() });
}

#[tokio::test]
async fn a_token_or_signature_out_of_date_is_tried_once_more_and_then_refused() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    for code in ["ExpiredTokenException", "InvalidSignatureException", "RequestExpired"] {
        kms.aws.kms().reset_calls();
        kms.aws.kms().answer_next("Decrypt", Answer::refusal(code));
        assert_eq!(kind(kms.open(&wrapped).await), "a key", "{code} once");
        (0..2).for_each(|_| kms.aws.kms().answer_next("Decrypt", Answer::refusal(code)));
        assert_eq!(kind(kms.open(&wrapped).await), "denied", "{code} twice");
        assert_eq!(kms.aws.kms().calls_of("Decrypt"), 4, "{code}");
    }
    let expired = config(&kms.aws.url(), Some(EXPIRED));
    let expired = Arc::new(Connection::new(expired, Arc::new(RushedClock::default())));
    let (_, opener) = keys(&expired, "alias/red");
    assert_eq!(kind(unwrap_checked(&opener, &space(), &wrapped).await), "denied");
    assert_eq!(expired.kms_stats().counts().calls, 2);
}

#[tokio::test]
async fn what_cannot_be_of_this_key_is_refused_without_a_call() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    kms.aws.kms().reset_calls();
    for (what, changed) in [
        ("wrapped on a machine", WrappedKey { provider: Provider::Local, ..wrapped.clone() }),
        ("empty", WrappedKey { blob: Arc::from([]), ..wrapped.clone() }),
        ("too long", WrappedKey { blob: vec![7; 6_145].into(), ..wrapped.clone() }),
    ] {
        assert_eq!(kind(kms.open(&changed).await), "denied", "{what}");
    }
    let elsewhere = kms.aws.kms().key_arn("alias/red").replace(REGION, "us-east-1");
    let (sealer, opener) = keys(&kms.connection, &elsewhere);
    assert_eq!(kind(opener.unwrap_key(&space(), &wrapped).await), "denied", "a key of another region");
    assert_eq!(kind(sealer.new_key(&space(), 1).await), "denied", "a key of another region");
    assert!(kms.aws.kms().calls().is_empty());
}

#[tokio::test]
async fn a_context_that_differs_in_anything_opens_nothing() {
    let kms = Kms::start().await;
    let (_, wrapped) = kms.make().await.unwrap();
    let context = || {
        [
            ("esr:v", "1"),
            ("esr:store", &"a5".repeat(16)),
            ("esr:env", "prod"),
            ("esr:space", "sp_1"),
            ("esr:gen", "7"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    };
    let with = |change: fn(&mut Vec<(String, String)>)| {
        let mut changed = context();
        change(&mut changed);
        changed
    };
    for (what, pairs, opens) in [
        ("as it is", context(), true),
        ("a key less", with(|pairs| drop(pairs.pop())), false),
        ("a key more", with(|pairs| pairs.push(("esr:x".to_owned(), String::new()))), false),
        ("another case", with(|pairs| pairs[2].1 = "Prod".to_owned()), false),
        ("another name's case", with(|pairs| pairs[2].0 = "esr:Env".to_owned()), false),
        ("none", Vec::new(), false),
    ] {
        let decrypt = kms.connection.kms().decrypt().key_id("alias/red").ciphertext_blob(blob(&wrapped));
        let decrypt =
            pairs.into_iter().fold(decrypt, |call, (key, value)| call.encryption_context(key, value));
        assert_eq!(decrypt.send().await.is_ok(), opens, "{what}");
    }
    let generation = WrappedKey { generation: 8, ..wrapped.clone() };
    assert_eq!(kind(kms.open(&generation).await), "denied", "another generation");
}

#[tokio::test]
async fn a_blob_of_a_foreign_key_is_refused() {
    let kms = Kms::start().await;
    let blue = kms.aws.kms().key_arn("alias/blue");
    let (foreign, _) = keys(&kms.connection, &blue);
    let (_, wrapped) = foreign.new_key(&space(), 7).await.unwrap();
    assert_eq!(kind(kms.open(&wrapped).await), "denied");
}

#[tokio::test]
async fn a_rotation_of_the_material_inside_kms_changes_nothing_here() {
    let kms = Kms::start().await;
    let (before, wrapped) = kms.make().await.unwrap();
    kms.aws.kms().rotate("alias/red");
    let (_, newer) = kms.make().await.unwrap();
    assert!(kms.open(&wrapped).await.unwrap().expose() == before.expose());
    assert_eq!(kind(kms.open(&newer).await), "a key");
}

#[tokio::test]
async fn a_root_change_moves_the_key_and_changes_nothing_else() {
    for url in [Moto::start().url(), Ministack::start().url()] {
        let connection = connection_by(url, Arc::new(RushedClock::default()));
        let (old, new) = (new_key(&connection).await, new_key(&connection).await);
        let ((sealer, by_old), (_, by_new)) = (keys(&connection, &old), keys(&connection, &new));
        let (key, wrapped) = sealer.new_key(&space(), 7).await.unwrap();
        let [from, to] = [&old, &new].map(|key| KmsKey::new(key).unwrap());
        let rewrapper = KmsRewrapper::new(connection.clone(), from, to);
        if url == Ministack::start().url() {
            // It doesn't know the operation: a refusal like any other.
            assert_eq!(kind(rewrapper.rewrap(&space(), &wrapped).await), "denied");
            continue;
        }
        let moved = rewrapper.rewrap(&space(), &wrapped).await.unwrap();
        assert_eq!((moved.id, moved.generation), (wrapped.id, wrapped.generation));
        assert_ne!(moved.blob, wrapped.blob);
        let opened = unwrap_checked(&by_new, &space(), &moved).await.unwrap();
        assert!(opened.expose() == key.expose());
        assert!(unwrap_checked(&by_old, &space(), &moved).await.is_err());
        assert!(unwrap_checked(&by_old, &space(), &wrapped).await.is_ok(), "until all are moved, both open");
    }
}
