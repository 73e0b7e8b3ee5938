//! Rules of use: where a secret may go, how, and whether it may be read.
//!
//! The rules are sealed with the value (their digest is part of the record's context), so nobody
//! widens them without setting the value again. Along a chain they intersect: every row of the
//! name must allow a use.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::host::{HostPort, HostRule};

/// A place of a request where a value may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sink {
    /// `Authorization: Bearer ..`
    Bearer,
    /// The password of basic authentication.
    Basic,
    /// A whole header value.
    Header,
    /// Part of a header value, at a template's one hole.
    HeaderTemplate,
    /// The value of one query field.
    Query,
    /// A string in a JSON body.
    JsonField,
}

impl Sink {
    /// Every sink.
    pub const ALL: [Sink; 6] =
        [Sink::Bearer, Sink::Basic, Sink::Header, Sink::HeaderTemplate, Sink::Query, Sink::JsonField];

    /// The sink's name in rules, rows of audit and the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Sink::Bearer => "bearer",
            Sink::Basic => "basic",
            Sink::Header => "header",
            Sink::HeaderTemplate => "header_template",
            Sink::Query => "query",
            Sink::JsonField => "json_field",
        }
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such sink: choose from bearer, basic, header, header_template, query, json_field")]
pub struct SinkError;

impl FromStr for Sink {
    type Err = SinkError;
    fn from_str(text: &str) -> Result<Self, SinkError> {
        Sink::ALL.into_iter().find(|sink| sink.as_str() == text).ok_or(SinkError)
    }
}

/// An HTTP method, upper-case letters only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Method(String);

/// The text is no HTTP method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an HTTP method is 1 to 16 letters, such as POST")]
pub struct MethodError;

impl Method {
    /// The method as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = MethodError;
    fn from_str(text: &str) -> Result<Self, MethodError> {
        let ok = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic());
        ok.then(|| Self(text.to_ascii_uppercase())).ok_or(MethodError)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a value may be read by code, and not only used in a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reveal {
    /// It may not.
    #[default]
    Refused,
    /// It may, audited.
    Allowed,
}

/// The rules of one version of one row. `None` means that the rule says nothing.
///
/// The default says nothing at all: such a secret leaves only in a `development` Environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Hosts to which the value may be sent.
    pub hosts: Option<BTreeSet<HostRule>>,
    /// Methods with which it may be sent.
    pub methods: Option<BTreeSet<Method>>,
    /// Sinks through which it may leave.
    pub sinks: Option<BTreeSet<Sink>>,
    /// Whether `reveal` may hand it out.
    pub reveal: Reveal,
}

/// The stored text of a row's rules is not in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored rules of use are damaged")]
pub struct RulesError;

impl Rules {
    /// The canonical bytes, whose SHA-256 is the policy digest of a record.
    ///
    /// One line per rule that says something, in the order hosts, methods, sinks, reveal; each
    /// line is `name=` followed by the sorted values joined by commas. No rules: no bytes.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, values: Vec<String>| {
            out.push_str(name);
            out.push('=');
            out.push_str(&values.join(","));
            out.push('\n');
        };
        if let Some(hosts) = &self.hosts {
            line("hosts", hosts.iter().map(HostRule::to_string).collect());
        }
        if let Some(methods) = &self.methods {
            line("methods", methods.iter().map(Method::to_string).collect());
        }
        if let Some(sinks) = &self.sinks {
            line("sinks", sinks.iter().map(Sink::to_string).collect());
        }
        if self.reveal == Reveal::Allowed {
            line("reveal", vec!["allowed".to_owned()]);
        }
        out
    }

    /// Reads canonical bytes back. Anything else than exactly what [`Rules::canonical`] wrote is an error.
    pub fn from_canonical(text: &str) -> Result<Self, RulesError> {
        let mut rules = Rules::default();
        for line in text.lines() {
            let (name, values) = line.split_once('=').ok_or(RulesError)?;
            match name {
                "hosts" => rules.hosts = Some(parse_set(values)?),
                "methods" => rules.methods = Some(parse_set(values)?),
                "sinks" => rules.sinks = Some(parse_set(values)?),
                "reveal" if values == "allowed" => rules.reveal = Reveal::Allowed,
                _ => return Err(RulesError),
            }
        }
        if rules.canonical() != text {
            return Err(RulesError);
        }
        Ok(rules)
    }

    /// SHA-256 of the canonical bytes: field 9 of a record's context.
    pub fn digest(&self) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.canonical().as_bytes());
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

fn parse_set<T: FromStr + Ord>(values: &str) -> Result<BTreeSet<T>, RulesError> {
    values
        .split(',')
        .filter(|value| !value.is_empty())
        .map(|value| value.parse().map_err(|_| RulesError))
        .collect()
}

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTPS.
    Tls,
    /// Plain HTTP to a loopback address; nothing else is ever plain.
    PlainLoopback,
}

/// Where a request that carries a secret is about to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The HTTP method.
    pub method: Method,
    /// Host and port.
    pub to: HostPort,
    /// How it travels.
    pub transport: Transport,
}

/// What kind of Environment it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Everything is refused that no rule allows.
    #[default]
    Standard,
    /// A secret without a host rule may leave, and plain HTTP to loopback is allowed.
    Development,
}

/// Why the rules refuse a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No row of the chain says to which hosts the secret may go.
    NoHostRule,
    /// A row of the chain doesn't allow the host.
    Host,
    /// A row of the chain doesn't allow the method.
    Method,
    /// A row of the chain doesn't allow the sink.
    Sink,
    /// Plain HTTP outside a development Environment.
    Plain,
}

/// The rules of the winning row and of every row above it, and of the declaration: all must allow a use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveRules(pub Vec<Rules>);

impl EffectiveRules {
    /// The one place where a use in a sink is allowed or refused.
    pub fn check(&self, mode: Mode, sink: Sink, to: &Destination) -> Result<(), Refusal> {
        if to.transport == Transport::PlainLoopback && mode != Mode::Development {
            return Err(Refusal::Plain);
        }
        let mut host_rules = self.0.iter().filter_map(|rules| rules.hosts.as_ref()).peekable();
        if host_rules.peek().is_none() && mode != Mode::Development {
            return Err(Refusal::NoHostRule);
        }
        if !host_rules.all(|hosts| hosts.iter().any(|rule| rule.covers(&to.to))) {
            return Err(Refusal::Host);
        }
        let mut methods = self.0.iter().filter_map(|rules| rules.methods.as_ref());
        if !methods.all(|methods| methods.contains(&to.method)) {
            return Err(Refusal::Method);
        }
        let mut sinks = self.0.iter().filter_map(|rules| rules.sinks.as_ref());
        if !sinks.all(|sinks| sinks.contains(&sink)) {
            return Err(Refusal::Sink);
        }
        Ok(())
    }

    /// Whether every row allows that code reads the value.
    pub fn reveal(&self) -> Reveal {
        match !self.0.is_empty() && self.0.iter().all(|rules| rules.reveal == Reveal::Allowed) {
            true => Reveal::Allowed,
            false => Reveal::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str], methods: &[&str], sinks: &[Sink]) -> Rules {
        fn set<T: FromStr + Ord>(texts: &[&str]) -> Option<BTreeSet<T>> {
            (!texts.is_empty()).then(|| texts.iter().map(|t| t.parse().ok().unwrap()).collect())
        }
        Rules {
            hosts: set(hosts),
            methods: set(methods),
            sinks: (!sinks.is_empty()).then(|| sinks.iter().copied().collect()),
            reveal: Reveal::Refused,
        }
    }

    fn post(host: &str) -> Destination {
        Destination {
            method: "POST".parse().unwrap(),
            to: HostPort { host: host.to_owned(), port: 443 },
            transport: Transport::Tls,
        }
    }

    #[test]
    fn every_row_of_the_chain_must_allow_a_use() {
        let wide = || rules(&["*.slack.com", "slack.com"], &[], &[]);
        for (layers, host, sink, want) in [
            (vec![rules(&["slack.com"], &[], &[])], "slack.com", Sink::Bearer, Ok(())),
            (vec![rules(&["slack.com"], &[], &[])], "evil.example", Sink::Bearer, Err(Refusal::Host)),
            (vec![Rules::default()], "slack.com", Sink::Bearer, Err(Refusal::NoHostRule)),
            (vec![], "slack.com", Sink::Bearer, Err(Refusal::NoHostRule)),
            (
                vec![wide(), rules(&["evil.example"], &[], &[])],
                "evil.example",
                Sink::Bearer,
                Err(Refusal::Host),
            ),
            (vec![wide(), Rules::default()], "api.slack.com", Sink::Bearer, Ok(())),
            (
                vec![wide(), rules(&["slack.com"], &[], &[])],
                "api.slack.com",
                Sink::Bearer,
                Err(Refusal::Host),
            ),
            (vec![rules(&["slack.com"], &["GET"], &[])], "slack.com", Sink::Bearer, Err(Refusal::Method)),
            (
                vec![rules(&["slack.com"], &["POST"], &[Sink::Bearer])],
                "slack.com",
                Sink::Query,
                Err(Refusal::Sink),
            ),
        ] {
            let got = EffectiveRules(layers.clone()).check(Mode::Standard, sink, &post(host));
            assert_eq!(got, want, "{layers:?} {host}");
        }
    }

    #[test]
    fn development_allows_no_host_rule_and_plain_loopback_and_nothing_else() {
        let plain = Destination { transport: Transport::PlainLoopback, ..post("localhost") };
        let none = EffectiveRules(vec![Rules::default()]);
        let bound = EffectiveRules(vec![rules(&["slack.com"], &[], &[])]);
        for (rules, mode, to, want) in [
            (&none, Mode::Development, &plain, Ok(())),
            (&none, Mode::Standard, &plain, Err(Refusal::Plain)),
            (&bound, Mode::Development, &plain, Err(Refusal::Host)),
            (&none, Mode::Development, &post("anywhere.example"), Ok(())),
        ] {
            assert_eq!(rules.check(mode, Sink::Bearer, to), want);
        }
    }

    #[test]
    fn rules_survive_the_canonical_form_and_nothing_else_does() {
        let mut full = rules(&["slack.com", "*.slack.com"], &["POST"], &[Sink::Bearer, Sink::Query]);
        full.reveal = Reveal::Allowed;
        for rules in [Rules::default(), full, Rules { hosts: Some(BTreeSet::new()), ..Rules::default() }] {
            assert_eq!(Rules::from_canonical(&rules.canonical()), Ok(rules));
        }
        for text in
            ["hosts=b,a\n", "hosts=A\n", "x=1\n", "hosts", "sinks=foo\n", "\n", "reveal=yes\n", "hosts=a"]
        {
            assert_eq!(Rules::from_canonical(text), Err(RulesError), "{text:?}");
        }
        assert_eq!(Rules::default().canonical(), "");
    }

    #[test]
    fn reveal_needs_every_row() {
        let allowed = Rules { reveal: Reveal::Allowed, ..Rules::default() };
        for (layers, want) in [
            (vec![], Reveal::Refused),
            (vec![Rules::default()], Reveal::Refused),
            (vec![allowed.clone()], Reveal::Allowed),
            (vec![Rules::default(), allowed.clone()], Reveal::Refused),
            (vec![allowed.clone(), allowed], Reveal::Allowed),
        ] {
            assert_eq!(EffectiveRules(layers).reveal(), want);
        }
    }
}
