//! From the text of a settings file to settings, each problem with its place in the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use undertone_core::{AgentId, Scope, escaped, is_hidden};

use super::{AwsKind, AwsSettings, KeySource, Settings, StoreSettings};
use crate::root::{Argon2Params, is_credential_name};

/// What is wrong, and at which byte.
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) problem: String,
}

fn at(place: &Spanned<impl Sized>, problem: impl Into<String>) -> Problem {
    Problem { at: place.span().start, problem: problem.into() }
}

pub(super) fn settings(text: &str) -> Result<Settings, Problem> {
    // The parser's own words quote the line, which may hold anything.
    let file = DeTable::parse(text).map_err(|error| Problem {
        at: error.span().map_or(0, |span| span.start),
        problem: "this is no TOML: check quotes and brackets".to_owned(),
    })?;
    let fields = file.get_ref();
    known_fields(fields, &["store", "key", "agents"])?;
    let store = match (fields.get("store"), fields.get("key")) {
        (None, Some(key)) => StoreSettings::Embedded { key: key_source(key)? },
        (None, None) => return Err(at(&file, "there is no [key]: say where the root key comes from")),
        (Some(store), None) => StoreSettings::Aws(aws(store)?),
        (Some(store), Some(key)) => {
            aws(store)?;
            return Err(at(key, "there is a [store] in AWS, whose root key is in KMS: remove [key]"));
        }
    };
    let agents = fields.get("agents").map(agents).transpose()?.unwrap_or_default();
    Ok(Settings { store, agents })
}

fn aws(place: &Spanned<DeValue<'_>>) -> Result<AwsSettings, Problem> {
    let store = table(place, "[store]")?;
    let (provider_at, provider) = text(place, store, "provider")?;
    if provider != "aws" {
        let problem = "`provider` must be \"aws\"; without [store] the store is in this folder";
        return Err(at(provider_at, problem));
    }
    let known =
        ["provider", "kind", "region", "profile", "table", "prefix", "kms_key", "audit_table"].as_slice();
    known_fields(store, known)?;
    let kind = match text(place, store, "kind")? {
        (_, "dynamodb") => AwsKind::DynamoDb,
        (_, "secrets-manager") => AwsKind::SecretsManager,
        (kind_at, _) => return Err(at(kind_at, "`kind` must be \"dynamodb\" or \"secrets-manager\"")),
    };
    let optional = |name: &str, form: &Form| match store.contains_key(name) {
        true => formed(place, store, name, form).map(Some),
        false => Ok(None),
    };
    let or =
        |name: &str, form: &Form, usual: &str| Ok(optional(name, form)?.unwrap_or_else(|| usual.to_owned()));
    Ok(AwsSettings {
        kind,
        region: optional("region", &REGION)?,
        profile: optional("profile", &PROFILE)?,
        table: or("table", &TABLE, "undertone")?,
        prefix: or("prefix", &PREFIX, "undertone")?,
        kms_key: formed(place, store, "kms_key", &KMS_KEY)?,
        audit_table: or("audit_table", &TABLE, "undertone-audit")?,
    })
}

/// What a text must look like, so that a slip is found here and not by AWS.
struct Form {
    lengths: std::ops::RangeInclusive<usize>,
    allows: fn(char) -> bool,
    /// The same in words, after "`field` must be".
    words: &'static str,
}

const REGION: Form = Form {
    lengths: 1..=64,
    allows: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    words: "a region of AWS, such as \"eu-central-1\"",
};
const PROFILE: Form = Form {
    lengths: 1..=256,
    allows: |c| c == ' ' || !(c.is_whitespace() || is_hidden(c)),
    words: "the name of a profile in ~/.aws/config",
};
const TABLE: Form = Form {
    lengths: 3..=255,
    allows: |c| c.is_ascii_alphanumeric() || "_.-".contains(c),
    words: "the name of a DynamoDB table: 3 to 255 of A-Z a-z 0-9 _ . -",
};
const PREFIX: Form = Form {
    lengths: 1..=128,
    allows: |c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c),
    words: "what names in Secrets Manager begin with: 1 to 128 of A-Z a-z 0-9 / _ + = . @ -",
};
const KMS_KEY: Form = Form {
    lengths: 1..=2_048,
    allows: |c| c.is_ascii_graphic(),
    words: "a key of KMS: its ARN, its id, or an alias such as \"alias/undertone\"",
};

fn formed(
    place: &Spanned<DeValue<'_>>,
    table: &DeTable<'_>,
    name: &str,
    form: &Form,
) -> Result<String, Problem> {
    let (text_at, text) = text(place, table, name)?;
    match form.lengths.contains(&text.len()) && text.chars().all(form.allows) {
        true => Ok(text.to_owned()),
        false => Err(at(text_at, format!("`{name}` must be {}", form.words))),
    }
}

fn key_source(place: &Spanned<DeValue<'_>>) -> Result<KeySource, Problem> {
    let key = table(place, "[key]")?;
    let (provider_at, provider) = text(place, key, "provider")?;
    match provider {
        "file" => {
            known_fields(key, &["provider", "path"])?;
            let (path_at, path) = text(place, key, "path")?;
            match path.is_empty() {
                false => Ok(KeySource::File { path: PathBuf::from(path) }),
                true => Err(at(path_at, "`path` is empty: give the path of the key file")),
            }
        }
        "passphrase" => {
            known_fields(key, &["provider", "salt", "memory_kib", "passes", "lanes"])?;
            let (salt_at, salt) = text(place, key, "salt")?;
            let salt = URL_SAFE_NO_PAD.decode(salt).ok().and_then(|salt| salt.try_into().ok());
            let salt = salt.ok_or_else(|| at(salt_at, "`salt` must be the 22 characters that init wrote"))?;
            let [memory, passes, lanes] =
                ["memory_kib", "passes", "lanes"].map(|name| number(place, key, name));
            let params = Argon2Params::new(memory?, passes?, lanes?);
            let params = params.map_err(|problem| at(place, problem.to_string()))?;
            Ok(KeySource::Passphrase { salt, params })
        }
        "credential" => {
            known_fields(key, &["provider", "name"])?;
            let (name_at, name) = text(place, key, "name")?;
            match is_credential_name(name) {
                true => Ok(KeySource::Credential { name: name.to_owned() }),
                false => Err(at(name_at, crate::root::KeyProblem::CredentialName.to_string())),
            }
        }
        _ => Err(at(provider_at, "`provider` must be \"file\", \"passphrase\" or \"credential\"")),
    }
}

fn agents(place: &Spanned<DeValue<'_>>) -> Result<BTreeMap<AgentId, Vec<Scope>>, Problem> {
    let mut agents = BTreeMap::new();
    for (slug, grants) in table(place, "[agents]")? {
        let id =
            slug.get_ref().parse().map_err(|error: undertone_core::IdError| at(slug, error.to_string()))?;
        let grants_of = table(grants, "an agent")?;
        known_fields(grants_of, &["scopes"])?;
        let list = field(grants, grants_of, "scopes")?;
        let scopes = list.get_ref().as_array().ok_or_else(|| at(list, "`scopes` must be a list"))?;
        agents.insert(id, scopes.iter().map(scope).collect::<Result<_, _>>()?);
    }
    Ok(agents)
}

/// `environment` or `environment/space`.
fn scope(place: &Spanned<DeValue<'_>>) -> Result<Scope, Problem> {
    let wrong = || at(place, "a scope is \"environment\" or \"environment/space\"");
    let text = place.get_ref().as_str().ok_or_else(wrong)?;
    match text.split_once('/') {
        None => Ok(Scope::Environment(text.parse().map_err(|_| wrong())?)),
        Some((environment, space)) => {
            Ok(Scope::Space(environment.parse().map_err(|_| wrong())?, space.parse().map_err(|_| wrong())?))
        }
    }
}

fn known_fields(table: &DeTable<'_>, known: &[&str]) -> Result<(), Problem> {
    let unknown = table.keys().find(|name| !known.contains(&&**name.get_ref()));
    unknown.map_or(Ok(()), |name| {
        let shown = escaped(name.get_ref());
        Err(at(name, format!("there is no field `{shown}` here: choose from {}", known.join(", "))))
    })
}

fn table<'t, 'i>(place: &'t Spanned<DeValue<'i>>, what: &str) -> Result<&'t DeTable<'i>, Problem> {
    place.get_ref().as_table().ok_or_else(|| at(place, format!("{what} must be a table")))
}

fn field<'t, 'i>(
    place: &Spanned<DeValue<'_>>,
    table: &'t DeTable<'i>,
    name: &str,
) -> Result<&'t Spanned<DeValue<'i>>, Problem> {
    table.get(name).ok_or_else(|| at(place, format!("`{name}` is missing here")))
}

fn text<'t, 'i>(
    place: &Spanned<DeValue<'_>>,
    table: &'t DeTable<'i>,
    name: &str,
) -> Result<(&'t Spanned<DeValue<'i>>, &'t str), Problem> {
    let value = field(place, table, name)?;
    let text =
        value.get_ref().as_str().ok_or_else(|| at(value, format!("`{name}` must be a text in quotes")))?;
    Ok((value, text))
}

fn number(place: &Spanned<DeValue<'_>>, table: &DeTable<'_>, name: &str) -> Result<u32, Problem> {
    let value = field(place, table, name)?;
    let digits = value.get_ref().as_integer().map(|number| (number.as_str(), number.radix()));
    let number = digits.and_then(|(digits, radix)| u32::from_str_radix(digits, radix).ok());
    number.ok_or_else(|| at(value, format!("`{name}` must be a whole number")))
}
