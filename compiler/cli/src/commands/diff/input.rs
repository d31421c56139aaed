//! What is compared: a plan file, a project on disk, or a project in a revision of git.

use super::git;
use crate::args::Diff;
use crate::commands::plan;
use crate::failure::Failure;
use crate::load::{Project, load};
use mesh_plan::PlanView;
use std::path::Path;

/// One of the two.
pub(super) struct Input {
    /// As it was named.
    pub(super) name: String,
    content: Content,
}

enum Content {
    Plan(Box<PlanView>),
    Project(Project),
}

impl Input {
    pub(super) fn project(&self) -> Option<&Project> {
        match &self.content {
            Content::Project(project) => Some(project),
            Content::Plan(_) => None,
        }
    }

    pub(super) fn plan(&self) -> Option<&PlanView> {
        match &self.content {
            Content::Plan(plan) => Some(plan),
            Content::Project(_) => None,
        }
    }
}

/// Reads both.
pub(super) fn both(diff: &Diff) -> Result<(Input, Input), Failure> {
    let (old, new) = match diff.old.split_once("..") {
        // `..` alone, and what begins with it, is a path.
        Some((old, new)) if !old.is_empty() && !Path::new(&diff.old).exists() => {
            if diff.new.is_some() {
                return Err(Failure::new(
                    format!("`{}` names both, and there is one more", diff.old),
                    "Say `OLD..NEW`, or `OLD NEW`.",
                ));
            }
            (old, if new.is_empty() { "HEAD" } else { new })
        }
        _ => (diff.old.as_str(), diff.new.as_deref().unwrap_or(".")),
    };
    // A revision alone means the project that the other one names.
    Ok((read(old, new)?, read(new, old)?))
}

fn read(name: &str, other: &str) -> Result<Input, Failure> {
    let path = Path::new(name);
    let content = if path.is_dir() || name.ends_with(".mesh") {
        Content::Project(load(&[path.to_owned()])?)
    } else if path.exists() {
        Content::Plan(Box::new(plan::load(path)?))
    } else {
        let (revision, directory) = match (name.split_once(':'), other.split_once(':')) {
            (Some((revision, directory)), _) => (revision, Some(directory.to_owned())),
            (None, Some((_, directory))) if !Path::new(other).exists() => (name, Some(directory.to_owned())),
            (None, _) => (name, git::place(Path::new(other))),
        };
        Content::Project(git::load(name, revision, directory.as_deref())?)
    };
    Ok(Input { name: name.to_owned(), content })
}
