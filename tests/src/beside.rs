//! Runs a view over fixtures and keeps what it prints beside each of them.

use crate::project::Project;
use std::path::Path;

/// Compares `view` of every fixture below `suite/<shelf>` with the `.snap` beside it.
#[track_caller]
pub fn beside(shelf: &str, view: impl Fn(&Project) -> String) {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite");
    insta::glob!(&base, &format!("{shelf}/**/*.mesh"), |path| {
        let mut keep = insta::Settings::clone_current();
        keep.set_snapshot_path(path.parent().expect("a fixture is in a folder"));
        keep.set_prepend_module_to_snapshot(false);
        keep.remove_snapshot_suffix();
        keep.remove_input_file();
        keep.set_omit_expression(true);
        let name = path.file_stem().expect("a fixture has a name").to_string_lossy().into_owned();
        keep.bind(|| insta::assert_snapshot!(name, view(&Project::read(path))));
    });
}
