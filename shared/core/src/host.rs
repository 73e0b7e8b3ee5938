//! Hosts: where a request goes, and the patterns of where a secret may go.
//!
//! Both are canonical: lower-case ASCII, no trailing dot, no user info, a port of its own.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port that a rule without one means.
pub const HTTPS_PORT: u16 = 443;

/// A host and port to which a request is about to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Canonical host: a lower-case DNS name, or an address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host(f, &self.host, self.port)
    }
}

/// A host to which a secret may be sent: `slack.com`, `*.slack.com`, `api.example.com:8443`.
///
/// `*.` stands for one or more labels, never for none. Without a port, 443 is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostRule {
    host: String,
    subdomains: bool,
    port: u16,
}

/// Why a text is no host rule. Rules are not secret, so the text is quoted, escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no host: {why}. Write it as slack.com, *.slack.com or api.example.com:8443")]
pub struct HostError {
    text: String,
    why: &'static str,
}

impl HostRule {
    /// Whether the rule covers the destination.
    pub fn covers(&self, to: &HostPort) -> bool {
        if self.port != to.port {
            return false;
        }
        if !self.subdomains {
            return self.host == to.host;
        }
        to.host
            .strip_suffix(&self.host)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|labels| !labels.is_empty())
    }
}

impl FromStr for HostRule {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        let error = |why| HostError { text: crate::name::escaped(text), why };
        if text.contains("://") || text.contains('/') {
            return Err(error("a rule names a host, not a URL"));
        }
        if text.contains('@') {
            return Err(error("a rule has no user name"));
        }
        let (host, port) = split_port(text).ok_or_else(|| error("its port is not 1 to 65535"))?;
        let (host, subdomains) = match host.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (host, false),
        };
        let host = host.to_ascii_lowercase();
        if is_address(&host) {
            if subdomains {
                return Err(error("an address has no subdomains"));
            }
            let address: IpAddr = host.parse().expect("is_address has parsed it");
            return Ok(Self { host: address.to_string(), subdomains, port });
        }
        check_dns_name(&host).map_err(error)?;
        if subdomains && !host.contains('.') {
            return Err(error("a wildcard needs at least two labels after it"));
        }
        Ok(Self { host, subdomains, port })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subdomains {
            f.write_str("*.")?;
        }
        write_host(f, &self.host, self.port)
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    match (host.contains(':'), port) {
        (true, HTTPS_PORT) => write!(f, "[{host}]"),
        (true, port) => write!(f, "[{host}]:{port}"),
        (false, HTTPS_PORT) => f.write_str(host),
        (false, port) => write!(f, "{host}:{port}"),
    }
}

fn split_port(text: &str) -> Option<(&str, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((host, HTTPS_PORT)),
            rest => Some((host, port(rest.strip_prefix(':')?)?)),
        };
    }
    match text.split_once(':') {
        None => Some((text, HTTPS_PORT)),
        Some((_, rest)) if rest.contains(':') => Some((text, HTTPS_PORT)),
        Some((host, rest)) => Some((host, port(rest)?)),
    }
}

fn port(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|p| *p != 0)
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || host.parse::<Ipv6Addr>().is_ok()
}

/// The rule of RFC 1123, ASCII only: other scripts are written in their `xn--` form, so that
/// two hosts that look the same are never the same rule.
fn check_dns_name(host: &str) -> Result<(), &'static str> {
    if host.is_empty() || 253 < host.len() {
        return Err("a host has 1 to 253 characters");
    }
    if !host.is_ascii() {
        return Err("it is not ASCII: write its xn-- form");
    }
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !host.split('.').all(label_is_right) {
        return Err("its labels are 1 to 63 letters, digits and inner hyphens");
    }
    let last = host.rsplit('.').next().expect("split yields at least one part");
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        return Err("it looks like an address in an unusual spelling");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    #[test]
    fn a_rule_covers_its_host_and_port_only() {
        for (rule, host, port, covered) in [
            ("slack.com", "slack.com", 443, true),
            ("SLACK.com", "slack.com", 443, true),
            ("slack.com", "slack.com", 8443, false),
            ("slack.com", "api.slack.com", 443, false),
            ("slack.com", "slack.com.evil.example", 443, false),
            ("slack.com", "notslack.com", 443, false),
            ("*.slack.com", "api.slack.com", 443, true),
            ("*.slack.com", "a.b.slack.com", 443, true),
            ("*.slack.com", "slack.com", 443, false),
            ("*.slack.com", ".slack.com", 443, false),
            ("*.slack.com", "evilslack.com", 443, false),
            ("127.0.0.1:9000", "127.0.0.1", 9000, true),
            ("[::1]:9000", "::1", 9000, true),
            ("localhost:9000", "localhost", 9000, true),
        ] {
            let parsed: HostRule = rule.parse().unwrap();
            assert_eq!(parsed.covers(&to(host, port)), covered, "{rule} {host}:{port}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.com",
            "https://slack.com",
            "slack.com/api",
            "user@slack.com",
            "slack.com:0",
            "slack.com:99999",
            "slack.com:",
            "a b",
            "slack..com",
            ".slack.com",
            "slack.com.",
            "sl*ck.com",
            "127.1",
            "0x7f000001",
            "2130706433",
            "пример.рф",
            "slack.com\n",
            "*.10.0.0.1",
        ] {
            assert!(text.parse::<HostRule>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rule_prints_as_it_parses() {
        for text in ["slack.com", "*.slack.com", "a.example:8443", "[::1]:9000", "10.0.0.1:1"] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
        }
    }
}
