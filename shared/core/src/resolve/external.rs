//! External secrets: the reference opened, the value fetched and sealed again before anybody sees it.
//!
//! The key under which it is sealed is made here, for this value, and never stored. It ages like
//! every other key, so a value that was fetched is used no longer than one.

use std::sync::Arc;

use super::flight::Flights;
use super::key_cache::OpenKey;
use super::snapshot::PURPOSE;
use crate::clock::Clock;
use crate::external::{ExternalError, ExternalRef, ExternalSource, ExternalValue, part};
use crate::name::SecretName;
use crate::record::{Context, KeyScope, Kind, Padding, ScopeKey, open, seal};
use crate::value::LARGEST_VALUE;

/// The purpose of the records that hold a reference.
pub(crate) const EXTERNAL_PURPOSE: &str = "external";

/// The source with what is being fetched from it.
pub(super) struct External {
    source: Arc<dyn ExternalSource>,
    flights: Flights<String, Result<Arc<ExternalValue>, ExternalError>>,
}

impl External {
    pub(super) fn new(source: Arc<dyn ExternalSource>) -> Self {
        Self { source, flights: Flights::new() }
    }

    /// Several names may refer to parts of one secret: it is fetched once.
    async fn value(&self, id: &str) -> Result<Arc<ExternalValue>, ExternalError> {
        let (source, wanted) = (self.source.clone(), id.to_owned());
        self.flights
            .run(&id.to_owned(), || Box::pin(async move { source.fetch(&wanted).await.map(Arc::new) }))
            .await
    }
}

/// A record with the key that opens it.
pub(super) struct Sealed {
    pub(super) record: Arc<[u8]>,
    pub(super) key: Arc<OpenKey>,
    pub(super) source_version: Option<Arc<str>>,
}

/// Why there is no value.
pub(super) enum Fetch {
    Refused(ExternalError),
    /// The reference doesn't open.
    Unreadable,
}

/// Where the record of a reference belongs.
pub(crate) fn context<'a>(
    scope: &'a KeyScope,
    name: &'a SecretName,
    version: u64,
    policy: [u8; 32],
) -> Context<'a> {
    let (name, kind, purpose) = (name.as_str(), Kind::Value, EXTERNAL_PURPOSE);
    Context { scope, name, version, kind, purpose, policy }
}

/// The value that the sealed reference means, sealed as if it had been set here.
pub(super) async fn fetch(
    source: Option<&External>,
    reference: Sealed,
    context: &Context<'_>,
    clock: &dyn Clock,
) -> Result<Sealed, Fetch> {
    let Some(source) = source else {
        let problem = "this program has no access to AWS Secrets Manager: run it with the AWS store";
        return Err(Fetch::Refused(ExternalError::Unfit(problem)));
    };
    let opened = open(reference.key.key(), context, &reference.record).map_err(|_| Fetch::Unreadable)?;
    let reference = ExternalRef::decode(&opened).map_err(|_| Fetch::Unreadable)?;
    let whole = source.value(reference.id()).await.map_err(Fetch::Refused)?;
    let value = part(&whole, reference.key()).map_err(Fetch::Refused)?;
    if LARGEST_VALUE < value.len() {
        return Err(Fetch::Refused(ExternalError::Unfit("it has more than 64 KiB")));
    }
    let key = ScopeKey::random(context.scope);
    let record = seal(&key, &Context { purpose: PURPOSE, ..*context }, &value, Padding::Blocks);
    Ok(Sealed {
        record: record.into(),
        key: Arc::new(OpenKey::new(key, clock)),
        source_version: Some(whole.version.clone()),
    })
}
