//! Ctrl-C and SIGTERM: the first asks for a graceful end, a later one ends at once.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::Exit;
use crate::cli::outputs;
use crate::drive::clock::Epoch;

/// Signals that follow the first one as closely as this are the same wish: `timeout`, shells and
/// process managers signal a process, and then its whole group.
const SAME_WISH: Duration = Duration::from_millis(500);

/// The interruptions of this process.
#[derive(Debug)]
pub struct Interrupt(Receiver<()>);

impl Interrupt {
    /// Takes over SIGINT and SIGTERM, on a thread of its own.
    pub fn listen() -> anyhow::Result<Self> {
        Self::listen_and(|| {})
    }

    /// The same; whoever does not wait for the graceful end gets `clean` called first.
    pub fn listen_and(clean: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let problem = "cannot listen for interruptions";
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().context(problem)?;
        // Before this returns: from then on, an interruption must not end the process as it would
        // by default.
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            let listen = |kind| signal(kind).context(problem);
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
        };
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let mut first: Option<Epoch> = None;
                    loop {
                        tokio::select! {
                            _ = interrupt.recv() => {}
                            _ = terminate.recv() => {}
                        }
                        match first {
                            None => {
                                first = Some(Epoch::after(Duration::ZERO));
                                // The receiver is gone once everything was done.
                                let _ = sender.send(());
                            }
                            Some(first) if first.now() < SAME_WISH => {}
                            Some(_) => {
                                clean();
                                outputs::note(false, "interrupted again: ending at once");
                                std::process::exit(i32::from(Exit::Interrupted.code()));
                            }
                        }
                    }
                });
            })
            .context(problem)?;
        Ok(Self(receiver))
    }

    /// Waits for the first interruption.
    pub fn wait(&self) {
        // The sender is gone only with its thread, and then nothing would ever come.
        let _ = self.0.recv();
    }

    /// Calls `act` at the first interruption, on another thread.
    pub fn then(self, act: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
        thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                if self.0.recv().is_ok() {
                    act();
                }
            })
            .context("cannot listen for interruptions")?;
        Ok(())
    }
}
