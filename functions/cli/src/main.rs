//! Undertone at the command line: the one program for people.
//!
//! No command prints a value, and none can: values go in, through `secrets set` and
//! `secrets import`, and the program holds no code that shows one.

mod args;
mod audit;
mod aws;
mod demo;
mod deploy;
mod doctor;
mod event;
mod exit;
mod export;
mod hardening;
mod home;
mod import;
mod init;
mod input;
mod opened;
mod progress;
mod prompt;
mod records;
mod run;
mod scopes;
mod screen;
mod secrets;
mod store;
mod table;
mod usage;
mod wire;

use std::process::ExitCode;

use clap::CommandFactory;

use args::{
    AuditCommand, Cli, Command, DeployCommand, EnvCommand, EventCommand, SecretsCommand, SpaceCommand,
    StoreCommand,
};
use exit::{Exit, Failure};
use opened::Opened;
use screen::Screen;

/// Wipes every block of memory when it is freed: parsers and buffers that are not ours included.
#[global_allocator]
static MEMORY: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    hardening::install_panic_hook();
    undertone::harden();
    let done = std::panic::catch_unwind(|| match usage::parse() {
        Ok(cli) => {
            let screen = Screen::new(&cli.global);
            screen.end(run(cli, &screen))
        }
        Err(end) => end,
    });
    done.unwrap_or(Exit::Failed).into()
}

fn run(cli: Cli, screen: &Screen) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Start(error.kind()))?;
    runtime.block_on(dispatch(cli, screen))
}

async fn dispatch(cli: Cli, screen: &Screen) -> Result<(), Failure> {
    let directory = || home::directory(cli.global.home.clone());
    let open = async || opened::open(&cli.global, screen).await;
    match cli.command {
        Command::Init(args) => init::init(screen, &cli.global, args).await,
        Command::Env(EnvCommand::Create { id, development }) => {
            scopes::create_environment(screen, &open().await?, id, development).await
        }
        Command::Env(EnvCommand::List) => scopes::list_environments(screen, &open().await?).await,
        Command::Space(SpaceCommand::Create { id, environment }) => {
            scopes::create_space(screen, &open().await?, environment.env, id).await
        }
        Command::Space(SpaceCommand::List { environment }) => {
            scopes::list_spaces(screen, &open().await?, environment.env).await
        }
        Command::Secrets(command) => secrets(screen, open, command).await,
        Command::Audit(AuditCommand::Tail(args)) => audit::tail(screen, &open().await?, args).await,
        Command::Audit(AuditCommand::Verify) => audit::verify(screen, &open().await?).await,
        Command::Store(StoreCommand::Copy(args)) => store::copy(screen, args).await,
        Command::Store(StoreCommand::Compact(args)) => store::compact(screen, &open().await?, args).await,
        Command::Store(StoreCommand::Rewrap(args)) => store::rewrap(screen, &open().await?, args).await,
        Command::Deploy(DeployCommand::Check(args)) => deploy::check(screen, open, args).await,
        Command::Event(EventCommand::Send(args)) => event::send(screen, &directory()?, args).await,
        Command::Run(args) => {
            drop(open().await?);
            run::run(&directory()?, &cli.global.place, args)
        }
        Command::Demo(args) => demo::demo(screen, args).await,
        Command::Doctor(args) => doctor::doctor(screen, &open().await?, args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "undertone", &mut script);
            screen::write_out(&String::from_utf8_lossy(&script))
        }
    }
}

async fn secrets(
    screen: &Screen,
    open: impl AsyncFn() -> Result<Opened, Failure>,
    command: SecretsCommand,
) -> Result<(), Failure> {
    use secrets::{set, show, verbs};
    match command {
        SecretsCommand::Set(args) => set::set(screen, open, args).await,
        SecretsCommand::Unset(args) => verbs::unset(screen, &open().await?, args).await,
        SecretsCommand::Block(args) => verbs::block(screen, &open().await?, args).await,
        SecretsCommand::Lock(args) => verbs::lock(screen, &open().await?, args).await,
        SecretsCommand::Unlock(args) => verbs::unlock(screen, &open().await?, args).await,
        SecretsCommand::Disable(args) => verbs::disable(screen, &open().await?, args).await,
        SecretsCommand::Enable(args) => verbs::enable(screen, &open().await?, args).await,
        SecretsCommand::Delete(args) => verbs::delete(screen, &open().await?, args).await,
        SecretsCommand::Destroy(args) => verbs::destroy(screen, &open().await?, args).await,
        SecretsCommand::Restore(args) => verbs::restore(screen, &open().await?, args).await,
        SecretsCommand::Revoke(args) => verbs::revoke(screen, &open().await?, args).await,
        SecretsCommand::List(args) => show::list(screen, &open().await?, args).await,
        SecretsCommand::Explain(args) => show::explain(screen, &open().await?, args).await,
        SecretsCommand::History(args) => show::history(screen, &open().await?, args).await,
        SecretsCommand::Import(args) => import::import(screen, open, args).await,
        SecretsCommand::Export(args) => export::export(screen, &open().await?, args).await,
    }
}
