//! Makes a difference small: drops statements of the program, then headers of the request, as long as it stays.

use super::Files;
use mesh_reference::Question;

/// Looks for a difference in a program, or in one request to it.
type Differs<'a> = &'a dyn Fn(&Files, Option<&Question>) -> Option<String>;

/// The smallest program and request that still show a difference, and the difference.
pub(super) fn report(
    seed: u64,
    environment: Option<&str>,
    files: &Files,
    question: Option<&Question>,
    differs: Differs<'_>,
) -> String {
    let files = smaller_program(files.clone(), &|files| differs(files, question).is_some());
    let question = question.map(|question| {
        smaller_question(question.clone(), &|question| differs(&files, Some(question)).is_some())
    });
    let difference = differs(&files, question.as_ref()).unwrap_or_default();
    let texts: String =
        files.iter().map(|(directory, text)| format!("--- {directory}/policy.mesh\n{text}")).collect();
    let request = question.map(|question| format!("--- {question:?}\n")).unwrap_or_default();
    let environment = environment.map(|name| format!(" in {name}")).unwrap_or_default();
    format!("seed {seed}{environment}\n{texts}{request}--- difference\n{difference}")
}

/// Drops whatever mentions a name, then one statement after the other, with its block, until none can be dropped.
fn smaller_program(mut files: Files, shows: &dyn Fn(&Files) -> bool) -> Files {
    for name in ["edge", "web", "cart", "pay", "user", "ads"] {
        let candidate = without_name(&files, name);
        if shows(&candidate) {
            files = candidate;
        }
    }
    loop {
        let smaller = (0..files.len()).find_map(|file| {
            let lines: Vec<&str> = files[file].1.lines().collect();
            (0..lines.len()).find_map(|start| {
                let end = end_of_statement(&lines, start)?;
                let mut candidate = files.clone();
                candidate[file].1 = [&lines[..start], &lines[end..]]
                    .concat()
                    .iter()
                    .map(|line| format!("{line}\n"))
                    .collect();
                shows(&candidate).then_some(candidate)
            })
        });
        match smaller {
            Some(smaller) => files = smaller,
            None => return files,
        }
    }
}

/// The program without the statements whose first line mentions a name.
fn without_name(files: &Files, name: &str) -> Files {
    let without = |text: &String| {
        let lines: Vec<&str> = text.lines().collect();
        let mut kept = String::new();
        let mut index = 0;
        while index < lines.len() {
            let mentions = lines[index].split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name);
            match end_of_statement(&lines, index) {
                Some(end) if mentions => index = end,
                _ => {
                    kept = kept + lines[index] + "\n";
                    index += 1;
                }
            }
        }
        kept
    };
    files.iter().map(|(directory, text)| (directory.clone(), without(text))).collect()
}

/// One past the last line of the statement that starts here; `None` for the end of a block.
fn end_of_statement(lines: &[&str], start: usize) -> Option<usize> {
    let mut depth = 0;
    for (index, line) in lines.iter().enumerate().skip(start) {
        depth += i32::from(line.ends_with('{')) - i32::from(line.trim() == "}");
        if depth < 0 {
            return None;
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// Drops headers and tokens, then whatever else can be as usual.
fn smaller_question(mut question: Question, shows: &dyn Fn(&Question) -> bool) -> Question {
    let mut index = 0;
    while index < question.headers.len() {
        let mut candidate = question.clone();
        candidate.headers.remove(index);
        match shows(&candidate) {
            true => question = candidate,
            false => index += 1,
        }
    }
    let plain: [fn(&mut Question); 4] = [
        |question| question.peer = None,
        |question| question.query.clear(),
        |question| question.tokens.clear(),
        |question| question.client_ip = None,
    ];
    for plain in plain {
        let mut candidate = question.clone();
        plain(&mut candidate);
        if shows(&candidate) {
            question = candidate;
        }
    }
    question
}
