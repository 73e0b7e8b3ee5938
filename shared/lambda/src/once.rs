//! One event, handled once: claimed, dispatched, and its report kept for the next time it comes.
//!
//! Whoever can't find out whether an event was handled before doesn't handle it. What failed is
//! given up, so that the next delivery is handled at once, by all its handlers: one that succeeded
//! runs again.

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::timeout_at;
use undertone_core::Idempotency;
use undertone_core::idempotency::{ClaimId, Claimed, IdempotencyError, IdempotencyKey, KEPT};
use undertone_runtime::{EventData, Runtime};

use crate::error::LambdaError;
use crate::time::Time;
use crate::wire;

/// What became of an event that was handled.
#[derive(Debug)]
pub(crate) struct Handled {
    /// The report, as JSON.
    pub(crate) report: Value,
    /// Whether it is an earlier delivery's, and no handler ran for this one.
    pub(crate) replayed: bool,
}

/// Handles an event, or replays what became of it. `now` is read when the claim is made and again
/// when the report is kept.
pub(crate) async fn once(
    runtime: &Runtime,
    claims: Option<&dyn Idempotency>,
    now: impl Fn() -> Timestamp,
    event: &EventData,
    time: &Time,
) -> Result<Handled, LambdaError> {
    let Some(claims) = claims else {
        return Ok(Handled { report: dispatch(runtime, event, time).await?, replayed: false });
    };
    let (key, claim) = (event.idempotency_key(runtime.agent()), ClaimId::random());
    let name = || event.id().to_owned();
    let claimed = timeout_at(time.work_until, claims.claim(&key, claim, now(), time.ends)).await;
    let claimed = claimed.map_err(|_| LambdaError::NoTime { event: name() })?;
    match claimed.map_err(|error| LambdaError::Claims { event: name(), error })? {
        Claimed::Yours => {}
        Claimed::Done(report) => {
            let damaged = |_| IdempotencyError("the answer that was kept is damaged".to_owned());
            let report = serde_json::from_str(&report).map_err(damaged);
            let report = report.map_err(|error| LambdaError::Claims { event: name(), error })?;
            return Ok(Handled { report, replayed: true });
        }
        Claimed::Taken { until } => return Err(LambdaError::BeingHandled { event: name(), until }),
        Claimed::OtherEvent => return Err(LambdaError::OtherEvent { event: name() }),
    }
    let result = dispatch(runtime, event, time).await;
    settle(claims, &key, claim, &result, now(), time).await;
    Ok(Handled { report: result?, replayed: false })
}

async fn dispatch(runtime: &Runtime, event: &EventData, time: &Time) -> Result<Value, LambdaError> {
    let name = || event.id().to_owned();
    // Handlers end by themselves; reading the scope before them may not.
    let report = timeout_at(time.wait_until, runtime.dispatch(event, time.left())).await;
    let report = report.map_err(|_| LambdaError::NoTime { event: name() })?;
    let report = report.map_err(|error| LambdaError::Scope { event: name(), error })?;
    let json = report.to_json(runtime.agent());
    match report.is_success() {
        true => Ok(json),
        false => Err(LambdaError::Handlers { report: json }),
    }
}

/// The event is handled or not whatever becomes of this: a claim that can't be settled lapses at
/// the invocation's deadline.
async fn settle(
    claims: &dyn Idempotency,
    key: &IdempotencyKey,
    claim: ClaimId,
    result: &Result<Value, LambdaError>,
    now: Timestamp,
    time: &Time,
) {
    let settled = async {
        match result {
            Ok(report) => claims.finish(key, claim, &wire::kept(report), now + KEPT).await,
            Err(_) => claims.give_up(key, claim).await,
        }
    };
    match timeout_at(time.settle_until, settled).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(event = key.event, %error, "the event's claim isn't settled"),
        Err(_) => tracing::warn!(event = key.event, "the event's claim isn't settled: no time was left"),
    }
}
