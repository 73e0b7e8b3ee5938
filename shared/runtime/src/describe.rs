//! What a listener declares, for people and programs that compare it with what a store has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use undertone_core::{AgentId, HostRule, SecretName};

use crate::listener::{Listener, ListenerError};

/// A listener without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its slug.
    pub agent: AgentId,
    /// Its topic patterns, each once.
    pub topics: BTreeSet<String>,
    /// The secrets that it declares, each with the hosts to which it limits itself.
    pub secrets: BTreeMap<SecretName, Option<BTreeSet<HostRule>>>,
}

impl Description {
    /// As `{agent, topics, secrets: [{name, hosts}]}`, `hosts` null without such a limit.
    pub fn to_json(&self) -> Value {
        let secrets = self.secrets.iter().map(|(name, hosts)| {
            let hosts = hosts.as_ref().map(|hosts| hosts.iter().map(ToString::to_string).collect::<Vec<_>>());
            json!({ "name": name.as_str(), "hosts": hosts })
        });
        json!({
            "agent": self.agent.as_str(),
            "topics": self.topics,
            "secrets": secrets.collect::<Value>(),
        })
    }
}

impl Listener {
    /// What the listener declares.
    ///
    /// # Errors
    /// If it is wrong.
    pub fn describe(self) -> Result<Description, ListenerError> {
        let topics = self.topics();
        let compiled = self.compile()?;
        Ok(Description { agent: compiled.agent, topics, secrets: compiled.secrets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::listener::Uses;

    async fn nothing(_: Event) -> crate::Result<()> {
        Ok(())
    }

    #[test]
    fn a_description_names_topics_and_secrets_and_a_wrong_listener_has_none() {
        let listener = Listener::new("notes")
            .uses("B_TOKEN")
            .uses(Uses::secret("A_TOKEN").host("api.example.com"))
            .on("job:*", nothing)
            .namespace("space:red", |inner| inner.on(["record:**", "job:*"], nothing));
        let described = listener.describe().unwrap().to_json();
        let want = json!({
            "agent": "notes",
            "topics": ["job:*", "record:**"],
            "secrets": [{"name": "A_TOKEN", "hosts": ["api.example.com"]}, {"name": "B_TOKEN", "hosts": null}],
        });
        assert_eq!(described, want);
        assert!(Listener::new("a/b").describe().is_err());
    }
}
