//! Building a request. Nothing is opened here: a sink only remembers which handle goes where.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde::Serialize;
use serde_json::Value;
use undertone_core::{Secret, Sink};

use super::error::EgressError;
use super::field::FieldValue;
use super::response::Response;
use super::{Http, send};

/// The largest answer that is read unless the request says otherwise, in bytes.
const LARGEST_ANSWER: usize = 10 * 1024 * 1024;

/// A request under construction. `send` (or `await`) carries it out.
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'s> {
    pub(super) http: Http,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) injections: Vec<Injection<'s>>,
    pub(super) idempotency_key: Option<String>,
    pub(super) redirects: u8,
    pub(super) largest_answer: usize,
    pub(super) problem: Option<EgressError>,
}

/// A secret and the place where it goes.
pub(super) struct Injection<'s> {
    pub(super) secret: &'s Secret,
    pub(super) place: Place,
}

/// The place, with what it needs beside the value.
pub(super) enum Place {
    Bearer,
    Basic { user: String },
    Header { name: String },
    HeaderTemplate { name: String, before: String, after: String },
    Query { name: String },
    JsonField { pointer: String },
}

impl Place {
    pub(super) fn sink(&self) -> Sink {
        match self {
            Place::Bearer => Sink::Bearer,
            Place::Basic { .. } => Sink::Basic,
            Place::Header { .. } => Sink::Header,
            Place::HeaderTemplate { .. } => Sink::HeaderTemplate,
            Place::Query { .. } => Sink::Query,
            Place::JsonField { .. } => Sink::JsonField,
        }
    }
}

impl<'s> Request<'s> {
    pub(super) fn new(http: Http, method: &str, url: &str) -> Self {
        Self {
            http,
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            query: Vec::new(),
            body: None,
            injections: Vec::new(),
            idempotency_key: None,
            redirects: 0,
            largest_answer: LARGEST_ANSWER,
            problem: None,
        }
    }

    /// Sink: `Authorization: Bearer <secret>`.
    pub fn bearer<'n>(self, token: &'n Secret) -> Request<'n>
    where
        's: 'n,
    {
        self.inject(token, Place::Bearer)
    }

    /// Sink: basic authentication with the secret as password.
    pub fn basic<'n>(self, user: &str, password: &'n Secret) -> Request<'n>
    where
        's: 'n,
    {
        self.inject(password, Place::Basic { user: user.to_owned() })
    }

    /// A header: plain text, or (sink) a secret as its whole value.
    pub fn header<'n>(mut self, name: &str, value: impl Into<FieldValue<'n>>) -> Request<'n>
    where
        's: 'n,
    {
        match value.into() {
            FieldValue::Plain(text) => {
                self.headers.push((name.to_owned(), text));
                self
            }
            FieldValue::Secret(secret) => self.inject(secret, Place::Header { name: name.to_owned() }),
        }
    }

    /// Sink: a header with the secret in the place of the template's one `{}`, as in `"Token {}"`.
    pub fn header_template<'n>(mut self, name: &str, template: &str, secret: &'n Secret) -> Request<'n>
    where
        's: 'n,
    {
        let Some((before, after)) = template.split_once("{}").filter(|(_, after)| !after.contains("{}"))
        else {
            self.problem.get_or_insert(EgressError::BadTemplate);
            return self;
        };
        let (before, after) = (before.to_owned(), after.to_owned());
        self.inject(secret, Place::HeaderTemplate { name: name.to_owned(), before, after })
    }

    /// A query field: plain text, or (sink) a secret.
    pub fn query<'n>(mut self, name: &str, value: impl Into<FieldValue<'n>>) -> Request<'n>
    where
        's: 'n,
    {
        match value.into() {
            FieldValue::Plain(text) => {
                self.query.push((name.to_owned(), text));
                self
            }
            FieldValue::Secret(secret) => self.inject(secret, Place::Query { name: name.to_owned() }),
        }
    }

    /// A JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(body) => self.body = Some(body),
            Err(_) => {
                self.problem.get_or_insert(EgressError::BadBody("it doesn't serialise to JSON"));
            }
        }
        self
    }

    /// Sink: the secret as a string in the JSON body, at a top-level field (`"token"`) or at a JSON
    /// pointer (`"/auth/token"`) whose parent exists.
    pub fn json_field<'n>(self, pointer: &str, secret: &'n Secret) -> Request<'n>
    where
        's: 'n,
    {
        let pointer = match pointer.strip_prefix('/') {
            Some(_) => pointer.to_owned(),
            None => format!("/{}", pointer.replace('~', "~0").replace('/', "~1")),
        };
        self.inject(secret, Place::JsonField { pointer })
    }

    /// Sends `Idempotency-Key`, which also allows that a POST or PATCH is repeated.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }

    /// Follows at most this many redirects (0 if never called, at most 10). A hop to another origin drops
    /// every secret, every header and the body.
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.redirects = most.min(10);
        self
    }

    /// The largest answer that is read, in bytes (10 MiB if never called).
    pub fn largest_answer(mut self, bytes: usize) -> Self {
        self.largest_answer = bytes;
        self
    }

    /// Carries the request out.
    ///
    /// # Errors
    /// See [`EgressError`]. A status that isn't 2xx is no error: see [`Response::error_for_status`].
    pub async fn send(self) -> Result<Response, EgressError> {
        send::send(&self).await
    }

    fn inject<'n>(self, secret: &'n Secret, place: Place) -> Request<'n>
    where
        's: 'n,
    {
        let mut request: Request<'n> = self;
        request.injections.push(Injection { secret, place });
        request
    }
}

impl<'s> IntoFuture for Request<'s> {
    type Output = Result<Response, EgressError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 's>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
