//! `env` and `space`: the scopes that own secrets.

use undertone_core::{EnvironmentId, Mode, Scope, Space, SpaceId};

use crate::exit::Failure;
use crate::opened::Opened;
use crate::screen::Screen;
use crate::table::Table;
use crate::wire;

/// So many Spaces are read at a time.
const PAGE: usize = 1_000;

pub(crate) async fn create_environment(
    screen: &Screen,
    opened: &Opened,
    id: EnvironmentId,
    development: bool,
) -> Result<(), Failure> {
    let mode = if development { Mode::Development } else { Mode::Standard };
    opened.vault.create_environment(id.clone(), mode).await?;
    screen.done(
        || match mode {
            Mode::Standard => format!("Environment {id} is made.\n"),
            Mode::Development => {
                format!("Environment {id} is made, for development: secrets without a host rule may leave.\n")
            }
        },
        || wire::made(&Scope::Environment(id.clone())),
    )
}

pub(crate) async fn list_environments(screen: &Screen, opened: &Opened) -> Result<(), Failure> {
    let all = opened.store.environments().await?;
    screen.answer(
        || {
            if all.is_empty() {
                return "No Environment yet: make one with `undertone env create dev --development`\n"
                    .to_owned();
            }
            let mut table = Table::new(&["ENVIRONMENT", "KIND", "CREATED"]);
            for environment in &all {
                let kind = match environment.mode {
                    Mode::Standard => "standard",
                    Mode::Development => "development",
                };
                table.row([environment.id.as_str().into(), kind.into(), time(environment.created_at).into()]);
            }
            table.render(screen)
        },
        || wire::environments(&all),
    )
}

pub(crate) async fn create_space(
    screen: &Screen,
    opened: &Opened,
    environment: EnvironmentId,
    id: SpaceId,
) -> Result<(), Failure> {
    opened.vault.create_space(environment.clone(), id.clone()).await?;
    let made = Scope::Space(environment, id);
    screen.done(|| format!("{made} is made; it inherits from its Environment.\n"), || wire::made(&made))
}

pub(crate) async fn list_spaces(
    screen: &Screen,
    opened: &Opened,
    environment: EnvironmentId,
) -> Result<(), Failure> {
    let all = spaces(opened, &environment).await?;
    screen.answer(
        || {
            if all.is_empty() {
                return format!(
                    "No Space in {environment} yet: make one with `undertone space create ID --env {environment}`\n"
                );
            }
            let mut table = Table::new(&["SPACE", "CREATED"]);
            for space in &all {
                table.row([space.id.as_str().into(), time(space.created_at).into()]);
            }
            table.render(screen)
        },
        || wire::spaces(&all),
    )
}

/// All Spaces of an Environment, by id.
pub(crate) async fn spaces(opened: &Opened, environment: &EnvironmentId) -> Result<Vec<Space>, Failure> {
    let mut all: Vec<Space> = Vec::new();
    loop {
        let page = opened.store.spaces(environment, all.last().map(|space| &space.id), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// A time for people: UTC, to the second.
pub(crate) fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
