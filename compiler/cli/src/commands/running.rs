//! Commands that wait for sockets, or run until Ctrl-C.

use crate::INTERRUPTED;
use crate::failure::{Failure, reason};
use std::io;
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// What waits for sockets waits more than it works: one thread is enough, beside the one that is waited in.
pub(super) fn runtime(doing: &str) -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| trouble(doing, &error))
}

/// Too many files or sockets are open.
pub(super) fn trouble(doing: &str, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot {doing}: {}", reason(error)),
        "Close some programs that use sockets or files, then start again.",
    )
}

/// Ctrl-C and SIGTERM: from now on the first one arrives here and asks the command to end; the second one ends it at once.
pub(super) fn interrupts(runtime: &Runtime) -> Result<Receiver<()>, Failure> {
    listen(runtime).map_err(|error| trouble("listen for signals", &error))
}

fn listen(runtime: &Runtime) -> io::Result<Receiver<()>> {
    let _runtime = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = channel();
    runtime.spawn(async move {
        let mut received = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            received += 1;
            // Nobody listens any more once the command is about to return.
            if received > 1 || sender.send(()).is_err() {
                std::process::exit(i32::from(INTERRUPTED));
            }
        }
    });
    Ok(receiver)
}
