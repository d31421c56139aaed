//! `MESH3051`: an `every` or `some` line that describes no request: of none everything is true.

use mesh_lang::{Code, Diagnostic, Span};

/// The complaint about a line of a test.
pub(crate) fn empty_description(line: Span) -> Diagnostic {
    Diagnostic::new(Code::EmptyDescription, "no request is of this description")
        .at(line, "of no request everything is true")
        .help("Delete the line, or make its conditions fit together.")
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_test_of_no_request_is_none() {
        let text = "service web { port 80 http }\nauthorize web { allow from anyone }\ntest \"t\" {\nevery to web GET /a when path suffix \".json\" expect deny\n}\n";
        says(text, &["4 MESH3051 no request is of this description"]);
        says(&text.replace("/a when", "/** when"), &[]);
    }
}
