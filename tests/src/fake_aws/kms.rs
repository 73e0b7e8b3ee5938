//! A fake KMS: symmetric keys, their aliases, and who may use them.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::key::{EncryptionContext, Key, KeyState, arn_prefix, key_id_of};
use super::protocol::{Answer, Call, Input, Refusal, Service, Traffic, blob, lock};
use super::{DAY, now, random};

/// The longest plaintext that `Encrypt` takes.
const LONGEST_PLAINTEXT: usize = 4096;
const LONGEST_CIPHERTEXT: usize = 6144;
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// See [`FakeAws::kms`](super::FakeAws::kms).
#[derive(Default)]
pub struct FakeKms {
    state: Mutex<State>,
    denials: Mutex<Vec<Denial>>,
    traffic: Traffic,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, Key>,
    /// From `alias/…` to the id of a key.
    aliases: BTreeMap<String, String>,
}

struct Denial {
    operation: String,
    context: Vec<(String, String)>,
}

/// Keys are named as in requests: by id, ARN, `alias/…` or the ARN of an alias.
impl FakeKms {
    /// A new key with an alias such as `alias/red`; returns the ARN of the key.
    pub fn create_key(&self, alias: &str) -> String {
        let created = self.done("CreateKey", json!({}));
        let id = created["KeyMetadata"]["KeyId"].as_str().expect("a key has an id");
        self.done("CreateAlias", json!({ "AliasName": alias, "TargetKeyId": id }));
        self.key_arn(alias)
    }

    /// The ARN of a key that is there.
    pub fn key_arn(&self, key: &str) -> String {
        let state = lock(&self.state);
        let arn = state.resolve(key).map(|id| state.keys[&id].arn());
        arn.unwrap_or_else(|refusal| panic!("{key}: {}", refusal.message))
    }

    /// The key neither seals nor opens from now on.
    pub fn disable(&self, key: &str) {
        self.done("DisableKey", json!({ "KeyId": self.key_arn(key) }));
    }

    /// Ends what [`FakeKms::disable`] began.
    pub fn enable(&self, key: &str) {
        self.done("EnableKey", json!({ "KeyId": self.key_arn(key) }));
    }

    /// As if somebody had asked to delete the key.
    pub fn schedule_deletion(&self, key: &str) {
        self.done("ScheduleKeyDeletion", json!({ "KeyId": self.key_arn(key) }));
    }

    /// Leaves the key disabled, as AWS does.
    pub fn cancel_deletion(&self, key: &str) {
        self.done("CancelKeyDeletion", json!({ "KeyId": self.key_arn(key) }));
    }

    /// New material for the key; older ciphertexts still open.
    pub fn rotate(&self, key: &str) {
        self.done("RotateKeyOnDemand", json!({ "KeyId": self.key_arn(key) }));
    }

    /// Denies an operation, or with pairs: those of its requests whose encryption context has all of them.
    pub fn deny(&self, operation: &str, context: Option<&[(&str, &str)]>) {
        let pairs = context.unwrap_or_default().iter();
        let context = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        lock(&self.denials).push(Denial { operation: operation.to_owned(), context });
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        lock(&self.denials).clear();
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

    /// Whether a key is there and enabled.
    pub(super) fn can_use(&self, key: &str) -> bool {
        let state = lock(&self.state);
        state.resolve(key).is_ok_and(|id| state.keys[&id].usable().is_ok())
    }

    /// An operation of a test's own: no request, no denial.
    fn done(&self, operation: &str, members: Value) -> Value {
        let input = Input::new(members);
        let output = lock(&self.state).perform(operation, input);
        output.unwrap_or_else(|refusal| panic!("{operation}: {}: {}", refusal.kind, refusal.message))
    }
}

impl Service for FakeKms {
    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn perform(&self, operation: &str, input: Input) -> Result<Value, Refusal> {
        let members = ["EncryptionContext", "SourceEncryptionContext", "DestinationEncryptionContext"];
        let denied = lock(&self.denials).iter().any(|denial| {
            let hit = |member: &&str| denial.covers(operation, &input.peek_map(member));
            members.iter().any(hit)
        });
        if denied {
            return Err(Refusal::access_denied(&format!("kms:{operation}")));
        }
        lock(&self.state).perform(operation, input)
    }
}

impl Denial {
    fn covers(&self, operation: &str, context: &BTreeMap<&str, &str>) -> bool {
        let has = |(key, value): &(String, String)| context.get(key.as_str()) == Some(&value.as_str());
        self.operation == operation && self.context.iter().all(has)
    }
}

impl State {
    fn perform(&mut self, operation: &str, input: Input) -> Result<Value, Refusal> {
        match operation {
            "CreateKey" => self.create_key(input),
            "CreateAlias" => self.create_alias(input),
            "DescribeKey" => self.describe_key(input),
            "GenerateDataKey" => self.generate_data_key(input),
            "Encrypt" => self.encrypt(input),
            "Decrypt" => self.decrypt(input),
            "ReEncrypt" => self.re_encrypt(input),
            "EnableKey" => self.switch(input, KeyState::Enabled),
            "DisableKey" => self.switch(input, KeyState::Disabled),
            "ScheduleKeyDeletion" => self.schedule_key_deletion(input),
            "CancelKeyDeletion" => self.cancel_key_deletion(input),
            "RotateKeyOnDemand" => self.rotate_key_on_demand(input),
            _ => Err(Refusal::unknown_operation()),
        }
    }

    fn create_key(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let description = input.sized("Description", 0, 8192)?.unwrap_or_default();
        only(input.text("KeySpec")?, ALGORITHM)?;
        only(input.text("KeyUsage")?, "ENCRYPT_DECRYPT")?;
        input.nothing_else()?;
        let key = Key::new(description);
        let metadata = key.metadata();
        self.keys.insert(key.id.clone(), key);
        Ok(json!({ "KeyMetadata": metadata }))
    }

    fn create_alias(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let alias = input.required("AliasName")?;
        let key = input.required("TargetKeyId")?;
        input.nothing_else()?;
        let ok = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
        let name = alias.strip_prefix("alias/").filter(|name| (1..=250).contains(&name.len()));
        if !name.is_some_and(|name| name.chars().all(ok) && !name.starts_with("aws/")) {
            return Err(Refusal::new("InvalidAliasNameException", format!("Invalid alias: {alias}")));
        }
        let id = self.managed(&key)?.id.clone();
        if self.aliases.contains_key(&alias) {
            let message = format!("An alias with the name {}{alias} already exists", arn_prefix());
            return Err(Refusal::new("AlreadyExistsException", message));
        }
        self.aliases.insert(alias, id);
        Ok(Value::Null)
    }

    fn describe_key(&self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        input.nothing_else()?;
        Ok(json!({ "KeyMetadata": self.keys[&self.resolve(&key)?].metadata() }))
    }

    fn generate_data_key(&self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        let context = input.map("EncryptionContext")?;
        let length = match (input.text("KeySpec")?.as_deref(), input.number("NumberOfBytes")?) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (None, Some(length @ 1..=1024)) => usize::try_from(length).expect("it is at least 1"),
            _ => {
                let message = "Please specify either number of bytes or key spec.";
                return Err(Refusal::validation(message));
            }
        };
        input.nothing_else()?;
        let key = self.usable(&key)?;
        let plaintext = &random::<1024>()[..length];
        Ok(json!({
            "CiphertextBlob": blob(&key.seal(plaintext, &context)),
            "Plaintext": blob(plaintext),
            "KeyId": key.arn(),
            "KeyMaterialId": key.material_id(),
        }))
    }

    fn encrypt(&self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        let plaintext = input.required_blob("Plaintext", LONGEST_PLAINTEXT)?;
        let context = input.map("EncryptionContext")?;
        only(input.text("EncryptionAlgorithm")?, ALGORITHM)?;
        input.nothing_else()?;
        let key = self.usable(&key)?;
        let ciphertext = blob(&key.seal(&plaintext, &context));
        Ok(json!({ "CiphertextBlob": ciphertext, "KeyId": key.arn(), "EncryptionAlgorithm": ALGORITHM }))
    }

    fn decrypt(&self, mut input: Input) -> Result<Value, Refusal> {
        let key = demanded(input.text("KeyId")?)?;
        let ciphertext = input.required_blob("CiphertextBlob", LONGEST_CIPHERTEXT)?;
        let context = input.map("EncryptionContext")?;
        only(input.text("EncryptionAlgorithm")?, ALGORITHM)?;
        input.nothing_else()?;
        let (key, plaintext, material) = self.opened(&key, &ciphertext, &context)?;
        Ok(json!({
            "Plaintext": blob(&plaintext),
            "KeyId": key.arn(),
            "EncryptionAlgorithm": ALGORITHM,
            "KeyMaterialId": material,
        }))
    }

    fn re_encrypt(&self, mut input: Input) -> Result<Value, Refusal> {
        let source = demanded(input.text("SourceKeyId")?)?;
        let destination = input.required("DestinationKeyId")?;
        let ciphertext = input.required_blob("CiphertextBlob", LONGEST_CIPHERTEXT)?;
        let old_context = input.map("SourceEncryptionContext")?;
        let new_context = input.map("DestinationEncryptionContext")?;
        only(input.text("SourceEncryptionAlgorithm")?, ALGORITHM)?;
        only(input.text("DestinationEncryptionAlgorithm")?, ALGORITHM)?;
        input.nothing_else()?;
        let (source, plaintext, _) = self.opened(&source, &ciphertext, &old_context)?;
        let destination = self.usable(&destination)?;
        Ok(json!({
            "CiphertextBlob": blob(&destination.seal(&plaintext, &new_context)),
            "SourceKeyId": source.arn(),
            "KeyId": destination.arn(),
            "SourceEncryptionAlgorithm": ALGORITHM,
            "DestinationEncryptionAlgorithm": ALGORITHM,
        }))
    }

    fn switch(&mut self, mut input: Input, to: KeyState) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        input.nothing_else()?;
        let key = self.managed(&key)?;
        match key.state {
            KeyState::Enabled | KeyState::Disabled => key.state = to,
            KeyState::PendingDeletion { .. } => return Err(key.pending_deletion()),
        }
        Ok(Value::Null)
    }

    fn schedule_key_deletion(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        let days = input.number("PendingWindowInDays")?.unwrap_or(30);
        input.nothing_else()?;
        if !(7..=30).contains(&days) {
            return Err(Refusal::validation("PendingWindowInDays must be between 7 and 30"));
        }
        let key = self.managed(&key)?;
        if let KeyState::PendingDeletion { .. } = key.state {
            return Err(key.pending_deletion());
        }
        let at = now() + days as f64 * DAY;
        key.state = KeyState::PendingDeletion { at };
        let (arn, state) = (key.arn(), key.state.name());
        Ok(json!({ "KeyId": arn, "DeletionDate": at, "KeyState": state, "PendingWindowInDays": days }))
    }

    fn cancel_key_deletion(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        input.nothing_else()?;
        let key = self.managed(&key)?;
        let KeyState::PendingDeletion { .. } = key.state else {
            let message = format!("{} is not pending deletion.", key.arn());
            return Err(Refusal::new("KMSInvalidStateException", message));
        };
        key.state = KeyState::Disabled;
        Ok(json!({ "KeyId": key.arn() }))
    }

    fn rotate_key_on_demand(&mut self, mut input: Input) -> Result<Value, Refusal> {
        let key = input.required("KeyId")?;
        input.nothing_else()?;
        let key = self.managed(&key)?;
        key.usable()?;
        key.rotate();
        Ok(json!({ "KeyId": key.arn() }))
    }

    fn opened(
        &self,
        key: &str,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<(&Key, Vec<u8>, &str), Refusal> {
        let invalid = || Refusal::new("InvalidCiphertextException", "");
        let key = self.usable(key)?;
        let sealed_by = key_id_of(ciphertext).filter(|id| self.keys.contains_key(*id));
        if sealed_by.ok_or_else(invalid)? != key.id {
            let message =
                "The key ID in the request does not identify a CMK that can perform this operation.";
            return Err(Refusal::new("IncorrectKeyException", message));
        }
        let (plaintext, material) = key.open(ciphertext, context).ok_or_else(invalid)?;
        Ok((key, plaintext, material))
    }

    fn usable(&self, name: &str) -> Result<&Key, Refusal> {
        let key = &self.keys[&self.resolve(name)?];
        key.usable().map(|()| key)
    }

    /// Operations that change a key know it by its id and ARN only.
    fn managed(&mut self, name: &str) -> Result<&mut Key, Refusal> {
        if name.contains("alias/") {
            return Err(Refusal::new("NotFoundException", format!("Invalid keyId '{name}'")));
        }
        let id = self.resolve(name)?;
        Ok(self.keys.get_mut(&id).expect("a resolved key is there"))
    }

    /// The id of a key that is there.
    fn resolve(&self, name: &str) -> Result<String, Refusal> {
        let local = name.strip_prefix(&arn_prefix());
        let id = match (local.unwrap_or(name), local) {
            (alias, _) if alias.starts_with("alias/") => self.aliases.get(alias).cloned(),
            (_, Some(resource)) => resource.strip_prefix("key/").map(str::to_owned),
            (id, None) => Some(id.to_owned()),
        };
        let found = id.filter(|id| self.keys.contains_key(id));
        found.ok_or_else(|| Refusal::new("NotFoundException", format!("Key '{name}' does not exist")))
    }
}

/// AWS finds the key of a symmetric ciphertext by itself. The product always names the key that it expects,
/// so that a ciphertext of somebody else's key never opens; a request that forgot to is refused here.
fn demanded(key: Option<String>) -> Result<String, Refusal> {
    key.ok_or_else(|| Refusal::validation("the fake demands a KeyId: name the key that you expect"))
}

fn only(given: Option<String>, allowed: &str) -> Result<(), Refusal> {
    match given {
        Some(given) if given != allowed => Err(Refusal::validation(format!("the fake knows {allowed} only"))),
        _ => Ok(()),
    }
}
