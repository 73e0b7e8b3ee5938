//! Where a request goes, parsed once by one parser and refused unless it is written canonically.
//!
//! What the rules check, what is connected to and what TLS verifies is the same host: a spelling
//! that two parsers could read differently doesn't get that far.

use std::net::IpAddr;

use undertone_core::{HostPort, Transport};
use url::{Host, Url};

use super::error::EgressError;

/// A URL that may be requested, as far as its spelling goes.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) to: HostPort,
    pub(crate) transport: Transport,
    pub(crate) literal: Option<IpAddr>,
}

impl Target {
    /// Parses a URL.
    pub(crate) fn parse(text: &str) -> Result<Self, EgressError> {
        let url = Url::parse(text).map_err(|_| EgressError::BadUrl("it doesn't parse"))?;
        let authority = raw_authority(text).ok_or(EgressError::BadUrl("it has no host"))?;
        Self::from_url(url, Some(authority))
    }

    /// Takes a URL that was joined from a canonical one (a redirect).
    pub(crate) fn from_url(url: Url, authority: Option<&str>) -> Result<Self, EgressError> {
        let transport = match url.scheme() {
            "https" => Transport::Tls,
            "http" => Transport::PlainLoopback,
            _ => return Err(EgressError::BadUrl("its scheme isn't https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::BadUrl("it holds a user name or password"));
        }
        let literal = match url.host() {
            None => return Err(EgressError::BadUrl("it has no host")),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        let host = url.host_str().expect("it has a host");
        if authority.is_some_and(|authority| !is_canonical(authority, host)) {
            return Err(EgressError::BadUrl("its host isn't written canonically"));
        }
        if host.ends_with('.') {
            return Err(EgressError::BadUrl("its host ends with a dot"));
        }
        let port = url.port_or_known_default().expect("http and https have ports");
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { to: HostPort { host, port }, transport, literal, url })
    }

    /// Whether the host is this machine by name or by address.
    pub(crate) fn is_loopback(&self) -> bool {
        self.to.host == "localhost" || self.literal.is_some_and(|address| address.is_loopback())
    }
}

/// What stands between `://` and the path, as it was written.
fn raw_authority(text: &str) -> Option<&str> {
    if text.chars().any(|c| undertone_core::is_hidden(c) || c.is_whitespace() || c == '\\') {
        return None;
    }
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// Whether the authority is the parsed host, case aside, with at most a decimal port behind it.
fn is_canonical(authority: &str, host: &str) -> bool {
    let Some(written) = authority.get(..host.len()) else {
        return false;
    };
    let rest = &authority[host.len()..];
    let port = rest
        .strip_prefix(':')
        .map(|port| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()));
    written.eq_ignore_ascii_case(host) && (rest.is_empty() || port == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for text in [
            "https://user:pass@slack.com/",
            "https://user@slack.com/",
            "https://slack.com@evil.example/",
            "https://slack.com\\@evil.example/",
            "https://slack.com\t.evil.example/",
            "https://slack.com\n/",
            "https://sl\0ack.com/",
            "https://slack.com%00.evil.example/",
            "https://slack%2ecom/",
            "https://slack。com/",
            "https://ｓlack.com/",
            "https://пример.рф/",
            "https:slack.com",
            "https:/slack.com",
            "https:///slack.com",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://slack.com./",
            "https://[::ffff:127.0.0.1%25eth0]/",
            "https://slack.com:/",
            "https://slack.com:99999/",
            "file:///etc/passwd",
            "gopher://slack.com/",
            "ftp://slack.com/",
            "unix:/var/run/x",
            "data:text/plain,x",
            "ws://slack.com/",
            "wss://slack.com/",
            "javascript:alert(1)",
            "",
            "slack.com",
            "//slack.com/",
        ] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_canonical_url_gives_its_host_and_port() {
        for (text, host, port, transport) in [
            ("https://slack.com/api/x", "slack.com", 443, Transport::Tls),
            ("https://SLACK.com", "slack.com", 443, Transport::Tls),
            ("https://slack.com:8443/?q=a@b", "slack.com", 8443, Transport::Tls),
            ("https://slack.com?x=http://y", "slack.com", 443, Transport::Tls),
            ("http://127.0.0.1:9000/", "127.0.0.1", 9000, Transport::PlainLoopback),
            ("http://[::1]:9000/", "::1", 9000, Transport::PlainLoopback),
            ("https://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai", 443, Transport::Tls),
        ] {
            let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((target.to.host.as_str(), target.to.port, target.transport), (host, port, transport));
        }
    }
}
