//! A fake Secrets Manager: secrets by name or ARN, who may use them, and what is kept of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::kms::FakeKms;
use super::labels::{Secret, SecretContent};
use super::listing;
use super::protocol::{Answer, Call, Input, Refusal, Service, Traffic, constraint, lock, within};
use super::{ACCOUNT, DAY, REGION, now, random};

const LONGEST_VALUE: usize = 65_536;
const LARGEST_BATCH: usize = 20;
const MOST_TAGS: usize = 50;

/// See [`FakeAws::secrets`](super::FakeAws::secrets).
pub struct FakeSecrets {
    kms: Arc<FakeKms>,
    state: Mutex<State>,
    traffic: Traffic,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Secret>,
    created: u64,
    denials: Vec<Denial>,
}

struct Denial {
    operation: String,
    name_begins: String,
}

impl FakeSecrets {
    pub(super) fn new(kms: Arc<FakeKms>) -> Self {
        Self { kms, state: Mutex::default(), traffic: Traffic::default() }
    }

    /// Everything that is kept: names, descriptions, tags, labels and the values of all versions.
    pub fn stored_bytes(&self) -> Vec<Vec<u8>> {
        lock(&self.state).secrets.values().flat_map(Secret::stored_bytes).collect()
    }

    /// Denies an operation on secrets whose names begin so; an empty text is all. A batch lists those that
    /// `GetSecretValue` is denied for among its errors, as AWS does.
    pub fn deny(&self, operation: &str, name_begins: &str) {
        let denial = Denial { operation: operation.to_owned(), name_begins: name_begins.to_owned() };
        lock(&self.state).denials.push(denial);
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        lock(&self.state).denials.clear();
    }

    /// What the next request of an operation gets; several queue up.
    pub fn answer_next(&self, operation: &str, answer: Answer) {
        self.traffic.answer_next(operation, answer);
    }

    /// Every request since the start or the last reset, refused ones too.
    pub fn calls(&self) -> Vec<Call> {
        self.traffic.calls()
    }

    /// How many of them were of that operation.
    pub fn calls_of(&self, operation: &str) -> usize {
        self.traffic.calls_of(operation)
    }

    /// Forgets the requests so far.
    pub fn reset_calls(&self) {
        self.traffic.reset();
    }
}

impl Service for FakeSecrets {
    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn perform(&self, operation: &str, input: Input) -> Result<Value, Refusal> {
        let (mut state, kms) = (lock(&self.state), &self.kms);
        let named = input.peek_text("SecretId").or_else(|| input.peek_text("Name")).unwrap_or_default();
        state.allowed(operation, named)?;
        match operation {
            "CreateSecret" => state.create_secret(kms, input),
            "PutSecretValue" => state.put_secret_value(kms, input),
            "UpdateSecretVersionStage" => state.update_secret_version_stage(input),
            "GetSecretValue" => state.get_secret_value(kms, input),
            "BatchGetSecretValue" => state.batch_get_secret_value(kms, input),
            "DescribeSecret" => state.describe_secret(input),
            "ListSecrets" => listing::page(state.secrets.values(), input),
            "DeleteSecret" => state.delete_secret(input),
            "RestoreSecret" => state.restore_secret(input),
            "TagResource" => state.tag_resource(input),
            _ => Err(Refusal::unknown_operation()),
        }
    }
}

impl State {
    fn allowed(&self, operation: &str, id: &str) -> Result<(), Refusal> {
        let name = self.find(id).map_or(id, |secret| secret.name.as_str());
        let covers = |denial: &Denial| denial.operation == operation && name.starts_with(&denial.name_begins);
        if self.denials.iter().any(covers) {
            return Err(Refusal::access_denied(&format!("secretsmanager:{operation}")));
        }
        Ok(())
    }

    fn create_secret(&mut self, kms: &FakeKms, mut input: Input) -> Result<Value, Refusal> {
        let name =
            input.sized("Name", 1, 512)?.ok_or_else(|| constraint("Name", "Member must not be null"))?;
        let description = input.sized("Description", 0, 2048)?;
        let kms_key = input.sized("KmsKeyId", 1, 2048)?;
        let tags = tags(&mut input)?;
        let token = token(&mut input)?;
        let value = value(&mut input)?;
        input.nothing_else()?;
        let ok = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        if !name.chars().all(ok) {
            let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of \
                           the following: -/_+=.@";
            return Err(Refusal::validation(message));
        }
        if let Some(there) = self.secrets.get_mut(&name) {
            if there.deletion.is_some() {
                return Err(invalid_request("a secret with this name is already scheduled for deletion"));
            }
            return match value {
                Some(value) if there.version(Some(&token), None).is_ok() => created(there, &token, value),
                _ => {
                    let message = format!("The operation failed because the secret {name} already exists.");
                    Err(Refusal::new("ResourceExistsException", message))
                }
            };
        }
        let suffix: String = random::<6>().iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let mut secret = Secret {
            number: self.created,
            arn: format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-{suffix}"),
            name: name.clone(),
            description,
            kms_key,
            tags: BTreeMap::new(),
            created: now(),
            changed: now(),
            deletion: None,
            versions: Vec::new(),
        };
        tag(&mut secret, tags)?;
        reachable(kms, &secret, "EncryptionFailure")?;
        let output = match value {
            Some(value) => created(&mut secret, &token, value)?,
            None => secret.identity(),
        };
        self.created += 1;
        self.secrets.insert(name, secret);
        Ok(output)
    }

    fn put_secret_value(&mut self, kms: &FakeKms, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        let token = token(&mut input)?;
        let labels = input.texts("VersionStages")?;
        let value = value(&mut input)?;
        input.nothing_else()?;
        if let Some(labels) = &labels {
            within("VersionStages", labels.len(), 1, 20)?;
            labels.iter().try_for_each(|label| within("VersionStages", label.len(), 1, 256))?;
        }
        let value = value.ok_or_else(|| invalid_parameter("Give a SecretString or a SecretBinary."))?;
        let secret = self.living(&id)?;
        reachable(kms, secret, "EncryptionFailure")?;
        let version = secret.put(&token, value, labels)?;
        let (id, labels) = (json!(version.id), json!(version.labels));
        let mut output = secret.identity();
        output["VersionId"] = id;
        output["VersionStages"] = labels;
        Ok(output)
    }

    fn update_secret_version_stage(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        let label = input.sized("VersionStage", 1, 256)?;
        let from = input.sized("RemoveFromVersionId", 32, 64)?;
        let to = input.sized("MoveToVersionId", 32, 64)?;
        input.nothing_else()?;
        let label = label.ok_or_else(|| constraint("VersionStage", "Member must not be null"))?;
        let secret = self.living(&id)?;
        secret.move_label(&label, from.as_deref(), to.as_deref())?;
        Ok(secret.identity())
    }

    fn get_secret_value(&mut self, kms: &FakeKms, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        let version = input.sized("VersionId", 32, 64)?;
        let label = input.sized("VersionStage", 1, 256)?;
        input.nothing_else()?;
        let secret = self.living(&id)?;
        let version = secret.version(version.as_deref(), label.as_deref())?;
        reachable(kms, secret, "DecryptionFailure")?;
        Ok(secret.revealed(version))
    }

    fn batch_get_secret_value(&mut self, kms: &FakeKms, mut input: Input) -> Result<Value, Refusal> {
        let ids = input.texts("SecretIdList")?.unwrap_or_default();
        input.nothing_else()?;
        within("SecretIdList", ids.len(), 1, LARGEST_BATCH)?;
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in ids {
            let allowed = self.allowed("GetSecretValue", &id);
            let request = Input::new(json!({ "SecretId": id }));
            match allowed.and_then(|()| self.get_secret_value(kms, request)) {
                Ok(value) => values.push(value),
                Err(Refusal { kind, message }) => {
                    errors.push(json!({ "SecretId": id, "ErrorCode": kind, "Message": message }));
                }
            }
        }
        Ok(json!({ "SecretValues": values, "Errors": errors }))
    }

    fn describe_secret(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        input.nothing_else()?;
        Ok(self.known(&id)?.described("VersionIdsToStages"))
    }

    fn delete_secret(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        let days = input.number("RecoveryWindowInDays")?;
        let force = input.flag("ForceDeleteWithoutRecovery")?;
        input.nothing_else()?;
        let at = match (days, force) {
            (Some(_), true) => {
                let message = "ForceDeleteWithoutRecovery doesn't go with RecoveryWindowInDays.";
                return Err(invalid_parameter(message));
            }
            (Some(days), false) if !(7..=30).contains(&days) => {
                let message = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
                return Err(invalid_parameter(message));
            }
            (days, false) => now() + days.unwrap_or(30) as f64 * DAY,
            (None, true) => now(),
        };
        // What is gone already can be deleted for good once more: AWS wants that to be safe to repeat.
        let mut output = match self.known(&id) {
            Err(_) if force => json!({ "ARN": id, "Name": id }),
            Ok(secret) if force => {
                let (name, output) = (secret.name.clone(), secret.identity());
                self.secrets.remove(&name);
                output
            }
            Ok(secret) if secret.deletion.is_some() => return Err(deleted()),
            found => {
                let secret = found?;
                secret.deletion = Some(at);
                secret.identity()
            }
        };
        output["DeletionDate"] = json!(at);
        Ok(output)
    }

    fn restore_secret(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        input.nothing_else()?;
        let secret = self.known(&id)?;
        secret.deletion = None;
        Ok(secret.identity())
    }

    fn tag_resource(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let id = input.required("SecretId")?;
        let tags = tags(&mut input)?;
        input.nothing_else()?;
        tag(self.living(&id)?, tags)?;
        Ok(Value::Null)
    }

    /// A secret that nobody has deleted.
    fn living(&mut self, id: &str) -> Result<&mut Secret, Refusal> {
        let secret = self.known(id)?;
        if secret.deletion.is_some() { Err(deleted()) } else { Ok(secret) }
    }

    fn known(&mut self, id: &str) -> Result<&mut Secret, Refusal> {
        let name = self.find(id).map(|secret| secret.name.clone());
        let secret = name.and_then(|name| self.secrets.get_mut(&name));
        let message = "Secrets Manager can't find the specified secret.";
        secret.ok_or_else(|| Refusal::new("ResourceNotFoundException", message))
    }

    fn find(&self, id: &str) -> Option<&Secret> {
        self.secrets.get(id).or_else(|| self.secrets.values().find(|secret| secret.arn == id))
    }
}

fn created(secret: &mut Secret, token: &str, value: SecretContent) -> Result<Value, Refusal> {
    let id = json!(secret.put(token, value, None)?.id);
    let mut output = secret.identity();
    output["VersionId"] = id;
    Ok(output)
}

/// Refuses if the secret's own KMS key can't be used.
fn reachable(kms: &FakeKms, secret: &Secret, kind: &'static str) -> Result<(), Refusal> {
    match &secret.kms_key {
        Some(key) if !kms.can_use(key) => {
            Err(Refusal::new(kind, "Secrets Manager can't use the KMS key of the secret."))
        }
        _ => Ok(()),
    }
}

/// SDKs make one up; nobody else's request comes without.
fn token(input: &mut Input) -> Result<String, Refusal> {
    let token = input.sized("ClientRequestToken", 32, 64)?;
    token.ok_or_else(|| invalid_request("You must provide a ClientRequestToken value."))
}

fn value(input: &mut Input) -> Result<Option<SecretContent>, Refusal> {
    let text = input.sized("SecretString", 1, LONGEST_VALUE)?;
    match (text, input.blob("SecretBinary", 1, LONGEST_VALUE)?) {
        (Some(_), Some(_)) => Err(invalid_parameter("You can't specify both a binary and a string value.")),
        (Some(text), None) => Ok(Some(SecretContent::Text(text))),
        (None, Some(bytes)) => Ok(Some(SecretContent::Binary(bytes))),
        (None, None) => Ok(None),
    }
}

fn tags(input: &mut Input) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for mut tag in input.inputs("Tags")? {
        let key = tag.sized("Key", 1, 128)?;
        let value = tag.sized("Value", 0, 256)?;
        tag.nothing_else()?;
        let key = key.ok_or_else(|| constraint("Key", "Member must not be null"))?;
        if key.starts_with("aws:") || tags.insert(key, value.unwrap_or_default()).is_some() {
            return Err(invalid_parameter("A tag's key is reserved, or there twice."));
        }
    }
    Ok(tags)
}

fn tag(secret: &mut Secret, tags: BTreeMap<String, String>) -> Result<(), Refusal> {
    let new = tags.keys().filter(|key| !secret.tags.contains_key(*key)).count();
    if MOST_TAGS < secret.tags.len() + new {
        return Err(invalid_parameter("A secret can have at most 50 tags."));
    }
    secret.tags.extend(tags);
    Ok(())
}

fn deleted() -> Refusal {
    invalid_request("the secret was marked for deletion.")
}

fn invalid_request(why: &str) -> Refusal {
    Refusal::new("InvalidRequestException", format!("You can't perform this operation: {why}"))
}

fn invalid_parameter(message: &str) -> Refusal {
    Refusal::new("InvalidParameterException", message)
}
