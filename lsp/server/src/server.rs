//! The loop: what came in is taken in order, what was taken back meanwhile is not begun, and when nothing waits what is wrong is said.

use crate::capabilities::{self, Client};
use crate::dispatch::{self, Answered};
use crate::documents::Documents;
use crate::projects::{Place, Project};
use crate::to_proto::ToProto;
use crate::transport::Incoming;
use crate::{Ended, Reach, Tools, uri};
use crossbeam_channel::{Receiver, Sender};
use gen_lsp_types::{
    CancelParams, Diagnostic, DidChangeTextDocumentParams, DidChangeWatchedFilesParams,
    DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, FileChangeType,
    InitializeParams, MessageType, PublishDiagnosticsParams, Uri,
};
use lsp_server::{ErrorCode, Message, Notification, Request, RequestId};
use mesh_lang::FileId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a question has no answer.
pub(crate) struct Failure {
    code: i32,
    message: String,
}

impl Failure {
    fn of(code: ErrorCode, message: &str) -> Failure {
        Failure { code: code as i32, message: message.to_owned() }
    }

    /// The question is understood, and the answer is that it cannot be done; a sentence.
    pub(crate) fn refused(message: String) -> Failure {
        Failure::of(ErrorCode::RequestFailed, &message)
    }

    pub(crate) fn parameters(message: &str) -> Failure {
        Failure::of(ErrorCode::InvalidParams, message)
    }

    pub(crate) fn modified(message: &str) -> Failure {
        Failure::of(ErrorCode::ContentModified, message)
    }

    pub(crate) fn unknown(method: &str) -> Failure {
        Failure::of(ErrorCode::MethodNotFound, &format!("no method `{method}`"))
    }

    pub(crate) fn bug(message: &str) -> Failure {
        Failure::of(ErrorCode::InternalError, &format!("a bug of mesh: {message}"))
    }
}

/// What a client may say when it begins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    /// Directories below a folder that are projects of their own; without them the folder is one.
    projects: Vec<String>,
}

/// What questions are asked of.
pub(crate) struct State {
    pub(crate) client: Client,
    pub(crate) tools: Tools,
    pub(crate) outgoing: Sender<Value>,
    pub(crate) documents: Documents,
    projects: Vec<Project>,
    folders: Vec<PathBuf>,
    options: Options,
    /// Jobs that nobody took back.
    running: Arc<Mutex<BTreeSet<RequestId>>>,
    asked: i32,
}

pub(crate) struct Server {
    state: State,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    /// Initialized, whether or not the client has said that it knows.
    Running,
    ShutDown,
}

impl Server {
    pub(crate) fn new(outgoing: Sender<Value>, tools: Tools) -> Server {
        let client = Client::of(&InitializeParams::default());
        let state = State {
            client,
            tools,
            outgoing,
            documents: Documents::default(),
            projects: Vec::new(),
            folders: Vec::new(),
            options: Options::default(),
            running: Arc::default(),
            asked: 0,
        };
        Server { state, phase: Phase::New }
    }

    pub(crate) fn run(mut self, incoming: &Receiver<Incoming>) -> Ended {
        loop {
            let Ok(first) = incoming.recv() else { return Ended::Abruptly };
            let mut waiting = vec![first];
            waiting.extend(incoming.try_iter());
            let mut taken_back = taken_back(&waiting);
            for message in waiting {
                match message {
                    Incoming::Malformed(answer) => self.state.send(answer),
                    Incoming::Message(Message::Request(request)) => {
                        if taken_back.remove(&request.id) {
                            self.state
                                .fail(&request.id, &Failure::of(ErrorCode::RequestCanceled, "taken back"));
                        } else {
                            self.request(request);
                        }
                    }
                    Incoming::Message(Message::Notification(note)) if note.method == "exit" => {
                        return if self.phase == Phase::ShutDown { Ended::Cleanly } else { Ended::Abruptly };
                    }
                    Incoming::Message(Message::Notification(note)) => self.notification(note),
                    // Clients answer that they have shown progress, registered and refreshed: nothing hangs on it.
                    Incoming::Message(Message::Response(_)) => {}
                }
            }
            if self.phase == Phase::Running {
                self.state.settle();
                let state = &mut self.state;
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| state.say())) {
                    self.state.recover("what is wrong", payload.as_ref());
                }
            }
        }
    }

    fn request(&mut self, request: Request) {
        let id = request.id.clone();
        match (self.phase, request.method.as_str()) {
            (Phase::New, "initialize") => self.initialize(&id, request.params),
            (Phase::New, _) => {
                self.state
                    .fail(&id, &Failure::of(ErrorCode::ServerNotInitialized, "`initialize` comes first"));
            }
            (Phase::Running, "initialize") => {
                self.state.fail(&id, &Failure::of(ErrorCode::InvalidRequest, "initialized already"));
            }
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                self.state.answer(&id, Value::Null);
            }
            (Phase::Running, _) => self.state.ask(request),
            (Phase::ShutDown, _) => {
                self.state.fail(&id, &Failure::of(ErrorCode::InvalidRequest, "the server is shut down"));
            }
        }
    }

    fn initialize(&mut self, id: &RequestId, params: Value) {
        let params: InitializeParams = match serde_json::from_value(params) {
            Ok(params) => params,
            Err(error) => return self.state.fail(id, &Failure::parameters(&error.to_string())),
        };
        self.phase = Phase::Running;
        self.state.client = Client::of(&params);
        self.state.options = params
            .initialization_options
            .as_ref()
            .and_then(|options| Options::deserialize(options).ok())
            .unwrap_or_default();
        // As JSON: of three ways to say folders, each may be absent or null.
        let said = serde_json::to_value(&params).unwrap_or(Value::Null);
        let folders = said.get("workspaceFolders").and_then(Value::as_array);
        let uris = folders.into_iter().flatten().filter_map(|folder| folder.get("uri")?.as_str());
        let mut folders: Vec<PathBuf> = uris.filter_map(uri::to_path).collect();
        if folders.is_empty() {
            folders.extend(said.get("rootUri").and_then(Value::as_str).and_then(uri::to_path));
        }
        self.state.folders = folders;
        let answer = json!({
            "capabilities": capabilities::server(&self.state.client),
            "serverInfo": { "name": "mesh", "version": self.state.tools.version },
        });
        self.state.answer(id, answer);
    }

    fn notification(&mut self, note: Notification) {
        if self.phase != Phase::Running {
            return;
        }
        let method = note.method.clone();
        let state = &mut self.state;
        let taken = catch_unwind(AssertUnwindSafe(|| state.notice(note)));
        if let Err(payload) = taken {
            self.state.recover(&method, payload.as_ref());
        }
    }
}

/// The requests that the client does not want answered any more.
fn taken_back(waiting: &[Incoming]) -> BTreeSet<RequestId> {
    let ids = waiting.iter().filter_map(|message| match message {
        Incoming::Message(Message::Notification(note)) if note.method == "$/cancelRequest" => {
            canceled(&note.params)
        }
        _ => None,
    });
    ids.collect()
}

fn canceled(params: &Value) -> Option<RequestId> {
    let params = CancelParams::deserialize(params).ok()?;
    Some(match params.id {
        gen_lsp_types::Id::Int(id) => RequestId::from(id),
        gen_lsp_types::Id::String(id) => RequestId::from(id),
    })
}

impl State {
    /// Answers a request, or says why it cannot. A panic is an answer, too, and the server goes on.
    fn ask(&mut self, request: Request) {
        self.settle();
        let (id, method) = (request.id.clone(), request.method.clone());
        match catch_unwind(AssertUnwindSafe(|| dispatch::answer(self, request))) {
            Ok(Ok(Answered::Now(value))) => self.answer(&id, value),
            Ok(Ok(Answered::Later)) => {}
            Ok(Err(failure)) => self.fail(&id, &failure),
            Err(payload) => {
                self.fail(&id, &Failure::bug(panic_text(payload.as_ref())));
                self.recover(&method, payload.as_ref());
            }
        }
    }

    fn notice(&mut self, note: Notification) {
        let Notification { method, params } = note;
        match method.as_str() {
            "initialized" => self.begin(),
            "textDocument/didOpen" => {
                let Ok(params) = DidOpenTextDocumentParams::deserialize(params) else { return };
                let document = params.text_document;
                self.documents.open(&document.uri.0, document.version, document.text);
                self.opened(&document.uri.0);
            }
            "textDocument/didChange" => {
                let Ok(params) = DidChangeTextDocumentParams::deserialize(params) else { return };
                let uri = params.text_document.text_document_identifier.uri.0;
                let version = params.text_document.version;
                if self.documents.change(&uri, version, params.content_changes, self.client.encoding) {
                    self.projects.iter_mut().for_each(|project| project.changed(&uri));
                }
            }
            "textDocument/didClose" => {
                let Ok(params) = DidCloseTextDocumentParams::deserialize(params) else { return };
                self.closed(&params.text_document.uri.0);
            }
            "workspace/didChangeWatchedFiles" => {
                let Ok(params) = DidChangeWatchedFilesParams::deserialize(params) else { return };
                for change in params.changes {
                    self.file_changed(&change.uri.0, change.kind);
                }
            }
            "workspace/didChangeWorkspaceFolders" => {
                let Ok(params) = DidChangeWorkspaceFoldersParams::deserialize(params) else { return };
                let removed: Vec<PathBuf> =
                    params.event.removed.iter().filter_map(|folder| uri::to_path(&folder.uri.0)).collect();
                self.folders.retain(|folder| !removed.contains(folder));
                let added = params.event.added.iter().filter_map(|folder| uri::to_path(&folder.uri.0));
                self.folders.extend(added);
                self.load_folders();
            }
            "$/cancelRequest" => {
                let Some(id) = canceled(&params) else { return };
                let was_running = self.running().remove(&id);
                if was_running {
                    self.fail(&id, &Failure::of(ErrorCode::RequestCanceled, "taken back"));
                }
            }
            // What the server does not know it need not: nothing is answered to a notification.
            _ => {}
        }
    }

    /// The client is there: the files are read, and it is asked to tell when they change.
    fn begin(&mut self) {
        if self.client.watches {
            let watcher = json!({ "watchers": [{ "globPattern": "**/*.mesh" }] });
            let registration = json!({ "id": "files", "method": "workspace/didChangeWatchedFiles", "registerOptions": watcher });
            self.request("client/registerCapability", json!({ "registrations": [registration] }));
        }
        self.load_folders();
    }

    fn load_folders(&mut self) {
        let roots = self.folders.iter().flat_map(|folder| match self.options.projects.as_slice() {
            [] => vec![folder.clone()],
            projects => projects.iter().map(|project| folder.join(project)).collect(),
        });
        let mut roots: Vec<PathBuf> = roots.collect();
        // A project that was said for another folder is not in this one.
        roots.retain(|root| self.options.projects.is_empty() || root.is_dir());
        roots.sort();
        roots.dedup();
        self.retract(|_| true);
        self.projects.clear();
        let progress = self.progress("Reading the mesh");
        for root in roots {
            let (project, problem) = Project::load(&root, Reach::Below, &self.documents, &self.tools);
            if let Some(problem) = problem {
                self.show(MessageType::Warning, &problem);
            }
            self.projects.push(project);
        }
        if let Some(token) = progress {
            self.notify("$/progress", json!({ "token": token, "value": { "kind": "end" } }));
        }
        let uris: Vec<String> = self.documents.iter().map(|document| document.uri.clone()).collect();
        uris.iter().for_each(|uri| self.opened(uri));
    }

    /// Tells that something takes long, to a client that shows it.
    fn progress(&mut self, title: &str) -> Option<String> {
        if !self.client.progress {
            return None;
        }
        let token = format!("mesh-{}", self.asked);
        self.request("window/workDoneProgress/create", json!({ "token": token }));
        let begin = json!({ "kind": "begin", "title": title, "cancellable": false });
        self.notify("$/progress", json!({ "token": token, "value": begin }));
        Some(token)
    }

    /// A buffer was opened: of a file that a project has, of a new one, or of one outside of all.
    fn opened(&mut self, uri: &str) {
        let place = Place::of(uri);
        if let Some(project) = self.projects.iter_mut().find(|project| project.file(uri).is_some()) {
            project.changed(uri);
            return;
        }
        let tools = &self.tools;
        if let Some(project) = self.projects.iter_mut().find(|project| project.would_hold(&place, tools)) {
            project.stale = true;
            return;
        }
        let Some(document) = self.documents.get(uri) else { return };
        let project = match document.path.as_ref().and_then(|path| path.parent()) {
            Some(directory) => Project::load(directory, Reach::Beside, &self.documents, &self.tools).0,
            None => Project::unsaved(document, &self.documents, &self.tools),
        };
        if project.file(uri).is_some() {
            self.projects.push(project);
        }
    }

    /// What is on disk counts again. A project that was open for this buffer alone is forgotten.
    fn closed(&mut self, uri: &str) {
        self.documents.close(uri);
        let open: Vec<String> = self.documents.iter().map(|document| document.uri.clone()).collect();
        self.retract(|project| {
            project.reach == Reach::Beside && !open.iter().any(|other| project.file(other).is_some())
        });
        self.projects.retain(|project| {
            project.reach == Reach::Below || open.iter().any(|other| project.file(other).is_some())
        });
        self.read_again(uri);
    }

    /// A file's text on disk counts; whoever has a file that is not there any more looks what there is.
    fn read_again(&mut self, uri: &str) {
        let Some(path) = uri::to_path(uri) else { return };
        let text = (self.tools.read)(&path);
        for project in &mut self.projects {
            let Some(file) = project.file(uri) else { continue };
            match &text {
                // What is wrong with bytes is found where a project is read.
                Some(text) if project.flaws.is_empty() => project.edit(file, text),
                _ => project.stale = true,
            }
        }
    }

    /// Something happened to a file on disk. Of an open one the buffer counts.
    fn file_changed(&mut self, uri: &str, kind: FileChangeType) {
        if self.documents.get(uri).is_some() && kind != FileChangeType::Deleted {
            return;
        }
        if kind != FileChangeType::Deleted && self.projects.iter().any(|project| project.file(uri).is_some())
        {
            return self.read_again(uri);
        }
        let place = Place::of(uri);
        let tools = &self.tools;
        for project in &mut self.projects {
            project.stale |= project.would_hold(&place, tools);
        }
    }

    /// Brings all projects up to date with buffers and files.
    pub(crate) fn settle(&mut self) {
        for index in 0..self.projects.len() {
            let Some(project) = self.projects.get_mut(index) else { continue };
            if project.stale {
                self.reload(index);
            } else if project.is_behind() {
                let documents = &self.documents;
                let caught = catch_unwind(AssertUnwindSafe(|| project.catch_up(documents)));
                if let Err(payload) = caught {
                    self.recover("textDocument/didChange", payload.as_ref());
                    self.reload(index);
                }
            }
        }
    }

    fn reload(&mut self, index: usize) {
        let Some(before) = self.projects.get_mut(index) else { return };
        before.stale = false;
        let Some(root) = before.root.clone() else { return };
        let reach = before.reach;
        let (documents, tools) = (&self.documents, &self.tools);
        let loaded = catch_unwind(AssertUnwindSafe(|| Project::load(&root, reach, documents, tools)));
        let (mut project, _) = match loaded {
            Ok(loaded) => loaded,
            Err(payload) => return self.recover("reading the project", payload.as_ref()),
        };
        // What was said of files that are still there is compared with what is said now.
        let Some(before) = self.projects.get_mut(index) else { return };
        let mut gone: Vec<String> = Vec::new();
        for (file, said) in std::mem::take(&mut before.said) {
            match project.file(before.uri(file)) {
                Some(now) => {
                    project.said.insert(now, said);
                }
                None => gone.push(before.uri(file).to_owned()),
            }
        }
        *before = project;
        gone.iter().for_each(|uri| self.publish(uri, Vec::new()));
    }

    /// Says what is wrong, of files of which something else is to be said than before.
    pub(crate) fn say(&mut self) {
        let mut others = false;
        let mut pushed: Vec<(String, Vec<Diagnostic>)> = Vec::new();
        let client = self.client;
        for project in self.projects.iter_mut().filter(|project| project.unsaid) {
            project.unsaid = false;
            let mut found: BTreeMap<FileId, Vec<Diagnostic>> = BTreeMap::new();
            let proto =
                ToProto { project, encoding: client.encoding, tools: &self.tools, snippets: client.snippets };
            let said = project.analysis.diagnostics();
            for diagnostic in said.iter().chain(&project.flaws) {
                // What is about no place is said at the beginning of the first file.
                let file = diagnostic.span().map_or(FileId(0), |span| span.file());
                found.entry(file).or_default().push(proto.diagnostic(diagnostic));
            }
            let before: Vec<FileId> = project.said.keys().copied().collect();
            for file in before {
                found.entry(file).or_default();
            }
            for (file, now) in found {
                let (before, number) = project.said.remove(&file).unwrap_or_default();
                let is_new = before != now;
                others |= is_new;
                let number = number + u64::from(is_new);
                if is_new {
                    pushed.push((project.uri(file).to_owned(), now.clone()));
                }
                project.said.insert(file, (now, number));
            }
        }
        if !client.pulls {
            pushed.into_iter().for_each(|(uri, found)| self.publish(&uri, found));
        } else if others && client.refreshes_diagnostics {
            self.request("workspace/diagnostic/refresh", Value::Null);
        }
        if others && client.refreshes_hints {
            self.request("workspace/inlayHint/refresh", Value::Null);
        }
        if others && client.refreshes_lenses {
            self.request("workspace/codeLens/refresh", Value::Null);
        }
    }

    /// Says that nothing is wrong any more with files of projects that are given up.
    fn retract(&mut self, given_up: impl Fn(&Project) -> bool) {
        let projects = self.projects.iter().filter(|project| given_up(project));
        let uris: Vec<String> = projects
            .flat_map(|project| project.said.iter().map(|(file, said)| (project.uri(*file), said)))
            .filter(|(_, (found, _))| !found.is_empty())
            .map(|(uri, _)| uri.to_owned())
            .collect();
        if !self.client.pulls {
            uris.iter().for_each(|uri| self.publish(uri, Vec::new()));
        }
    }

    fn publish(&self, uri: &str, diagnostics: Vec<Diagnostic>) {
        let version = self.documents.get(uri).map(|document| document.version);
        let params = PublishDiagnosticsParams { uri: Uri(uri.to_owned()), version, diagnostics };
        self.notify("textDocument/publishDiagnostics", json!(params));
    }

    /// A panic is a bug of ours: the client is told, and goes on.
    fn recover(&mut self, what: &str, payload: &(dyn Any + Send)) {
        let said = format!("A bug of mesh in `{what}`: {}. The server goes on.", panic_text(payload));
        self.show(MessageType::Error, &said);
    }

    /// Runs a job on a thread of its own. Its answer is sent unless it was taken back meanwhile.
    pub(crate) fn spawn(&self, id: RequestId, job: impl FnOnce() -> Result<Value, String> + Send + 'static) {
        self.running().insert(id.clone());
        let (running, outgoing) = (self.running.clone(), self.outgoing.clone());
        std::thread::spawn(move || {
            let found = catch_unwind(AssertUnwindSafe(job));
            if !lock(&running).remove(&id) {
                return;
            }
            let message = match found {
                Ok(Ok(value)) => json!({ "jsonrpc": "2.0", "id": id, "result": value }),
                Ok(Err(why)) => failed(&id, &Failure::refused(why)),
                Err(payload) => failed(&id, &Failure::bug(panic_text(payload.as_ref()))),
            };
            // Nobody listens any more where it cannot be sent.
            let _ = outgoing.send(message);
        });
    }

    fn running(&self) -> MutexGuard<'_, BTreeSet<RequestId>> {
        lock(&self.running)
    }

    pub(crate) fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.iter()
    }

    /// The project of a document: of several the one that is nearest to it.
    pub(crate) fn find(&self, uri: &str) -> Option<(&Project, FileId)> {
        let found = self.projects.iter().filter_map(|project| Some((project, project.file(uri)?)));
        found.max_by_key(|(project, _)| project.root.as_ref().map_or(0, |root| root.components().count()))
    }

    pub(crate) fn find_mut(&mut self, uri: &str) -> Option<(&mut Project, FileId)> {
        let found = self.projects.iter_mut().filter_map(|project| {
            let file = project.file(uri)?;
            Some((project, file))
        });
        found.max_by_key(|(project, _)| project.root.as_ref().map_or(0, |root| root.components().count()))
    }

    pub(crate) fn show(&self, kind: MessageType, message: &str) {
        show(&self.outgoing, kind, message);
    }

    fn notify(&self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn request(&mut self, method: &str, params: Value) {
        self.asked += 1;
        let id = format!("mesh-{}", self.asked);
        let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            request["params"] = params;
        }
        self.send(request);
    }

    fn answer(&self, id: &RequestId, result: Value) {
        self.send(json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }

    fn fail(&self, id: &RequestId, failure: &Failure) {
        self.send(failed(id, failure));
    }

    fn send(&self, message: Value) {
        // A client that went away is noticed where its messages are read.
        let _ = self.outgoing.send(message);
    }
}

pub(crate) fn show(outgoing: &Sender<Value>, kind: MessageType, message: &str) {
    let params = json!({ "type": kind, "message": message });
    // Nobody listens any more where it cannot be sent.
    let _ = outgoing.send(json!({ "jsonrpc": "2.0", "method": "window/showMessage", "params": params }));
}

fn failed(id: &RequestId, failure: &Failure) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": failure.code, "message": failure.message } })
}

fn lock(running: &Mutex<BTreeSet<RequestId>>) -> MutexGuard<'_, BTreeSet<RequestId>> {
    // Nothing is left half done in a set of numbers.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}
