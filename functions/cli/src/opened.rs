//! A store that was opened, as far as commands need it, wherever it is.

use std::path::Path;
use std::sync::Arc;

use undertone_core::audit::{Actor, AuditLog};
use undertone_core::vault::Vault;
use undertone_core::{Clock, Opener, Sealer, Store, SystemClock};
use undertone_local::{Home, StoreSettings};

use crate::args::Global;
use crate::aws::{self, Aws};
use crate::exit::Failure;
use crate::home;
use crate::screen::Screen;

/// An open store.
pub(crate) struct Opened {
    pub vault: Vault,
    pub store: Arc<dyn Store>,
    pub sealer: Arc<dyn Sealer>,
    pub opener: Arc<dyn Opener>,
    pub audit: Arc<dyn AuditLog>,
    pub clock: Arc<dyn Clock>,
    pub place: Place,
}

/// Where it is.
pub(crate) enum Place {
    Home(Box<Home>),
    Aws(Box<Aws>),
}

/// One thing about the store that was looked at.
pub(crate) struct Health {
    pub name: String,
    pub status: Status,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Warn,
    Fail,
}

impl Status {
    /// The word in tables and JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// The ports of a store, before a vault stands over them.
pub(crate) struct Parts {
    pub store: Arc<dyn Store>,
    pub sealer: Arc<dyn Sealer>,
    pub opener: Arc<dyn Opener>,
    pub audit: Arc<dyn AuditLog>,
    pub place: Place,
}

impl Opened {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, sealer, opener, audit, place } = parts;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let vault = Vault::new(
            store.clone(),
            sealer.clone(),
            opener.clone(),
            audit.clone(),
            clock.clone(),
            operator(),
        );
        Self { vault, store, sealer, opener, audit, clock, place }
    }

    pub(crate) async fn health(&self) -> Vec<Health> {
        match &self.place {
            Place::Home(home) => home::health(home),
            Place::Aws(aws) => aws.health().await,
        }
    }
}

/// Opens what the command line and the home say.
pub(crate) async fn open(global: &Global, screen: &Screen) -> Result<Opened, Failure> {
    if let Some(settings) = aws::from_arguments(&global.place)? {
        return aws::open(&settings).await;
    }
    open_home(&home::directory(global.home.clone())?, screen).await
}

/// Opens what a home says: its own database, or AWS.
pub(crate) async fn open_home(directory: &Path, screen: &Screen) -> Result<Opened, Failure> {
    match home::settings(directory) {
        Ok(settings) => match settings.store {
            StoreSettings::Aws(settings) => aws::open(&settings).await,
            StoreSettings::Embedded { .. } => home::open(directory, screen),
        },
        // The home says best what is wrong with it.
        Err(_) => home::open(directory, screen),
    }
}

/// Who acts, for the audit log.
pub(crate) fn operator() -> Actor {
    let name = whoami::username();
    Actor::Operator(name.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw())).into())
}
