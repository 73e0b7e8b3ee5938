//! `undertone.toml`: where the root key comes from, and which scopes agents may use.
//!
//! ```toml
//! [key]
//! provider = "file"             # or "passphrase", "credential"
//! path = "/etc/undertone/root.key"
//!
//! [agents.slack-notifier]
//! scopes = ["dev", "dev/sp_2"]  # beyond the scope of the event at hand
//! ```
//! A field that isn't known is an error: a grant that is misspelt must not look like none.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use undertone_core::{AgentId, Scope, escaped};

use crate::error::LocalError;
use crate::root::{Argon2Params, SALT, is_credential_name};

/// A home's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the root key comes from.
    pub key: KeySource,
    /// The scopes that an operator granted to an agent beyond the event's own.
    pub agents: BTreeMap<AgentId, Vec<Scope>>,
}

/// Where the root key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner reads.
    File {
        /// Which; a relative path starts at the home.
        path: PathBuf,
    },
    /// A passphrase, by Argon2id.
    Passphrase {
        /// Makes equal passphrases different keys.
        salt: [u8; SALT],
        /// What guessing costs.
        params: Argon2Params,
    },
    /// A systemd credential.
    Credential {
        /// Its name in `$CREDENTIALS_DIRECTORY`.
        name: String,
    },
}

impl KeySource {
    /// What it is called in messages.
    pub(crate) fn place(&self) -> String {
        match self {
            KeySource::File { path } => format!("the key file {}", path.display()),
            KeySource::Passphrase { .. } => "the passphrase".to_owned(),
            KeySource::Credential { name } => format!("the systemd credential `{name}`"),
        }
    }

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
        out.push_str(
            "\n# Scopes that an agent may use beyond the event's own, for example:\n# [agents.slack-notifier]\n# scopes = [\"dev\", \"dev/sp_2\"]\n",
        );
        out
    }
}

impl Settings {
    /// Reads the text of a settings file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, LocalError> {
        settings(text).map_err(|Problem { at, problem }| {
            let before = text.get(..at).unwrap_or(text);
            let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
            LocalError::Settings { path: path.to_owned(), line, problem }
        })
    }
}

/// What is wrong, and at which byte.
struct Problem {
    at: usize,
    problem: String,
}

fn at(place: &Spanned<impl Sized>, problem: impl Into<String>) -> Problem {
    Problem { at: place.span().start, problem: problem.into() }
}

fn settings(text: &str) -> Result<Settings, Problem> {
    // The parser's own words quote the line, which may hold anything.
    let file = DeTable::parse(text).map_err(|error| Problem {
        at: error.span().map_or(0, |span| span.start),
        problem: "this is no TOML: check quotes and brackets".to_owned(),
    })?;
    known_fields(file.get_ref(), &["key", "agents"])?;
    let Some(key) = file.get_ref().get("key") else {
        return Err(at(&file, "there is no [key]: say where the root key comes from"));
    };
    let agents = file.get_ref().get("agents").map(agents).transpose()?.unwrap_or_default();
    Ok(Settings { key: key_source(key)?, agents })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, (usize, String)> {
        Settings::parse(Path::new("/home/undertone.toml"), text).map_err(|error| match error {
            LocalError::Settings { line, problem, .. } => (line, problem),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn what_init_writes_reads_back() {
        for key in [
            KeySource::File { path: PathBuf::from("/a \"b\"\\c\n\u{7f}ä/root.key") },
            KeySource::Passphrase { salt: [7; 16], params: Argon2Params::default() },
            KeySource::Credential { name: "undertone.key".to_owned() },
        ] {
            assert_eq!(parse(&key.to_toml()), Ok(Settings { key, agents: BTreeMap::new() }));
        }
    }

    #[test]
    fn agents_get_environments_and_spaces() {
        let text = "key = { provider = 'file', path = 'k' }\n[agents.slack-notifier]\nscopes = ['dev', 'dev/sp_2']\n[agents.\"a.b\"]\nscopes = []";
        let dev: undertone_core::EnvironmentId = "dev".parse().unwrap();
        let scopes = vec![Scope::Environment(dev.clone()), Scope::Space(dev, "sp_2".parse().unwrap())];
        let expected = BTreeMap::from([
            ("slack-notifier".parse().unwrap(), scopes),
            ("a.b".parse().unwrap(), Vec::new()),
        ]);
        assert_eq!(parse(text).map(|settings| settings.agents), Ok(expected));
    }

    #[test]
    fn anything_else_is_an_error_with_its_line() {
        let file = "[key]\nprovider = 'file'\npath = 'k'\n";
        for (text, line, part) in [
            (String::new(), 1, "no [key]"),
            ("[key]\n".to_owned(), 1, "`provider` is missing"),
            ("[key]\nprovider = 'kms'\n".to_owned(), 2, "must be \"file\""),
            ("[key]\nprovider = 'file'\n".to_owned(), 1, "`path` is missing"),
            ("[key]\nprovider = 'file'\npath = ''\n".to_owned(), 3, "empty"),
            ("[key]\nprovider = 'file'\npath = 7\n".to_owned(), 3, "text in quotes"),
            (format!("{file}paht = 'x'\n"), 4, "no field `paht`"),
            (format!("{file}[agent.x]\n"), 4, "no field `agent`"),
            (format!("{file}[agents.x]\nscope = ['dev']\n"), 5, "no field `scope`"),
            (format!("{file}[agents.x]\n"), 4, "`scopes` is missing"),
            (format!("{file}[agents.'x y']\nscopes = []\n"), 4, "slug"),
            (format!("{file}[agents.x]\nscopes = ['dev', 'dev/']\n"), 5, "a scope is"),
            (format!("{file}[agents.x]\nscopes = 'dev'\n"), 5, "must be a list"),
            (format!("{file}[agents.x]\nscopes = [\n'a',\n'b c']\n"), 7, "a scope is"),
            (format!("{file}hunter2 hunter2\n"), 4, "no TOML"),
            ("[key]\nprovider = 'credential'\nname = '../x'\n".to_owned(), 3, "credential"),
            ("[key]\nprovider = 'passphrase'\nsalt = 'AA'\n".to_owned(), 3, "salt"),
        ] {
            let (at, problem) = parse(&text).unwrap_err();
            assert_eq!(at, line, "{text}: {problem}");
            assert!(problem.contains(part), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_lowered_cost_is_refused() {
        let written = KeySource::Passphrase { salt: [7; 16], params: Argon2Params::FLOOR }.to_toml();
        for (from, to) in [
            ("memory_kib = 65536", "memory_kib = 65535"),
            ("memory_kib = 65536", "memory_kib = 4294967296"),
            ("memory_kib = 65536", "memory_kib = -1"),
            ("memory_kib = 65536", "memory_kib = 1048577"),
            ("passes = 3", "passes = 2"),
            ("passes = 3", "passes = 3.0"),
            ("lanes = 1", "lanes = 0"),
            ("lanes = 1\n", ""),
        ] {
            assert!(parse(&written.replace(from, to)).is_err(), "{to}");
        }
        assert!(parse(&written).is_ok());
    }
}
