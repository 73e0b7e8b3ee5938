//! Why a listener isn't served, or an invocation isn't answered with success. What these say may leave the process.

use std::fmt;
use std::io;

use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use undertone_core::ResolveError;
use undertone_core::idempotency::IdempotencyError;
use undertone_runtime::{EventError, log};

use crate::wire;

/// See the module.
#[derive(thiserror::Error)]
pub enum LambdaError {
    /// This process wasn't started by Lambda.
    #[error(
        "`{0}` isn't set or is no number: on Lambda it is; elsewhere something must play its runtime API"
    )]
    NotOnLambda(&'static str),
    /// The process can't be told to stop.
    #[error("signals can't be received: {}", .0.kind())]
    Signals(io::Error),
    /// Lambda is gone.
    #[error("the runtime API can't be used any more: the log says why")]
    RuntimeApi,
    /// What came is no event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// An event of EventBridge without an event of ours in it.
    #[error(
        "the detail of the EventBridge event has no `topic`: put an Undertone event there, or let the rule's \
         input transformer (a schedule's input) make one"
    )]
    NoTopicInDetail,
    /// A message of SNS that is still wrapped.
    #[error("the message is wrapped by SNS: switch on raw message delivery for the queue's subscription")]
    WrappedBySns,
    /// A batch of something else than SQS.
    #[error(
        "the records aren't those of SQS, and no other batch is served: let EventBridge make events of them"
    )]
    OtherRecords,
    /// A record that couldn't be named in the answer.
    #[error("a record of the batch has no messageId, so it can't be given back alone: the whole batch is")]
    NoMessageId,
    /// A request that nobody has authorised.
    #[error(
        "nobody has checked who sends this: set the AuthType of the function URL to AWS_IAM, or give the API an authorizer"
    )]
    Anonymous,
    /// A request through a load balancer.
    #[error(
        "requests through a load balancer aren't served: use a function URL with AWS_IAM, or an API with an authorizer"
    )]
    LoadBalancer,
    /// A request that sends nothing.
    #[error("send an event with POST")]
    Method,
    /// A request whose body can't be decoded.
    #[error("the body isn't base64, though the request says so")]
    NotBase64,
    /// Handlers failed; the report says how.
    #[error("{}", wire::failures(report))]
    Handlers {
        /// What became of each.
        report: Value,
    },
    /// No handler ran: the event's scope can't be read.
    #[error("event `{event}`: {error}")]
    Scope {
        /// Which event.
        event: String,
        /// Why.
        error: ResolveError,
    },
    /// The same event is being handled elsewhere.
    #[error("event `{event}` is being handled by another process, at most until {until:.0}")]
    BeingHandled {
        /// Which event.
        event: String,
        /// When that one's time is over.
        until: Timestamp,
    },
    /// Another event came under the same id.
    #[error("event `{event}`: another event was handled under this id: give each event an id of its own")]
    OtherEvent {
        /// Which event.
        event: String,
    },
    /// Whether the event was handled before isn't known.
    #[error("event `{event}`: {error}")]
    Claims {
        /// Which event.
        event: String,
        /// Why.
        error: IdempotencyError,
    },
    /// It wasn't begun, or its scope wasn't known in time.
    #[error("event `{event}` wasn't handled: too little was left of the invocation's time")]
    NoTime {
        /// Which event.
        event: String,
    },
    /// The process is told to end.
    #[error("the process is ending: deliver the event again")]
    Stopping,
    /// More than Lambda takes back.
    #[error(
        "the handlers are done, but their answer has {0} bytes, more than the {max} that Lambda takes: reply with less",
        max = wire::LARGEST_ANSWER
    )]
    AnswerTooLarge(usize),
    /// A mistake of ours.
    #[error("the runtime panicked: the log says where")]
    Panicked,
}

impl LambdaError {
    /// Whether the same event may succeed a moment later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            LambdaError::Scope { error, .. } => error.is_retryable(),
            LambdaError::BeingHandled { .. }
            | LambdaError::Claims { .. }
            | LambdaError::NoTime { .. }
            | LambdaError::Stopping => true,
            LambdaError::NotOnLambda(_)
            | LambdaError::Signals(_)
            | LambdaError::RuntimeApi
            | LambdaError::Event(_)
            | LambdaError::NoTopicInDetail
            | LambdaError::WrappedBySns
            | LambdaError::OtherRecords
            | LambdaError::NoMessageId
            | LambdaError::Anonymous
            | LambdaError::LoadBalancer
            | LambdaError::Method
            | LambdaError::NotBase64
            | LambdaError::Handlers { .. }
            | LambdaError::OtherEvent { .. }
            | LambdaError::AnswerTooLarge(_)
            | LambdaError::Panicked => false,
        }
    }

    /// A name to sort by: `errorType` in Lambda's answers.
    pub fn kind(&self) -> &'static str {
        match self {
            LambdaError::NotOnLambda(_) | LambdaError::Signals(_) | LambdaError::RuntimeApi => "NotServed",
            LambdaError::Event(_)
            | LambdaError::NoTopicInDetail
            | LambdaError::WrappedBySns
            | LambdaError::OtherRecords
            | LambdaError::NoMessageId
            | LambdaError::Method
            | LambdaError::NotBase64 => "NoEvent",
            LambdaError::Anonymous | LambdaError::LoadBalancer => "Unauthorised",
            LambdaError::Handlers { .. } => "HandlerFailed",
            LambdaError::Scope { error, .. } if error.is_retryable() => "Unavailable",
            LambdaError::Scope { .. } => "ScopeRefused",
            LambdaError::BeingHandled { .. } => "BeingHandled",
            LambdaError::OtherEvent { .. } => "OtherEvent",
            LambdaError::Claims { .. } => "Unavailable",
            LambdaError::NoTime { .. } => "NoTime",
            LambdaError::Stopping => "Stopping",
            LambdaError::AnswerTooLarge(_) => "AnswerTooLarge",
            LambdaError::Panicked => "Panicked",
        }
    }

    /// What it says, with every secret masked.
    pub(crate) fn clean(&self) -> String {
        log::clean(&self.to_string())
    }
}

/// Shows no more than `Display`: lambda_runtime logs the `Debug` form.
impl fmt::Debug for LambdaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind(), self.clean())
    }
}

impl From<LambdaError> for Diagnostic {
    fn from(error: LambdaError) -> Self {
        Diagnostic { error_type: format!("Undertone.{}", error.kind()), error_message: error.clean() }
    }
}
