//! Answers as the protocol says them.

use crate::Tools;
use crate::position::Encoding;
use crate::projects::Project;
use gen_lsp_types::{
    ActiveParameter, BaseSymbolInformation, CallHierarchyItem, Code, CodeAction, CodeActionKind,
    CodeDescription, CodeLens, Command, CompletionItem, CompletionItemKind, CompletionList, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, DocumentHighlight,
    DocumentHighlightKind, DocumentLink, DocumentSymbol, Documentation, FoldingRange, FoldingRangeKind,
    Hover, InlayHint, InsertTextFormat, Label, LocationLink, MarkupContent, MarkupKind, Message,
    ParameterInformation, ParameterInformationLabel, SelectionRange, SignatureHelp, SignatureInformation,
    SymbolKind, TextEdit, Tooltip, Uri, WorkspaceEdit, WorkspaceSymbol,
};
use mesh_ide::{
    Action, ActionKind, Completion, CompletionKind, Completions, Fold, FoldKind, Lens, LensKind, Link,
    LinkTarget, Party, Reference,
};
use mesh_lang::diagnostic::Edit;
use mesh_lang::{FileId, Severity, Span};
use serde_json::json;
use std::collections::HashMap;

/// Who says a diagnostic.
const SOURCE: &str = "mesh";

/// A project, and how its client counts.
pub(crate) struct ToProto<'a> {
    pub(crate) project: &'a Project,
    pub(crate) encoding: Encoding,
    pub(crate) tools: &'a Tools,
    pub(crate) snippets: bool,
}

fn markdown(value: impl Into<String>) -> MarkupContent {
    MarkupContent::new(MarkupKind::Markdown, value.into())
}

impl ToProto<'_> {
    fn range(&self, span: Span) -> gen_lsp_types::Range {
        self.project.range(span, self.encoding)
    }

    /// A finding: its notes and its help are lines of its message, its other places are related information.
    pub(crate) fn diagnostic(&self, found: &mesh_lang::Diagnostic) -> Diagnostic {
        let mut message = found.message.clone();
        let label = found.labels.first().map(|label| label.text.as_str()).filter(|text| !text.is_empty());
        for line in label.into_iter().chain(found.notes.iter().map(String::as_str)) {
            message.push_str(&format!("\n{line}"));
        }
        if let Some(witness) = &found.witness {
            message.push_str(&format!("\n{}", witness.lines().join("\n")));
        }
        if let Some(help) = &found.help {
            message.push_str(&format!("\n{help}"));
        }
        let related = found.labels.iter().skip(1).map(|label| {
            let text = if label.text.is_empty() { "see here".to_owned() } else { label.text.clone() };
            DiagnosticRelatedInformation::new(self.project.location(label.span, self.encoding), text)
        });
        let unused = matches!(
            found.code,
            mesh_lang::Code::UnusedName | mesh_lang::Code::UnusedSuppression | mesh_lang::Code::RedundantLine
        );
        Diagnostic {
            range: found.span().map_or_else(Default::default, |span| self.range(span)),
            severity: Some(match found.severity {
                Severity::Error => DiagnosticSeverity::Error,
                Severity::Warning => DiagnosticSeverity::Warning,
            }),
            code: Some(Code::String(found.code.as_str().to_owned())),
            code_description: (self.tools.page)(found.code).map(|href| CodeDescription { href: Uri(href) }),
            source: Some(SOURCE.to_owned()),
            message: Message::String(message),
            tags: unused.then(|| vec![DiagnosticTag::Unnecessary]),
            related_information: Some(related.collect()),
            data: None,
        }
    }

    pub(crate) fn completions(&self, found: Completions) -> CompletionList {
        let items = found.items.into_iter().enumerate().map(|(index, item)| self.completion(index, item));
        CompletionList::new(!found.complete, None, None, items.collect())
    }

    fn completion(&self, index: usize, item: Completion) -> CompletionItem {
        let is_snippet = item.insert != item.label;
        let text = if is_snippet && self.snippets { item.insert } else { item.label.clone() };
        CompletionItem {
            kind: Some(match item.kind {
                CompletionKind::Statement => CompletionItemKind::Keyword,
                CompletionKind::Word => CompletionItemKind::Keyword,
                CompletionKind::Service => CompletionItemKind::Class,
                CompletionKind::Gateway => CompletionItemKind::Interface,
                CompletionKind::Part => CompletionItemKind::EnumMember,
                CompletionKind::Shared => CompletionItemKind::Struct,
                CompletionKind::Place => CompletionItemKind::Module,
                CompletionKind::Param => CompletionItemKind::Variable,
                CompletionKind::Value => CompletionItemKind::Value,
            }),
            detail: Some(item.detail).filter(|detail| !detail.is_empty()),
            documentation: Some(item.documentation)
                .filter(|text| !text.is_empty())
                .map(|text| Documentation::MarkupContent(markdown(text))),
            sort_text: Some(format!("{index:04}")),
            filter_text: Some(item.label.clone()),
            insert_text_format: Some(match is_snippet && self.snippets {
                true => InsertTextFormat::Snippet,
                false => InsertTextFormat::PlainText,
            }),
            text_edit: Some(TextEdit::new(self.range(item.replace), text).into()),
            label: item.label,
            ..CompletionItem::default()
        }
    }

    pub(crate) fn hover(&self, hover: mesh_ide::Hover) -> Hover {
        Hover::new(markdown(hover.text).into(), Some(self.range(hover.span)))
    }

    pub(crate) fn definition(&self, found: mesh_ide::Definition) -> LocationLink {
        let target = self.project.location(found.statement, self.encoding);
        LocationLink::new(Some(self.range(found.origin)), target.uri, target.range, self.range(found.name))
    }

    pub(crate) fn highlight(&self, found: Reference) -> DocumentHighlight {
        let kind = match found.declares {
            true => DocumentHighlightKind::Write,
            false => DocumentHighlightKind::Read,
        };
        DocumentHighlight::new(self.range(found.span), Some(kind))
    }

    /// Edits of any files of the project.
    pub(crate) fn edit(&self, edits: &[Edit]) -> WorkspaceEdit {
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for edit in edits {
            let uri = Uri(self.project.uri(edit.span.file()).to_owned());
            changes.entry(uri).or_default().push(self.text_edit(edit));
        }
        WorkspaceEdit::new(Some(changes), None, None)
    }

    pub(crate) fn text_edit(&self, edit: &Edit) -> TextEdit {
        TextEdit::new(self.range(edit.span), edit.text.clone())
    }

    pub(crate) fn document_symbol(&self, symbol: mesh_ide::DocumentSymbol) -> DocumentSymbol {
        let children = symbol.children.into_iter().map(|child| self.document_symbol(child)).collect();
        DocumentSymbol::new(
            symbol.name,
            Some(symbol.detail),
            symbol_kind(symbol.kind),
            None,
            None,
            self.range(symbol.span),
            self.range(symbol.focus),
            Some(children),
        )
    }

    pub(crate) fn workspace_symbol(&self, symbol: mesh_ide::WorkspaceSymbol) -> WorkspaceSymbol {
        let base =
            BaseSymbolInformation::new(symbol.name, symbol_kind(symbol.kind), None, Some(symbol.container));
        WorkspaceSymbol::new(self.project.location(symbol.focus, self.encoding).into(), None, base)
    }

    pub(crate) fn fold(&self, fold: Fold) -> FoldingRange {
        let range = self.range(fold.span);
        let kind = match fold.kind {
            FoldKind::Block => None,
            FoldKind::Comment => Some(FoldingRangeKind::Comment),
            FoldKind::Imports => Some(FoldingRangeKind::Imports),
        };
        // The line of the closing brace stays.
        let end = match fold.kind {
            FoldKind::Block => range.end.line.saturating_sub(1).max(range.start.line),
            FoldKind::Comment | FoldKind::Imports => range.end.line,
        };
        FoldingRange::new(range.start.line, None, end, None, kind, None)
    }

    /// The innermost first, each in its parent.
    pub(crate) fn selection(&self, spans: Vec<Span>) -> SelectionRange {
        let mut around: Option<Box<SelectionRange>> = None;
        for span in spans.into_iter().rev() {
            around = Some(Box::new(SelectionRange::new(self.range(span), around)));
        }
        around.map_or_else(SelectionRange::default, |range| *range)
    }

    pub(crate) fn action(&self, action: Action) -> CodeAction {
        let diagnostics = action.about.as_ref().map(|found| vec![self.diagnostic(found)]);
        CodeAction::new(
            action.title,
            Some(action_kind(action.kind)),
            diagnostics,
            Some(action.preferred),
            None,
            Some(self.edit(&action.edits)),
            None,
            None,
            None,
        )
    }

    /// A lens whose answer is known, or one whose answer is looked for when it is shown.
    pub(crate) fn lens(&self, file: FileId, lens: Lens) -> CodeLens {
        let uri = self.project.uri(file);
        let range = self.range(lens.span);
        match lens.asks {
            LensKind::Test(name) => {
                let arguments = vec![json!(uri), json!(name)];
                let command =
                    Command::new("▶ run this test".to_owned(), None, RUN_TEST.to_owned(), Some(arguments));
                CodeLens::new(range, Some(command), None)
            }
            LensKind::Callers(party) => {
                let data = json!({ "uri": uri, "party": party.name });
                CodeLens::new(range, None, Some(data))
            }
        }
    }

    pub(crate) fn callers_command(&self, party: &Party, title: String) -> Command {
        let at = self.project.location(party.focus, self.encoding);
        let arguments = vec![json!(at.uri), json!(at.range.start)];
        Command::new(title, None, SHOW_CALLERS.to_owned(), Some(arguments))
    }

    pub(crate) fn hint(&self, file: FileId, hint: mesh_ide::Hint) -> InlayHint {
        let position = self.project.position(file, hint.offset, self.encoding);
        let tooltip = Tooltip::MarkupContent(markdown(hint.tooltip));
        InlayHint::new(
            position,
            Label::String(hint.label),
            None,
            None,
            Some(tooltip),
            Some(true),
            Some(false),
            None,
        )
    }

    pub(crate) fn signature_help(&self, help: mesh_ide::SignatureHelp) -> SignatureHelp {
        let forms = help.forms.iter().map(|form| {
            let parts = form.parts.iter().map(|part| {
                // Labels are counted in UTF-16, whatever was agreed on for positions.
                let at =
                    |byte: usize| form.label.get(..byte).map_or(0, |text| text.encode_utf16().count() as u32);
                let label = ParameterInformationLabel::Tuple((at(part.start), at(part.end)));
                ParameterInformation { label, documentation: None }
            });
            SignatureInformation::new(
                form.label.to_owned(),
                Some(Documentation::MarkupContent(markdown(help.doc))),
                Some(parts.collect()),
                form.active.map(|active| ActiveParameter::Int(active as u32)),
            )
        });
        let active = help.forms.get(help.active).and_then(|form| form.active);
        SignatureHelp::new(
            forms.collect(),
            Some(help.active as u32),
            active.map(|active| ActiveParameter::Int(active as u32)),
        )
    }

    pub(crate) fn link(&self, link: Link) -> Option<DocumentLink> {
        let target = match link.to {
            LinkTarget::Url(url) => url,
            LinkTarget::Place(span) => {
                let location = self.project.location(span, self.encoding);
                format!("{}#L{}", location.uri.0, location.range.start.line + 1)
            }
            LinkTarget::Page(code) => (self.tools.page)(code)?,
        };
        Some(DocumentLink::new(self.range(link.span), Some(Uri(target)), None, None))
    }

    pub(crate) fn party(&self, party: &Party) -> CallHierarchyItem {
        let file = party.focus.file();
        let path = self.project.analysis.sources().get(file).map(|source| source.path.clone());
        let kind = if party.is_gateway { SymbolKind::Interface } else { SymbolKind::Class };
        CallHierarchyItem::new(
            party.name.clone(),
            kind,
            None,
            path,
            Uri(self.project.uri(file).to_owned()),
            self.range(party.span),
            self.range(party.focus),
            None,
        )
    }

    /// Places of one file: a call hierarchy shows those of the caller alone.
    pub(crate) fn ranges_in(&self, file: FileId, spans: &[Span]) -> Vec<gen_lsp_types::Range> {
        spans.iter().filter(|span| span.file() == file).map(|span| self.range(*span)).collect()
    }
}

/// The commands that lenses run; clients may run them as well.
pub(crate) const RUN_TEST: &str = "mesh.runTest";
pub(crate) const SHOW_CALLERS: &str = "mesh.showCallers";

fn symbol_kind(kind: mesh_ide::SymbolKind) -> SymbolKind {
    use mesh_ide::SymbolKind as Kind;
    match kind {
        Kind::Mesh => SymbolKind::Package,
        Kind::Module => SymbolKind::Module,
        Kind::Service => SymbolKind::Class,
        Kind::Gateway => SymbolKind::Interface,
        Kind::Part => SymbolKind::Property,
        Kind::Route => SymbolKind::Object,
        Kind::Rule => SymbolKind::Function,
        Kind::Authorization => SymbolKind::Key,
        Kind::Shared => SymbolKind::Struct,
        Kind::Param => SymbolKind::Variable,
        Kind::Test => SymbolKind::Event,
    }
}

pub(crate) fn action_kind(kind: ActionKind) -> CodeActionKind {
    match kind {
        ActionKind::QuickFix => CodeActionKind::QuickFix,
        ActionKind::Extract => CodeActionKind::RefactorExtract,
        ActionKind::Rewrite => CodeActionKind::RefactorRewrite,
        ActionKind::FixAll => CodeActionKind::SourceFixAll,
    }
}
