//! Every published vector of record format ESR1, held against the core crate.
//!
//! Three parts are looked at elsewhere, because they need what core keeps to itself: sealing under
//! a given salt and malformed contexts (in `core`, `record/seal.rs`), and wrapped keys (in `local`,
//! which does the wrapping).

mod file;

use async_trait::async_trait;
use file::{File, Hex, Negative, Op, sha256};
use undertone_core::keys::{Provider, WrappedKey, unwrap_checked};
use undertone_core::record::{KeyScope, Kind, Padding, RecordError, key_id, open, seal};
use undertone_core::{KeyError, KeyId, LARGEST_VALUE, Opener, Rules, SecretValue, SpaceId};
use zeroize::Zeroizing;

#[test]
fn every_positive_opens_to_its_plaintext_under_the_key_it_names() {
    let file = File::read();
    let mut opened = 0;
    for row in &file.positives {
        let Some(kind) = row.request.typed_kind() else {
            // Kind 6, a delegated token, is reserved: nothing here can ask for one.
            assert_eq!((row.id.as_str(), row.request.kind), ("P14-delegated-token", 6));
            continue;
        };
        let (id, plain) = row.request.with(kind, &row.key, |key, context| {
            (key.id(), open(key, context, &row.record.0).map(|plain| plain.to_vec()))
        });
        assert_eq!(plain, Ok(row.plaintext.0.clone()), "{}", row.id);
        assert_eq!(id.0, row.key_id.0.as_slice(), "{}", row.id);
        assert_eq!(key_id(&row.record.0), Some(id), "{}", row.id);
        assert_eq!(row.record.0[5] == 1, row.padded, "{}", row.id);
        opened += 1;
    }
    assert_eq!(opened, 19);
}

#[test]
fn a_reserved_kind_opens_as_no_other() {
    let file = File::read();
    let token = file.positives.iter().find(|row| row.request.kind == 6).expect("P14 is one");
    for kind in [Kind::Value, Kind::Tombstone, Kind::ScopeKey] {
        let answer = token
            .request
            .with(kind, &token.key, |key, context| open(key, context, &token.record.0).map(|_| ()));
        assert_eq!(answer, Err(RecordError::Commitment), "{kind:?}");
    }
}

#[test]
fn every_negative_is_refused_for_its_reason() {
    let file = File::read();
    let (mut rows, mut records) = (0, 0);
    for row in &file.negatives {
        if row.request.is_none() {
            assert_is_inexpressible(row);
            continue;
        }
        let request = row.request.as_ref().expect("it has one");
        let kind = request.typed_kind().expect("the negatives ask for kinds that exist");
        for (step, record) in file.records(row) {
            let answer = request.with(kind, &row.key, |key, context| open(key, context, &record).map(|_| ()));
            assert_eq!(answer, Err(reason(&row.error)), "{} at {step}: {}", row.id, row.why);
            records += 1;
        }
        rows += 1;
    }
    assert_eq!((rows, records), (74, 1_621));
}

/// One vector asks for a Space called "", which no id can say.
fn assert_is_inexpressible(row: &Negative) {
    assert_eq!(row.id, "transplant-empty-space");
    assert!(row.ctx.is_some());
    assert!("".parse::<SpaceId>().is_err());
}

#[test]
fn the_sweeps_over_one_record_leave_nothing_out() {
    let file = File::read();
    let (mut bits, mut cuts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for mutation in file.negatives.iter().filter_map(|row| row.mutation.as_ref()) {
        match mutation.op {
            Op::Flip { from, to } => bits.extend(from..to),
            Op::Truncate { from, to } => cuts.extend(from..to),
            Op::Append { from, to, .. } => ends.extend(from..to),
            Op::Set { .. } | Op::Keep => continue,
        }
        assert_eq!(mutation.of, "V1");
    }
    assert_eq!(bits, (0..1_328).collect::<Vec<_>>());
    assert_eq!(cuts, (0..166).collect::<Vec<_>>());
    assert_eq!(ends, (1..65).collect::<Vec<_>>());
}

#[test]
fn a_value_over_the_limit_is_not_taken() {
    let file = File::read();
    assert_eq!(file.too_large.len(), 1);
    for row in &file.too_large {
        assert_eq!((row.plaintext_len, row.error.as_str()), (LARGEST_VALUE + 1, "value_too_long"));
        assert!(SecretValue::new(vec![0; row.plaintext_len]).is_err());
    }
}

#[test]
fn what_is_sealed_here_opens_here_and_never_twice_to_the_same_bytes() {
    let file = File::read();
    for row in &file.positives {
        let Some(kind) = row.request.typed_kind() else { continue };
        for padding in [Padding::None, Padding::Blocks] {
            row.request.with(kind, &row.key, |key, context| {
                let [one, two] = [(); 2].map(|()| seal(key, context, &row.plaintext.0, padding));
                assert_ne!(one[22..54], two[22..54], "{}: a fresh salt", row.id);
                for record in [one, two] {
                    let plain = open(key, context, &record).expect("it was sealed for this context");
                    assert_eq!(*plain, row.plaintext.0, "{} {padding:?}", row.id);
                }
            });
        }
    }
}

#[test]
fn a_record_without_rules_is_bound_to_the_digest_of_no_bytes() {
    assert_eq!(Rules::default().digest(), sha256(b""));
}

#[tokio::test]
async fn a_key_service_is_believed_only_if_its_answer_is_the_key_asked_for() {
    let file = File::read();
    assert_eq!(file.unwrap_answers.len(), 10);
    for row in &file.unwrap_answers {
        let scope = row.scope.typed().expect("the vectors' scopes are scopes");
        let id = KeyId(row.key_id.0.as_slice().try_into().expect("a key id has 16 bytes"));
        let wrapped = WrappedKey { provider: Provider::Local, id, generation: 1, blob: [].into() };
        let answer = unwrap_checked(&Answering(row.answer.clone()), &scope, &wrapped).await;
        let said = answer.map(|key| key.id()).map_err(|error| match error {
            KeyError::BadAnswer(why) => why,
            KeyError::Unavailable(_) | KeyError::Denied(_) => panic!("{}: {error}", row.id),
        });
        let length = row.answer.0.len();
        match row.error.as_deref() {
            None => assert_eq!(said, Ok(id), "{}", row.id),
            Some(code) => {
                let why = said.expect_err(&row.id);
                let want = match code {
                    "bad_key_length" => format!("answered with {length} bytes instead of 32"),
                    "zero_key" => "answered with an all-zero key".to_owned(),
                    "wrong_key" => format!("expected the key {id}"),
                    code => panic!("{}: an unknown reason, {code}", row.id),
                };
                assert!(why.contains(&want), "{}: {why}", row.id);
            }
        }
    }
}

/// A key service that answers whatever it was told to.
struct Answering(Hex);

#[async_trait]
impl Opener for Answering {
    async fn unwrap_key(&self, _: &KeyScope, _: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(self.0.0.clone()))
    }
}

fn reason(code: &str) -> RecordError {
    match code {
        "too_short" => RecordError::Length,
        "unsupported_format" => RecordError::Format,
        "unsupported_suite" => RecordError::Suite,
        "unsupported_flags" => RecordError::Flags,
        "wrong_key" => RecordError::Key,
        "commitment_mismatch" => RecordError::Commitment,
        "decrypt_failed" => RecordError::Ciphertext,
        "bad_padding" => RecordError::Padding,
        code => panic!("an unknown reason, {code}"),
    }
}
