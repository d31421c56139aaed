//! What upstreams did, line by line. Each line is written by one call to the kernel before the answer is, so it outlives the process.

use hyper::Method;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// The journal of a process.
pub(crate) struct Journal {
    file: File,
}

/// What has begun, until it is dropped.
pub(crate) struct UnderWay<'j> {
    journal: &'j Journal,
    end: &'static str,
}

impl Journal {
    pub(crate) fn append(path: &Path) -> Result<Journal, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map(|file| Journal { file }).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    pub(crate) fn connection(&self) -> UnderWay<'_> {
        self.write("open\n");
        UnderWay { journal: self, end: "close\n" }
    }

    pub(crate) fn request(&self, method: &Method, id: u64) -> UnderWay<'_> {
        self.write(&format!("begin {method} {id}\n"));
        UnderWay { journal: self, end: "end\n" }
    }

    fn write(&self, line: &str) {
        // Without its journal an upstream proves nothing: better that it is gone.
        if (&self.file).write_all(line.as_bytes()).is_err() {
            std::process::abort();
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.journal.write(self.end);
    }
}

/// What stands in journals.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How often each request began.
    pub(crate) arrived: HashMap<u64, u32>,
    /// Requests that began.
    pub(crate) requests: usize,
    /// The most requests that one upstream had at once.
    pub(crate) most_requests: usize,
    /// The most connections that one upstream had at once.
    pub(crate) most_connections: usize,
}

impl Told {
    /// Reads journals of upstreams. What a killed one had under way has no end: that is for those who kill none.
    pub(crate) fn read<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<Told, String> {
        let mut told = Told::default();
        for path in paths {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let (mut requests, mut connections) = (0usize, 0usize);
            for line in text.lines() {
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["begin", _, id] => {
                        let id = id.parse().map_err(|_| format!("{}: {line}", path.display()))?;
                        *told.arrived.entry(id).or_default() += 1;
                        told.requests += 1;
                        requests += 1;
                    }
                    ["end"] => requests = requests.saturating_sub(1),
                    ["open"] => connections += 1,
                    ["close"] => connections = connections.saturating_sub(1),
                    _ => return Err(format!("{}: {line}", path.display())),
                }
                told.most_requests = told.most_requests.max(requests);
                told.most_connections = told.most_connections.max(connections);
            }
        }
        Ok(told)
    }

    /// Requests of these that arrived more than once.
    pub(crate) fn repeated(&self, ids: impl IntoIterator<Item = u64>) -> usize {
        ids.into_iter().filter(|id| self.arrived.get(id).is_some_and(|times| *times > 1)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_told() {
        let path = std::env::temp_dir().join(format!("mesh-load-{}.journal", std::process::id()));
        let journal = Journal::append(&path).unwrap();
        let open = journal.connection();
        let first = journal.request(&Method::POST, 7);
        drop(journal.request(&Method::GET, 8));
        drop(first);
        let again = Journal::append(&path).unwrap();
        drop(again.request(&Method::POST, 7));
        drop(open);
        let told = Told::read([path.as_path()]).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((told.requests, told.most_requests, told.most_connections), (3, 2, 1));
        assert_eq!((told.repeated([7, 8]), told.repeated([8, 9])), (1, 0));
    }
}
