//! The one thread of this program that writes. Others wait for it without blocking theirs.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use futures_channel::oneshot;
use rusqlite::Connection;

use super::fault::Fault;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Runs jobs one after the other. Dropping it waits until those handed in are done.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(mut connection: Connection) -> Result<Self, Fault> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job(&mut connection));
        let thread = thread::Builder::new().name("undertone-store".to_owned()).spawn(work).map_err(|_| {
            Fault::Unavailable("its writer can't be started: this program has too many threads".to_owned())
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands in a job whose answer nobody waits for here.
    pub(super) fn hand_in(&self, job: impl FnOnce(&mut Connection) + Send + 'static) -> Result<(), Fault> {
        let jobs = self.jobs.as_ref().ok_or_else(Fault::stopped)?;
        jobs.send(Box::new(job)).map_err(|_| Fault::stopped())
    }

    /// Hands in a job and waits for its answer. The job is done even if nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(move |connection| {
            // The caller may have stopped waiting.
            let _ = answer.send(job(connection));
        })?;
        answered.await.map_err(|_| Fault::stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered everybody with `stopped`.
            let _ = thread.join();
        }
    }
}
