//! What is wrong: what `mesh check` says of all environments, after every edit.

use crate::Analysis;
use mesh_compiler::Workspace;
use mesh_compiler::case::Proof;
use mesh_lang::{Code, Diagnostic};

impl Analysis {
    /// Everything to say, in order of place; what is not so in all environments says where.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        if let [only] = self.workspaces.as_slice() {
            let mut all = said(only);
            all.sort_by_key(Diagnostic::span);
            return all;
        }
        let each: Vec<Vec<Diagnostic>> = self.workspaces.iter().map(said).collect();
        let count = self.workspaces.len();
        let mut all: Vec<(&Diagnostic, Vec<&str>)> = Vec::new();
        for (workspace, found) in self.workspaces.iter().zip(&each) {
            let name = workspace.environment().unwrap_or_default();
            for found in found {
                match all.iter_mut().find(|(known, _)| *known == found) {
                    Some((_, names)) => names.push(name),
                    None => all.push((found, vec![name])),
                }
            }
        }
        // That a remark silences nothing is so where it does so everywhere.
        all.retain(|(found, names)| found.code != Code::UnusedSuppression || names.len() == count);
        let merged = all.into_iter().map(|(found, names)| match names.len() == count {
            true => found.clone(),
            false => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                found.clone().note(format!("in {}", names.join(", ")))
            }
        });
        let mut merged: Vec<Diagnostic> = merged.collect();
        merged.sort_by_key(Diagnostic::span);
        merged
    }
}

/// What is said in one environment, and which `every` and `some` lines do not hold.
fn said(workspace: &Workspace) -> Vec<Diagnostic> {
    let proofs = workspace.tests().iter().flat_map(|test| &test.proofs);
    workspace.diagnostics().iter().cloned().chain(proofs.filter_map(Proof::broken)).collect()
}
