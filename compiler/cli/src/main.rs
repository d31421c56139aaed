//! The `mesh` command.

fn main() -> std::process::ExitCode {
    mesh_cli::run_process()
}
