//! The settings file of a new home.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{AwsKind, AwsSettings, KeySource};

const AGENTS: &str = "
# Scopes that an agent may use beyond the event's own, for example:
# [agents.slack-notifier]
# scopes = [\"dev\", \"dev/sp_2\"]
";

impl KeySource {
    /// The settings file of a new home.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = String::from(
            "# Where the root key comes from. Without that key nothing here can be read.\n[key]\n",
        );
        match self {
            KeySource::File { path } => {
                out.push_str("provider = \"file\"\npath = ");
                quote(&mut out, &path.to_string_lossy());
                out.push('\n');
            }
            KeySource::Passphrase { salt, params } => {
                let _ = write!(
                    out,
                    "provider = \"passphrase\"\nsalt = \"{}\"\nmemory_kib = {}\npasses = {}\nlanes = {}\n",
                    URL_SAFE_NO_PAD.encode(salt),
                    params.memory_kib(),
                    params.passes(),
                    params.lanes(),
                );
            }
            KeySource::Credential { name } => {
                out.push_str("provider = \"credential\"\nname = ");
                quote(&mut out, name);
                out.push('\n');
            }
        }
        out.push_str(AGENTS);
        out
    }
}

impl AwsSettings {
    /// The settings file of a new home that points to AWS.
    pub(crate) fn to_toml(&self) -> String {
        let kind = match self.kind {
            AwsKind::DynamoDb => "dynamodb",
            AwsKind::SecretsManager => "secrets-manager",
        };
        let mut out = String::from("# Where secrets are kept. Nothing of them is in this folder.\n[store]\n");
        for (name, value) in [
            ("provider", Some("aws")),
            ("kind", Some(kind)),
            ("region", self.region.as_deref()),
            ("profile", self.profile.as_deref()),
            ("table", Some(&*self.table)),
            ("prefix", Some(&*self.prefix)),
            ("kms_key", Some(&*self.kms_key)),
            ("audit_table", Some(&*self.audit_table)),
        ] {
            if let Some(value) = value {
                let _ = write!(out, "{name} = ");
                quote(&mut out, value);
                out.push('\n');
            }
        }
        out.push_str(AGENTS);
        out
    }
}

/// A TOML basic string.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
