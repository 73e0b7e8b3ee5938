//! The published vectors of wrapped keys, through [`LocalKeys`].

use serde_json::Value;
use undertone_core::keys::{KeyError, WrappedKey};
use undertone_core::{KeyScope, Scope, ScopeKey, StoreId};

use super::LocalKeys;
use crate::root::RootKey;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/esr1.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'v>(vector: &'v Value, field: &str) -> &'v str {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} of {vector}"))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn scope(vector: &Value) -> KeyScope {
    let scope = &vector["scope"];
    let store = StoreId(hex(text(scope, "store")).try_into().unwrap());
    match (text(scope, "environment"), scope["space"].as_str()) {
        ("-store-", None) => KeyScope::store(store),
        (environment, None) => KeyScope::of(store, &Scope::Environment(environment.parse().unwrap())),
        (environment, Some(space)) => {
            KeyScope::of(store, &Scope::Space(environment.parse().unwrap(), space.parse().unwrap()))
        }
    }
}

fn keys(vector: &Value) -> LocalKeys {
    LocalKeys::new(RootKey::for_tests(hex(text(vector, "root")).try_into().unwrap()))
}

fn generation(vector: &Value) -> u32 {
    vector["generation"].as_u64().unwrap().try_into().unwrap()
}

/// Unwraps what the store holds for a generation; the label must say the same.
fn unwrap(vector: &Value, bytes: &[u8]) -> Result<ScopeKey, String> {
    let wrapped = WrappedKey::decode(bytes).map_err(|error| error.to_string())?;
    let scope = scope(vector);
    let asked = WrappedKey { generation: generation(vector), ..wrapped.clone() };
    let both = [&wrapped, &asked].map(|wrapped| -> Result<ScopeKey, KeyError> {
        let key = ScopeKey::from_bytes(&keys(vector).open_key(&scope, wrapped)?, &scope)?;
        match key.id() == wrapped.id {
            true => Ok(key),
            false => Err(KeyError::BadAnswer("another key".to_owned())),
        }
    });
    let [labelled, asked] = both.map(|key| key.map_err(|error| error.to_string()));
    labelled?;
    asked
}

/// The bytes of a negative vector: its own, or those of a positive one with a change.
fn changed(vectors: &Value, negative: &Value) -> Vec<Vec<u8>> {
    if let Some(bytes) = negative["wrapped"].as_str() {
        return vec![hex(bytes)];
    }
    let change = &negative["mutation"];
    let positive =
        vectors["wrapped"].as_array().unwrap().iter().find(|vector| vector["id"] == change["of"]).unwrap();
    let bytes = hex(text(positive, "wrapped"));
    let number = |field: &str| usize::try_from(change[field].as_u64().unwrap()).unwrap();
    let range = || number("from")..number("to");
    match text(change, "op") {
        "keep" => vec![bytes],
        "flip" => range()
            .map(|bit| {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                flipped
            })
            .collect(),
        "truncate" => range().map(|length| bytes[..length].to_vec()).collect(),
        "append" => {
            let byte = hex(text(change, "byte"))[0];
            range().map(|count| bytes.iter().copied().chain(vec![byte; count]).collect()).collect()
        }
        "set" => {
            let (at, new) = (number("offset"), hex(text(change, "bytes")));
            let mut set = bytes;
            set[at..at + new.len()].copy_from_slice(&new);
            vec![set]
        }
        other => panic!("no such change: {other}"),
    }
}

#[test]
fn every_positive_vector_unwraps() {
    let vectors = vectors();
    let positives = vectors["wrapped"].as_array().unwrap();
    assert!(!positives.is_empty());
    for vector in positives {
        let bytes = hex(text(vector, "wrapped"));
        let key = unwrap(vector, &bytes).unwrap_or_else(|error| panic!("{}: {error}", vector["id"]));
        assert_eq!(key.expose().to_vec(), hex(text(vector, "key")), "{}", vector["id"]);
        assert_eq!(key.id().to_string(), text(vector, "key_id"));
        assert_eq!(WrappedKey::decode(&bytes).unwrap().generation, generation(vector));
        let root = ScopeKey::from_bytes(&hex(text(vector, "root")), &scope(vector)).unwrap();
        assert_eq!(root.id().to_string(), text(vector, "root_key_id"));
    }
}

#[test]
fn no_negative_vector_unwraps() {
    let vectors = vectors();
    let negatives = vectors["wrapped_negatives"].as_array().unwrap();
    assert!(!negatives.is_empty());
    for vector in negatives {
        for bytes in changed(&vectors, vector) {
            assert!(unwrap(vector, &bytes).is_err(), "{}: {}", vector["id"], vector["why"]);
        }
    }
}

#[test]
fn a_key_service_that_answers_with_another_key_is_caught() {
    for vector in vectors()["unwrap_answers"].as_array().unwrap() {
        let key = ScopeKey::from_bytes(&hex(text(vector, "answer")), &scope(vector));
        let right = key.is_ok_and(|key| key.id().to_string() == text(vector, "key_id"));
        assert_eq!(right, vector["error"].is_null(), "{}", vector["id"]);
    }
}

#[test]
fn the_root_key_has_the_id_of_its_published_store_key() {
    let vectors = vectors();
    let vector = &vectors["wrapped"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["scope"]["environment"] == "-store-")
        .unwrap();
    let store = StoreId(hex(text(&vector["scope"], "store")).try_into().unwrap());
    assert_eq!(keys(vector).root_id(store).unwrap().to_string(), text(vector, "root_key_id"));
}
