//! Rules of use and expiry, as options.

use std::str::FromStr;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use undertone_core::{HostRule, Method, Reveal, Rules, Sink};

#[derive(Args)]
pub(crate) struct RuleArgs {
    /// May be sent to this host: slack.com, *.slack.com, api.example.com:8443. Repeatable
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostRule>,
    /// May be sent with this method. Repeatable; without it, with every method
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<Method>,
    /// May leave through this sink: bearer, basic, header, header_template, query, json_field. Repeatable
    #[arg(long = "sink", value_name = "SINK")]
    sinks: Vec<Sink>,
    /// Code may read the value itself; every read is audited
    #[arg(long)]
    reveal: bool,
}

impl RuleArgs {
    pub(crate) fn rules(&self) -> Rules {
        fn set<T: Ord + Clone>(values: &[T]) -> Option<std::collections::BTreeSet<T>> {
            (!values.is_empty()).then(|| values.iter().cloned().collect())
        }
        Rules {
            hosts: set(&self.hosts),
            methods: set(&self.methods),
            sinks: set(&self.sinks),
            reveal: if self.reveal { Reveal::Allowed } else { Reveal::Refused },
        }
    }
}

/// When a value expires: a time, or a while from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    At(Timestamp),
    After(SignedDuration),
}

/// The text says no time.
#[derive(Debug, thiserror::Error)]
#[error("a time is RFC 3339 such as 2031-01-31T12:00:00Z, or a while such as 90m, 12h, 30d, 8w")]
pub(crate) struct ExpiryError;

impl Expiry {
    /// `None` if the time is beyond what a timestamp can say.
    pub(crate) fn from(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Expiry::At(at) => Some(at),
            Expiry::After(duration) => now.checked_add(duration).ok(),
        }
    }
}

impl FromStr for Expiry {
    type Err = ExpiryError;
    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Expiry::At(at));
        }
        let unit = text.chars().next_back().ok_or(ExpiryError)?;
        let seconds: i64 = match unit {
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            'w' => 7 * 24 * 60 * 60,
            _ => return Err(ExpiryError),
        };
        let count = &text[..text.len() - 1];
        if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ExpiryError);
        }
        let count: i64 = count.parse().map_err(|_| ExpiryError)?;
        count.checked_mul(seconds).map(|all| Expiry::After(SignedDuration::from_secs(all))).ok_or(ExpiryError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_a_while() {
        let after = |seconds| Some(Expiry::After(SignedDuration::from_secs(seconds)));
        for (text, want) in [
            ("90m", after(5_400)),
            ("12h", after(43_200)),
            ("30d", after(2_592_000)),
            ("8w", after(4_838_400)),
            ("2031-01-31T12:00:00Z", "2031-01-31T12:00:00Z".parse().ok().map(Expiry::At)),
            ("", None),
            ("d", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("30", None),
            ("30s ", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
            ("tomorrow", None),
            ("3ö", None),
        ] {
            assert_eq!(text.parse::<Expiry>().ok(), want, "{text:?}");
        }
    }

    #[test]
    fn a_while_beyond_time_is_no_time() {
        let far: Expiry = "99999999999d".parse().unwrap();
        assert_eq!(far.from(Timestamp::now()), None);
    }
}
