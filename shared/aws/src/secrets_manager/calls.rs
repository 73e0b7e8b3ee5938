//! The calls of Secrets Manager, their answers sorted.
//!
//! A value is always the one labelled `AWSCURRENT`: `GetSecretValue` asks for it by that label, and
//! `BatchGetSecretValue`, which takes no label, answers with no other.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry, Tag};
use undertone_core::StoreError;

use super::names::SecretsPrefix;
use crate::fault::{Fault, fault, fault_of_part};

/// How many secrets one `BatchGetSecretValue` reads.
pub(super) const LARGEST_BATCH: usize = 20;

const CURRENT: &str = "AWSCURRENT";
/// On the version that was put last, whether or not it became the current one.
const PENDING: &str = "UNDERTONE_PENDING";
const TAG_PREFIX: &str = "undertone:prefix";
const TAG_KIND: &str = "undertone:kind";

/// The secrets of one prefix.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    pub(super) client: Client,
    pub(super) prefix: SecretsPrefix,
}

/// The current version of a secret.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) text: String,
    pub(super) version: String,
}

/// Why a call didn't do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// There is no such secret, or no such version of it.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// The secret is in a state that allows nothing: it was marked for deletion.
    Unusable,
    /// A parameter isn't right: a label is on another version than the one named.
    Refused,
    /// There are too many: of a secret's versions, or of an account's secrets.
    TooMany,
    /// Nobody knows whether it was done: a connection broke, or no answer came in time.
    Unknown(String),
    /// It may not be done.
    Denied(String),
}

/// What kind of thing a secret holds, as its tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Store,
    Environment,
    Space,
}

impl Kind {
    fn tag(self) -> &'static str {
        match self {
            Kind::Store => "store",
            Kind::Environment => "environment",
            Kind::Space => "space",
        }
    }
}

impl Secrets {
    /// One secret.
    pub(super) async fn get(&self, name: &str) -> Result<Current, Undone> {
        let answer = self.client.get_secret_value().secret_id(name).version_stage(CURRENT).send().await;
        let answer = answer.map_err(|error| undone("GetSecretValue", fault("GetSecretValue", &error)))?;
        current("GetSecretValue", answer.secret_string(), answer.version_id())
    }

    /// Up to 20 secrets in one call, in the order of their names here. What is neither among the
    /// values nor among the errors wasn't read, and isn't absent.
    pub(super) async fn get_together(
        &self,
        names: &[String],
    ) -> Result<Vec<Result<Current, Undone>>, Undone> {
        const OPERATION: &str = "BatchGetSecretValue";
        let call = self.client.batch_get_secret_value().set_secret_id_list(Some(names.to_vec()));
        let answer =
            call.send().await.map_err(|error| match undone(OPERATION, fault(OPERATION, &error)) {
                // Said of the whole call, it names none of them.
                Undone::NotFound => Undone::Denied(format!("{OPERATION}: ResourceNotFoundException")),
                other => other,
            })?;
        let (values, errors) = (answer.secret_values.unwrap_or_default(), answer.errors.unwrap_or_default());
        let read = |name: &String| {
            if let Some(error) = errors.iter().find(|error| is_id_of(error.secret_id(), name)) {
                let fault = fault_of_part(OPERATION, error.error_code().unwrap_or_default());
                return Err(undone(OPERATION, fault));
            }
            match values.iter().find(|value| value.name() == Some(name.as_str())) {
                Some(value) => current(OPERATION, value.secret_string(), value.version_id()),
                None => Err(Undone::Unknown(format!("{OPERATION} left it out"))),
            }
        };
        Ok(names.iter().map(read).collect())
    }

    /// Makes a secret, with its first version. The same token twice makes it once.
    pub(super) async fn create(
        &self,
        name: &str,
        kind: Kind,
        text: String,
        token: &str,
        envelope_key: Option<&str>,
    ) -> Result<(), Undone> {
        let tag = |key, value: &str| Tag::builder().key(key).value(value).build();
        let call = self.client.create_secret().name(name).secret_string(text).client_request_token(token);
        let call = call.set_kms_key_id(envelope_key.map(str::to_owned));
        let call = call.tags(tag(TAG_PREFIX, self.prefix.as_str())).tags(tag(TAG_KIND, kind.tag()));
        let answer = call.send().await;
        answer.map(drop).map_err(|error| undone("CreateSecret", fault("CreateSecret", &error)))
    }

    /// Adds a version that isn't current, and returns its id.
    pub(super) async fn put_pending(&self, name: &str, text: String, token: &str) -> Result<String, Undone> {
        let call = self.client.put_secret_value().secret_id(name).secret_string(text);
        let answer = call.client_request_token(token).version_stages(PENDING).send().await;
        let answer = answer.map_err(|error| undone("PutSecretValue", fault("PutSecretValue", &error)))?;
        answer.version_id.ok_or_else(|| Undone::Unknown("PutSecretValue named no version".to_owned()))
    }

    /// Makes a version the current one, if another, named, still is.
    pub(super) async fn make_current(&self, name: &str, from: &str, to: &str) -> Result<(), Undone> {
        const OPERATION: &str = "UpdateSecretVersionStage";
        let call = self.client.update_secret_version_stage().secret_id(name).version_stage(CURRENT);
        let answer = call.remove_from_version_id(from).move_to_version_id(to).send().await;
        answer.map(drop).map_err(|error| undone(OPERATION, fault(OPERATION, &error)))
    }

    /// The names of a kind that begin so, of secrets that are tagged as this store's. One that was
    /// made in the last minutes may be missing.
    pub(super) async fn list(&self, kind: Kind, begin: &str) -> Result<Vec<String>, Undone> {
        const OPERATION: &str = "ListSecrets";
        let filter = |key, value: &str| Filter::builder().key(key).values(value).build();
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let call = self.client.list_secrets().max_results(100).set_next_token(next);
            let call = call.filters(filter(FilterNameStringType::Name, begin));
            let call = call.filters(filter(FilterNameStringType::TagValue, kind.tag()));
            let answer = call.send().await.map_err(|error| undone(OPERATION, fault(OPERATION, &error)))?;
            // Both filters find more than they say: they match beginnings, of any tag.
            let page = answer.secret_list.unwrap_or_default().into_iter();
            let ours = page.filter(|secret| self.has_tags(secret, kind));
            names.extend(ours.filter_map(|secret| secret.name).filter(|name| name.starts_with(begin)));
            next = answer.next_token;
            if next.is_none() {
                return Ok(names);
            }
        }
    }

    fn has_tags(&self, secret: &SecretListEntry, kind: Kind) -> bool {
        let has =
            |key, value| secret.tags().iter().any(|tag| tag.key() == Some(key) && tag.value() == Some(value));
        has(TAG_PREFIX, self.prefix.as_str()) && has(TAG_KIND, kind.tag())
    }
}

impl Undone {
    /// For a call that isn't about one secret, or whose secret was there a moment ago.
    pub(super) fn into_error(self, operation: &str) -> StoreError {
        let denied = |code: &str| StoreError::Denied(format!("{operation}: {code}"));
        match self {
            Undone::NotFound => denied("ResourceNotFoundException"),
            Undone::Exists => denied("ResourceExistsException"),
            Undone::Unusable => denied("InvalidRequestException"),
            Undone::Refused => denied("InvalidParameterException"),
            Undone::TooMany => denied("LimitExceededException"),
            Undone::Unknown(problem) => StoreError::Unavailable(problem),
            Undone::Denied(problem) => StoreError::Denied(problem),
        }
    }
}

/// What is said of a secret that was marked for deletion, or is otherwise out of order.
pub(super) fn unusable(name: &str) -> String {
    format!(
        "the secret `{name}` is marked for deletion or has lost its value: restore it with \
         `aws secretsmanager restore-secret --secret-id {name}`"
    )
}

fn current(operation: &'static str, text: Option<&str>, version: Option<&str>) -> Result<Current, Undone> {
    let version = version.ok_or_else(|| Undone::Unknown(format!("{operation} named no version")))?;
    // A secret that holds bytes is none of ours, and no text is nobody's document.
    Ok(Current { text: text.unwrap_or_default().to_owned(), version: version.to_owned() })
}

/// Whether that is the secret's name, or the ARN of a secret of that name.
fn is_id_of(id: Option<&str>, name: &str) -> bool {
    let is_suffix = |rest: &str| rest.len() == 7 && rest.starts_with('-');
    id.is_some_and(|id| match id.split_once(":secret:") {
        None => id == name,
        Some((_, end)) => end.strip_prefix(name).is_some_and(is_suffix),
    })
}

fn undone(operation: &'static str, fault: Fault) -> Undone {
    match fault {
        Fault::Unavailable(problem) | Fault::Garbled(problem) => Undone::Unknown(problem),
        Fault::Denied(problem) => Undone::Denied(problem),
        Fault::Code(code) => match code.as_str() {
            "ResourceNotFoundException" => Undone::NotFound,
            "ResourceExistsException" => Undone::Exists,
            "InvalidRequestException" => Undone::Unusable,
            "InvalidParameterException" => Undone::Refused,
            "LimitExceededException" => Undone::TooMany,
            _ => Undone::Denied(format!("{operation}: {code}")),
        },
    }
}
