//! A project that is kept while it is edited says after every edit what a check from scratch says: of the examples and of
//! generated programs, after edits of every size, most of which leave a mistake behind.

use crate::order;
use fastrand::Rng;
use mesh_compiler::{Compilation, Edited, StandIns, Workspace, compile_in};
use mesh_lang::{FileId, Source, SourceSet, lexer};
use mesh_tests::generate;
use std::path::Path;

/// So many edits of each project; `MESH_EDITS` asks for more.
const EDITS: usize = 40;

/// So many programs of the generator in which there is no error.
const PROGRAMS: usize = 25;

#[test]
fn after_every_edit_of_an_example_a_check_says_the_same() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut folders: Vec<_> =
        std::fs::read_dir(examples).expect("examples").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let mut counts = Counts::default();
    for (folder, seed) in folders.iter().filter(|path| path.is_dir()).zip(0..) {
        let sources = files_below(folder);
        let project = mesh_compiler::Project::parse(&sources);
        let environment = project.environments().into_iter().next();
        counts.edit(sources.clone(), environment.as_deref(), Rng::with_seed(seed));
    }
    counts.print("examples");
}

#[test]
fn after_every_edit_of_a_generated_program_a_check_says_the_same() {
    let mut counts = Counts::default();
    let programs = (0..).map(|seed| {
        let mut rng = Rng::with_seed(seed);
        let files = generate::program(&mut rng).files;
        let files = files.into_iter().map(|(module, text)| (module, "a.mesh".to_owned(), text));
        (order::rewritten(&order::project(files), &mut rng), rng)
    });
    for (dealt, rng) in programs.filter(|(dealt, _)| dealt.compile().plan.is_some()).take(PROGRAMS) {
        counts.edit(dealt.sources, None, rng);
    }
    counts.print("generated programs");
}

#[test]
fn only_what_others_can_see_lets_all_names_be_looked_up() {
    let text = |port: u16, timeout: u16, path: &str| {
        format!(
            "service web {{ calls cart }}\nservice cart {{\n  port {port} http\n  timeout {timeout}s\n}}\nroute cart {{ to cart }}\nauthorize cart {{ allow from web to GET {path} }}\n"
        )
    };
    let sources = SourceSet::single("shop.mesh", &text(80, 1, "/a"));
    let mut workspace = Workspace::new(sources, None, None);
    let mut edited = |text: String| {
        workspace.edit(FileId(0), &text);
        workspace.edited()
    };
    assert_eq!(edited(text(80, 1, "/b")), Edited::Files(1), "a line of an authorization");
    assert_eq!(edited(text(80, 2, "/b")), Edited::Files(1), "a timeout");
    assert_eq!(edited(format!("# a remark\n{}", text(80, 2, "/b"))), Edited::Files(1), "a remark");
    assert_eq!(edited(text(81, 2, "/b")), Edited::Everything, "a port");
    let grouped = format!("group all = web\n{}", text(81, 2, "/b")).replace("from web", "from all");
    assert_eq!(edited(grouped.clone()), Edited::Everything, "a group");
    assert_eq!(edited(format!("# a remark\n{grouped}")), Edited::Files(1), "a remark above a group");
}

/// Each edit of the first file is seen in another one.
#[test]
fn what_an_edit_changes_elsewhere_is_said() {
    let chain = |calls: &str| {
        format!("service cart {{ port 80 http; calls db {calls} }}\nauthorize cart {{ allow from web }}\n")
    };
    let around = |calls: &str| {
        format!(
            "service web {{ calls cart {calls} }}\nservice db {{ port 80 http }}\nauthorize db {{ allow from cart }}\n"
        )
    };
    let sets = |line: &str| {
        format!(
            "service s {{ port 80 http }}\nroute s {{ rule r {{\n{line}\nto s\n}} }}\nauthorize s {{ allow from anyone }}\n"
        )
    };
    let chooses = "service web { port 80 http; calls cart }\nauthorize web { allow from anyone }\nservice cart { port 80 http; subset v1 label v = \"1\"; subset v2 label v = \"2\" }\nauthorize cart { allow from web }\nroute cart {\nrule new { match when header \"x-new\" = \"1\"\nto cart:v2 }\nrule old { to cart:v1 }\n}\n";
    let cart = "service cart { port 80 http }\nauthorize cart { allow from web }\nservice other { port 80 http }\nauthorize other { allow from anyone }\n";
    let lonely = "service cart { port 80 http }\nauthorize cart { allow from namespace default }\n";
    let slow = format!("{}{}", chain("{ use slow }"), around("{ timeout 1s }"));
    let grouped = "group ops = web\nservice web { calls cart }\nservice cart { port 80 http }\n";
    let limited = |limit: &str| {
        format!(
            "service shop {{ port 80 http }}\nauthorize shop {{ allow from web }}\nroute shop {{ rule all {{ match /**\nto shop\n{limit} }} }}\n"
        )
    };
    let counted = "rate-limiter counter { service counts; timeout 1s; on-failure deny }\nservice counts { port 81 grpc }\nauthorize counts { allow from web }\nservice web { calls shop }\n";
    let cases: [(&str, String, String, String, &str); 9] = [
        ("waits", chain("{ timeout 500ms }"), chain("{ timeout 5s }"), around("{ timeout 1s }"), "MESH5004"),
        (
            "tries",
            chain(""),
            chain("{ retry 2 on connect-failure }"),
            around("{ retry 2 on connect-failure }"),
            "MESH5002",
        ),
        (
            "who comes",
            "service web { calls cart }\n".into(),
            "service web { calls other }\n".into(),
            cart.into(),
            "MESH4011",
        ),
        (
            "who has requests counted",
            limited("rate-limit global 1/s by counter"),
            limited(""),
            counted.into(),
            "MESH4011",
        ),
        (
            "who is reached",
            "service web { calls cart }\n".into(),
            "service web { }\n".into(),
            lonely.into(),
            "MESH5011",
        ),
        (
            "a profile that moves",
            "profile slow { timeout 9s }\n".into(),
            "# a remark\nprofile slow { timeout 9s }\n".into(),
            slow,
            "MESH5004",
        ),
        (
            "a group that nobody uses",
            "authorize cart { allow from ops }\n".into(),
            "authorize cart { allow from web }\n".into(),
            grouped.into(),
            "MESH2021",
        ),
        (
            "a header that nobody sets",
            sets("request-header set \"x-new\" \"1\""),
            sets(""),
            chooses.into(),
            "MESH5022",
        ),
        (
            "a name that is missed elsewhere",
            cart.into(),
            format!("# a remark\n{cart}"),
            "service web { calls cart port admin }\n".into(),
            "MESH2004",
        ),
    ];
    for (name, before, after, beside, code) in cases {
        let source =
            |path: &str, text: &str| Source { path: path.into(), module: String::new(), text: text.into() };
        let sources = SourceSet::new(vec![source("a.mesh", &before), source("b.mesh", &beside)]);
        let mut workspace = Workspace::new(sources, None, None);
        workspace.edit(FileId(0), &after);
        assert!(matches!(workspace.edited(), Edited::Files(_)), "{name}");
        same(&workspace, None, name);
        assert!(
            workspace.diagnostics().iter().any(|found| found.code.as_str() == code),
            "{name}: {:?}",
            workspace.diagnostics()
        );
        workspace.edit(FileId(0), &before);
        same(&workspace, None, name);
    }
}

/// What was done, so that a test that does nothing is seen.
#[derive(Default)]
struct Counts {
    edits: usize,
    /// After which there was no error.
    accepted: usize,
    /// After which not all names were looked up.
    some: usize,
}

impl Counts {
    fn edit(&mut self, sources: SourceSet, environment: Option<&str>, mut rng: Rng) {
        let edits = std::env::var("MESH_EDITS").ok().and_then(|text| text.parse().ok()).unwrap_or(EDITS);
        let first = sources.clone();
        let mut workspace = Workspace::new(sources, environment, None);
        same(&workspace, environment, "when it is read");
        let mut file = FileId(0);
        for number in 0..edits {
            // Of two edits nearly always one is taken back, or mistakes would pile up until nothing is decided any more.
            if number % 2 == 0 || rng.u8(..8) == 0 {
                file = FileId(rng.u32(..first.len() as u32));
            }
            let now = workspace.sources().get(file).expect("a file").text.clone();
            let before = &first.get(file).expect("a file").text;
            let text = if now == *before { edited(&now, &mut rng) } else { before.clone() };
            workspace.edit(file, &text);
            let errors = same(&workspace, environment, &format!("after edit {number}:\n{text}"));
            self.edits += 1;
            self.accepted += usize::from(!errors);
            self.some += usize::from(matches!(workspace.edited(), Edited::Files(_)));
        }
    }

    #[expect(clippy::print_stdout, reason = "how much was compared is worth a line in the log")]
    fn print(&self, what: &str) {
        let Counts { edits, accepted, some } = self;
        println!(
            "{what}: {edits} edits, {accepted} without an error, {some} without looking up all names, 0 differences"
        );
        assert!(accepted * 6 > *edits && some * 6 > *edits, "too few of {edits} edits show something");
    }
}

/// Compares with a check from scratch; whether there are errors.
#[track_caller]
fn same(workspace: &Workspace, environment: Option<&str>, when: &str) -> bool {
    let Compilation { diagnostics, suppressed, tests, .. } =
        compile_in(workspace.sources(), environment, &StandIns::new());
    for (found, expected) in workspace.diagnostics().iter().zip(&diagnostics) {
        assert_eq!(found, expected, "{when}");
    }
    assert_eq!(workspace.diagnostics().len(), diagnostics.len(), "{when}");
    assert_eq!(workspace.suppressed(), suppressed, "{when}");
    assert_eq!(workspace.tests(), tests, "{when}");
    diagnostics.iter().any(|found| found.severity == mesh_lang::Severity::Error)
}

/// A text with a small change, as a person makes it on the way to what is meant.
fn edited(text: &str, rng: &mut Rng) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (tokens, _) = lexer::lex(FileId(0), text);
    let words: Vec<&str> = tokens.iter().map(|token| token.text(text)).collect();
    if lines.is_empty() || words.is_empty() {
        return "# nothing\n".to_owned();
    }
    let at = rng.usize(..lines.len());
    match rng.u8(..8) {
        0 => [&lines[..at], &lines[at + 1..]].concat().concat(),
        1 => [&lines[..at], &[lines[rng.usize(..lines.len())]], &lines[at..]].concat().concat(),
        2 => [&lines[..at], &["# a remark\n"], &lines[at..]].concat().concat(),
        3 => {
            let cut = &lines[at][..lines[at].len() / 2];
            let cut = if lines[at].is_char_boundary(lines[at].len() / 2) { cut } else { "" };
            [&lines[..at], &[cut, "\n"], &lines[at + 1..]].concat().concat()
        }
        4 => {
            let word = rng.usize(..words.len());
            [&words[..word], &words[word + 1..]].concat().concat()
        }
        _ => {
            // Another word of the same kind: a name for a name, a number for a number.
            let word = rng.usize(..words.len());
            let alike: Vec<usize> =
                (0..words.len()).filter(|other| tokens[*other].kind == tokens[word].kind).collect();
            let other = words[alike[rng.usize(..alike.len())]];
            [&words[..word], &[other], &words[word + 1..]].concat().concat()
        }
    }
}

fn files_below(folder: &Path) -> SourceSet {
    let mut files = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "mesh") {
                let relative = path.strip_prefix(folder).expect("inside").display().to_string();
                let module = relative.rsplit_once('/').map_or("", |(module, _)| module).to_owned();
                let text = std::fs::read_to_string(&path).expect("a source");
                files.push(Source { path: relative, module, text });
            }
        }
    }
    SourceSet::new(files)
}
