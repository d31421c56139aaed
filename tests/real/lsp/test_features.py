"""Every feature that the server says it has, asked by a client."""

import pytest
from conftest import CART, FILES, PLATFORM, WEB, applied, position
from lsprotocol import types as lsp


def codes(found):
    return [one.code for one in found]


async def test_diagnostics_are_pushed_while_a_buffer_is_edited(shop):
    shop.open("cart/cart.mesh")
    shop.change("cart/cart.mesh", CART.replace("to cart:v2\n", "to cart:v3\n"))
    found = await shop.found("cart/cart.mesh", lambda found: "MESH2003" in codes(found))
    one = next(one for one in found if one.code == "MESH2003")
    assert one.source == "mesh" and one.severity == lsp.DiagnosticSeverity.Error
    assert one.code_description.href.startswith("file://")
    assert one.range.start == lsp.Position(line=17, character=12)
    shop.change("cart/cart.mesh", CART)
    await shop.found("cart/cart.mesh", lambda found: not found)


async def test_an_edit_is_felt_in_another_file(shop):
    shop.open("cart/cart.mesh")
    shop.change("cart/cart.mesh", CART.replace("allow from page.web to GET /cart/{id}, POST /cart", "allow from anyone to GET /x"))
    found = await shop.found("web/web.mesh", lambda found: "MESH4010" in codes(found))
    shown = next(one for one in found if one.code == "MESH4010").related_information
    assert all(place.location.uri == shop.uri("cart/cart.mesh") for place in shown)


async def test_changes_of_a_part_are_counted_in_utf_16(shop):
    shop.open("web/web.mesh")
    line = WEB[: WEB.index("𝄞")].count("\n")
    start = position(WEB, "kaufen ")
    end = lsp.Position(line=line, character=start.character + 2)
    shop.change("web/web.mesh", "x", lsp.Range(start=start, end=end))
    hover = await shop.client.text_document_hover_async(lsp.HoverParams(**shop.at("web/web.mesh", "service pa")))
    assert "Schöner kaufen x." in hover.contents.value


async def test_diagnostics_are_pulled(asking):
    asking.open("cart/cart.mesh", CART.replace("to cart:v2\n", "to cart:v3\n"))
    params = lsp.DocumentDiagnosticParams(text_document=asking.document("cart/cart.mesh"))
    report = await asking.client.text_document_diagnostic_async(params)
    assert "MESH2003" in codes(report.items)
    params.previous_result_id = report.result_id
    again = await asking.client.text_document_diagnostic_async(params)
    assert again.kind == "unchanged"
    everything = await asking.client.workspace_diagnostic_async(lsp.WorkspaceDiagnosticParams(previous_result_ids=[]))
    assert asking.uri("cart/cart.mesh") in [item.uri for item in everything.items]
    # Who asks is not told as well: it would be shown twice.
    assert asking.client.diagnostics.get(asking.uri("cart/cart.mesh")) is None


async def test_completion(asking):
    asking.open("cart/cart.mesh")
    before = "authorize cart {\n"
    text = CART.replace(before, before + "  allow from \n")
    asking.change("cart/cart.mesh", text)
    at = position(text, before + "  allow from ")
    params = lsp.CompletionParams(text_document=asking.document("cart/cart.mesh"), position=at)
    found = await asking.client.text_document_completion_async(params)
    labels = [item.label for item in found.items]
    assert "page.web" in labels and "anyone" in labels and "rule" not in labels
    page = next(item for item in found.items if item.label == "page.web")
    assert "The page" in page.documentation.value
    text = CART.replace("  timeout 2s\n", "  timeout 2s\n  \n")
    asking.change("cart/cart.mesh", text)
    params.position = position(text, "  timeout 2s\n  ")
    found = await asking.client.text_document_completion_async(params)
    retry = next(item for item in found.items if item.label == "retry")
    assert retry.insert_text_format == lsp.InsertTextFormat.Snippet and "${1:count}" in retry.text_edit.new_text
    # It may stand once, and does already.
    assert "timeout" not in [item.label for item in found.items]


async def test_a_client_without_snippets_gets_none(shop):
    text = CART.replace("  timeout 2s\n", "  timeout 2s\n  \n")
    shop.open("cart/cart.mesh", text)
    params = lsp.CompletionParams(
        text_document=shop.document("cart/cart.mesh"), position=position(text, "  timeout 2s\n  ")
    )
    found = await shop.client.text_document_completion_async(params)
    assert all("$" not in item.text_edit.new_text for item in found.items)


async def test_hover(shop):
    hover = await shop.client.text_document_hover_async(lsp.HoverParams(**shop.at("web/web.mesh", "calls car")))
    assert "`timeout 2s` — service cart, cart/cart.mesh:12" in hover.contents.value
    assert "`allow from page.web to GET /cart/{id}, POST /cart`" in hover.contents.value
    assert hover.range.start == position(WEB, "calls ")


async def test_signature_help(shop):
    text = CART.replace("authorize cart {\n", "authorize cart {\n  allow \n")
    shop.open("cart/cart.mesh", text)
    params = lsp.SignatureHelpParams(
        text_document=shop.document("cart/cart.mesh"), position=position(text, "authorize cart {\n  allow ")
    )
    help = await shop.client.text_document_signature_help_async(params)
    form = help.signatures[help.active_signature]
    start, end = form.parameters[help.active_parameter].label
    assert form.label.startswith("allow FROM") and form.label[start:end] == "FROM"


async def test_definition(shop):
    params = lsp.DefinitionParams(**shop.at("web/web.mesh", "calls car"))
    [place] = await shop.client.text_document_definition_async(params)
    assert place.uri == shop.uri("cart/cart.mesh") and place.range.start == position(CART, "service ")


async def test_definition_with_links(asking):
    params = lsp.DefinitionParams(**asking.at("web/web.mesh", "use cal"))
    [link] = await asking.client.text_document_definition_async(params)
    assert link.target_uri == asking.uri("platform/mesh.mesh")
    assert link.target_selection_range.start == position(PLATFORM, "\nprofile ")


async def test_references_and_highlights(shop):
    at = shop.at("cart/cart.mesh", "service car")
    context = lsp.ReferenceContext(include_declaration=True)
    found = await shop.client.text_document_references_async(lsp.ReferenceParams(context=context, **at))
    assert {place.uri for place in found} == {shop.uri("cart/cart.mesh"), shop.uri("web/web.mesh")}
    without = await shop.client.text_document_references_async(
        lsp.ReferenceParams(context=lsp.ReferenceContext(include_declaration=False), **at)
    )
    assert len(without) == len(found) - 1
    same = await shop.client.text_document_document_highlight_async(lsp.DocumentHighlightParams(**at))
    assert [one.kind for one in same].count(lsp.DocumentHighlightKind.Write) == 1


async def test_rename_across_modules_leaves_nothing_wrong(shop):
    at = shop.at("cart/cart.mesh", "service car")
    prepared = await shop.client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**at))
    assert prepared.placeholder == "cart"
    edit = await shop.client.text_document_rename_async(lsp.RenameParams(new_name="basket", **at))
    assert set(edit.changes) == {shop.uri("cart/cart.mesh"), shop.uri("web/web.mesh")}
    for path in ["cart/cart.mesh", "web/web.mesh"]:
        shop.open(path)
        shop.change(path, applied(FILES[path], edit.changes[shop.uri(path)]))
    hover = await shop.client.text_document_hover_async(lsp.HoverParams(**shop.at("web/web.mesh", "calls car")))
    assert "service basket.cart" in hover.contents.value
    assert not any(shop.client.diagnostics.values())


async def test_a_name_that_cannot_be_is_refused(shop):
    params = lsp.RenameParams(new_name="Cart 2", **shop.at("cart/cart.mesh", "service car"))
    with pytest.raises(Exception, match="cannot be a name"):
        await shop.client.text_document_rename_async(params)
    with pytest.raises(Exception, match="nothing here has a name"):
        await shop.client.text_document_prepare_rename_async(
            lsp.PrepareRenameParams(**shop.at("cart/cart.mesh", "owner \"ca"))
        )


async def test_symbols(shop):
    found = await shop.client.text_document_document_symbol_async(
        lsp.DocumentSymbolParams(text_document=shop.document("cart/cart.mesh"))
    )
    names = {symbol.name: symbol for symbol in found}
    assert {"cart", "route cart", "authorize cart", "testers get the new cart"} <= set(names)
    assert [child.name for child in names["route cart"].children] == ["testers", "everybody"]
    everywhere = await shop.client.workspace_symbol_async(lsp.WorkspaceSymbolParams(query="pag"))
    assert "page" in [symbol.name for symbol in everywhere]


async def test_formatting(shop):
    text = CART.replace("  port 8080 http", " port   8080 http")
    shop.open("cart/cart.mesh", text)
    options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
    document = shop.document("cart/cart.mesh")
    edits = await shop.client.text_document_formatting_async(
        lsp.DocumentFormattingParams(text_document=document, options=options)
    )
    assert applied(text, edits) == CART
    elsewhere = lsp.Range(start=position(text, "authorize"), end=position(text, "authorize cart"))
    edits = await shop.client.text_document_range_formatting_async(
        lsp.DocumentRangeFormattingParams(text_document=document, options=options, range=elsewhere)
    )
    assert not edits


def decoded(data, legend):
    line = column = 0
    words = []
    for at in range(0, len(data), 5):
        down, right, length, kind, modifiers = data[at : at + 5]
        line, column = line + down, right if down else column + right
        words.append((line, column, length, legend.token_types[kind], modifiers))
    return words


async def test_semantic_tokens(asking):
    asking.open("cart/cart.mesh")
    legend = asking.legend
    document = asking.document("cart/cart.mesh")
    full = await asking.client.text_document_semantic_tokens_full_async(lsp.SemanticTokensParams(text_document=document))
    words = {(line, kind) for line, _, _, kind, _ in decoded(full.data, legend)}
    assert {(0, "keyword"), (0, "namespace"), (7, "class"), (9, "enumMember"), (15, "function")} <= words
    asking.change("cart/cart.mesh", CART.replace("timeout 2s", "timeout 25s"))
    delta = await asking.client.text_document_semantic_tokens_full_delta_async(
        lsp.SemanticTokensDeltaParams(text_document=document, previous_result_id=full.result_id)
    )
    again = await asking.client.text_document_semantic_tokens_full_async(
        lsp.SemanticTokensParams(text_document=document)
    )
    data = list(full.data)
    for edit in delta.edits:
        data[edit.start : edit.start + edit.delete_count] = edit.data or []
    assert data == list(again.data) and len(delta.edits) == 1 and len(delta.edits[0].data) == 5
    part = await asking.client.text_document_semantic_tokens_range_async(
        lsp.SemanticTokensRangeParams(
            text_document=document, range=lsp.Range(start=position(CART, "route"), end=position(CART, "authorize"))
        )
    )
    assert 0 < len(part.data) < len(full.data)


async def test_folding_and_selection(shop):
    document = shop.document("cart/cart.mesh")
    folds = await shop.client.text_document_folding_range_async(lsp.FoldingRangeParams(text_document=document))
    assert (7, 11) in [(fold.start_line, fold.end_line) for fold in folds]
    [selection] = await shop.client.text_document_selection_range_async(
        lsp.SelectionRangeParams(text_document=document, positions=[position(CART, "to cart:v")])
    )
    depth = 0
    while selection.parent:
        outer, inner = selection.parent.range, selection.range
        assert outer.start <= inner.start and inner.end <= outer.end
        selection, depth = selection.parent, depth + 1
    assert depth >= 5 and selection.range.start == lsp.Position(line=0, character=0)


async def actions(shop, path, text, before, only=None):
    at = position(text, before)
    return await shop.client.text_document_code_action_async(
        lsp.CodeActionParams(
            text_document=shop.document(path),
            range=lsp.Range(start=at, end=at),
            context=lsp.CodeActionContext(diagnostics=[], only=only),
        )
    )


async def test_a_slip_is_mended(shop):
    text = CART.replace("route cart", "route carrt")
    shop.open("cart/cart.mesh", text)
    found = await actions(shop, "cart/cart.mesh", text, "route carr", [lsp.CodeActionKind.QuickFix])
    fix = next(action for action in found if action.is_preferred)
    assert fix.title == "Write `cart` for `carrt`" and fix.diagnostics[0].code == "MESH2001"
    assert applied(text, fix.edit.changes[shop.uri("cart/cart.mesh")]) == CART
    everything = await actions(shop, "cart/cart.mesh", text, "route carr", [lsp.CodeActionKind.Source])
    assert [action.kind for action in everything] == [lsp.CodeActionKind.SourceFixAll]


async def test_a_conflict_offers_its_request_as_a_test_that_holds(shop):
    rule = '  rule old {\n    match GET /cart/{id}\n    to cart:v1\n  }\n'
    text = CART.replace("  rule everybody", rule + "  rule everybody")
    shop.open("cart/cart.mesh", text)
    found = await actions(shop, "cart/cart.mesh", text, "rule old", [lsp.CodeActionKind.QuickFix])
    witness = next(action for action in found if action.title.startswith("Insert the request as a test"))
    assert witness.diagnostics[0].code == "MESH3001"
    mended = next(action for action in found if " override " in action.title)
    uri = shop.uri("cart/cart.mesh")
    tested = applied(text, mended.edit.changes[uri] + witness.edit.changes[uri])
    shop.change("cart/cart.mesh", tested)
    await shop.found("cart/cart.mesh", lambda found: "MESH3001" not in codes(found))
    name = tested[tested.rindex('test "') + 6 :].split('"')[0]
    command = lsp.ExecuteCommandParams(command="mesh.runTest", arguments=[uri, name])
    report = await shop.client.workspace_execute_command_async(command)
    assert [test["name"] for test in report["tests"]] == [name]


async def test_refactorings(shop):
    shop.open("cart/cart.mesh")
    found = await actions(shop, "cart/cart.mesh", CART, "  timeout 2", [lsp.CodeActionKind.Refactor])
    extract = next(action for action in found if action.kind == lsp.CodeActionKind.RefactorExtract)
    text = applied(CART, extract.edit.changes[shop.uri("cart/cart.mesh")])
    assert "param cart-timeout duration = 2s" in text and "timeout $cart-timeout" in text
    shop.change("cart/cart.mesh", text)
    hover = await shop.client.text_document_hover_async(lsp.HoverParams(**shop.at("web/web.mesh", "calls car")))
    assert "timeout 2s" in hover.contents.value


async def test_lenses(asking):
    asking.open("cart/cart.mesh")
    found = await asking.client.text_document_code_lens_async(
        lsp.CodeLensParams(text_document=asking.document("cart/cart.mesh"))
    )
    ready = [lens for lens in found if lens.command]
    assert [lens.command.command for lens in ready] == ["mesh.runTest"]
    run = ready[0].command
    report = await asking.client.workspace_execute_command_async(
        lsp.ExecuteCommandParams(command=run.command, arguments=run.arguments)
    )
    assert report["tests"] == [{"name": "testers get the new cart", "requests": 1, "failed": 0}]
    callers = await asking.client.code_lens_resolve_async(next(lens for lens in found if not lens.command))
    assert callers.command.title == "page.web may call this"
    places = await asking.client.workspace_execute_command_async(
        lsp.ExecuteCommandParams(command=callers.command.command, arguments=callers.command.arguments)
    )
    assert places[0]["uri"] == asking.uri("web/web.mesh")


async def test_hints(asking):
    asking.open("web/web.mesh")
    everything = lsp.Range(start=lsp.Position(line=0, character=0), end=lsp.Position(line=99, character=0))
    hints = await asking.client.text_document_inlay_hint_async(
        lsp.InlayHintParams(text_document=asking.document("web/web.mesh"), range=everything)
    )
    assert [hint.label for hint in hints] == ["timeout 2s"]
    hints = await asking.client.text_document_inlay_hint_async(
        lsp.InlayHintParams(text_document=asking.document("cart/cart.mesh"), range=everything)
    )
    assert [hint.label for hint in hints] == ["= 10%"]


async def test_links(shop):
    text = "# See MESH4005.\n" + WEB
    shop.open("web/web.mesh", text)
    links = await shop.client.text_document_document_link_async(
        lsp.DocumentLinkParams(text_document=shop.document("web/web.mesh"))
    )
    targets = [link.target for link in links]
    assert targets[0].endswith("MESH4005.md") and any("platform/mesh.mesh#L5" in target for target in targets)


async def test_call_hierarchy(shop):
    [cart] = await shop.client.text_document_prepare_call_hierarchy_async(
        lsp.CallHierarchyPrepareParams(**shop.at("cart/cart.mesh", "service car"))
    )
    [incoming] = await shop.client.call_hierarchy_incoming_calls_async(lsp.CallHierarchyIncomingCallsParams(item=cart))
    assert incoming.from_.name == "page.web" and len(incoming.from_ranges) == 1
    [outgoing] = await shop.client.call_hierarchy_outgoing_calls_async(
        lsp.CallHierarchyOutgoingCallsParams(item=incoming.from_)
    )
    assert outgoing.to.name == "cart.cart"


async def test_why_and_graph(shop):
    shop.open("cart/cart.mesh")
    at = {"textDocument": {"uri": shop.uri("cart/cart.mesh")}}
    line = position(CART, "request from page")
    at["position"] = {"line": line.line, "character": line.character}
    why = await shop.client.protocol.send_request_async("mesh/why", at)
    [end] = why.ends if hasattr(why, "ends") else why["ends"]
    assert "cart.cart:v2" in str(end)
    name = position(CART, "service car")
    at["position"] = {"line": name.line, "character": name.character}
    graph = await shop.client.protocol.send_request_async("mesh/graph", at)
    assert "cart.cart" in str(graph.graph if hasattr(graph, "graph") else graph["graph"])
    assert str(graph.svg if hasattr(graph, "svg") else graph["svg"]).startswith("<svg")
