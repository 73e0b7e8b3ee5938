//! The order of events.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use undertone::{EventData, FailureKind, Runtime};
use undertone_core::audit::{Actor, Verified};
use undertone_core::resolve::{Explanation, State};
use undertone_core::{HostRule, Mode, Scope, Sink};

use super::attack::curious;
use super::collector::Collector;
use super::slack_stand_in::StandIn;
use super::world::{self, BLOCKS, INHERITS, OVERRIDES, World};
use super::{AttemptLine, EventLine, Story, Target};
use crate::exit::Failure;

const BUDGET: Duration = Duration::from_secs(30);

/// The Slack that the story plays against.
struct Slack {
    api: String,
    stand_in: Option<StandIn>,
}

/// Plays the whole story; `step` hears what is being done.
pub(crate) async fn tell(
    folder: Option<PathBuf>,
    target: Target,
    actor: Actor,
    mut step: impl FnMut(&str),
) -> Result<Story, Failure> {
    let folder = match folder {
        Some(folder) => folder,
        None => world::new_folder()?,
    };
    step("making a home and its key");
    let world = world::make(&folder, actor)?;
    step("making the Environment `demo` with three Spaces");
    let slack = furnish(&world, target).await?;
    step("sending three events through slack-notifier");
    let events = play_events(&world, &slack).await?;
    step("trying to get the token out");
    let attempts = play_attempts(&world, &slack).await?;
    step("verifying the audit trail");
    let audit = world.home.audit();
    let trail = audit.read(0, usize::MAX).await?;
    let trail = trail.iter().map(|row| serde_json::from_str(&row.body).expect("rows are JSON")).collect();
    match audit.verify().await? {
        Verified::Intact { rows } => {
            let received = slack.stand_in.map(|stand_in| stand_in.received());
            Ok(Story { folder, events, received, attempts, trail, verified: rows })
        }
        Verified::Broken { sequence, problem } => Err(Failure::AuditBroken { sequence, problem }),
    }
}

async fn furnish(world: &World, target: Target) -> Result<Slack, Failure> {
    let vault = &world.vault;
    let environment = world::scope(None);
    let overriding = world::scope(Some(OVERRIDES));
    let slack = match target {
        Target::StandIn => {
            world::scopes(vault, Mode::Development).await?;
            let stand_in = StandIn::start().await.map_err(|error| Failure::DemoSetup(error.kind()))?;
            let host: HostRule = stand_in.address.parse().expect("an address and port");
            let (shared, own) = (world::made_up_token(), world::made_up_token());
            stand_in.know(&shared, "Environment demo");
            stand_in.know(&own, "Space demo/globex");
            world::set(vault, &environment, "SLACK_TOKEN", world::value(&shared), &host, &[Sink::Bearer])
                .await?;
            world::set(vault, &overriding, "SLACK_TOKEN", world::value(&own), &host, &[Sink::Bearer]).await?;
            world::set(
                vault,
                &environment,
                "SLACK_CHANNEL",
                world::value(b"C0GENERAL"),
                &host,
                &[Sink::JsonField],
            )
            .await?;
            world::set(
                vault,
                &overriding,
                "SLACK_CHANNEL",
                world::value(b"C0GLOBEX1"),
                &host,
                &[Sink::JsonField],
            )
            .await?;
            Slack { api: format!("http://{}/api", stand_in.address), stand_in: Some(stand_in) }
        }
        Target::Real { mode, api, host, token, channel } => {
            world::scopes(vault, mode).await?;
            let copy = |value: &undertone_core::SecretValue| world::value(value.expose());
            world::set(vault, &overriding, "SLACK_TOKEN", copy(&token), &host, &[Sink::Bearer]).await?;
            world::set(vault, &environment, "SLACK_TOKEN", token, &host, &[Sink::Bearer]).await?;
            world::set(vault, &environment, "SLACK_CHANNEL", channel, &host, &[Sink::JsonField]).await?;
            Slack { api, stand_in: None }
        }
    };
    world::block(vault, &world::scope(Some(BLOCKS)), "SLACK_TOKEN").await?;
    Ok(slack)
}

async fn play_events(world: &World, slack: &Slack) -> Result<Vec<EventLine>, Failure> {
    let runtime = undertone::local::runtime(slack_notifier::listener_at(&slack.api), &world.home)?;
    let completed = json!({ "job": "import", "status": "complete" });
    let asked = json!({ "job": "space:notify", "input": { "text": "Please look at the new orders" } });
    let mut lines = Vec::new();
    for (space, topic, payload) in [
        (INHERITS, "job:completed", completed.clone()),
        (OVERRIDES, "job:ready", asked),
        (BLOCKS, "job:completed", completed),
    ] {
        let scope = world::scope(Some(space));
        let why = world.vault.explain(&scope, &world::name("SLACK_TOKEN")).await?;
        let outcome = dispatch(&runtime, space, topic, payload).await?;
        let outcome = outcome.map(|()| "posted".to_owned()).map_err(|(_, message)| message);
        lines.push(EventLine { space, topic, resolved: in_words(&why), outcome });
    }
    Ok(lines)
}

async fn play_attempts(world: &World, slack: &Slack) -> Result<Vec<AttemptLine>, Failure> {
    let collector = Collector::start().await.map_err(|error| Failure::DemoSetup(error.kind()))?;
    let url = match &slack.stand_in {
        Some(_) => format!("http://{}/collect", collector.address),
        None => "https://collector.example/collect".to_owned(),
    };
    let echo = slack.stand_in.as_ref().map(|_| format!("{}/echo", slack.api));
    let runtime = undertone::local::runtime(curious(url, echo.clone()), &world.home)?;
    let mut lines = Vec::new();
    for (what, topic) in [
        ("send it to another host", "try:exfiltrate"),
        ("read its text", "try:reveal"),
        ("return what a server echoed", "try:return"),
    ] {
        if topic == "try:return" && echo.is_none() {
            continue;
        }
        let outcome = dispatch(&runtime, INHERITS, topic, Value::Null).await?;
        let (kind, stopped_by) = outcome.err().ok_or(Failure::DemoLeak(what))?;
        let seen = match (topic, kind) {
            ("try:exfiltrate", _) => format!("the other host: {}", collector.seen()),
            (_, FailureKind::SecretInOutput { .. }) => "whoever waits for the reply: nothing".to_owned(),
            _ => "the handler: nothing".to_owned(),
        };
        lines.push(AttemptLine { what, stopped_by, seen });
    }
    Ok(lines)
}

async fn dispatch(
    runtime: &Runtime,
    space: &str,
    topic: &str,
    payload: Value,
) -> Result<Result<(), (FailureKind, String)>, Failure> {
    let event = json!({
        "topic": topic,
        "domain": topic.split(':').next(),
        "context": { "environmentId": "demo", "spaceId": space },
        "payload": payload,
        "origin": { "slug": "demo" },
    });
    let event = EventData::from_json(event).expect("the demo's events are events");
    let report = runtime.dispatch(&event, BUDGET).await?;
    let failure = report.failures().next().map(|failure| (failure.kind.clone(), failure.message.clone()));
    Ok(failure.map_or(Ok(()), Err))
}

fn in_words(why: &Explanation) -> String {
    match (&why.winner, why.result) {
        (Some((scope @ Scope::Environment(_), version)), State::Value) => {
            format!("v{version} of {scope}, inherited")
        }
        (Some((scope @ Scope::Space(..), version)), State::Value) => {
            format!("v{version} of {scope}, override")
        }
        (Some((scope, _)), state) => format!("{} in {scope}", state.as_str()),
        (None, _) => "not set".to_owned(),
    }
}
