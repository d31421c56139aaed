//! What bytes are worth: who signed them, what they are for, the parts that this proxy needs, and whether these are a plan.

use crate::trusted;
use mesh_engine::self_test;
use mesh_engine::self_test::Mismatch;
use mesh_plan::bundle::{self, Bundle, BundleError, Statement, Trust};
use mesh_plan::parts::{Unit, Wanted};
use mesh_plan::{PlanError, PlanView, verify};
use mesh_proxy::cause;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// What plans end with, in a directory of them.
pub(crate) const ENDING: &str = "mplan";

/// A plan to serve, and what it came as.
pub(crate) struct Taken {
    pub(crate) view: PlanView,
    /// Of a signed plan.
    pub(crate) statement: Option<Statement>,
    pub(crate) bytes: Vec<u8>,
}

/// Why there is no plan: a clause about what was read.
#[derive(Debug)]
pub(crate) enum IntakeError {
    Read(io::Error),
    Empty,
    Plan(PlanError),
    Bundle(BundleError),
    /// It decides otherwise than was proved.
    SelfTest(Mismatch),
    /// A directory without plans.
    NoPlan,
    /// A directory with several plans of which none is newer than the others.
    Several(Vec<PathBuf>),
    /// Of a plan in a directory.
    In(PathBuf, Box<IntakeError>),
}

impl fmt::Display for IntakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntakeError::Read(error) => f.write_str(&cause(error)),
            IntakeError::Empty => f.write_str("the file is empty"),
            IntakeError::Plan(error) => error.fmt(f),
            IntakeError::Bundle(error) => error.fmt(f),
            IntakeError::SelfTest(mismatch) => mismatch.fmt(f),
            IntakeError::NoPlan => write!(f, "there is no `*.{ENDING}` in the directory"),
            IntakeError::Several(paths) => {
                let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                let names = names.join(" and ");
                write!(f, "{names} have no generation, so none is the newest: sign them, or name one")
            }
            IntakeError::In(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl IntakeError {
    /// What an operator who has no plan does; empty where there is one.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            // It says what to do.
            IntakeError::Read(error) if error.kind() == io::ErrorKind::PermissionDenied => "",
            IntakeError::Bundle(BundleError::Unsigned) => "; `mesh plan sign` does",
            IntakeError::Read(_) | IntakeError::Empty | IntakeError::Plan(_) | IntakeError::NoPlan => {
                "; `mesh build` writes one"
            }
            IntakeError::SelfTest(_) => "; build it again with a compiler of the proxy's version",
            _ => "",
        }
    }
}

/// For whom plans are taken in, and from whom.
pub(crate) struct Intake {
    pub(crate) trust: Trust,
    pub(crate) wanted: BTreeSet<Wanted>,
}

impl Intake {
    /// The plan of a file, or of the newest file of a directory.
    pub(crate) fn of_path(&self, path: &Path) -> Result<Taken, IntakeError> {
        match fs::metadata(path).map_err(IntakeError::Read)?.is_dir() {
            true => self.newest(path),
            false => self.of_bytes(trusted::read(path).map_err(IntakeError::Read)?),
        }
    }

    /// Of the plans of a directory the one of the highest generation. One that cannot be used is passed over, unless there is no other.
    fn newest(&self, directory: &Path) -> Result<Taken, IntakeError> {
        let mut best: Option<(PathBuf, Taken)> = None;
        let mut without_number = Vec::new();
        let mut failed = None;
        for path in plans_in(directory).map_err(IntakeError::Read)? {
            match trusted::read(&path).map_err(IntakeError::Read).and_then(|bytes| self.of_bytes(bytes)) {
                Ok(taken) => {
                    let generation = |taken: &Taken| taken.statement.as_ref().map(|said| said.generation);
                    if generation(&taken).is_none() {
                        without_number.push(path.clone());
                    }
                    if best.as_ref().is_none_or(|(_, best)| generation(best) < generation(&taken)) {
                        best = Some((path, taken));
                    }
                }
                Err(error) => failed = Some(IntakeError::In(path, Box::new(error))),
            }
        }
        match best {
            Some((_, taken)) if taken.statement.is_none() && without_number.len() > 1 => {
                Err(IntakeError::Several(without_number))
            }
            Some((_, taken)) => Ok(taken),
            None => Err(failed.unwrap_or(IntakeError::NoPlan)),
        }
    }

    /// The plan of some bytes: signed, or as `mesh build` wrote it where no key is pinned.
    pub(crate) fn of_bytes(&self, bytes: Vec<u8>) -> Result<Taken, IntakeError> {
        if bytes.is_empty() {
            return Err(IntakeError::Empty);
        }
        if bytes.starts_with(&bundle::MAGIC) {
            let bundle = Bundle::open(&bytes, &self.trust).map_err(IntakeError::Bundle)?;
            let units: BTreeSet<Unit> =
                self.wanted.iter().flat_map(|wanted| wanted.among(bundle.parts.keys())).collect();
            let view = bundle.plan_for(&units).map_err(IntakeError::Bundle)?;
            self_test(&view).map_err(IntakeError::SelfTest)?;
            return Ok(Taken { view, statement: Some(bundle.statement), bytes });
        }
        let view = verify(bytes.as_slice()).map_err(|error| match error {
            PlanError::NotAPlan => IntakeError::Bundle(BundleError::NotABundle),
            error => IntakeError::Plan(error),
        })?;
        self.trust.check_unsigned().map_err(IntakeError::Bundle)?;
        self_test(&view).map_err(IntakeError::SelfTest)?;
        Ok(Taken { view, statement: None, bytes })
    }
}

/// The plans of a directory, by name.
pub(crate) fn plans_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut plans = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|ending| ending == ENDING) && path.is_file() {
            plans.push(path);
        }
    }
    plans.sort();
    Ok(plans)
}
