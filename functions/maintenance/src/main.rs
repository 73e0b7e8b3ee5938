//! Upkeep as a function of its own: the only one with both powers over keys.

use std::sync::Arc;

use maintenance::{Work, anywhere, run};
use undertone::Result;
use undertone_core::audit::Actor;
use undertone_core::maintenance::Maintenance;
use undertone_core::{Clock, SystemClock};

undertone::wipe_freed_memory!();

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    undertone::harden();
    let writable = Arc::new(undertone::aws::writable().await?);
    let stats = writable.installation.kms_stats.clone();
    let counts = move || {
        let counts = stats.counts();
        vec![("KmsErrors", counts.unavailable + counts.denied + counts.wrong)]
    };
    let served = undertone_lambda::serve_task("maintenance", Arc::new(counts), move |payload, time| {
        let writable = writable.clone();
        async move {
            let (store, clock) = (writable.store.clone(), Arc::new(SystemClock::default()));
            let clock: Arc<dyn Clock> = clock;
            let maintenance = Maintenance::new(
                store.clone(),
                writable.sealer.clone(),
                writable.installation.opener.clone(),
                writable.installation.audit.clone(),
                clock,
                Actor::Operator("maintenance".into()),
            );
            let done = run(&*store, &maintenance, Work::asked_for(&payload), &anywhere(), time).await;
            // What was unwrapped isn't kept until the next run.
            writable.installation.forget();
            done.map(|done| done.to_json())
        }
    });
    Ok(served.await?)
}
