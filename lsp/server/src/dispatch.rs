//! Which function answers which method.

use crate::requests;
use crate::server::{Failure, State};
use gen_lsp_types::*;
use lsp_server::{Request, RequestId};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What becomes of a request.
pub(crate) enum Answered {
    Now(Value),
    /// It is answered by a job.
    Later,
}

/// Answers a request. Whatever it panics with is caught by whoever calls it.
pub(crate) fn answer(state: &mut State, request: Request) -> Result<Answered, Failure> {
    let Request { id, method, params } = request;
    match method.as_str() {
        "textDocument/completion" => now(state, params, requests::completion),
        "textDocument/hover" => now(state, params, requests::hover),
        "textDocument/signatureHelp" => now(state, params, requests::signature_help),
        "textDocument/definition" => now(state, params, requests::definition),
        "textDocument/references" => now(state, params, requests::references),
        "textDocument/documentHighlight" => now(state, params, requests::highlight),
        "textDocument/prepareRename" => now(state, params, requests::prepare_rename),
        "textDocument/rename" => now(state, params, requests::rename),
        "textDocument/documentSymbol" => now(state, params, requests::document_symbols),
        "workspace/symbol" => now(state, params, requests::workspace_symbols),
        "textDocument/foldingRange" => now(state, params, requests::folding),
        "textDocument/selectionRange" => now(state, params, requests::selection),
        "textDocument/formatting" => now(state, params, requests::formatting),
        "textDocument/rangeFormatting" => now(state, params, requests::range_formatting),
        "textDocument/codeAction" => now(state, params, requests::code_actions),
        "textDocument/codeLens" => now(state, params, requests::code_lenses),
        "codeLens/resolve" => now(state, params, requests::code_lens_resolve),
        "textDocument/inlayHint" => now(state, params, requests::inlay_hints),
        "textDocument/documentLink" => now(state, params, requests::links),
        "textDocument/semanticTokens/full" => now(state, params, requests::semantic_full),
        "textDocument/semanticTokens/full/delta" => now(state, params, requests::semantic_delta),
        "textDocument/semanticTokens/range" => now(state, params, requests::semantic_range),
        "textDocument/prepareCallHierarchy" => now(state, params, requests::prepare_calls),
        "callHierarchy/incomingCalls" => now(state, params, requests::incoming_calls),
        "callHierarchy/outgoingCalls" => now(state, params, requests::outgoing_calls),
        "textDocument/diagnostic" => now(state, params, requests::document_diagnostics),
        "workspace/diagnostic" => now(state, params, requests::workspace_diagnostics),
        "workspace/executeCommand" => {
            let params: ExecuteCommandParams = read(params)?;
            Ok(state.execute(id, params)?.map_or(Answered::Later, Answered::Now))
        }
        "mesh/why" => later(state, id, params, State::why),
        "mesh/graph" => later(state, id, params, State::graph),
        _ => Err(Failure::unknown(&method)),
    }
}

fn now<P: DeserializeOwned, T: serde::Serialize>(
    state: &mut State,
    params: Value,
    ask: fn(&mut State, P) -> Result<T, Failure>,
) -> Result<Answered, Failure> {
    let answer = ask(state, read(params)?)?;
    serde_json::to_value(answer).map(Answered::Now).map_err(|error| Failure::bug(&error.to_string()))
}

fn later<P: DeserializeOwned>(
    state: &mut State,
    id: RequestId,
    params: Value,
    ask: fn(&mut State, RequestId, P) -> Result<(), Failure>,
) -> Result<Answered, Failure> {
    ask(state, id, read(params)?)?;
    Ok(Answered::Later)
}

fn read<P: DeserializeOwned>(params: Value) -> Result<P, Failure> {
    serde_json::from_value(params).map_err(|error| Failure::parameters(&error.to_string()))
}
