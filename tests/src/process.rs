//! A binary of the workspace as a process of its own, and what it says.

use crate::up::binary;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The `mesh` command.
pub fn mesh() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(BUILT.get_or_init(|| binary("mesh")));
    command.env("NO_COLOR", "1").env_remove("MESH_SIGNING_KEY");
    command
}

/// The proxy.
pub fn mesh_proxy() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    Command::new(BUILT.get_or_init(|| binary("mesh-proxy")))
}

/// Runs a command to its end. Returns exit code, standard output and standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().expect("no signal"), text(stdout), text(stderr))
}

/// A process that runs until it is dropped, killed then.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts it and listens to both of its streams.
    pub fn start(command: &mut Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        listen(child.stdout.take().expect("piped"), said.clone());
        listen(child.stderr.take().expect("piped"), said.clone());
        Running { child, said }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic").clone()
    }

    /// Waits for a line that holds a text, and returns it. Lines before the given number do not count.
    pub fn wait_after(&self, line: usize, text: &str) -> String {
        let start = Instant::now();
        loop {
            let said = self.said();
            if let Some(line) = said.iter().skip(line).find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(start.elapsed() < PATIENCE, "`{text}` was not said:\n{}", said.join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a line that holds a text.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_after(0, text)
    }

    /// Ends it without a warning.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, said: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            said.lock().expect("no panic").push(line);
        }
    });
}
