//! Which question has which answer: one function for each request, in the order of the protocol.

use crate::projects::Project;
use crate::semantic_tokens;
use crate::server::{Failure, State};
use crate::to_proto::{ToProto, action_kind};
use gen_lsp_types::*;
use mesh_ide::At;
use mesh_lang::FileId;
use serde_json::json;

type Answer<T> = Result<T, Failure>;

/// A project and a place in it, or nothing: a file that no project holds is no mistake of the client's.
struct Asked<'s> {
    project: &'s Project,
    file: FileId,
    proto: ToProto<'s>,
}

impl State {
    fn asked(&self, document: &TextDocumentIdentifier) -> Option<Asked<'_>> {
        let (project, file) = self.find(&document.uri.0)?;
        Some(Asked { project, file, proto: self.proto(project) })
    }

    fn proto<'s>(&'s self, project: &'s Project) -> ToProto<'s> {
        ToProto {
            project,
            encoding: self.client.encoding,
            tools: &self.tools,
            snippets: self.client.snippets,
        }
    }

    fn at(&self, params: &TextDocumentPositionParams) -> Option<(Asked<'_>, At)> {
        let asked = self.asked(&params.text_document)?;
        let at = asked.project.at(asked.file, params.position, self.client.encoding);
        Some((asked, at))
    }
}

pub(crate) fn completion(state: &mut State, params: CompletionParams) -> Answer<Option<CompletionResponse>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let list = asked.proto.completions(asked.project.analysis.completions(at));
    Ok(Some(CompletionResponse::CompletionList(list)))
}

pub(crate) fn hover(state: &mut State, params: HoverParams) -> Answer<Option<Hover>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    Ok(asked.project.analysis.hover(at).map(|hover| asked.proto.hover(hover)))
}

pub(crate) fn signature_help(
    state: &mut State,
    params: SignatureHelpParams,
) -> Answer<Option<SignatureHelp>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    Ok(asked.project.analysis.signature_help(at).map(|help| asked.proto.signature_help(help)))
}

pub(crate) fn definition(state: &mut State, params: DefinitionParams) -> Answer<Option<DefinitionResponse>> {
    let links = state.client.definition_links;
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let found = asked.project.analysis.definition(at).into_iter().map(|one| asked.proto.definition(one));
    let found: Vec<LocationLink> = found.collect();
    Ok(Some(match links {
        true => DefinitionResponse::DefinitionLinkList(found),
        false => {
            let plain =
                found.into_iter().map(|link| Location::new(link.target_uri, link.target_selection_range));
            DefinitionResponse::Definition(Definition::LocationList(plain.collect()))
        }
    }))
}

pub(crate) fn references(state: &mut State, params: ReferenceParams) -> Answer<Option<Vec<Location>>> {
    let declared = params.context.include_declaration;
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let found = asked.project.analysis.references(at).into_iter();
    let found = found.filter(|one| declared || !one.declares);
    Ok(Some(found.map(|one| asked.project.location(one.span, state.client.encoding)).collect()))
}

pub(crate) fn highlight(
    state: &mut State,
    params: DocumentHighlightParams,
) -> Answer<Option<Vec<DocumentHighlight>>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let found = asked.project.analysis.highlights(at).into_iter();
    Ok(Some(found.map(|one| asked.proto.highlight(one)).collect()))
}

pub(crate) fn prepare_rename(
    state: &mut State,
    params: PrepareRenameParams,
) -> Answer<Option<PrepareRenameResult>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let span = asked.project.analysis.rename_target(at).map_err(Failure::refused)?;
    let name = asked.project.analysis.sources().text(span).to_owned();
    let range = asked.project.range(span, state.client.encoding);
    Ok(Some(PrepareRenameResult::PrepareRenamePlaceholder(PrepareRenamePlaceholder::new(range, name))))
}

pub(crate) fn rename(state: &mut State, params: RenameParams) -> Answer<Option<WorkspaceEdit>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    let edits = asked.project.analysis.rename(at, &params.new_name).map_err(Failure::refused)?;
    Ok(Some(asked.proto.edit(&edits)))
}

pub(crate) fn document_symbols(
    state: &mut State,
    params: DocumentSymbolParams,
) -> Answer<Option<DocumentSymbolResponse>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let found = asked.project.analysis.document_symbols(asked.file).into_iter();
    Ok(Some(DocumentSymbolResponse::DocumentSymbolList(
        found.map(|symbol| asked.proto.document_symbol(symbol)).collect(),
    )))
}

pub(crate) fn workspace_symbols(
    state: &mut State,
    params: WorkspaceSymbolParams,
) -> Answer<Option<WorkspaceSymbolResponse>> {
    let found = state.projects().flat_map(|project| {
        let found = project.analysis.workspace_symbols(&params.query).into_iter();
        found.map(|symbol| state.proto(project).workspace_symbol(symbol))
    });
    Ok(Some(WorkspaceSymbolResponse::WorkspaceSymbolList(found.collect())))
}

pub(crate) fn folding(state: &mut State, params: FoldingRangeParams) -> Answer<Option<Vec<FoldingRange>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let folds = asked.project.analysis.folds(asked.file).into_iter();
    Ok(Some(folds.map(|fold| asked.proto.fold(fold)).collect()))
}

pub(crate) fn selection(
    state: &mut State,
    params: SelectionRangeParams,
) -> Answer<Option<Vec<SelectionRange>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let each = params.positions.into_iter().map(|position| {
        let at = asked.project.at(asked.file, position, state.client.encoding);
        asked.proto.selection(asked.project.analysis.selections(at))
    });
    Ok(Some(each.collect()))
}

pub(crate) fn formatting(
    state: &mut State,
    params: DocumentFormattingParams,
) -> Answer<Option<Vec<TextEdit>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let edits = asked.project.analysis.format(asked.file);
    Ok(Some(edits.iter().map(|edit| asked.proto.text_edit(edit)).collect()))
}

pub(crate) fn range_formatting(
    state: &mut State,
    params: DocumentRangeFormattingParams,
) -> Answer<Option<Vec<TextEdit>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let range = asked.project.offsets(asked.file, params.range, state.client.encoding);
    let edits = asked.project.analysis.format_range(asked.file, range);
    Ok(Some(edits.iter().map(|edit| asked.proto.text_edit(edit)).collect()))
}

pub(crate) fn code_actions(
    state: &mut State,
    params: CodeActionParams,
) -> Answer<Option<Vec<CodeActionResponse>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let range = asked.project.offsets(asked.file, params.range, state.client.encoding);
    let wanted = |kind: &CodeActionKind| match &params.context.only {
        None => true,
        Some(only) => {
            let kind = kind_text(kind);
            // A kind holds those whose name goes on behind a dot.
            only.iter().map(kind_text).any(|one| {
                one.is_empty()
                    || kind == one
                    || kind.strip_prefix(&one).is_some_and(|rest| rest.starts_with('.'))
            })
        }
    };
    let found = asked.project.analysis.actions(asked.file, range).into_iter();
    let found = found.filter(|action| wanted(&action_kind(action.kind)));
    Ok(Some(found.map(|action| CodeActionResponse::CodeAction(asked.proto.action(action))).collect()))
}

fn kind_text(kind: &CodeActionKind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(crate) fn code_lenses(state: &mut State, params: CodeLensParams) -> Answer<Option<Vec<CodeLens>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let lenses = asked.project.analysis.lenses(asked.file).into_iter();
    Ok(Some(lenses.map(|lens| asked.proto.lens(asked.file, lens)).collect()))
}

/// Who may call a service is looked for when its lens is shown: of hundreds in a file a few are.
pub(crate) fn code_lens_resolve(state: &mut State, mut lens: CodeLens) -> Answer<CodeLens> {
    let said = |key: &str| lens.data.as_ref().and_then(|data| data.get(key)?.as_str());
    let (Some(uri), Some(party)) = (said("uri"), said("party")) else { return Ok(lens) };
    let found =
        state.find(uri).and_then(|(project, _)| Some((project, project.analysis.party_named(party)?)));
    let Some((project, party)) = found else {
        return Err(Failure::modified("the service is not there any more"));
    };
    let words = project.analysis.callers_in_words(&party);
    lens.command = Some(state.proto(project).callers_command(&party, words));
    Ok(lens)
}

pub(crate) fn inlay_hints(state: &mut State, params: InlayHintParams) -> Answer<Option<Vec<InlayHint>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let range = asked.project.offsets(asked.file, params.range, state.client.encoding);
    let hints = asked.project.analysis.hints(asked.file, range).into_iter();
    Ok(Some(hints.map(|hint| asked.proto.hint(asked.file, hint)).collect()))
}

pub(crate) fn links(state: &mut State, params: DocumentLinkParams) -> Answer<Option<Vec<DocumentLink>>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let links = asked.project.analysis.links(asked.file).into_iter();
    Ok(Some(links.filter_map(|link| asked.proto.link(link)).collect()))
}

pub(crate) fn semantic_full(
    state: &mut State,
    params: SemanticTokensParams,
) -> Answer<Option<SemanticTokens>> {
    let Some((numbers, id, _)) = coloured(state, &params.text_document) else { return Ok(None) };
    Ok(Some(SemanticTokens::new(Some(id), semantic_tokens::tokens(&numbers))))
}

pub(crate) fn semantic_delta(
    state: &mut State,
    params: SemanticTokensDeltaParams,
) -> Answer<Option<SemanticTokensDeltaResponse>> {
    let Some((numbers, id, before)) = coloured(state, &params.text_document) else { return Ok(None) };
    Ok(Some(match before.filter(|(known, _)| *known == params.previous_result_id) {
        Some((_, before)) => SemanticTokensDeltaResponse::SemanticTokensDelta(SemanticTokensDelta::new(
            Some(id),
            semantic_tokens::delta(&before, &numbers),
        )),
        None => SemanticTokensDeltaResponse::SemanticTokens(SemanticTokens::new(
            Some(id),
            semantic_tokens::tokens(&numbers),
        )),
    }))
}

type Numbered = (String, Vec<u32>);

/// The coloured words of a file with their number, and those before.
fn coloured(
    state: &mut State,
    document: &TextDocumentIdentifier,
) -> Option<(Vec<u32>, String, Option<Numbered>)> {
    let encoding = state.client.encoding;
    let (project, file) = state.find_mut(&document.uri.0)?;
    let words = project.analysis.highlighted(file, 0..u32::MAX);
    let numbers = semantic_tokens::encode(&words, project, encoding);
    let before = project.coloured.get(&file).cloned();
    let id = before.as_ref().map_or(0, |(id, _)| id + 1);
    project.coloured.insert(file, (id, numbers.clone()));
    Some((numbers, id.to_string(), before.map(|(id, numbers)| (id.to_string(), numbers))))
}

pub(crate) fn semantic_range(
    state: &mut State,
    params: SemanticTokensRangeParams,
) -> Answer<Option<SemanticTokens>> {
    let Some(asked) = state.asked(&params.text_document) else { return Ok(None) };
    let range = asked.project.offsets(asked.file, params.range, state.client.encoding);
    let words = asked.project.analysis.highlighted(asked.file, range);
    let numbers = semantic_tokens::encode(&words, asked.project, state.client.encoding);
    Ok(Some(SemanticTokens::new(None, semantic_tokens::tokens(&numbers))))
}

pub(crate) fn prepare_calls(
    state: &mut State,
    params: CallHierarchyPrepareParams,
) -> Answer<Option<Vec<CallHierarchyItem>>> {
    let Some((asked, at)) = state.at(&params.text_document_position_params) else { return Ok(None) };
    Ok(asked.project.analysis.party(at).map(|party| vec![asked.proto.party(&party)]))
}

pub(crate) fn incoming_calls(
    state: &mut State,
    params: CallHierarchyIncomingCallsParams,
) -> Answer<Option<Vec<CallHierarchyIncomingCall>>> {
    let found = state.find(&params.item.uri.0);
    let Some((project, _)) = found else { return Ok(None) };
    let Some(party) = project.analysis.party_named(&params.item.name) else { return Ok(None) };
    let proto = state.proto(project);
    let callers = project.analysis.callers(&party).into_iter().map(|caller| {
        let ranges = proto.ranges_in(caller.party.focus.file(), &caller.by);
        CallHierarchyIncomingCall::new(proto.party(&caller.party), ranges)
    });
    Ok(Some(callers.collect()))
}

pub(crate) fn outgoing_calls(
    state: &mut State,
    params: CallHierarchyOutgoingCallsParams,
) -> Answer<Option<Vec<CallHierarchyOutgoingCall>>> {
    let found = state.find(&params.item.uri.0);
    let Some((project, _)) = found else { return Ok(None) };
    let Some(party) = project.analysis.party_named(&params.item.name) else { return Ok(None) };
    let proto = state.proto(project);
    let callees = project.analysis.callees(&party).into_iter().map(|callee| {
        let ranges = proto.ranges_in(party.focus.file(), &callee.by);
        CallHierarchyOutgoingCall::new(proto.party(&callee.party), ranges)
    });
    Ok(Some(callees.collect()))
}

pub(crate) fn document_diagnostics(
    state: &mut State,
    params: DocumentDiagnosticParams,
) -> Answer<DocumentDiagnosticReport> {
    // The buffer may have changed a moment ago.
    state.say();
    let empty = (Vec::new(), 0);
    let said = match state.find(&params.text_document.uri.0) {
        Some((project, file)) => project.said.get(&file).unwrap_or(&empty),
        None => &empty,
    };
    let id = said.1.to_string();
    if params.previous_result_id.as_deref() == Some(id.as_str()) {
        let report = UnchangedDocumentDiagnosticReport { result_id: id };
        return Ok(RelatedUnchangedDocumentDiagnosticReport {
            related_documents: None,
            unchanged_document_diagnostic_report: report,
        }
        .into());
    }
    let report = FullDocumentDiagnosticReport { result_id: Some(id), items: said.0.clone() };
    Ok(RelatedFullDocumentDiagnosticReport {
        related_documents: None,
        full_document_diagnostic_report: report,
    }
    .into())
}

pub(crate) fn workspace_diagnostics(
    state: &mut State,
    params: WorkspaceDiagnosticParams,
) -> Answer<WorkspaceDiagnosticReport> {
    state.say();
    let known = |uri: &str, id: &str| {
        params.previous_result_ids.iter().any(|known| known.uri.0 == uri && known.value == id)
    };
    let mut items = Vec::new();
    for project in state.projects() {
        for (file, (found, number)) in &project.said {
            let uri = project.uri(*file);
            let id = number.to_string();
            let version = state.documents.get(uri).map(|document| document.version);
            let uri_of = Uri(uri.to_owned());
            // What is known already is not sent again; what was never said is not said to be nothing.
            if known(uri, &id) {
                let report = UnchangedDocumentDiagnosticReport { result_id: id };
                items.push(
                    WorkspaceUnchangedDocumentDiagnosticReport {
                        uri: uri_of,
                        version,
                        unchanged_document_diagnostic_report: report,
                    }
                    .into(),
                );
                continue;
            }
            let report = FullDocumentDiagnosticReport { result_id: Some(id), items: found.clone() };
            items.push(
                WorkspaceFullDocumentDiagnosticReport {
                    uri: uri_of,
                    version,
                    full_document_diagnostic_report: report,
                }
                .into(),
            );
        }
    }
    Ok(WorkspaceDiagnosticReport { items })
}

/// Who may call what is named at a place: locations for clients that can show them, a message for the others.
pub(crate) fn show_callers(state: &mut State, arguments: Vec<LspAny>) -> Answer<LspAny> {
    let mut arguments = arguments.into_iter();
    let uri: Option<Uri> = arguments.next().and_then(|uri| serde_json::from_value(uri).ok());
    let position: Option<Position> = arguments.next().and_then(|at| serde_json::from_value(at).ok());
    let (Some(uri), Some(position)) = (uri, position) else {
        return Err(Failure::parameters("a document and a position are needed"));
    };
    let text_document = TextDocumentIdentifier { uri };
    let Some((asked, at)) = state.at(&TextDocumentPositionParams { text_document, position }) else {
        return Ok(LspAny::Null);
    };
    let Some(party) = asked.project.analysis.party(at) else { return Ok(LspAny::Null) };
    let callers = asked.project.analysis.callers(&party);
    let names: Vec<&str> = callers.iter().map(|caller| caller.party.name.as_str()).collect();
    let said = match names.as_slice() {
        [] => format!("Nobody may call {}.", party.name),
        names => format!("{} may be called by {}.", party.name, names.join(", ")),
    };
    let places = callers.iter().flat_map(|caller| &caller.by);
    let places: Vec<Location> =
        places.map(|span| asked.project.location(*span, state.client.encoding)).collect();
    state.show(MessageType::Info, &said);
    Ok(json!(places))
}
