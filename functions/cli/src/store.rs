//! `store copy`, `store compact` and `store rewrap`: upkeep of a whole store, with progress.

use undertone_core::maintenance::Maintenance;
use undertone_core::transfer::{Progress, Source, Target, Transfer};
use undertone_core::{Scope, SystemClock};

use crate::args::{CompactArgs, CopyArgs, RewrapArgs};
use crate::exit::Failure;
use crate::opened::{Opened, Place, open_home, operator};
use crate::scopes::spaces;
use crate::screen::Screen;
use crate::{progress, wire};

pub(crate) async fn copy(screen: &Screen, args: CopyArgs) -> Result<(), Failure> {
    let absolute = |path| std::path::absolute(path).map_err(|_| Failure::NoHome);
    let (from, to) = (absolute(args.from)?, absolute(args.to)?);
    let from = open_home(&from, screen).await?;
    let to = open_home(&to, screen).await?;
    let from = Source { store: from.store, opener: from.opener, audit: from.audit };
    let to = Target { store: to.store, sealer: to.sealer, opener: to.opener, audit: to.audit };
    let mut transfer = Transfer::new(from, to, std::sync::Arc::new(SystemClock::default()), operator())?;
    let spinner = progress::spinner(screen, "copying rows");
    let copied = transfer.run(|so_far| spinner.set_position(so_far.rows + so_far.already)).await;
    spinner.finish_and_clear();
    let copied = copied?;
    screen.answer(|| sentence(copied), || wire::copied(copied))
}

fn sentence(Progress { scopes, rows, versions, already }: Progress) -> String {
    format!(
        "Copied: {rows} rows with {versions} versions; {already} were there already. All {scopes} scopes are done.\n"
    )
}

pub(crate) async fn compact(screen: &Screen, opened: &Opened, args: CompactArgs) -> Result<(), Failure> {
    let maintenance = maintenance(opened);
    let spinner = progress::spinner(screen, "tidying keys");
    let (mut resealed, mut retired, mut keys, mut scopes) = (0, 0, 0, 0);
    for scope in scopes_of(opened, args.env.as_ref()).await? {
        let done = match args.rotate {
            true => maintenance.rotate(&scope).await?,
            false => maintenance.compact(&scope).await?,
        };
        resealed += done.resealed;
        retired += done.retired;
        keys += done.keys;
        scopes += 1;
        spinner.set_position(scopes);
    }
    spinner.finish_and_clear();
    let next = if 0 < resealed { " Keys that are idle now are destroyed by the next run." } else { "" };
    screen.answer(
        || {
            format!(
                "{resealed} records were sealed anew and {retired} keys destroyed; {scopes} scopes have {keys} keys.{next}\n"
            )
        },
        || wire::compacted(resealed, retired, keys, scopes),
    )
}

pub(crate) async fn rewrap(screen: &Screen, opened: &Opened, args: RewrapArgs) -> Result<(), Failure> {
    let Place::Aws(aws) = &opened.place else {
        return Err(Failure::Usage("only a store on AWS has a KMS key: name it with --store aws".to_owned()));
    };
    let root = aws.rewrapper(&args.to_key)?;
    let maintenance = maintenance(opened);
    let spinner = progress::spinner(screen, "wrapping keys");
    let mut keys = 0;
    for scope in scopes_of(opened, None).await? {
        keys += maintenance.rewrap(&scope, &*root).await?;
        spinner.set_position(keys);
    }
    aws.rewrap_store_key(&*root).await?;
    spinner.finish_and_clear();
    screen.answer(
        || {
            format!(
                "{keys} keys and the store key are wrapped under {}. Name it in undertone.toml and in the stack from now on; keep the old key until that is done.\n",
                args.to_key
            )
        },
        || wire::rewrapped(keys),
    )
}

fn maintenance(opened: &Opened) -> Maintenance {
    let (store, sealer, opener) = (opened.store.clone(), opened.sealer.clone(), opened.opener.clone());
    Maintenance::new(store, sealer, opener, opened.audit.clone(), opened.clock.clone(), operator())
}

async fn scopes_of(
    opened: &Opened,
    only: Option<&undertone_core::EnvironmentId>,
) -> Result<Vec<Scope>, Failure> {
    let mut scopes = Vec::new();
    for environment in opened.store.environments().await? {
        if only.is_some_and(|only| *only != environment.id) {
            continue;
        }
        let inside = spaces(opened, &environment.id).await?;
        scopes.push(Scope::Environment(environment.id));
        scopes.extend(inside.into_iter().map(|space| Scope::Space(space.environment, space.id)));
    }
    Ok(scopes)
}
