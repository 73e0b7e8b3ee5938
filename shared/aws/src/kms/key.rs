//! Which KMS key is meant, and whether an answer is from it.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};

/// A symmetric key of KMS, named by its ARN, its id or an alias.
///
/// KMS answers with the ARN of the key that it used, and an answer from another key is refused.
/// Named by ARN, the answer must be equal; this is the form to prefer. Named by id, the id must be
/// equal. Named by an alias, the first key that answers is the one from then on: an alias that is
/// moved while a program runs isn't followed, and one named by ARN must be of the same account and
/// region. Clones remember together.
#[derive(Clone, Debug)]
pub struct KmsKey {
    forms: Vec<Form>,
    first: Arc<OnceLock<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Key(Arn),
    Id(String),
    Alias(String),
    AliasArn(Arn),
}

/// `arn:partition:kms:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arn {
    partition: String,
    region: String,
    account: String,
    resource: String,
}

/// Why a text names no key of KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsKeyError {
    /// Not one of the four forms.
    #[error("a KMS key is named by its ARN (best), its id, `alias/..` or an alias's ARN")]
    Form,
    /// A replica that can't be one of the key's.
    #[error(
        "a replica is named by its ARN and has the key's id, which begins with `mrk-`, its account and another region"
    )]
    Replica,
}

/// The key may not be used in this region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the KMS key isn't in the region `{0}`, and no replica of it there is listed: list its ARN")]
pub(crate) struct NotHere(String);

/// As settings write it: the key, and after commas the ARNs of its replicas in other regions.
impl FromStr for KmsKey {
    type Err = KmsKeyError;

    fn from_str(text: &str) -> Result<Self, KmsKeyError> {
        let mut names = text.split(',').map(str::trim);
        let key = Self::new(names.next().unwrap_or_default())?;
        names.try_fold(key, Self::with_replica)
    }
}

impl KmsKey {
    /// The key with this ARN, id or alias.
    ///
    /// # Errors
    /// If the text names none.
    pub fn new(key: &str) -> Result<Self, KmsKeyError> {
        let form = match Arn::parse(key) {
            Some(arn) if arn.resource.starts_with("key/") => Form::Key(arn),
            Some(arn) => Form::AliasArn(arn),
            None if key.strip_prefix("alias/").is_some_and(is_name) => Form::Alias(key.to_owned()),
            None if is_id(key) => Form::Id(key.to_owned()),
            None => return Err(KmsKeyError::Form),
        };
        Ok(Self { forms: vec![form], first: Arc::default() })
    }

    /// The same key, and its replica in another region for programs that run there.
    ///
    /// # Errors
    /// If the ARN isn't of a replica of this key.
    pub fn with_replica(mut self, replica: &str) -> Result<Self, KmsKeyError> {
        let replica = Arn::parse(replica).ok_or(KmsKeyError::Replica)?;
        let known = self.forms.iter().all(|form| match form {
            Form::Key(key) => {
                let same = (&key.partition, &key.account, &key.resource);
                key.resource.starts_with("key/mrk-")
                    && same == (&replica.partition, &replica.account, &replica.resource)
                    && key.region != replica.region
            }
            Form::Id(_) | Form::Alias(_) | Form::AliasArn(_) => false,
        });
        if !known {
            return Err(KmsKeyError::Replica);
        }
        self.forms.push(Form::Key(replica));
        Ok(self)
    }

    /// What to ask KMS for in this region.
    pub(crate) fn in_region(&self, region: &str) -> Result<String, NotHere> {
        let named = self.forms.iter().find_map(|form| match form {
            Form::Key(arn) | Form::AliasArn(arn) => (arn.region == region).then(|| arn.to_string()),
            Form::Id(text) | Form::Alias(text) => Some(text.clone()),
        });
        named.ok_or_else(|| NotHere(region.to_owned()))
    }

    /// Whether an answer that names this key is from the key that was asked for.
    pub(crate) fn answered(&self, asked: &str, answer: &str) -> bool {
        let Some(arn) = Arn::parse(answer).filter(|arn| arn.resource.starts_with("key/")) else {
            return false;
        };
        let is_it = match KmsKey::new(asked).map(|key| key.forms) {
            Ok(forms) => forms.iter().all(|form| match form {
                Form::Key(key) => *key == arn,
                Form::Id(id) => arn.resource.strip_prefix("key/") == Some(id),
                Form::Alias(_) => true,
                Form::AliasArn(alias) => {
                    (&alias.partition, &alias.region, &alias.account)
                        == (&arn.partition, &arn.region, &arn.account)
                }
            }),
            Err(_) => false,
        };
        is_it && self.first.get_or_init(|| answer.to_owned()) == answer
    }
}

impl Arn {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts[..] else {
            return None;
        };
        let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"))?;
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let whole = plain(partition) && plain(region) && plain(account) && is_name(name);
        let own = str::to_owned;
        whole.then(|| Self {
            partition: own(partition),
            region: own(region),
            account: own(account),
            resource: own(resource),
        })
    }
}

impl std::fmt::Display for Arn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition, region, account, resource } = self;
        write!(f, "arn:{partition}:kms:{region}:{account}:{resource}")
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-');
    (1..=256).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_id(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    match text.strip_prefix("mrk-") {
        Some(rest) => rest.len() == 32 && rest.bytes().all(hex),
        None => text.len() == 36 && text.bytes().all(hex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    const MULTI: &str = "mrk-1234abcd12ab34cd56ef1234567890ab";

    fn arn(region: &str, resource: &str) -> String {
        format!("arn:aws:kms:{region}:111122223333:{resource}")
    }

    #[test]
    fn settings_name_a_key_and_its_replicas() {
        let key = "arn:aws:kms:eu-central-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef";
        let replica = key.replace("eu-central-1", "us-east-1");
        let both: KmsKey = format!("{key}, {replica}").parse().unwrap();
        assert_eq!(both.in_region("us-east-1").ok(), Some(replica));
        assert!(both.in_region("eu-west-1").is_err());
        for wrong in ["", ",", "alias/a,alias/b", &format!("{key},{key}"), &format!("{key},")] {
            assert!(wrong.parse::<KmsKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_has_one_of_four_forms() {
        for (text, ok) in [
            (arn("eu-central-1", &format!("key/{ID}")).as_str(), true),
            (&arn("eu-central-1", "alias/undertone"), true),
            (ID, true),
            (MULTI, true),
            ("alias/undertone/prod", true),
            ("", false),
            ("alias/", false),
            ("undertone", false),
            ("arn:aws:s3:eu-central-1:111122223333:key/x", false),
            ("arn:aws:kms:eu-central-1:111122223333:key/", false),
            ("arn:aws:kms::111122223333:key/x", false),
            ("alias/a b", false),
        ] {
            assert_eq!(KmsKey::new(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn an_answer_from_another_key_is_told() {
        let own = arn("eu-central-1", &format!("key/{ID}"));
        let other = arn("eu-central-1", "key/9999abcd-12ab-34cd-56ef-1234567890ab");
        let elsewhere = own.replace("111122223333", "444455556666");
        for (named, answer, ok) in [
            (own.as_str(), own.as_str(), true),
            (&own, &other, false),
            (&own, &elsewhere, false),
            (&own, ID, false),
            (&own, "", false),
            (ID, &own, true),
            (ID, &other, false),
            ("alias/x", &own, true),
            ("alias/x", "alias/x", false),
            (&arn("eu-central-1", "alias/x"), &own, true),
            (&arn("eu-central-1", "alias/x"), &elsewhere, false),
            (&arn("eu-west-1", "alias/x"), &own, false),
        ] {
            assert_eq!(KmsKey::new(named).unwrap().answered(named, answer), ok, "{named} by {answer}");
        }
    }

    #[test]
    fn an_alias_means_the_key_that_answered_first() {
        let key = KmsKey::new("alias/x").unwrap();
        let (one, two) = (arn("eu-central-1", "key/one"), arn("eu-central-1", "key/two"));
        assert!(key.answered("alias/x", &one));
        assert!(!key.clone().answered("alias/x", &two));
        assert!(key.answered("alias/x", &one));
    }

    #[test]
    fn a_replica_is_used_where_it_is_and_only_if_listed() {
        let [own, replica] = ["us-east-1", "eu-west-1"].map(|region| arn(region, &format!("key/{MULTI}")));
        let key = KmsKey::new(&own).unwrap();
        assert_eq!(key.in_region("us-east-1").as_ref(), Ok(&own));
        assert!(key.in_region("eu-west-1").is_err());
        let both = key.clone().with_replica(&replica).unwrap();
        assert_eq!(both.in_region("eu-west-1").as_ref(), Ok(&replica));
        assert!(!both.answered(&replica, &own));
        assert!(both.answered(&replica, &replica));
        let single = KmsKey::new(&arn("us-east-1", &format!("key/{ID}"))).unwrap();
        for (key, replica) in [
            (&key, own.as_str()),
            (&key, &arn("eu-west-1", "key/mrk-0000abcd12ab34cd56ef1234567890ab")),
            (&key, &replica.replace("111122223333", "444455556666")),
            (&single, &arn("eu-west-1", &format!("key/{ID}"))),
            (&key, MULTI),
        ] {
            assert_eq!(key.clone().with_replica(replica).unwrap_err(), KmsKeyError::Replica, "{replica}");
        }
    }
}
