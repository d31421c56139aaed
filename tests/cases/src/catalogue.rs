//! A catalogue: one case on each line, as JSON.

use serde_json::Value;
use std::path::Path;

/// What is sent, and what has to come of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) class: String,
    /// How the input is to be read: `h1`, `h2`, `up`, `mesh` …
    pub(crate) kind: String,
    pub(crate) input: String,
    pub(crate) expect: String,
    /// The input of the case before it, which it may go on about.
    pub(crate) before: Option<String>,
}

/// Reads all of it, or says which line is none.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}; give the path of a JSONL file", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let cases: Result<Vec<_>, _> = lines
        .map(|(number, line)| {
            case(line).map_err(|why| {
                let example = r#"{"id": "P-001", "cls": "…", "kind": "h1", "input": "…", "expect": "…"}"#;
                format!("{}:{}: {why}; a line is {example}", path.display(), number + 1)
            })
        })
        .collect();
    let cases = cases.map(|mut cases| {
        let before: Vec<String> = cases.iter().map(|case: &Case| case.input.clone()).collect();
        let behind_first = cases.iter_mut().skip(1);
        behind_first.zip(before).for_each(|(case, before)| case.before = Some(before));
        cases
    });
    cases.and_then(|cases| match cases.is_empty() {
        true => Err(format!("{} holds no case", path.display())),
        false => Ok(cases),
    })
}

fn case(line: &str) -> Result<Case, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |key: &str| match value.get(key).and_then(Value::as_str) {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("`{key}` is missing or no text")),
    };
    let class = text("cls").or_else(|_| text("class")).unwrap_or_else(|_| "without a class".to_owned());
    Ok(Case {
        id: text("id")?,
        class,
        kind: text("kind")?,
        input: text("input")?,
        expect: text("expect")?,
        before: None,
    })
}
