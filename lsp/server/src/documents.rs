//! What is open in the editor: its text counts, whatever is on disk.

use crate::position::{Encoding, Lines};
use gen_lsp_types::TextDocumentContentChangeEvent as Change;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An open buffer.
pub(crate) struct Document {
    /// As the client spells it.
    pub(crate) uri: String,
    /// `None` for what was never saved.
    pub(crate) path: Option<PathBuf>,
    pub(crate) version: i32,
    pub(crate) text: String,
}

/// All open buffers, by the URI as the client spells it.
#[derive(Default)]
pub(crate) struct Documents {
    open: BTreeMap<String, Document>,
}

impl Documents {
    pub(crate) fn open(&mut self, uri: &str, version: i32, text: String) {
        let document = Document { uri: uri.to_owned(), path: crate::uri::to_path(uri), version, text };
        self.open.insert(uri.to_owned(), document);
    }

    /// Makes the changes one after the other, as the protocol says; whether there is such a buffer.
    pub(crate) fn change(
        &mut self,
        uri: &str,
        version: i32,
        changes: Vec<Change>,
        encoding: Encoding,
    ) -> bool {
        let Some(document) = self.open.get_mut(uri) else { return false };
        for change in changes {
            match change {
                Change::TextDocumentContentChangeWholeDocument(whole) => document.text = whole.text,
                Change::TextDocumentContentChangePartial(part) => {
                    let lines = Lines::of(&document.text);
                    let start = lines.offset(&document.text, part.range.start, encoding) as usize;
                    let end = lines.offset(&document.text, part.range.end, encoding) as usize;
                    document.text.replace_range(start..end.max(start), &part.text);
                }
            }
        }
        document.version = version;
        true
    }

    pub(crate) fn close(&mut self, uri: &str) -> Option<Document> {
        self.open.remove(uri)
    }

    pub(crate) fn get(&self, uri: &str) -> Option<&Document> {
        self.open.get(uri)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Document> {
        self.open.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &str) -> String {
        let mut documents = Documents::default();
        documents.open("file:///a.mesh", 1, "one\ntwo ü three\n".to_owned());
        let changes: Vec<Change> = serde_json::from_str(changes).unwrap();
        assert!(documents.change("file:///a.mesh", 2, changes, Encoding::Utf16));
        assert_eq!(documents.get("file:///a.mesh").unwrap().version, 2);
        documents.close("file:///a.mesh").unwrap().text
    }

    #[test]
    fn changes_are_made_one_after_the_other() {
        let range = |line: u32, from: u32, to: u32| {
            format!(
                r#""range":{{"start":{{"line":{line},"character":{from}}},"end":{{"line":{line},"character":{to}}}}}"#
            )
        };
        assert_eq!(changed(&format!(r#"[{{{},"text":"u"}}]"#, range(1, 4, 5))), "one\ntwo u three\n");
        assert_eq!(
            changed(&format!(r#"[{{{},"text":""}},{{{},"text":"2"}}]"#, range(0, 0, 3), range(0, 0, 0))),
            "2\ntwo ü three\n"
        );
        assert_eq!(changed(r#"[{"text":"whole"}]"#), "whole");
        assert_eq!(changed(&format!(r#"[{{{},"text":"x"}}]"#, range(9, 9, 9))), "one\ntwo ü three\nx");
    }

    #[test]
    fn what_is_not_open_is_not_changed() {
        assert!(!Documents::default().change("file:///a.mesh", 2, vec![], Encoding::Utf8));
    }
}
