//! `mesh lsp`: what an editor's server cannot do by itself, because it needs a disk, a clock or the engine, is handed to it here.

use super::{graph, test, today, why};
use crate::args::{Paths, Why};
use crate::failure::Failure;
use crate::load::{self, Project};
use crate::{FINDINGS, OK};
use mesh_ide::Question;
use mesh_lang::{Code, SourceSet};
use mesh_lsp::{Ended, GraphQuestion, Loaded, Reach, Tools};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Serves the editor that started this process, until it exits.
pub(crate) fn run() -> u8 {
    let tools = Tools {
        load: Arc::new(load),
        read: Arc::new(load::text),
        is_searched: load::is_searched,
        why: Arc::new(ask_why),
        graph: Arc::new(draw),
        test: Arc::new(|sources: SourceSet, name: &String, _: Option<&str>| {
            let report = test::one(&load::at_hand(sources), name).map_err(said)?;
            document(&report)
        }),
        today: today(),
        page: Arc::new(pages()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    match mesh_lsp::serve(std::io::stdin(), std::io::stdout(), tools) {
        Ended::Cleanly => OK,
        Ended::Abruptly => FINDINGS,
    }
}

fn load(root: &Path, reach: Reach) -> Result<Loaded, String> {
    let found = match reach {
        // A folder without a file of ours is a folder where somebody begins.
        Reach::Below if load::find(&[root.to_owned()]).map_err(said)?.is_empty() => {
            return Ok(Loaded::default());
        }
        Reach::Below => load::load(&[root.to_owned()]),
        Reach::Beside => load::load_beside(root),
    };
    let Project { sources, diagnostics, .. } = found.map_err(said)?;
    let files = sources.iter().map(|(_, source)| {
        let path = Path::new(&source.path);
        let inside = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        (inside, source.module.clone(), source.text.clone())
    });
    Ok(Loaded { files: files.collect(), flaws: diagnostics })
}

fn ask_why(sources: SourceSet, question: &Question, environment: Option<&str>) -> Result<Value, String> {
    let header = |(name, value): &(String, String)| format!("{name}: {value}");
    let asked = Why {
        request: question.request.clone(),
        sources: Paths { paths: vec![] },
        from: question.from.clone(),
        to: question.to.clone(),
        port: question.port.clone(),
        listener: question.listener.clone(),
        host: question.host.clone(),
        headers: question.headers.iter().map(header).collect(),
        claims: vec![],
        tokens: vec![],
        source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        client_ip: None,
        environment: environment.map(str::to_owned),
    };
    let report = why::answer(&load::at_hand(sources), asked.request.as_deref(), &asked).map_err(said)?;
    document(&report)
}

fn draw(sources: SourceSet, question: &GraphQuestion, environment: Option<&str>) -> Result<Value, String> {
    let project = load::at_hand(sources);
    let around = question.around.as_deref();
    let (report, svg) = graph::neighbourhood(&project, around, question.depth, environment).map_err(said)?;
    Ok(json!({ "graph": document(&report)?, "svg": svg }))
}

fn document(report: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(report).map_err(|error| error.to_string())
}

fn said(failure: Failure) -> String {
    format!("{}. {}", failure.message, failure.help)
}

/// The pages that were asked for: each is looked for once.
fn pages() -> impl Fn(Code) -> Option<String> {
    let known: Mutex<BTreeMap<Code, Option<String>>> = Mutex::default();
    move |code| {
        // A page that was begun is written again: nothing is left half done.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(code).or_insert_with(|| page(code)).clone()
    }
}

/// The page of a diagnostic as a file that any editor can open, written where caches are.
fn page(code: Code) -> Option<String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let directory = cache.join("mesh").join(concat!("pages-", env!("CARGO_PKG_VERSION")));
    let path = directory.join(format!("{}.md", code.as_str()));
    let is_written = fs::read_to_string(&path).is_ok_and(|text| text == code.page());
    if !is_written {
        fs::create_dir_all(&directory).ok()?;
        fs::write(&path, code.page()).ok()?;
    }
    Some(mesh_lsp::file_uri(&path))
}
