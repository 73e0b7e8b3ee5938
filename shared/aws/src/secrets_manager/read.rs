//! Reading: every document is checked before anybody sees any of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use undertone_core::{
    Chain, ChainRows, Environment, EnvironmentId, Epoch, History, KeyError, Names, Scope, SecretName, Space,
    SpaceId, StoreError,
};

use super::SecretsManagerStore;
use super::calls::{Current, Kind, LARGEST_BATCH, Undone, unusable};
use super::document::{Document, chain_epoch};
use super::pauses::Pauses;
use super::wire::{self, Unreadable};
use crate::store_key::Derived;

/// How often a scope is asked for again that this process has just made and that isn't there yet.
const TRIES_AGAIN: u32 = 3;

/// A scope as it was read.
pub(super) struct Read {
    pub(super) document: Document,
    /// Which version of its secret that was.
    pub(super) version: String,
}

impl SecretsManagerStore {
    pub(super) async fn read_epoch(&self, chain: &Chain) -> Result<Epoch, StoreError> {
        let (environment, space) = self.read_chain(chain).await?;
        Ok(chain_epoch(&environment.document, space.as_ref().map(|space| &space.document)))
    }

    pub(super) async fn read_rows(&self, chain: &Chain, names: Names<'_>) -> Result<ChainRows, StoreError> {
        let (environment, space) = self.read_chain(chain).await?;
        let (environment, space) = (environment.document, space.map(|space| space.document));
        let (epoch, mode) = (chain_epoch(&environment, space.as_ref()), environment.mode);
        let scopes = std::iter::once(environment).chain(space);
        Ok(ChainRows { epoch, mode, scopes: scopes.map(|scope| scope.scope_rows(names)).collect() })
    }

    pub(super) async fn read_history(
        &self,
        scope: &Scope,
        name: &SecretName,
    ) -> Result<Option<History>, StoreError> {
        match self.read_one(scope).await {
            Ok(mut read) => Ok(read.document.rows.remove(name)),
            Err(StoreError::UnknownEnvironment(_) | StoreError::UnknownSpace(..)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let begin = format!("{}/", self.secrets.prefix);
        let scopes = self.listed(Kind::Environment, &begin, |scope| scope.space().is_none()).await?;
        let mut environments = Vec::new();
        for part in scopes.chunks(LARGEST_BATCH) {
            for read in self.read_together(part).await? {
                match read {
                    Ok(Read { document: Document { scope, mode, created_at, .. }, .. }) => {
                        environments.push(Environment { id: scope.environment().clone(), mode, created_at });
                    }
                    // It went after it was listed.
                    Err(StoreError::UnknownEnvironment(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(environments)
    }

    pub(super) async fn read_spaces(
        &self,
        environment: &EnvironmentId,
        after: Option<&SpaceId>,
        limit: usize,
    ) -> Result<Vec<Space>, StoreError> {
        let is_next = |space: &SpaceId| after.is_none_or(|after| after < space);
        let listed = self.listed_spaces(environment).await?;
        let wanted = listed.into_iter().filter(|scope| scope.space().is_some_and(is_next)).take(limit);
        // The Environment comes along in the first call.
        let scopes: Vec<Scope> =
            std::iter::once(Scope::Environment(environment.clone())).chain(wanted).collect();
        let mut spaces = Vec::new();
        for part in scopes.chunks(LARGEST_BATCH) {
            for read in self.read_together(part).await? {
                match read {
                    Ok(Read { document: Document { scope, created_at, .. }, .. }) => {
                        let made = |id: &SpaceId| Space {
                            environment: environment.clone(),
                            id: id.clone(),
                            created_at,
                        };
                        spaces.extend(scope.space().map(made));
                    }
                    // It went after it was listed.
                    Err(StoreError::UnknownSpace(..)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(spaces)
    }

    /// The Spaces of an Environment by id.
    pub(super) async fn listed_spaces(&self, environment: &EnvironmentId) -> Result<Vec<Scope>, StoreError> {
        let begin = format!("{}/{environment}/", self.secrets.prefix);
        let is_in = |scope: &Scope| scope.space().is_some() && scope.environment() == environment;
        self.listed(Kind::Space, &begin, is_in).await
    }

    /// Both scopes of a chain in one call.
    pub(super) async fn read_chain(&self, chain: &Chain) -> Result<(Read, Option<Read>), StoreError> {
        let scopes: Vec<Scope> = chain.scopes().collect();
        let mut reads = self.read_together(&scopes).await?.into_iter();
        let environment = reads.next().expect("a chain begins with an Environment")?;
        Ok((environment, reads.next().transpose()?))
    }

    pub(super) async fn read_one(&self, scope: &Scope) -> Result<Read, StoreError> {
        let mut reads = self.read_together(std::slice::from_ref(scope)).await?;
        reads.pop().expect("every scope has an answer")
    }

    /// Up to 20 scopes in one call, in their order, while the store key is unwrapped if it isn't yet.
    pub(super) async fn read_together(
        &self,
        scopes: &[Scope],
    ) -> Result<Vec<Result<Read, StoreError>>, StoreError> {
        let (found, derived) = join(self.current(scopes), self.derived()).await;
        let found = found.map_err(|undone| undone.into_error("BatchGetSecretValue"))?;
        let read = |(scope, found): (&Scope, Result<Current, Undone>)| {
            let current = found.map_err(|undone| self.about(scope, undone, "GetSecretValue"))?;
            let document = wire::read(scope, &current.text, &derived.as_ref().map_err(Clone::clone)?.seals);
            let document = document.map_err(|unreadable| match unreadable {
                Unreadable::Edited => StoreError::Damaged(format!(
                    "{scope} isn't as Undertone wrote it: run `undertone doctor`, or make an earlier \
                     version of its secret current"
                )),
                Unreadable::Newer(found) => {
                    StoreError::Denied(format!("{scope} has the format {found}: update this program"))
                }
            })?;
            Ok(Read { document, version: current.version })
        };
        Ok(scopes.iter().zip(found).map(read).collect())
    }

    pub(super) async fn derived(&self) -> Result<Arc<Derived>, StoreError> {
        self.key.derived().await.map_err(|error| match error {
            KeyError::Unavailable(_) => StoreError::Unavailable(format!("its key: {error}")),
            KeyError::Denied(_) | KeyError::BadAnswer(_) => StoreError::Denied(format!("its key: {error}")),
        })
    }

    /// What a call about a scope failed with.
    pub(super) fn about(&self, scope: &Scope, undone: Undone, operation: &str) -> StoreError {
        match undone {
            Undone::NotFound => match scope {
                Scope::Environment(environment) => StoreError::UnknownEnvironment(environment.clone()),
                Scope::Space(environment, space) => {
                    StoreError::UnknownSpace(environment.clone(), space.clone())
                }
            },
            Undone::Unusable => {
                let name = self.secrets.prefix.secret_of(scope);
                StoreError::Denied(format!("{scope}: {}", unusable(&name)))
            }
            Undone::Unknown(problem) => StoreError::Unavailable(format!("{scope}: {problem}")),
            Undone::Denied(problem) => StoreError::Denied(format!("{scope}: {problem}")),
            Undone::Exists | Undone::Refused | Undone::TooMany => {
                undone.into_error(&format!("{scope}: {operation}"))
            }
        }
    }

    async fn current(&self, scopes: &[Scope]) -> Result<Vec<Result<Current, Undone>>, Undone> {
        let names: Vec<String> = scopes.iter().map(|scope| self.secrets.prefix.secret_of(scope)).collect();
        let mut pauses = Pauses::within(Duration::from_secs(2));
        let mut again = TRIES_AGAIN;
        loop {
            let found = match &names[..] {
                [name] => vec![self.secrets.get(name).await],
                names => self.secrets.get_together(names).await?,
            };
            let is_late = |(scope, found): (&Scope, &Result<Current, Undone>)| {
                matches!(found, Err(Undone::NotFound)) && self.recent.has(scope)
            };
            if again == 0 || !scopes.iter().zip(&found).any(is_late) || pauses.next().await.is_err() {
                return Ok(found);
            }
            again -= 1;
        }
    }

    /// The scopes of a kind that are so, by id; with those that the list may not show yet.
    async fn listed(
        &self,
        kind: Kind,
        begin: &str,
        is_so: impl Fn(&Scope) -> bool,
    ) -> Result<Vec<Scope>, StoreError> {
        let names =
            self.secrets.list(kind, begin).await.map_err(|undone| undone.into_error("ListSecrets"))?;
        let listed = names.iter().filter_map(|name| self.secrets.prefix.scope_of(name)).filter(&is_so);
        let all: BTreeSet<Scope> = listed.chain(self.recent.that(&is_so)).collect();
        Ok(all.into_iter().collect())
    }
}
