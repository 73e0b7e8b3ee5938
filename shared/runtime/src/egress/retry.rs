//! When a request is repeated: 429 and 503, and connections that failed, if repeating is safe and time is left.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Attempts in all.
pub(super) const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// What to do after an answer that asks for patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Wait, then try again.
    Wait(Duration),
    /// The server's own word lies behind the deadline.
    TooLate(Duration),
    /// Hand the answer to the caller.
    GiveUp,
}

/// Whether a method may be repeated without harm, or the caller made it so.
pub(super) fn is_repeatable(method: &str, idempotency_key: Option<&str>) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS") || idempotency_key.is_some()
}

/// Decides after a status of 429 or 503. `attempt` counts from 1.
pub(super) fn after_answer(headers: &HeaderMap, attempt: u32, left: Duration) -> Pause {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
    let pause = asked.unwrap_or_else(|| backoff(attempt));
    if left <= pause {
        return match asked {
            Some(after) => Pause::TooLate(after),
            None => Pause::GiveUp,
        };
    }
    match attempt < ATTEMPTS {
        true => Pause::Wait(pause),
        false => Pause::GiveUp,
    }
}

/// Full jitter over an exponential bound.
pub(super) fn backoff(attempt: u32) -> Duration {
    let bound = LONGEST_PAUSE.min(FIRST_PAUSE * 2u32.saturating_pow(attempt.saturating_sub(1)));
    let random = u32::from_be_bytes(undertone_core::random_bytes());
    bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Seconds or an HTTP date (RFC 9110, 10.2.3). Garbage, a date in the past and nonsense are no word at all.
fn retry_after(text: &str) -> Option<Duration> {
    let longest = Duration::from_secs(30 * 24 * 60 * 60);
    let after = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text.trim()).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    (after <= longest).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(retry_after: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        headers
    }

    #[test]
    fn retry_after_is_honoured_within_the_deadline_and_garbage_is_not_believed() {
        let second = Duration::from_secs(1);
        for (header, left, want) in [
            ("1", 10 * second, Some(Pause::Wait(second))),
            ("0", 10 * second, Some(Pause::Wait(Duration::ZERO))),
            ("120", 10 * second, Some(Pause::TooLate(120 * second))),
            ("-1", 10 * second, None),
            ("1000000000000", 10 * second, None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 10 * second, None),
            ("soon", 10 * second, None),
        ] {
            let got = after_answer(&with(header), 1, left);
            match want {
                Some(want) => assert_eq!(got, want, "{header}"),
                None => assert!(matches!(got, Pause::Wait(own) if own <= FIRST_PAUSE), "{header}: {got:?}"),
            }
        }
        assert_eq!(after_answer(&with("1"), ATTEMPTS, 10 * second), Pause::GiveUp);
        assert_eq!(after_answer(&HeaderMap::new(), 1, Duration::ZERO), Pause::GiveUp);
    }

    #[test]
    fn only_what_can_be_repeated_without_harm_is() {
        for (method, key, repeatable) in [
            ("GET", None, true),
            ("PUT", None, true),
            ("POST", None, false),
            ("PATCH", None, false),
            ("POST", Some("k"), true),
        ] {
            assert_eq!(is_repeatable(method, key), repeatable, "{method}");
        }
    }
}
