//! A running `mesh up`, as a process of its own: the way a newcomer meets it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What builds every binary of the workspace with the features that `cargo test --workspace` has: where that ran, nothing is left to
/// be built, and nothing is built twice.
const BUILD: [&str; 7] =
    ["build", "--offline", "--workspace", "--bins", "--test", "it", "--message-format=json"];

fn is_of_a_package(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Builds the binaries of the workspace and says where one is.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<String> = OnceLock::new();
    let messages = BUILT.get_or_init(|| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo says to tests of their package: build scripts that look at it would run again, and all behind them be built again.
        std::env::vars_os().map(|(name, _)| name).filter(is_of_a_package).for_each(|name| {
            cargo.env_remove(name);
        });
        let output =
            cargo.args(BUILD).current_dir(root).stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(output.status.success(), "cargo could not build the workspace");
        String::from_utf8(output.stdout).expect("cargo prints UTF-8")
    });
    let mut built = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executable = built.find_map(|message| match message["target"]["name"] == name {
        true => Some(message["executable"].as_str()?.to_owned()),
        false => None,
    });
    PathBuf::from(executable.expect("cargo names the executable"))
}

/// A copy of an example in a directory of its own, removed at the end.
pub struct Workplace {
    /// Where the copy is.
    pub path: PathBuf,
}

impl Workplace {
    /// Copies the files of `examples/NAME`.
    pub fn of_example(name: &str) -> Workplace {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let unique = format!("mesh-{name}-{}-{:x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).expect("a directory");
        for entry in
            std::fs::read_dir(source).expect("the example").map(|entry| entry.expect("an entry").path())
        {
            std::fs::copy(&entry, path.join(entry.file_name().expect("a name"))).expect("a copy");
        }
        Workplace { path }
    }

    /// Replaces text in a file, as an editor saves: a new file, renamed over the old one.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path.join(file);
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{file} does not hold `{from}`");
        let fresh = self.path.join(format!(".{file}.new"));
        std::fs::write(&fresh, text.replace(from, to)).expect("a write");
        std::fs::rename(fresh, path).expect("a rename");
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The process.
pub struct Up {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Up {
    /// Starts `mesh up` on a directory and waits until it serves.
    pub fn start(directory: &Path) -> Up {
        Up::start_with(directory, &[])
    }

    /// The same with more arguments.
    pub fn start_with(directory: &Path, more: &[&str]) -> Up {
        let mut child = Command::new(binary("mesh"))
            .arg("up")
            .arg(directory)
            .args(more)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mesh starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (errors, ear) = (child.stderr.take().expect("piped"), said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                ear.lock().expect("no panic").push(line);
            }
        });
        let up = Up { child, said };
        up.wait_for("Watching ");
        up
    }

    /// Everything it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic").clone()
    }

    /// Waits for a line that holds a text and returns it.
    pub fn wait_for(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(line) = self.said().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "`{text}` was not said:\n{}", self.said().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The address of the first line that begins with a kind and a name: `gateway bookinfo`, `sidecar productpage`.
    pub fn address(&self, kind: &str, name: &str) -> String {
        let lines = self.said();
        let line = lines.iter().find(|line| line.trim_start().starts_with(kind) && line.contains(name));
        let rest = line.and_then(|line| line.split_once("http://")).expect("an address").1;
        rest.split_whitespace().next().expect("an address").to_owned()
    }

    /// Ctrl-C; returns the exit code.
    pub fn interrupt(mut self) -> Option<i32> {
        let killed =
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("mesh up does not end:\n{}", self.said().join("\n"));
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already, which is what most tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A keep-alive connection that asks one request after another.
pub struct Client {
    stream: BufReader<std::net::TcpStream>,
}

impl Client {
    /// Connects.
    pub fn connect(address: &str) -> Client {
        let stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("a socket option");
        Client { stream: BufReader::new(stream) }
    }

    /// Asks `GET`; `headers` are whole lines without their ends. Returns status and body, or what went wrong.
    pub fn get(&mut self, host: &str, path: &str, headers: &[&str]) -> std::io::Result<(u16, String)> {
        self.ask("GET", host, path, headers)
    }

    /// Asks without a body.
    pub fn ask(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[&str],
    ) -> std::io::Result<(u16, String)> {
        let extra: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{extra}\r\n"))
    }

    /// Asks `GET` and returns the head of the answer, in lower case.
    pub fn head(&mut self, host: &str, path: &str, headers: &[&str]) -> std::io::Result<String> {
        let extra: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        Ok(self.answer(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{extra}\r\n"))?.0)
    }

    /// Sends these bytes, which are a whole request. Returns the head of the answer, in lower case.
    pub fn head_of(&mut self, request: &str) -> std::io::Result<String> {
        Ok(self.answer(request)?.0)
    }

    /// Sends these bytes, which are a whole request. Returns status and body.
    pub fn send(&mut self, request: &str) -> std::io::Result<(u16, String)> {
        let (head, body) = self.answer(request)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body))
    }

    /// Sends a request and reads the head, in lower case, and the body of its answer.
    fn answer(&mut self, request: &str) -> std::io::Result<(String, String)> {
        std::io::Write::write_all(self.stream.get_mut(), request.as_bytes())?;
        let mut head = String::new();
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
            assert!(!line.starts_with("transfer-encoding:"), "this client reads sized bodies only");
            head.push_str(&line);
            head.push('\n');
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
