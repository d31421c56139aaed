//! Questions whose answers take long: they are asked of a copy of the sources, on a thread of their own, while the editor goes on.

use crate::server::{Failure, State};
use crate::to_proto::RUN_TEST;
use crate::{GraphQuestion, requests};
use gen_lsp_types::{ExecuteCommandParams, MessageType, Position, TextDocumentIdentifier, Uri};
use lsp_server::RequestId;
use serde::Deserialize;
use serde_json::Value;

/// `mesh/why`: about the line at the cursor, or about what is said.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhyParams {
    text_document: TextDocumentIdentifier,
    position: Option<Position>,
    from: Option<String>,
    to: Option<String>,
    request: Option<String>,
    port: Option<String>,
    listener: Option<String>,
    host: Option<String>,
    environment: Option<String>,
}

/// `mesh/graph`: of the neighbourhood of what is named at the cursor, or of everything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphParams {
    text_document: TextDocumentIdentifier,
    position: Option<Position>,
    depth: Option<usize>,
    environment: Option<String>,
}

/// Neighbours of neighbours are as much as a person looks at.
const DEPTH: usize = 2;

impl State {
    pub(crate) fn why(&mut self, id: RequestId, params: WhyParams) -> Result<(), Failure> {
        let Some((project, file)) = self.find(&params.text_document.uri.0) else {
            return Err(Failure::parameters("the document is of no project"));
        };
        let at = params.position.map(|position| project.at(file, position, self.client.encoding));
        let mut question = at.and_then(|at| project.analysis.question(at)).unwrap_or_default();
        let said = [(&mut question.from, params.from), (&mut question.to, params.to)];
        said.into_iter().for_each(|(known, said)| {
            if let Some(said) = said {
                *known = said;
            }
        });
        question.request = params.request.or(question.request);
        question.port = params.port.or(question.port);
        question.listener = params.listener.or(question.listener);
        question.host = params.host.or(question.host);
        if question.from.is_empty() || question.to.is_empty() {
            return Err(Failure::refused(
                "nothing here is about a request: put the cursor on a line of a `test`, an `allow`, a `deny` or a `calls`"
                    .to_owned(),
            ));
        }
        let (sources, environment) =
            (project.analysis.sources().clone(), self.one(project, params.environment));
        let why = self.tools.why.clone();
        self.spawn(id, move || why(sources, &question, environment.as_deref()));
        Ok(())
    }

    pub(crate) fn graph(&mut self, id: RequestId, params: GraphParams) -> Result<(), Failure> {
        let Some((project, file)) = self.find(&params.text_document.uri.0) else {
            return Err(Failure::parameters("the document is of no project"));
        };
        let at = params.position.map(|position| project.at(file, position, self.client.encoding));
        let party = at.and_then(|at| project.analysis.party(at));
        let question =
            GraphQuestion { around: party.map(|party| party.name), depth: params.depth.unwrap_or(DEPTH) };
        let (sources, environment) =
            (project.analysis.sources().clone(), self.one(project, params.environment));
        let graph = self.tools.graph.clone();
        self.spawn(id, move || graph(sources, &question, environment.as_deref()));
        Ok(())
    }

    pub(crate) fn execute(
        &mut self,
        id: RequestId,
        params: ExecuteCommandParams,
    ) -> Result<Option<Value>, Failure> {
        let arguments = params.arguments.unwrap_or_default();
        match params.command.as_str() {
            RUN_TEST => {
                let uri = arguments.first().and_then(Value::as_str).map(|uri| Uri(uri.to_owned()));
                let name = arguments.get(1).and_then(Value::as_str);
                let (Some(uri), Some(name)) = (uri, name) else {
                    return Err(Failure::parameters("a document and the name of a test are needed"));
                };
                let Some((project, _)) = self.find(&uri.0) else {
                    return Err(Failure::parameters("the document is of no project"));
                };
                let (sources, name) = (project.analysis.sources().clone(), name.to_owned());
                let (test, outgoing) = (self.tools.test.clone(), self.outgoing.clone());
                self.spawn(id, move || {
                    let report = test(sources, &name, None)?;
                    let (kind, said) = verdict(&name, &report);
                    crate::server::show(&outgoing, kind, &said);
                    Ok(report)
                });
                Ok(None)
            }
            crate::to_proto::SHOW_CALLERS => requests::show_callers(self, arguments).map(Some),
            other => Err(Failure::parameters(&format!("no command `{other}`"))),
        }
    }

    /// The environment that is asked about: one that is said, or the first.
    fn one(&self, project: &crate::projects::Project, said: Option<String>) -> Option<String> {
        said.or_else(|| project.analysis.environments().next().map(str::to_owned))
    }
}

/// How a test went, in a sentence.
fn verdict(name: &str, report: &Value) -> (MessageType, String) {
    let tests = report.get("tests").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let sum = |key: &str| tests.iter().filter_map(|test| test.get(key)?.as_u64()).sum::<u64>();
    let (requests, failed) = (sum("requests"), sum("failed"));
    let count = if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
    match (tests.is_empty(), failed) {
        (true, _) => {
            (MessageType::Error, format!("The test \"{name}\" cannot be run: the project has errors."))
        }
        (false, 0) => (MessageType::Info, format!("The test \"{name}\" passes ({count}).")),
        (false, failed) => (MessageType::Error, format!("The test \"{name}\" fails: {failed} of {count}.")),
    }
}
