//! Ctrl-C and SIGTERM: the first one asks a command that runs until then to end, the second one ends it at once.

use crate::INTERRUPTED;
use std::io;
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// From now on the first signal arrives here instead of ending the process.
pub(super) fn listen(runtime: &Runtime) -> io::Result<Receiver<()>> {
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
