//! A project in a temporary directory, and `mesh` run on it without a process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A gateway in front of two versions of a service; `jason` is a tester.
pub(crate) const SHOP: &str = r#"gateway edge {
  listener http port 8080 http {
    host "*"
  }
}

service web {
  port 80 http
  subset v1 label version = "v1"
  subset v2 label version = "v2"
}

route edge {
  to web
}

route web {
  rule testers {
    match when header "end-user" = "jason"
    to web:v2
  }
  rule others {
    to web:v1
  }
}

authorize edge {
  allow from anyone
}

authorize web {
  allow from gateway edge
}
"#;

/// Files that are gone when the test ends.
pub(crate) struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    /// A project of these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Project {
        let project = Project { directory: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    /// The path of a file in it, or of the project itself for `""`.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.directory.path().to_owned() } else { self.directory.path().join(name) }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }

    /// The names of everything at its top, hidden files too.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs `mesh`; `{}` in an argument stands for the project's path, which does not show in what comes back.
    pub(crate) fn mesh(&self, args: &[&str]) -> Ran {
        let path = self.directory.path().to_str().unwrap();
        let args: Vec<_> = args.iter().map(|arg| arg.replace("{}", path)).collect();
        let ran = mesh(&args.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        let hide = |text: String| text.replace(&format!("{path}/"), "").replace(path, "PROJECT");
        Ran { code: ran.code, out: hide(ran.out), err: hide(ran.err) }
    }
}

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `mesh` in this process, with no terminal and an empty environment.
pub(crate) fn mesh(args: &[&str], mut input: &[u8]) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = mesh_cli::Streams {
        input: &mut input,
        output: &mut out,
        errors: &mut err,
        terminal: mesh_cli::Terminal::default(),
    };
    let args = ["mesh"].iter().chain(args).map(OsString::from);
    let code = mesh_cli::run(args, streams);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code, out: text(out), err: text(err) }
}

/// The sample that the repository ships.
pub(crate) fn bookinfo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bookinfo")
}
