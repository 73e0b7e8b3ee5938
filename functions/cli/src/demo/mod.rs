//! `undertone demo`: the main job from nothing, in one go, without questions.
//!
//! A home of its own, an Environment with three Spaces, a stand-in for Slack, three events, three
//! attempts to get the token out, and the verified trail of all that. What is printed comes from
//! the same calls that a deployment makes; nothing is staged but Slack.

mod attack;
mod collector;
mod print;
mod slack_stand_in;
mod story;
mod world;

use std::io::IsTerminal;
use std::path::PathBuf;

use undertone_core::{HostRule, Mode, SecretValue};

use crate::args::DemoArgs;
use crate::exit::Failure;
use crate::input::{FinalNewline, piped};
use crate::opened::operator;
use crate::prompt;
use crate::screen::Screen;

/// Tells the story and shows it.
pub(crate) async fn demo(screen: &Screen, args: DemoArgs) -> Result<(), Failure> {
    let target = match args.slack_url {
        None => Target::StandIn,
        Some(url) => real(&url, &args.channel.unwrap_or_default())?,
    };
    let actor = operator();
    let story = story::tell(args.folder, target, actor, |step| screen.note(step)).await?;
    screen.answer(|| print::text(&story), || print::json(&story))
}

/// A Slack that isn't the stand-in, with the token from standard input or a hidden prompt.
fn real(url: &str, channel: &str) -> Result<Target, Failure> {
    let api = url.trim_end_matches('/');
    let (mode, rest) = match (api.strip_prefix("https://"), api.strip_prefix("http://127.0.0.1:")) {
        (Some(rest), _) => (Mode::Standard, rest),
        (None, Some(_)) => (Mode::Development, &api["http://".len()..]),
        (None, None) => return Err(Failure::DemoUrl),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host: HostRule = authority.parse().map_err(|_| Failure::DemoUrl)?;
    let token = match std::io::stdin().is_terminal() {
        true => prompt::new_value("SLACK_TOKEN")?,
        false => piped(FinalNewline::Stripped)?.value,
    };
    let channel = SecretValue::new(channel.as_bytes().to_vec())?;
    Ok(Target::Real { mode, api: api.to_owned(), host, token: SecretValue::new(token)?, channel })
}

/// Against which Slack the demo runs.
pub(crate) enum Target {
    /// A stand-in on loopback, in a development Environment.
    StandIn,
    /// Slack itself, or what answers at that URL.
    Real {
        /// Standard, but for a server on this machine.
        mode: Mode,
        /// The API's URL, without a trailing slash.
        api: String,
        /// The host that the token's rules allow.
        host: HostRule,
        /// The token.
        token: SecretValue,
        /// The channel's id.
        channel: SecretValue,
    },
}

/// Everything that happened.
pub(crate) struct Story {
    /// The folder that holds home and key.
    pub folder: PathBuf,
    /// The three events.
    pub events: Vec<EventLine>,
    /// What the stand-in received; `None` with the real Slack, which keeps that to itself.
    pub received: Option<Vec<slack_stand_in::Received>>,
    /// The attempts to get the token out.
    pub attempts: Vec<AttemptLine>,
    /// The trail, oldest first.
    pub trail: Vec<serde_json::Value>,
    /// How many rows were verified.
    pub verified: u64,
}

/// One event and what became of it.
pub(crate) struct EventLine {
    pub space: &'static str,
    pub topic: &'static str,
    /// Which row won, in words.
    pub resolved: String,
    /// What the handler came back with.
    pub outcome: Result<String, String>,
}

/// One attempt to get the token out.
pub(crate) struct AttemptLine {
    pub what: &'static str,
    /// What the handler got instead.
    pub stopped_by: String,
    /// What the other side saw.
    pub seen: String,
}
