//! JSON 1.1 as AWS speaks it: what a request holds, what an answer is, who called when.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The content type of both directions.
pub(super) const JSON: &str = "application/x-amz-json-1.1";

/// What a fake is made to answer instead of the truth.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The operation is performed; one member of its answer is replaced, or added.
    With {
        /// Which.
        member: &'static str,
        /// By what.
        value: Value,
    },
    /// The operation is performed; one member of its answer is left out.
    Without(&'static str),
    /// The operation is not performed.
    Raw {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
}

impl Answer {
    /// The true answer with another plaintext.
    pub fn plaintext(bytes: &[u8]) -> Self {
        Self::With { member: "Plaintext", value: blob(bytes) }
    }

    /// The true answer with another key.
    pub fn key_id(key: &str) -> Self {
        Self::With { member: "KeyId", value: json!(key) }
    }

    /// Any answer at all.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Raw { status, content_type: content_type.to_owned(), body: body.into() }
    }

    /// An error of the service, with status 400.
    pub fn refusal(kind: &'static str) -> Self {
        let Reply { status, content_type, body } = Refusal::new(kind, "the test says so").into();
        Self::Raw { status, content_type, body }
    }
}

/// One request that a service got, whatever it answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `Decrypt`.
    pub operation: String,
    /// When it had arrived.
    pub at: Instant,
    /// Its members; of values and ciphertexts only how long they are.
    pub request: Value,
}

/// What came to a service, and what it is made to answer next.
#[derive(Default)]
pub(super) struct Traffic {
    calls: Mutex<Vec<Call>>,
    next: Mutex<HashMap<String, VecDeque<Answer>>>,
}

impl Traffic {
    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub(super) fn calls_of(&self, operation: &str) -> usize {
        lock(&self.calls).iter().filter(|call| call.operation == operation).count()
    }

    pub(super) fn reset(&self) {
        lock(&self.calls).clear();
    }

    pub(super) fn answer_next(&self, operation: &str, answer: Answer) {
        lock(&self.next).entry(operation.to_owned()).or_default().push_back(answer);
    }

    fn scripted(&self, operation: &str) -> Option<Answer> {
        lock(&self.next).get_mut(operation)?.pop_front()
    }

    fn record(&self, operation: &str, members: &Map<String, Value>) {
        let shown = members.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
        let call =
            Call { operation: operation.to_owned(), at: Instant::now(), request: Value::Object(shown) };
        lock(&self.calls).push(call);
    }
}

fn shown(member: &str, value: &Value) -> Value {
    match (member, value) {
        ("Plaintext" | "CiphertextBlob" | "SecretString" | "SecretBinary", Value::String(text)) => {
            json!(format!("{} characters", text.len()))
        }
        _ => value.clone(),
    }
}

/// One of the two.
pub(super) trait Service {
    fn traffic(&self) -> &Traffic;

    fn perform(&self, operation: &str, input: Input) -> Result<Value, Refusal>;
}

pub(super) fn serve(service: &dyn Service, operation: &str, body: &[u8]) -> Result<Reply, Refusal> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err(Refusal::new("SerializationException", ""));
    };
    service.traffic().record(operation, &members);
    let scripted = service.traffic().scripted(operation);
    if let Some(Answer::Raw { status, content_type, body }) = scripted {
        return Ok(Reply { status, content_type, body });
    }
    let mut output = service.perform(operation, Input { members })?;
    match scripted {
        None => {}
        Some(Answer::With { member, value }) => output[member] = value,
        Some(Answer::Without(member)) => {
            output.as_object_mut().and_then(|members| members.remove(member));
        }
        Some(Answer::Raw { .. }) => unreachable!("it was answered above"),
    }
    // Operations that say nothing answer with no body at all.
    let body = if output.is_null() { Vec::new() } else { output.to_string().into_bytes() };
    Ok(Reply { status: 200, content_type: JSON.to_owned(), body })
}

/// What goes back to the caller.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// An error as the services name it. All of theirs that are modelled here have status 400.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(super) fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "")
    }

    pub(super) fn access_denied(operation: &str) -> Self {
        let message = format!("User: arn:aws:iam::test is not authorized to perform: {operation}");
        Self::new("AccessDeniedException", message)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        // The real services spell it both ways.
        let message = match refusal.kind {
            "AccessDeniedException" | "ResourceNotFoundException" | "ResourceExistsException" => "Message",
            "InvalidRequestException" | "InvalidParameterException" => "Message",
            _ => "message",
        };
        let body = json!({ "__type": refusal.kind, message: refusal.message });
        Self { status: 400, content_type: JSON.to_owned(), body: body.to_string().into_bytes() }
    }
}

/// The members of a request. Each is taken once; what is left at the end is refused.
pub(super) struct Input {
    members: Map<String, Value>,
}

impl Input {
    pub(super) fn new(members: Value) -> Self {
        match members {
            Value::Object(members) => Self { members },
            _ => panic!("a request is an object"),
        }
    }

    /// Looks at a map of text without taking it.
    pub(super) fn peek_map(&self, name: &str) -> BTreeMap<&str, &str> {
        let pairs = self.members.get(name).and_then(Value::as_object).into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    /// Looks at a text without taking it.
    pub(super) fn peek_text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(mistyped(name)),
        }
    }

    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| constraint(name, "Member must not be null"))
    }

    /// A text that must be within these lengths if it is there.
    pub(super) fn sized(&mut self, name: &str, least: usize, most: usize) -> Result<Option<String>, Refusal> {
        let text = self.text(name)?;
        text.map(|text| within(name, text.len(), least, most).map(|()| text)).transpose()
    }

    /// Bytes that must be within these lengths if they are there.
    pub(super) fn blob(&mut self, name: &str, least: usize, most: usize) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let bytes = STANDARD.decode(text).map_err(|_| mistyped(name))?;
        within(name, bytes.len(), least, most)?;
        Ok(Some(bytes))
    }

    pub(super) fn required_blob(&mut self, name: &str, most: usize) -> Result<Vec<u8>, Refusal> {
        self.blob(name, 1, most)?.ok_or_else(|| constraint(name, "Member must not be null"))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = |value: Value| value.as_i64().ok_or_else(|| mistyped(name));
        self.take(name).map(number).transpose()
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        self.take(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| mistyped(name)))
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let text = |value: Value| value.as_str().map(str::to_owned).ok_or_else(|| mistyped(name));
        self.list(name)?.map(|list| list.into_iter().map(text).collect()).transpose()
    }

    /// A list of structures, each to be taken apart like a request.
    pub(super) fn inputs(&mut self, name: &str) -> Result<Vec<Self>, Refusal> {
        let input = |value: Value| match value {
            Value::Object(members) => Ok(Self { members }),
            _ => Err(mistyped(name)),
        };
        self.list(name)?.unwrap_or_default().into_iter().map(input).collect()
    }

    /// Keys with texts, in the order of the keys.
    pub(super) fn map(&mut self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let pairs = match self.take(name) {
            None => return Ok(BTreeMap::new()),
            Some(Value::Object(pairs)) => pairs,
            Some(_) => return Err(mistyped(name)),
        };
        let pair = |(key, value): (String, Value)| match value {
            Value::String(value) => Ok((key, value)),
            _ => Err(mistyped(name)),
        };
        pairs.into_iter().map(pair).collect()
    }

    /// To be called before anything is changed.
    pub(super) fn nothing_else(self) -> Result<(), Refusal> {
        // AWS ignores what it doesn't know; here a rule that is asked for and not kept would go unnoticed.
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::validation(format!("the fake does not know the member '{name}'"))),
        }
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(mistyped(name)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }
}

pub(super) fn within(name: &str, length: usize, least: usize, most: usize) -> Result<(), Refusal> {
    if length < least {
        return Err(constraint(name, &format!("Member must have length greater than or equal to {least}")));
    }
    if most < length {
        return Err(constraint(name, &format!("Member must have length less than or equal to {most}")));
    }
    Ok(())
}

pub(super) fn constraint(name: &str, rule: &str) -> Refusal {
    let name = format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..]);
    let message =
        format!("1 validation error detected: Value at '{name}' failed to satisfy constraint: {rule}");
    Refusal::validation(message)
}

fn mistyped(name: &str) -> Refusal {
    Refusal::new("SerializationException", format!("{name} is of another type"))
}

/// Bytes as JSON 1.1 has them.
pub(super) fn blob(bytes: &[u8]) -> Value {
    json!(STANDARD.encode(bytes))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics with this lock")
}
