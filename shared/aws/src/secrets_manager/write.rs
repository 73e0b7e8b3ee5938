//! Writing: a document is put beside the current one and takes its place if nobody came between.
//!
//! A lost answer is never guessed at. Each write leaves its id in the document, so a writer that
//! doesn't know what became of its try reads again, finds its own work or doesn't, and neither
//! does it twice nor takes it for somebody else's.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_core::{Batch, Environment, Scope, SecretName, Space, StoreError, random_bytes};

use super::calls::{Kind, LARGEST_BATCH, Undone, unusable};
use super::document::{Document, WriteId, Written, chain_epoch};
use super::pauses::{Pauses, TimeIsUp};
use super::read::Read;
use super::{LARGEST_SECRET, SecretsManagerStore, wire};

/// How long a write goes on against others who write the same scope, or after a lost answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl SecretsManagerStore {
    pub(super) async fn write_batch(&self, batch: &Batch) -> Result<(), StoreError> {
        let Some(scope) = &only_scope(batch)? else {
            return Ok(());
        };
        let _turn = self.turns.of(scope).await;
        match &batch.spaces[..] {
            [] => self.change(scope, batch).await,
            [space] => self.make_space(space, batch).await,
            [_, _, ..] => Err(StoreError::Exists(scope.clone())),
        }
    }

    pub(super) async fn make_environment(&self, made: &Environment) -> Result<(), StoreError> {
        let document = Document::of_environment(made, WriteId::random());
        let _turn = self.turns.of(&document.scope).await;
        self.create(&document).await
    }

    /// A Space with what the batch puts into it: one secret, made whole.
    async fn make_space(&self, space: &Space, batch: &Batch) -> Result<(), StoreError> {
        let environment = self.read_one(&Scope::Environment(space.environment.clone())).await?;
        let write = WriteId::random();
        let empty = Document::of_space(space, write);
        let filled = empty.with(batch, write, Some(&environment.document))?;
        self.create(&Document { epoch: empty.epoch, writes: empty.writes, ..filled }).await
    }

    async fn create(&self, document: &Document) -> Result<(), StoreError> {
        let scope = &document.scope;
        let (name, text) = (self.secrets.prefix.secret_of(scope), self.text(document).await?);
        let kind = if scope.space().is_some() { Kind::Space } else { Kind::Environment };
        let (token, mut pauses) = (token(), Pauses::within(PATIENCE));
        loop {
            let made = self.secrets.create(&name, kind, text.clone(), &token, self.envelope_key.as_deref());
            let undone = match made.await {
                Ok(()) => {
                    self.recent.note(scope);
                    return Ok(());
                }
                // It may be this very one: the answer to an earlier try may have been lost.
                Err(undone @ (Undone::Exists | Undone::Unknown(_))) => undone,
                Err(Undone::TooMany) => {
                    let problem = "the account has as many secrets as Secrets Manager takes: ask AWS for \
                                   more, or move to DynamoDB with `undertone store copy`";
                    return Err(StoreError::Full { scope: scope.clone(), problem: problem.to_owned() });
                }
                Err(undone) => return Err(self.about(scope, undone, "CreateSecret")),
            };
            match self.read_one(scope).await {
                Ok(read) if read.document.made == document.made => {
                    self.recent.note(scope);
                    return Ok(());
                }
                Ok(_) => return Err(StoreError::Exists(scope.clone())),
                // Not there, or not to be seen yet.
                Err(StoreError::UnknownEnvironment(_) | StoreError::UnknownSpace(..)) => {}
                Err(StoreError::Unavailable(_)) => {}
                Err(_) if undone == Undone::Exists => return Err(StoreError::Exists(scope.clone())),
                Err(error) => return Err(error),
            }
            if let Err(TimeIsUp) = pauses.next().await {
                return Err(unsure(self.about(scope, undone, "CreateSecret")));
            }
        }
    }

    /// Changes a scope that is there.
    async fn change(&self, scope: &Scope, batch: &Batch) -> Result<(), StoreError> {
        let name = self.secrets.prefix.secret_of(scope);
        let (write, mut pauses) = (WriteId::random(), Pauses::within(PATIENCE));
        let mut tried: Option<Tried> = None;
        let mut is_checked_below = false;
        loop {
            let (own, above) = match (self.read_to_write(scope).await, &tried) {
                (Err(StoreError::Unavailable(problem)), Some(tried)) if tried.is_unsure => {
                    let time = pauses.next().await;
                    time.map_err(|TimeIsUp| unsure(StoreError::Unavailable(problem)))?;
                    continue;
                }
                (read, _) => read?,
            };
            match tried.as_ref().map(|tried| own.document.has(write, tried.first_epoch)) {
                None | Some(Written::No) => {}
                Some(Written::Yes) => return Ok(()),
                Some(Written::Forgotten) => {
                    let problem = format!("{scope} was written too often meanwhile");
                    return Err(unsure(StoreError::Unavailable(problem)));
                }
            }
            if let Some((chain, seen)) = &batch.seen {
                let (own, above) = (&own.document, above.as_ref());
                let now = above.map_or_else(|| chain_epoch(own, None), |above| chain_epoch(above, Some(own)));
                if now != *seen {
                    return Err(StoreError::Changed(chain.nearest()));
                }
            }
            let next = own.document.with(batch, write, above.as_ref())?;
            if next.says_the_same_as(&own.document) {
                return Ok(());
            }
            if !is_checked_below {
                self.check_below(&own.document, batch).await?;
                is_checked_below = true;
            }
            // What was put on top of this same version is this same document.
            let put = tried.as_ref().filter(|tried| tried.on == own.version).map(|tried| tried.put.clone());
            let put = match put {
                Some(put) => put,
                None => self.put(scope, &name, &next).await?,
            };
            let undone = match self.secrets.make_current(&name, &own.version, &put).await {
                Ok(()) => return Ok(()),
                Err(undone @ (Undone::Refused | Undone::NotFound | Undone::Unknown(_))) => undone,
                Err(undone) => return Err(self.about(scope, undone, "UpdateSecretVersionStage")),
            };
            let is_unsure =
                matches!(undone, Undone::Unknown(_)) || tried.as_ref().is_some_and(|tried| tried.is_unsure);
            tried = Some(Tried {
                // A version without a label may have gone. Then it is put anew.
                on: if undone == Undone::NotFound { String::new() } else { own.version },
                put,
                first_epoch: tried.map_or(own.document.epoch, |tried| tried.first_epoch),
                is_unsure,
            });
            if let Err(TimeIsUp) = pauses.next().await {
                let problem = format!("{scope} is being written by others, try again");
                let error = StoreError::Unavailable(problem);
                return Err(if is_unsure { unsure(error) } else { error });
            }
        }
    }

    /// The scope, and for a Space its Environment, in one call.
    async fn read_to_write(&self, scope: &Scope) -> Result<(Read, Option<Document>), StoreError> {
        match self.read_chain(&scope.chain()).await? {
            (environment, None) => Ok((environment, None)),
            (environment, Some(space)) => Ok((space, Some(environment.document))),
        }
    }

    /// Refuses names new to an Environment that look like one of a Space in it.
    async fn check_below(&self, own: &Document, batch: &Batch) -> Result<(), StoreError> {
        let new = batch.changes.iter().map(|change| &change.name).filter(|name| own.lacks(name));
        let new: Vec<&SecretName> = new.collect();
        let Scope::Environment(environment) = &own.scope else {
            return Ok(());
        };
        if new.is_empty() {
            return Ok(());
        }
        for part in self.listed_spaces(environment).await?.chunks(LARGEST_BATCH) {
            for read in self.read_together(part).await? {
                match read {
                    Ok(space) => {
                        let look_alike = new.iter().find_map(|name| space.document.look_alike(name));
                        look_alike.map_or(Ok(()), Err)?;
                    }
                    // It went after it was listed.
                    Err(StoreError::UnknownSpace(..)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn put(&self, scope: &Scope, name: &str, document: &Document) -> Result<String, StoreError> {
        let text = self.text(document).await?;
        self.secrets.put_pending(name, text, &token()).await.map_err(|undone| match undone {
            Undone::TooMany => StoreError::Full {
                scope: scope.clone(),
                problem: "its secret has had about 100 versions within a day, and Secrets Manager takes no \
                          more: wait, or move to DynamoDB with `undertone store copy`"
                    .to_owned(),
            },
            Undone::Unusable => StoreError::Denied(format!("{scope}: {}", unusable(name))),
            other => self.about(scope, other, "PutSecretValue"),
        })
    }

    async fn text(&self, document: &Document) -> Result<String, StoreError> {
        let text = wire::write(document, &self.derived().await?.seals);
        if LARGEST_SECRET < text.len() {
            return Err(StoreError::Full {
                scope: document.scope.clone(),
                problem: format!(
                    "its rows would have {} bytes, and a secret of Secrets Manager has at most \
                     {LARGEST_SECRET}: destroy names that nobody needs, or move to DynamoDB with \
                     `undertone store copy`",
                    text.len()
                ),
            });
        }
        Ok(text)
    }
}

/// An earlier try of the same write, of which it isn't sure that it failed.
struct Tried {
    /// The version that it was to take the place of.
    on: String,
    /// The version that it had put.
    put: String,
    /// The epoch before the first try.
    first_epoch: u32,
    /// Whether an answer was lost.
    is_unsure: bool,
}

/// A token that names one try, and the version that it makes.
pub(super) fn token() -> String {
    random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The one scope that a batch is about; none, if it says nothing.
fn only_scope(batch: &Batch) -> Result<Option<Scope>, StoreError> {
    let made = |space: &Space| Scope::Space(space.environment.clone(), space.id.clone());
    let scopes: BTreeSet<Scope> = batch
        .spaces
        .iter()
        .map(made)
        .chain(batch.keys.iter().chain(&batch.rewrapped).map(|(scope, _)| scope.clone()))
        .chain(batch.changes.iter().map(|change| change.scope.clone()))
        .chain(batch.reseals.iter().map(|reseal| reseal.scope.clone()))
        .chain(batch.retired.iter().map(|(scope, _)| scope.clone()))
        .collect();
    let mut scopes = scopes.into_iter();
    match (scopes.next(), scopes.next()) {
        (first, None) => Ok(first),
        (_, Some(second)) => Err(StoreError::Full {
            scope: second,
            problem: "Secrets Manager changes one scope at a time: write each by itself".to_owned(),
        }),
    }
}

/// Says that the change may have been made all the same.
fn unsure(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(problem) => {
            StoreError::Unavailable(format!("{problem}; an answer was lost, so look whether it was done"))
        }
        other => other,
    }
}
