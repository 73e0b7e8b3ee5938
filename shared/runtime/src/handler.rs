//! Handlers: async functions from an event to a reply.

use std::future::Future;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::event::Event;

/// Handles one event. Implemented by every `async fn(Event) -> Result<impl IntoReply>`.
pub trait Handler: Send + Sync + 'static {
    /// Handles the event.
    fn call(&self, event: Event) -> BoxFuture<'static, Result<Value, Error>>;
}

impl<F, Fut, R> Handler for F
where
    F: Fn(Event) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Error>> + Send + 'static,
    R: IntoReply,
{
    fn call(&self, event: Event) -> BoxFuture<'static, Result<Value, Error>> {
        let work = self(event);
        Box::pin(async move { work.await?.into_reply() })
    }
}

/// What a handler may return. The leak guard looks at it before anybody else does.
pub trait IntoReply {
    /// The reply as JSON.
    ///
    /// # Errors
    /// If it doesn't serialise.
    fn into_reply(self) -> Result<Value, Error>;
}

/// A serialisable reply.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoReply for Json<T> {
    fn into_reply(self) -> Result<Value, Error> {
        serde_json::to_value(self.0).map_err(|_| Error::msg("the reply doesn't serialise to JSON"))
    }
}

impl IntoReply for () {
    fn into_reply(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }
}

impl IntoReply for Value {
    fn into_reply(self) -> Result<Value, Error> {
        Ok(self)
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Result<Value, Error> {
        Ok(Value::String(self))
    }
}

impl IntoReply for &str {
    fn into_reply(self) -> Result<Value, Error> {
        Ok(Value::String(self.to_owned()))
    }
}
