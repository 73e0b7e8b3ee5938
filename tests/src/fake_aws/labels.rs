//! One secret of the fake Secrets Manager: its versions, and which of them a label is on.
//!
//! A label is on one version at a time. A version that has lost its last label may go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::now;
use super::protocol::{Refusal, blob};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// Across all versions of a secret, which also bounds those of one.
const MOST_LABELS: usize = 20;

/// AWS spares versions of the last 24 hours, and then refuses to make more; here they go at once.
const MOST_UNLABELLED: usize = 100;

pub(super) struct Secret {
    /// In the order in which secrets were created.
    pub(super) number: u64,
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kms_key: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: f64,
    pub(super) changed: f64,
    /// When it goes, if somebody has deleted it.
    pub(super) deletion: Option<f64>,
    /// The oldest first.
    pub(super) versions: Vec<Version>,
}

pub(super) struct Version {
    pub(super) id: String,
    pub(super) value: SecretContent,
    pub(super) labels: BTreeSet<String>,
    created: f64,
}

#[derive(Clone, PartialEq)]
pub(super) enum SecretContent {
    Text(String),
    Binary(Vec<u8>),
}

impl Secret {
    /// Adds a version, or finds that it is there already.
    pub(super) fn put(
        &mut self,
        id: &str,
        value: SecretContent,
        labels: Option<Vec<String>>,
    ) -> Result<&Version, Refusal> {
        if let Some(there) = self.position(id) {
            let same = self.versions[there].value == value;
            let message = format!("A version with the token {id} has other content.");
            let refusal = Refusal::new("ResourceExistsException", message);
            return if same { Ok(&self.versions[there]) } else { Err(refusal) };
        }
        let mut labels = labels.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        if self.versions.is_empty() {
            labels.push(CURRENT.to_owned());
        }
        self.enough_labels(&labels)?;
        let created = now();
        self.versions.push(Version { id: id.to_owned(), value, labels: BTreeSet::new(), created });
        for label in &labels {
            self.attach(label, id);
        }
        self.changed = created;
        self.prune();
        Ok(&self.versions[self.position(id).expect("a new version has a label")])
    }

    /// Puts a label on another version, or takes it away.
    pub(super) fn move_label(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new("InvalidParameterException", message));
        for id in [from, to].into_iter().flatten() {
            if self.position(id).is_none() {
                return Err(no_value(&format!("VersionId: {id}")));
            }
        }
        let holder = self.holder(label).map(|version| version.id.clone());
        if to.is_none() && from.is_none() {
            return invalid("Name a version to move the label to, or to remove it from.".to_owned());
        }
        if holder.is_some() && holder.as_deref() == to && from.is_none() {
            return Ok(());
        }
        if holder.as_deref() != from {
            return invalid(match holder {
                None => format!("Staging label {label} is not attached to a version."),
                Some(holder) => format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently \
                     attached to version {holder}, so you must explicitly reference that version in \
                     RemoveFromVersionId."
                ),
            });
        }
        let Some(to) = to else {
            if label == CURRENT {
                return invalid(format!("You can only move staging label {label} to a different version."));
            }
            self.detach(label);
            return Ok(());
        };
        self.enough_labels(&[label.to_owned()])?;
        self.attach(label, to);
        self.changed = now();
        Ok(())
    }

    /// The version that both name; without either the current one.
    pub(super) fn version(&self, id: Option<&str>, label: Option<&str>) -> Result<&Version, Refusal> {
        let Some(id) = id else {
            let label = label.unwrap_or(CURRENT);
            return self.holder(label).ok_or_else(|| no_value(&format!("staging label: {label}")));
        };
        let version = self.versions.iter().find(|version| version.id == id);
        let version = version.ok_or_else(|| no_value(&format!("VersionId: {id}")))?;
        match label {
            Some(label) if !version.labels.contains(label) => {
                let message = "You provided a VersionStage that is not associated to the provided VersionId.";
                Err(Refusal::new("InvalidRequestException", message))
            }
            _ => Ok(version),
        }
    }

    /// What every answer about this secret begins with.
    pub(super) fn identity(&self) -> Value {
        json!({ "ARN": self.arn, "Name": self.name })
    }

    /// The answer that holds a value.
    pub(super) fn revealed(&self, version: &Version) -> Value {
        let mut output = self.identity();
        output["VersionId"] = json!(version.id);
        output["VersionStages"] = json!(version.labels);
        output["CreatedDate"] = json!(version.created);
        match &version.value {
            SecretContent::Text(text) => output["SecretString"] = json!(text),
            SecretContent::Binary(bytes) => output["SecretBinary"] = blob(bytes),
        }
        output
    }

    /// All but the values; the labels under a name that depends on the operation.
    pub(super) fn described(&self, labels: &'static str) -> Value {
        let tags = self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
        let labelled = self.versions.iter().filter(|version| !version.labels.is_empty());
        let labelled = labelled.map(|version| (version.id.clone(), json!(version.labels)));
        let mut output = self.identity();
        output["CreatedDate"] = json!(self.created);
        output["LastChangedDate"] = json!(self.changed);
        output["Tags"] = tags.collect();
        output[labels] = Value::Object(labelled.collect::<Map<_, _>>());
        for (member, text) in [("Description", &self.description), ("KmsKeyId", &self.kms_key)] {
            if let Some(text) = text {
                output[member] = json!(text);
            }
        }
        if let Some(at) = self.deletion {
            output["DeletedDate"] = json!(at);
        }
        output
    }

    /// Everything that is kept of it.
    pub(super) fn stored_bytes(&self) -> impl Iterator<Item = Vec<u8>> {
        let texts = [&self.arn, &self.name].into_iter().chain(&self.description).chain(&self.kms_key);
        let tags = self.tags.iter().flat_map(|(key, value)| [key, value]);
        let versions = self.versions.iter().flat_map(|version| version.labels.iter().chain([&version.id]));
        let values = self.versions.iter().map(|version| version.value.bytes().to_vec());
        texts.chain(tags).chain(versions).map(|text| text.clone().into_bytes()).chain(values)
    }

    fn attach(&mut self, label: &str, id: &str) {
        let loser = self.detach(label).filter(|loser| loser != id);
        let position = self.position(id).expect("the version is there");
        self.versions[position].labels.insert(label.to_owned());
        if let (CURRENT, Some(loser)) = (label, loser) {
            self.attach(PREVIOUS, &loser);
        }
    }

    /// The version that had the label.
    fn detach(&mut self, label: &str) -> Option<String> {
        let version = self.versions.iter_mut().find(|version| version.labels.contains(label))?;
        version.labels.remove(label);
        Some(version.id.clone())
    }

    fn enough_labels(&self, more: &[String]) -> Result<(), Refusal> {
        let mut labels: BTreeSet<&str> = more.iter().map(String::as_str).collect();
        if labels.contains(CURRENT) && self.holder(CURRENT).is_some() {
            labels.insert(PREVIOUS);
        }
        labels.extend(self.versions.iter().flat_map(|version| &version.labels).map(String::as_str));
        if MOST_LABELS < labels.len() {
            let message = format!("A secret can have at most {MOST_LABELS} staging labels.");
            return Err(Refusal::new("LimitExceededException", message));
        }
        Ok(())
    }

    fn prune(&mut self) {
        let unlabelled = self.versions.iter().filter(|version| version.labels.is_empty()).count();
        let mut surplus = unlabelled.saturating_sub(MOST_UNLABELLED);
        self.versions.retain(|version| {
            let goes = version.labels.is_empty() && 0 < surplus;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn holder(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.labels.contains(label))
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.versions.iter().position(|version| version.id == id)
    }
}

impl SecretContent {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

fn no_value(what: &str) -> Refusal {
    let message = format!("Secrets Manager can't find the specified secret value for {what}");
    Refusal::new("ResourceNotFoundException", message)
}
