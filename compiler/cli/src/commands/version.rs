//! `mesh version` and `mesh completions`: what this binary is, and how a shell completes it.

use crate::OK;
use crate::args::Arguments;
use crate::output::Output;
use clap::CommandFactory;

pub(crate) fn run(output: &mut Output<'_>) -> u8 {
    let version = env!("CARGO_PKG_VERSION");
    if output.for_program() {
        output.document(&serde_json::json!({ "schema": "mesh.version/v1", "version": version }));
    } else {
        output.data(&format!("mesh {version}"));
    }
    OK
}

pub(crate) fn completions(shell: clap_complete::Shell, output: &mut Output<'_>) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "mesh", &mut script);
    output.raw(&script);
    OK
}
