//! Ctrl-C and SIGTERM end a rehearsal early; SIGUSR1 holds its replay, SIGUSR2 lets it go on.

use std::thread;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::interrupt::Interrupt;
use crate::cli::{Voice, outputs};
use crate::drive::hold::{Control, Hold};

/// An interruption ends the rehearsal early; two other signals hold it and let it go on.
pub(super) fn listen(voice: Voice, control: &Control) {
    let (stopping, quiet) = (control.stop.clone(), voice.quiet);
    let interrupted = Interrupt::listen().and_then(|interrupt| {
        interrupt.then(move || {
            outputs::note(quiet, "interrupted: finishing what is in flight, then reporting");
            stopping.request();
        })
    });
    if let Err(error) = interrupted {
        outputs::note(quiet, &format!("warning: {error:#}; Ctrl-C will end without a report"));
    }
    if let Err(error) = hold_by_signal(&control.hold) {
        outputs::note(quiet, &format!("warning: {error:#}; the run cannot be held"));
    }
}

/// Listens for the two that hold, on a thread of its own.
fn hold_by_signal(hold: &Hold) -> anyhow::Result<()> {
    let problem = "cannot listen for SIGUSR1 and SIGUSR2";
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().context(problem)?;
    // Before this returns: from then on, neither must end the process as it would by default.
    let (mut holding, mut resuming) = {
        let _context = runtime.enter();
        let listen = |kind| signal(kind).context(problem);
        (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?)
    };
    let hold = hold.clone();
    let listening = move || {
        runtime.block_on(async {
            loop {
                let line = tokio::select! {
                    _ = holding.recv() => hold.hold().then_some(
                        "held (SIGUSR1): what is due from now on is not sent; SIGUSR2 goes on",
                    ),
                    _ = resuming.recv() => hold.resume().then_some("going on (SIGUSR2)"),
                };
                if let Some(line) = line {
                    // A person asked for it, and must see that it was heard.
                    outputs::note(false, line);
                }
            }
        });
    };
    thread::Builder::new().name("hold".to_owned()).spawn(listening).context(problem)?;
    Ok(())
}
