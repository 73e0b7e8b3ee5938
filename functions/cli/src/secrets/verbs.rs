//! The verbs on one row. Those that take something away say what wins afterwards, before they act.

use undertone_core::resolve::Explanation;
use undertone_core::vault::{Spelling, VaultError, Written};
use undertone_core::{Scope, SecretName, Standing};

use crate::args::{BlockArgs, ConfirmedArgs, NamedArgs, VersionArgs};
use crate::exit::Failure;
use crate::opened::Opened;
use crate::prompt;
use crate::screen::Screen;
use crate::wire;

pub(crate) async fn unset(screen: &Screen, opened: &Opened, args: ConfirmedArgs) -> Result<(), Failure> {
    let (scope, name) = (args.named.scope.scope(), args.named.name);
    let preview = opened.vault.preview_without(&scope, &name).await?;
    screen.before_acting(args.yes, &format!("Without `{name}` in {scope}: {}\n", preview.sentence()));
    if !args.yes {
        prompt::confirm("Unset it?")?;
    }
    let written = opened.vault.unset(&scope, &name).await?;
    report(screen, "unset", &scope, &written, "is unset")
}

pub(crate) async fn delete(screen: &Screen, opened: &Opened, args: ConfirmedArgs) -> Result<(), Failure> {
    let (scope, name) = (args.named.scope.scope(), args.named.name);
    let preview = without(opened, &scope, &name).await?;
    screen.before_acting(args.yes, &format!("Without `{name}` in {scope}: {}\n", preview.sentence()));
    if !args.yes {
        prompt::confirm("Delete it? It can be restored for 30 days.")?;
    }
    let written = opened.vault.delete(&scope, &name).await?;
    let history = opened.vault.history(&scope, &name).await?;
    if let Standing::Deleted { purge_at } = history.row.head.standing {
        screen.note(&format!(
            "until {} it can be restored with `undertone secrets restore`; version {} was current",
            crate::scopes::time(purge_at),
            history.row.head.current
        ));
    }
    report(screen, "delete", &scope, &written, "is deleted")
}

pub(crate) async fn destroy(screen: &Screen, opened: &Opened, args: ConfirmedArgs) -> Result<(), Failure> {
    let (scope, name) = (args.named.scope.scope(), args.named.name);
    let history = opened.vault.history(&scope, &name).await?;
    if history.row.head.standing == Standing::Destroyed {
        return Err(VaultError::NoRow { scope, name }.into());
    }
    let preview = without(opened, &scope, &name).await?;
    let versions = match history.versions.len() {
        1 => "its one version".to_owned(),
        count => format!("all its {count} versions"),
    };
    let what = format!(
        "`{name}` in {scope} would be destroyed with {versions}, for good. Without it: {}\n",
        preview.sentence()
    );
    screen.before_acting(args.yes, &what);
    if !args.yes {
        prompt::confirm_by_typing(name.as_str(), "Type the name to destroy it:")?;
    }
    let written = opened.vault.destroy(&scope, &name).await?;
    report(screen, "destroy", &scope, &written, "is destroyed")
}

pub(crate) async fn block(screen: &Screen, opened: &Opened, args: BlockArgs) -> Result<(), Failure> {
    let scope = args.named.scope.scope();
    let spelling = if args.allow_noncanonical { Spelling::Any } else { Spelling::Canonical };
    let written = opened.vault.block(&scope, &args.named.name, spelling).await?;
    report(screen, "block", &scope, &written, "is blocked")
}

pub(crate) async fn lock(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.lock(&scope, &args.name).await?;
    report(screen, "lock", &scope, &written, "is locked")
}

pub(crate) async fn unlock(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.unlock(&scope, &args.name).await?;
    report(screen, "unlock", &scope, &written, "is unlocked")
}

pub(crate) async fn disable(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.disable(&scope, &args.name).await?;
    report(screen, "disable", &scope, &written, "is disabled")
}

pub(crate) async fn enable(screen: &Screen, opened: &Opened, args: NamedArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.enable(&scope, &args.name).await?;
    report(screen, "enable", &scope, &written, "is enabled")
}

pub(crate) async fn restore(screen: &Screen, opened: &Opened, args: VersionArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.restore(&scope, &args.name, args.version).await?;
    report(screen, "restore", &scope, &written, &format!("is back at version {}", args.version))
}

pub(crate) async fn revoke(screen: &Screen, opened: &Opened, args: VersionArgs) -> Result<(), Failure> {
    let scope = args.scope.scope();
    let written = opened.vault.revoke(&scope, &args.name, args.version).await?;
    report(screen, "revoke", &scope, &written, &format!("has its version {} revoked", args.version))
}

/// What wins without the row; a row that is unset or deleted already changes nothing.
async fn without(opened: &Opened, scope: &Scope, name: &SecretName) -> Result<Explanation, Failure> {
    match opened.vault.preview_without(scope, name).await {
        Err(VaultError::NoRow { .. }) => {
            opened.vault.history(scope, name).await?;
            Ok(opened.vault.explain(scope, name).await?)
        }
        preview => Ok(preview?),
    }
}

fn report(
    screen: &Screen,
    done: &str,
    scope: &Scope,
    written: &Written,
    became: &str,
) -> Result<(), Failure> {
    screen.done(
        || {
            let after = &written.after;
            format!("`{}` {became} in {scope}.\n{}\n", after.name, after.sentence())
        },
        || wire::changed(done, scope, written.version, &[], &written.after),
    )
}
