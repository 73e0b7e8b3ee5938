//! `event.secrets(..)`: from a name to a handle.
//!
//! The answers for the event's own chain were fetched when the attempt began, so a lookup there
//! is one look in a map. Every clone of the event gets the same version.

use std::future::{Future, IntoFuture, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use undertone_core::{Chain, EnvironmentId, ResolveError, Scope, Secret, escaped};

use crate::attempt::Attempt;

/// A lookup under construction; `await` carries it out.
#[must_use = "a lookup does nothing until it is awaited"]
pub struct Lookup<'e> {
    attempt: &'e Arc<Attempt>,
    name: &'e str,
    own: Option<&'e Chain>,
    environment: Option<&'e str>,
    space: Option<&'e str>,
}

impl<'e> Lookup<'e> {
    pub(crate) fn new(attempt: &'e Arc<Attempt>, own: Option<&'e Chain>, name: &'e str) -> Self {
        Self { attempt, name, own, environment: None, space: None }
    }

    /// From another Space. Refused unless an operator granted that scope to the agent.
    pub fn space(mut self, space: &'e str) -> Self {
        self.space = Some(space);
        self
    }

    /// From another Environment. Refused unless an operator granted that scope to the agent.
    pub fn environment(mut self, environment: &'e str) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Turns "no such secret" into `None`. Every other error stays one.
    pub fn optional(self) -> OptionalLookup<'e> {
        OptionalLookup(self)
    }

    async fn elsewhere(self) -> Result<Secret, ResolveError> {
        let Some(chain) = self.other_chain() else {
            return Err(self.no_scope().await);
        };
        let result = match Some(&chain) == self.own {
            true => self.attempt.own_handle(self.name).unwrap_or_else(|| Err(no_environment(self.name))),
            false => self.attempt.foreign_handle(&chain, self.name).await,
        };
        match result {
            Ok(secret) => Ok(secret),
            Err(error) => Err(self.attempt.refused(&chain, self.name, error).await),
        }
    }

    /// `.space(..)` alone is a Space of the event's Environment; `.environment(..)` alone is that
    /// Environment without a Space. Nothing if there is none, or if an id isn't one.
    fn other_chain(&self) -> Option<Chain> {
        let space = self.space.map(str::parse).transpose().ok()?;
        Some(Chain { environment: self.other_environment()?, space })
    }

    fn other_environment(&self) -> Option<EnvironmentId> {
        match self.environment {
            Some(environment) => environment.parse().ok(),
            None => self.own.map(|own| own.environment.clone()),
        }
    }

    /// An id that can't exist is refused, and audited, like one that isn't granted.
    async fn no_scope(self) -> ResolveError {
        let known = self.other_environment().or_else(|| self.own.map(|own| own.environment.clone()));
        let Some(environment) = known else {
            return no_environment(self.name);
        };
        let error = ResolveError::Forbidden {
            agent: self.attempt.agent(),
            scope: Scope::Environment(environment.clone()),
        };
        self.attempt.refused(&Chain { environment, space: None }, self.name, error).await
    }
}

impl<'e> IntoFuture for Lookup<'e> {
    type Output = Result<Secret, ResolveError>;
    type IntoFuture = LookupFuture<'e>;

    fn into_future(self) -> LookupFuture<'e> {
        if self.environment.is_some() || self.space.is_some() {
            return LookupFuture::Elsewhere(Box::pin(self.elsewhere()));
        }
        match self.attempt.own_handle(self.name) {
            Some(Ok(secret)) => LookupFuture::Pinned(ready(Ok(secret))),
            Some(Err(error)) => LookupFuture::Elsewhere(Box::pin(async move {
                let own = self.own.expect("answers are pinned for a chain");
                Err(self.attempt.refused(own, self.name, error).await)
            })),
            None => LookupFuture::Pinned(ready(Err(no_environment(self.name)))),
        }
    }
}

/// The future of a [`Lookup`]. A lookup in the event's own chain is ready at once.
pub enum LookupFuture<'e> {
    #[doc(hidden)]
    Pinned(Ready<Result<Secret, ResolveError>>),
    #[doc(hidden)]
    Elsewhere(Pin<Box<dyn Future<Output = Result<Secret, ResolveError>> + Send + 'e>>),
}

impl Future for LookupFuture<'_> {
    type Output = Result<Secret, ResolveError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            LookupFuture::Pinned(ready) => Pin::new(ready).poll(context),
            LookupFuture::Elsewhere(future) => future.as_mut().poll(context),
        }
    }
}

/// A lookup that may find nothing.
#[must_use = "a lookup does nothing until it is awaited"]
pub struct OptionalLookup<'e>(Lookup<'e>);

impl<'e> IntoFuture for OptionalLookup<'e> {
    type Output = Result<Option<Secret>, ResolveError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'e>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.0.await {
                Ok(secret) => Ok(Some(secret)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

fn no_environment(name: &str) -> ResolveError {
    ResolveError::NoEnvironment { name: escaped(name) }
}
