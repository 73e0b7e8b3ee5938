//! The suite of the ports [`Sealer`] and [`Opener`].

use std::sync::Arc;

use super::fixture::scope;
use crate::id::StoreId;
use crate::keys::{Opener, Sealer, WrappedKey, unwrap_checked};
use crate::record::{KeyId, KeyScope};

type Service = (Arc<dyn Sealer>, Arc<dyn Opener>);

/// Runs every check, each on a fresh key service.
pub async fn keys(make: &dyn Fn() -> Service) {
    a_new_key_unwraps_to_itself(&make()).await;
    a_wrapped_key_says_what_it_is(&make()).await;
    no_key_is_made_twice(&make()).await;
    a_key_belongs_to_one_scope(&make()).await;
    a_changed_key_is_refused(&make()).await;
}

const STORE: StoreId = StoreId([0xa5; 16]);

fn scopes() -> [KeyScope; 3] {
    [KeyScope::of(STORE, &scope("dev")), KeyScope::of(STORE, &scope("dev/sp_1")), KeyScope::store(STORE)]
}

async fn a_new_key_unwraps_to_itself((sealer, opener): &Service) {
    for scope in scopes() {
        for generation in [1, 2, u32::MAX] {
            let (key, wrapped) = sealer.new_key(&scope, generation).await.expect("the service works");
            let stored = WrappedKey::decode(&wrapped.encode()).expect("a new key can be stored");
            assert_eq!(stored, wrapped);
            let unwrapped = unwrap_checked(&**opener, &scope, &stored).await.expect("the service works");
            assert!(unwrapped.expose() == key.expose(), "the same key comes back");
        }
    }
}

async fn a_wrapped_key_says_what_it_is((sealer, _): &Service) {
    for scope in scopes() {
        let (key, wrapped) = sealer.new_key(&scope, 7).await.expect("the service works");
        assert_eq!((wrapped.id, wrapped.generation), (key.id(), 7));
        let holds_the_key = wrapped.blob.windows(32).any(|window| window == key.expose());
        assert!(!holds_the_key, "a wrapped key doesn't show the key");
    }
}

async fn no_key_is_made_twice((sealer, _): &Service) {
    let scope = &scopes()[0];
    let mut ids: Vec<KeyId> = Vec::new();
    for _ in 0..8 {
        ids.push(sealer.new_key(scope, 1).await.expect("the service works").1.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8);
}

async fn a_key_belongs_to_one_scope((sealer, opener): &Service) {
    let others = [
        KeyScope::of(STORE, &scope("dev/sp_2")),
        KeyScope::of(STORE, &scope("prod")),
        KeyScope::of(StoreId([0xa4; 16]), &scope("dev")),
    ];
    for own in scopes() {
        let (_, wrapped) = sealer.new_key(&own, 1).await.expect("the service works");
        for other in scopes().iter().chain(&others).filter(|other| **other != own) {
            assert!(unwrap_checked(&**opener, other, &wrapped).await.is_err(), "{own:?} is not {other:?}");
        }
    }
}

async fn a_changed_key_is_refused((sealer, opener): &Service) {
    let scope = &scopes()[1];
    let (_, wrapped) = sealer.new_key(scope, 1).await.expect("the service works");
    let refused = async |changed: WrappedKey| unwrap_checked(&**opener, scope, &changed).await.is_err();
    for at in 0..wrapped.blob.len() {
        let mut blob = wrapped.blob.to_vec();
        blob[at] ^= 1;
        assert!(refused(WrappedKey { blob: blob.into(), ..wrapped.clone() }).await, "byte {at} of the blob");
    }
    for length in [0, 1, wrapped.blob.len() - 1] {
        let blob = wrapped.blob[..length].into();
        assert!(
            refused(WrappedKey { blob, ..wrapped.clone() }).await,
            "the first {length} bytes of the blob"
        );
    }
    let longer = wrapped.blob.iter().copied().chain([0]).collect();
    assert!(refused(WrappedKey { blob: longer, ..wrapped.clone() }).await, "one byte more");
    assert!(refused(WrappedKey { id: KeyId([7; 16]), ..wrapped.clone() }).await, "another id");
    assert!(!refused(wrapped).await, "and unchanged it is not");
}
