//! What the process is told from outside: signals, changes of the plan's file, news of the plan's server.

use crate::args::{Args, Source};
use crate::notice::Notices;
use crate::poll::News;
use crate::reload::{self, Watch};
use std::future::pending;
use std::path::Path;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// One of them.
pub(crate) enum Event {
    /// Look at the plan's file; `now`: even if it looks the same.
    Look { now: bool },
    /// Something of the plan's server.
    News(News),
    /// End.
    End,
}

/// Where they come from.
pub(crate) struct Events {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    pub(crate) watch: Option<Watch>,
    notices: Option<Notices>,
    /// Of a plan's server, once one is asked.
    pub(crate) news: Option<mpsc::Receiver<News>>,
}

impl Events {
    pub(crate) fn of(args: &Args) -> std::io::Result<Events> {
        let path: Option<&Path> = match &args.plan {
            Source::Path(path) => Some(path),
            Source::Url(_) => None,
        };
        Ok(Events {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            notices: path.map(Notices::of),
            watch: path.map(Watch::new),
            news: None,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Event {
        let news = async {
            match &mut self.news {
                Some(news) => news.recv().await,
                None => pending().await,
            }
        };
        let noticed = async {
            match &self.notices {
                Some(notices) => notices.next().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Event::End,
            _ = self.interrupt.recv() => Event::End,
            _ = self.hang_up.recv() => Event::Look { now: true },
            () = noticed => Event::Look { now: false },
            Some(news) = news => Event::News(news),
            () = tokio::time::sleep(reload::INTERVAL), if self.watch.is_some() => Event::Look { now: false },
        }
    }

    /// Waits to be told to end, and hears nothing else: what else there is waits.
    pub(crate) async fn only_end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits to be told to end.
    pub(crate) async fn end(&mut self) {
        while !matches!(self.next().await, Event::End) {}
    }
}
