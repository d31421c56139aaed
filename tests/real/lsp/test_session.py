"""What a session goes through: files on disk and unsaved ones, mistakes of the client, the end."""

import asyncio
import json
import os
import pathlib
import subprocess

import pytest
from conftest import CART, FILES, WEB, capable, initialize, position, write
from lsprotocol import types as lsp

MESH = os.environ["MESH"]


async def test_an_unsaved_buffer_counts_and_disk_counts_again_when_it_is_closed(shop):
    shop.open("web/web.mesh", WEB.replace("calls cart.cart", "calls crt.cart"))
    await shop.found("web/web.mesh", lambda found: any(one.code == "MESH2001" for one in found))
    shop.close("web/web.mesh")
    await shop.found("web/web.mesh", lambda found: not found)


async def test_files_come_and_go_on_disk(shop):
    shop.open("cart/cart.mesh")
    (shop.root / "web/more.mesh").write_text("service more { port 80 http; calls nobody }\n")
    changed = lambda path, kind: shop.client.workspace_did_change_watched_files(
        lsp.DidChangeWatchedFilesParams(changes=[lsp.FileEvent(uri=shop.uri(path), type=kind)])
    )
    changed("web/more.mesh", lsp.FileChangeType.Created)
    await shop.found("web/more.mesh", lambda found: any(one.code == "MESH2001" for one in found))
    (shop.root / "web/more.mesh").write_text("# nothing\n")
    changed("web/more.mesh", lsp.FileChangeType.Changed)
    await shop.found("web/more.mesh", lambda found: not found)
    (shop.root / "cart/cart.mesh").unlink()
    shop.close("cart/cart.mesh")
    changed("cart/cart.mesh", lsp.FileChangeType.Deleted)
    await shop.found("web/web.mesh", lambda found: any(one.code == "MESH2001" for one in found))


async def test_a_new_buffer_is_of_the_project_before_it_is_saved(shop):
    shop.open("cart/new.mesh", "service extra { port 80 http }\n")
    found = await shop.found("cart/new.mesh", lambda found: found)
    assert "MESH4001" in [one.code for one in found]


async def test_a_file_outside_of_the_workspace_is_looked_at_with_those_beside_it(shop, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "other.mesh").write_text("service other { port 80 http }\nauthorize other { allow from here }\n")
    text = "service here { calls other }\n"
    uri = (outside / "here.mesh").as_uri()
    (outside / "here.mesh").write_text(text)
    item = lsp.TextDocumentItem(uri=uri, language_id="mesh", version=1, text=text)
    shop.client.text_document_did_open(lsp.DidOpenTextDocumentParams(text_document=item))
    params = lsp.DefinitionParams(
        text_document=lsp.TextDocumentIdentifier(uri=uri), position=position(text, "calls oth")
    )
    [place] = await shop.client.text_document_definition_async(params)
    assert place.uri == (outside / "other.mesh").as_uri()


async def test_a_buffer_that_was_never_saved(shop):
    uri, text = "untitled:Untitled-1", "service a { calls b }\n"
    item = lsp.TextDocumentItem(uri=uri, language_id="mesh", version=1, text=text)
    shop.client.text_document_did_open(lsp.DidOpenTextDocumentParams(text_document=item))
    params = lsp.HoverParams(text_document=lsp.TextDocumentIdentifier(uri=uri), position=position(text, "service a"))
    hover = await shop.client.text_document_hover_async(params)
    assert "service a.default" in hover.contents.value


async def test_positions_are_counted_in_utf_8_where_the_client_can(client, tmp_path):
    write(tmp_path)
    general = lsp.GeneralClientCapabilities(
        position_encodings=[lsp.PositionEncodingKind.Utf16, lsp.PositionEncodingKind.Utf8]
    )
    result = await initialize(client, tmp_path, lsp.ClientCapabilities(general=general))
    assert result.capabilities.position_encoding == lsp.PositionEncodingKind.Utf8


async def test_loading_shows_progress(client, tmp_path):
    write(tmp_path)
    await initialize(client, tmp_path, capable())
    for _ in range(500):
        reports = [report for each in client.progress_reports.values() for report in each]
        kinds = [getattr(report, "kind", None) or report.get("kind") for report in reports]
        if kinds == ["begin", "end"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(client.progress_reports)


async def test_a_project_of_several_folders_is_as_the_client_says(client, tmp_path):
    for name in ["one", "two"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mesh").write_text(f"mesh {name} {{ trust-domain {name}.example }}\nservice s {{ }}\n")
    await initialize(
        client, tmp_path, lsp.ClientCapabilities(), initialization_options={"projects": ["one", "two"]}
    )
    found = await client.workspace_symbol_async(lsp.WorkspaceSymbolParams(query="s"))
    # Were they one project, a mesh would be declared twice.
    assert all(one.code != "MESH2002" for each in client.diagnostics.values() for one in each)
    assert [symbol.name for symbol in found].count("s") == 2


class Raw:
    """A server that is spoken to byte by byte."""

    def __init__(self):
        self.process = subprocess.Popen([MESH, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, body: bytes | dict) -> None:
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self) -> dict:
        length = 0
        while line := self.process.stdout.readline().strip():
            name, value = line.split(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return json.loads(self.process.stdout.read(length))

    def answer(self, id: int) -> dict:
        while (message := self.receive()).get("id") != id:
            pass
        return message

    def ask(self, id: int, method: str, params=None) -> dict:
        self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return self.answer(id)

    def begin(self, root: pathlib.Path) -> None:
        self.ask(1, "initialize", {"processId": None, "rootUri": root.as_uri(), "capabilities": {}})
        self.send({"jsonrpc": "2.0", "method": "initialized", "params": {}})

    def end(self, shutdown: bool = True) -> int:
        if shutdown:
            self.ask(99, "shutdown")
        self.send({"jsonrpc": "2.0", "method": "exit"})
        return self.process.wait(20)


@pytest.fixture
def raw(tmp_path):
    write(tmp_path)
    server = Raw()
    yield server
    server.process.kill()
    server.process.wait()


def test_messages_that_are_none_do_not_end_the_server(raw, tmp_path):
    raw.begin(tmp_path)
    for body, code in [(b"{not json", -32700), (b"[]", -32600), (b"\xff\xfe", -32700), (b'{"id":5}', -32600)]:
        raw.send(body)
        message = raw.receive()
        while "error" not in message:
            message = raw.receive()
        assert message["error"]["code"] == code
    raw.process.stdin.write(b"rubbish\r\n\r\n")
    assert raw.ask(6, "no/such", {})["error"]["code"] == -32601
    assert raw.ask(7, "textDocument/hover", {"position": "nowhere"})["error"]["code"] == -32602
    raw.send({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": 3}})
    uri = (tmp_path / "cart/cart.mesh").as_uri()
    params = {"textDocument": {"uri": uri}, "position": {"line": 4_000_000_000, "character": 4_000_000_000}}
    assert "result" in raw.ask(8, "textDocument/hover", params)
    assert raw.end() == 0


def test_the_order_of_a_session_is_kept(raw, tmp_path):
    assert raw.ask(2, "textDocument/hover", {})["error"]["code"] == -32002
    raw.begin(tmp_path)
    assert raw.ask(3, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})["error"]["code"] == -32600
    assert raw.ask(4, "shutdown")["result"] is None
    assert raw.ask(5, "workspace/symbol", {"query": ""})["error"]["code"] == -32600
    assert raw.end(shutdown=False) == 0


def test_an_exit_without_shutdown_is_no_clean_end(raw, tmp_path):
    raw.begin(tmp_path)
    assert raw.end(shutdown=False) == 1


def test_a_client_that_goes_away_leaves_no_server_behind(raw, tmp_path):
    raw.begin(tmp_path)
    raw.process.stdin.close()
    assert raw.process.wait(20) == 1


def test_a_request_that_is_taken_back_is_not_answered_as_if_nothing_had_happened(raw, tmp_path):
    raw.begin(tmp_path)
    request = {"jsonrpc": "2.0", "id": 10, "method": "workspace/symbol", "params": {"query": ""}}
    cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 10}}
    # In one piece: both are there before the first is begun.
    bodies = [json.dumps(message).encode() for message in [request, cancel]]
    raw.process.stdin.write(b"".join(b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies))
    raw.process.stdin.flush()
    answer = raw.answer(10)
    # Whoever is quicker: an answer comes, once, and the server goes on.
    assert "result" in answer or answer["error"]["code"] == -32800
    assert raw.ask(11, "workspace/symbol", {"query": "page"})["result"]
    assert raw.end() == 0


def test_every_request_answers_while_a_file_is_typed(raw, tmp_path):
    raw.begin(tmp_path)
    uri = (tmp_path / "cart/cart.mesh").as_uri()
    document = {"uri": uri, "languageId": "mesh", "version": 0, "text": ""}
    raw.send({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}})
    id = 100
    for end in range(0, len(CART), 13):
        text = CART[:end]
        changes = {"textDocument": {"uri": uri, "version": end + 1}, "contentChanges": [{"text": text}]}
        raw.send({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": changes})
        at = {"line": text.count("\n"), "character": len(text) - (text.rfind("\n") + 1)}
        here = {"textDocument": {"uri": uri}, "position": at}
        whole = {"start": {"line": 0, "character": 0}, "end": at}
        for method, params in [
            ("completion", {**here, "context": {"triggerKind": 1}}),
            ("hover", here),
            ("signatureHelp", here),
            ("definition", here),
            ("references", {**here, "context": {"includeDeclaration": True}}),
            ("documentHighlight", here),
            ("documentSymbol", here),
            ("foldingRange", here),
            ("selectionRange", {"textDocument": {"uri": uri}, "positions": [at]}),
            ("formatting", {**here, "options": {"tabSize": 2, "insertSpaces": True}}),
            ("codeAction", {"textDocument": {"uri": uri}, "range": whole, "context": {"diagnostics": []}}),
            ("codeLens", here),
            ("inlayHint", {"textDocument": {"uri": uri}, "range": whole}),
            ("documentLink", here),
            ("semanticTokens/full", here),
            ("prepareCallHierarchy", here),
            ("diagnostic", here),
        ]:
            id += 1
            answer = raw.ask(id, f"textDocument/{method}", params)
            assert "result" in answer, (method, text[-40:], answer)
    assert raw.end() == 0


def test_the_files_of_the_shop_are_used():
    assert set(FILES) == {"platform/mesh.mesh", "web/web.mesh", "cart/cart.mesh"}
