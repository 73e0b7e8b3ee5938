//! Carrying a request out: attempts, hops, and for each the one order of checks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::LOCATION;
use serde_json::Value;
use undertone_core::audit::Outcome;
use undertone_core::redact::Guard;
use undertone_core::{Destination, Mode, Revealed, Secret, Sink, Transport, UseError, disclose};
use url::Url;

use super::address::Reach;
use super::body::{Wire, inject, plain_headers};
use super::error::EgressError;
use super::request::{Injection, Place, Request};
use super::response::Response;
use super::retry::{ATTEMPTS, Pause, after_answer, backoff, is_repeatable};
use super::target::Target;
use super::transport::OutOfReach;

/// The longest that one request may take when the deadline is far away.
const LONGEST: Duration = Duration::from_secs(60);

/// How long before its handler a request ends at most.
const LONGEST_HEARING: Duration = Duration::from_millis(250);

/// Why a row of audit says that an address was refused.
const ADDRESS: &str = "address_not_allowed";

/// One hop: what is asked of one origin.
struct Hop<'r, 's> {
    method: undertone_core::Method,
    target: Target,
    headers: HeaderMap,
    body: Option<&'r Value>,
    injections: &'r [Injection<'s>],
    with_body: bool,
}

pub(super) async fn send(request: &Request<'_>) -> Result<Response, EgressError> {
    if let Some(problem) = &request.problem {
        return Err(problem.clone());
    }
    let method: undertone_core::Method =
        request.method.parse().map_err(|_| EgressError::BadBody("its method isn't one"))?;
    if matches!(method.as_str(), "TRACE" | "CONNECT") {
        // One echoes credentials, by its definition; the other is for proxies.
        return Err(EgressError::BadBody("TRACE and CONNECT aren't sent"));
    }
    let mut target = Target::parse(&request.url)?;
    for (name, value) in &request.query {
        target.url.query_pairs_mut().append_pair(name, value);
    }
    let mut headers = plain_headers(&request.headers)?;
    if let Some(key) = &request.idempotency_key {
        headers.extend(plain_headers(&[("idempotency-key".to_owned(), key.clone())])?);
    }
    let mut hop = Hop {
        method,
        target,
        headers,
        body: request.body.as_ref(),
        injections: &request.injections,
        with_body: true,
    };
    let deadline = end_by(request.http.attempt.deadline);
    let mut redirects = request.redirects;
    loop {
        let answer = attempts(request, &hop, deadline).await?;
        let next = match redirects {
            0 => None,
            _ => next_hop(request, &hop, &answer)?,
        };
        match next {
            Some(next) => {
                hop = next;
                redirects -= 1;
            }
            None => {
                let (method, host) = (hop.method.as_str(), &hop.target.to.to_string());
                let attempt = request.http.attempt.clone();
                return Response::read(answer, method, host, request.largest_answer, deadline, attempt).await;
            }
        }
    }
}

/// A request ends a little before its handler has to, which so hears how it ended: whether it may
/// have been carried out, above all.
fn end_by(deadline: Instant) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    let hearing = LONGEST_HEARING.min(left / 10);
    now + LONGEST.min(left - hearing)
}

async fn attempts(
    request: &Request<'_>,
    hop: &Hop<'_, '_>,
    deadline: Instant,
) -> Result<reqwest::Response, EgressError> {
    let repeatable = is_repeatable(hop.method.as_str(), request.idempotency_key.as_deref());
    let mut attempt = 1;
    loop {
        let result = once(request, hop, deadline).await;
        let left = deadline.saturating_duration_since(Instant::now());
        let pause = match &result {
            Ok(answer) if repeatable && matches!(answer.status().as_u16(), 429 | 503) => {
                match after_answer(answer.headers(), attempt, left) {
                    Pause::Wait(pause) => pause,
                    Pause::GiveUp => return result,
                    Pause::TooLate(after) => {
                        return Err(EgressError::RetryLater {
                            method: hop.method.to_string(),
                            host: hop.target.to.to_string(),
                            status: answer.status().as_u16(),
                            after,
                        });
                    }
                }
            }
            Err(EgressError::Connect { .. }) if repeatable && attempt < ATTEMPTS => {
                backoff(attempt).min(left)
            }
            _ => return result,
        };
        drop(result);
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}

/// One request on one connection. Everything that may refuse it does so before any value is opened, but
/// for a value that turns out not to fit its place.
async fn once(
    request: &Request<'_>,
    hop: &Hop<'_, '_>,
    deadline: Instant,
) -> Result<reqwest::Response, EgressError> {
    let (method, host) = (hop.method.to_string(), hop.target.to.to_string());
    let attempt = &request.http.attempt;
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(EgressError::Deadline { method, host });
    }
    let to = Destination {
        method: hop.method.clone(),
        to: hop.target.to.clone(),
        transport: hop.target.transport,
    };
    let uses: Vec<(&Secret, Sink)> =
        hop.injections.iter().map(|injection| (injection.secret, injection.place.sink())).collect();
    let reach = match reach(&hop.target, attempt.mode) {
        Ok(reach) => reach,
        Err((reason, error)) => {
            attempt.ledger.record(&uses, &to, Outcome::Refused(reason.to_owned())).await?;
            return Err(error);
        }
    };
    if let Some((secret, _)) = uses.iter().find(|(secret, _)| !attempt.owns(secret)) {
        return Err(UseError::NotOfThisEvent { name: secret.name().clone() }.into());
    }
    let body = hop.body.filter(|_| hop.with_body);
    if let Some((name, place)) = plain_secret(&attempt.sealed_guards(), hop, body) {
        attempt.ledger.leak(&name, place, &to).await?;
        return Err(EgressError::SecretInRequest { method, host, name, place });
    }
    let Some(client) = attempt.clients.get(reach) else {
        return Err(EgressError::Connect { method, host, problem: "TLS can't be set up" });
    };
    let values: Vec<Revealed> = disclose(&uses, &to).await?;
    let wire = inject(hop.target.url.clone(), hop.headers.clone(), body, hop.injections, &values);
    drop(values);
    let Wire { url, headers, body } = match wire {
        Ok(wire) => wire,
        Err(error) => {
            // The value doesn't fit its place, which shows only once it is open; no byte has left.
            attempt.ledger.record(&uses, &to, Outcome::Failed("not_sent".to_owned())).await?;
            return Err(error);
        }
    };
    let http_method =
        reqwest::Method::from_bytes(hop.method.as_str().as_bytes()).expect("letters are a method");
    let mut builder = client.request(http_method, url).headers(headers).timeout(left);
    if let Some(body) = body {
        builder = builder.body(body);
    }
    let answer = builder.send().await.map_err(|error| classify(&error, method, host));
    if let Err(EgressError::AddressNotAllowed { .. }) = &answer {
        // The name was looked up after its uses were allowed; no byte has left.
        attempt.ledger.record(&uses, &to, Outcome::Failed(ADDRESS.to_owned())).await?;
    }
    answer
}

/// A value in a part of the request that is no sink: some server gave it to the code.
fn plain_secret(
    guards: &[Arc<Guard>],
    hop: &Hop<'_, '_>,
    body: Option<&Value>,
) -> Option<(String, &'static str)> {
    let beside = |place: &Place| match place {
        Place::Basic { user } => user.clone(),
        Place::HeaderTemplate { before, after, .. } => format!("{before} {after}"),
        Place::Bearer | Place::Header { .. } | Place::Query { .. } | Place::JsonField { .. } => String::new(),
    };
    guards.iter().find_map(|guard| {
        let holds = |bytes: &[u8]| guard.find(bytes).map(|found| found.name.to_owned());
        let in_url = || holds(hop.target.url.as_str().as_bytes()).map(|name| (name, "address"));
        let in_headers = || {
            let plain = hop.headers.values().find_map(|value| holds(value.as_bytes()));
            let beside = || hop.injections.iter().find_map(|i| holds(beside(&i.place).as_bytes()));
            plain.or_else(beside).map(|name| (name, "headers"))
        };
        let in_body = || {
            let found = body.and_then(|body| guard.find_in_json(body));
            found.map(|found| (found.name.to_owned(), "body"))
        };
        in_url().or_else(in_headers).or_else(in_body)
    })
}

/// The address guard for hosts written as addresses; names are vetted when they are resolved.
/// A refusal comes with its reason for the row of audit.
fn reach(target: &Target, mode: Mode) -> Result<Reach, (&'static str, EgressError)> {
    let host = || target.to.to_string();
    let reach = match (mode, target.is_loopback()) {
        (Mode::Development, true) => Reach::Loopback,
        (Mode::Development, false) | (Mode::Standard, _) => Reach::Public,
    };
    if target.transport == Transport::PlainLoopback && reach != Reach::Loopback {
        return Err(("plain_http", EgressError::PlainHttp { host: host() }));
    }
    if target.literal.is_some_and(|address| !reach.allows(address))
        || (reach == Reach::Public && target.is_loopback())
    {
        return Err((ADDRESS, EgressError::AddressNotAllowed { host: host() }));
    }
    Ok(reach)
}

/// The hop after a redirect, if it is one that may be followed.
fn next_hop<'r, 's>(
    request: &Request<'s>,
    hop: &Hop<'r, 's>,
    answer: &reqwest::Response,
) -> Result<Option<Hop<'r, 's>>, EgressError> {
    let Some(location) = answer.headers().get(LOCATION) else {
        return Ok(None);
    };
    let status = answer.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let (method, host) = (hop.method.to_string(), hop.target.to.to_string());
    let bad = |problem| EgressError::BadAnswer { method: method.clone(), host: host.clone(), problem };
    let location = location.to_str().map_err(|_| bad("it redirects to something that is no URL"))?;
    if request.http.attempt.guards().iter().any(|guard| guard.find(location.as_bytes()).is_some()) {
        return Err(EgressError::SecretInRedirect { method, host });
    }
    let url: Url =
        hop.target.url.join(location).map_err(|_| bad("it redirects to something that is no URL"))?;
    let target = Target::from_url(url, None)?;
    let same_origin = target.url.origin() == hop.target.url.origin();
    let keeps_body = matches!(status, 307 | 308);
    if !same_origin
        && keeps_body
        && (hop.body.is_some() || !hop.injections.is_empty())
        && !matches!(method.as_str(), "GET" | "HEAD")
    {
        // The body was meant for the first origin only.
        return Ok(None);
    }
    let is_safe = matches!(method.as_str(), "GET" | "HEAD");
    let with_body = hop.with_body && (keeps_body || is_safe);
    let next_method = match keeps_body || is_safe {
        true => hop.method.clone(),
        false => "GET".parse().expect("GET is a method"),
    };
    let next = match same_origin {
        true if with_body || !hop.injections.iter().any(|i| matches!(i.place.sink(), Sink::JsonField)) => {
            Hop {
                method: next_method,
                target,
                headers: hop.headers.clone(),
                body: hop.body,
                injections: hop.injections,
                with_body,
            }
        }
        // Another origin, or a body that is dropped with a secret in it: nothing of the caller's goes along.
        _ => Hop {
            method: next_method,
            target,
            headers: HeaderMap::new(),
            body: None,
            injections: &[],
            with_body: false,
        },
    };
    Ok(Some(next))
}

/// Sorts a transport error. Its text is never used: it quotes the URL.
fn classify(error: &reqwest::Error, method: String, host: String) -> EgressError {
    if has_source::<OutOfReach>(error) {
        return EgressError::AddressNotAllowed { host };
    }
    if error.is_connect() {
        let problem = match error.is_timeout() {
            true => "no connection in time",
            false => "name, address or certificate",
        };
        return EgressError::Connect { method, host, problem };
    }
    if error.is_timeout() || error.is_request() || error.is_body() {
        return EgressError::Ambiguous { method, host };
    }
    EgressError::BadAnswer { method, host, problem: "the answer isn't HTTP" }
}

fn has_source<E: std::error::Error + 'static>(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<E>() {
            return true;
        }
        source = inner.source();
    }
    false
}
