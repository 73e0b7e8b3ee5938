//! One key of the fake KMS, and what it makes of a plaintext.
//!
//! A ciphertext is real AES-256-GCM: the key's id, its material's number and the encryption context are
//! authenticated, so no bit of a ciphertext and no pair of a context can change unnoticed.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};

use super::protocol::Refusal;
use super::{ACCOUNT, REGION, now, random, uuid};

/// What is bound to a ciphertext, in the order of its keys.
pub(super) type EncryptionContext = BTreeMap<String, String>;

pub(super) struct Key {
    pub(super) id: String,
    pub(super) state: KeyState,
    description: String,
    created: f64,
    /// Never empty; the last one seals.
    materials: Vec<Material>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion { at: f64 },
}

struct Material {
    id: String,
    bytes: [u8; 32],
}

/// The key's id and the number of its material; a nonce and what is sealed follow.
const HEAD: usize = ID + 1;
const ID: usize = 36;

impl Key {
    pub(super) fn new(description: String) -> Self {
        Self {
            id: uuid(),
            state: KeyState::Enabled,
            description,
            created: now(),
            materials: vec![Material::new()],
        }
    }

    pub(super) fn arn(&self) -> String {
        format!("{}key/{}", arn_prefix(), self.id)
    }

    pub(super) fn material_id(&self) -> &str {
        &self.materials.last().expect("a key has material").id
    }

    pub(super) fn rotate(&mut self) {
        self.materials.push(Material::new());
    }

    /// Refuses what AWS refuses to a key that can't be used.
    pub(super) fn usable(&self) -> Result<(), Refusal> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => {
                Err(Refusal::new("DisabledException", format!("{} is disabled.", self.arn())))
            }
            KeyState::PendingDeletion { .. } => Err(self.pending_deletion()),
        }
    }

    pub(super) fn pending_deletion(&self) -> Refusal {
        Refusal::new("KMSInvalidStateException", format!("{} is pending deletion.", self.arn()))
    }

    pub(super) fn seal(&self, plaintext: &[u8], context: &EncryptionContext) -> Vec<u8> {
        let number = self.materials.len() - 1;
        let mut blob = self.id.clone().into_bytes();
        blob.push(u8::try_from(number).expect("no test rotates a key so often"));
        let aad = Aad::from([blob.as_slice(), &canonical(context)].concat());
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = plaintext.to_vec();
        let cipher = self.materials[number].cipher();
        let done = cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed);
        done.expect("a short plaintext can be sealed");
        blob.extend(nonce);
        blob.extend(sealed);
        blob
    }

    /// The plaintext and the id of the material that had sealed it.
    pub(super) fn open(&self, blob: &[u8], context: &EncryptionContext) -> Option<(Vec<u8>, &str)> {
        let (head, rest) = blob.split_at_checked(HEAD)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let material = self.materials.get(usize::from(head[ID]))?;
        let aad = Aad::from([head, &canonical(context)].concat());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let length = material.cipher().open_in_place(nonce, aad, &mut opened).ok()?.len();
        opened.truncate(length);
        Some((opened, &material.id))
    }

    pub(super) fn metadata(&self) -> Value {
        let mut metadata = json!({
            "AWSAccountId": ACCOUNT,
            "KeyId": self.id,
            "Arn": self.arn(),
            "CreationDate": self.created,
            "Enabled": self.state == KeyState::Enabled,
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": self.state.name(),
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": false,
            "CurrentKeyMaterialId": self.material_id(),
        });
        if let KeyState::PendingDeletion { at } = self.state {
            metadata["DeletionDate"] = json!(at);
        }
        metadata
    }
}

impl KeyState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion { .. } => "PendingDeletion",
        }
    }
}

impl Material {
    fn new() -> Self {
        Self { id: random::<32>().iter().map(|byte| format!("{byte:02x}")).collect(), bytes: random() }
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.bytes).expect("the key has 32 bytes"))
    }
}

/// The id of the key that a ciphertext says it is from.
pub(super) fn key_id_of(blob: &[u8]) -> Option<&str> {
    std::str::from_utf8(blob.get(..ID)?).ok()
}

pub(super) fn arn_prefix() -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:")
}

/// The same bytes for the same pairs in whatever order, and for no others.
fn canonical(context: &EncryptionContext) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}
