"""A shop of two teams on disk, and a client that has it open."""

import asyncio
import os
import pathlib

import pytest
import pytest_lsp
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

MESH = os.environ["MESH"]

PLATFORM = """\
mesh shop {
  trust-domain shop.example
}

module platform {
  edition 2026
  role platform
  namespace ops
  export profile calm
}

## Waits long.
profile calm {
  timeout 30s
}
"""

WEB = """\
module web {
  edition 2026
  namespace web
}

import platform { calm }

## The page. Its title is Schöner kaufen 𝄞.
service page {
  port 80 http
  use calm
  propagate header "x-tester"
  calls cart.cart to GET /cart/{id}, POST /cart
}

gateway edge {
  listener web port 8080 http {
    host "*"
  }
}

route edge {
  to page
}

authorize edge {
  allow from anyone
}

authorize page {
  allow from gateway edge
}
"""

CART = """\
module cart {
  edition 2026
  owner "carts"
  namespace cart
}

## What is in the basket.
service cart {
  port 8080 http
  subset v1 label version = "v1"
  subset v2 label version = "v2"
  timeout 2s
}

route cart {
  rule testers {
    match when header "x-tester" = "yes"
    to cart:v2
  }
  rule everybody {
    to cart:v1 90%, cart:v2 rest
  }
}

authorize cart {
  allow from page.web to GET /cart/{id}, POST /cart
}

test "testers get the new cart" {
  request from page.web to cart GET /cart/1 when header "x-tester" = "yes" expect cart:v2
}
"""

FILES = {"platform/mesh.mesh": PLATFORM, "web/web.mesh": WEB, "cart/cart.mesh": CART}


class Shop:
    """The project, and the client's view of it."""

    def __init__(self, root: pathlib.Path, client: LanguageClient):
        self.root = root
        self.client = client
        self.version = 0

    def uri(self, path: str) -> str:
        return (self.root / path).as_uri()

    def document(self, path: str) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(uri=self.uri(path))

    def open(self, path: str, text: str | None = None) -> None:
        text = FILES[path] if text is None else text
        item = lsp.TextDocumentItem(uri=self.uri(path), language_id="mesh", version=1, text=text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(text_document=item))

    def close(self, path: str) -> None:
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(text_document=self.document(path)))

    def change(self, path: str, text: str, range: lsp.Range | None = None) -> None:
        """Another text for the whole buffer, or for a part of it."""
        self.version += 1
        change = (
            lsp.TextDocumentContentChangeWholeDocument(text=text)
            if range is None
            else lsp.TextDocumentContentChangePartial(range=range, text=text)
        )
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                text_document=lsp.VersionedTextDocumentIdentifier(uri=self.uri(path), version=self.version + 1),
                content_changes=[change],
            )
        )

    def at(self, path: str, before: str) -> dict:
        """The place behind the first `before` in a file, as requests take it."""
        return {"text_document": self.document(path), "position": position(FILES[path], before)}

    async def found(self, path: str, wanted=lambda found: True, seconds: float = 20) -> list[lsp.Diagnostic]:
        """What is published of a file, once it is what is wanted."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            found = self.client.diagnostics.get(self.uri(path))
            if found is not None and wanted(found):
                return list(found)
            await asyncio.sleep(0.01)
        raise AssertionError(f"{path}: {self.client.diagnostics.get(self.uri(path))}")


def position(text: str, before: str) -> lsp.Position:
    """The position behind the first `before`, in UTF-16."""
    end = text.index(before) + len(before)
    line = text.count("\n", 0, end)
    start = text.rfind("\n", 0, end) + 1
    return lsp.Position(line=line, character=len(text[start:end].encode("utf-16-le")) // 2)


def applied(text: str, edits: list[lsp.TextEdit]) -> str:
    """A text with edits in it; positions in UTF-16."""
    lines = text.splitlines(keepends=True) + [""]

    def offset(at: lsp.Position) -> int:
        before = sum(len(line) for line in lines[: at.line])
        line = lines[at.line] if at.line < len(lines) else ""
        return before + len(line.encode("utf-16-le")[: at.character * 2].decode("utf-16-le"))

    for edit in sorted(edits, key=lambda edit: offset(edit.range.start), reverse=True):
        start, end = offset(edit.range.start), offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text


def write(root: pathlib.Path) -> None:
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


async def initialize(client: LanguageClient, root: pathlib.Path, capabilities, **more) -> lsp.InitializeResult:
    return await client.initialize_session(
        lsp.InitializeParams(
            capabilities=capabilities,
            workspace_folders=[lsp.WorkspaceFolder(uri=root.as_uri(), name="shop")],
            **more,
        )
    )


def capable() -> lsp.ClientCapabilities:
    """What VS Code can; the list that the client library has of it is older than asking for diagnostics and hints."""
    capabilities = client_capabilities("visual-studio-code")
    capabilities.text_document.diagnostic = lsp.DiagnosticClientCapabilities()
    capabilities.workspace.diagnostics = lsp.DiagnosticWorkspaceClientCapabilities(refresh_support=True)
    capabilities.workspace.inlay_hint = lsp.InlayHintWorkspaceClientCapabilities(refresh_support=True)
    return capabilities


CONFIG = ClientServerConfig(server_command=[MESH, "lsp"])


@pytest_lsp.fixture(config=CONFIG)
async def client(lsp_client: LanguageClient):
    """Not initialized yet: each fixture below does that its way. It does what servers ask of clients."""
    asked = []
    for method in [
        lsp.CLIENT_REGISTER_CAPABILITY,
        lsp.WORKSPACE_CODE_LENS_REFRESH,
        lsp.WORKSPACE_INLAY_HINT_REFRESH,
    ]:
        lsp_client.feature(method)(lambda *params, method=method: asked.append(method))
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
async def shop(client: LanguageClient, tmp_path: pathlib.Path) -> Shop:
    """A client that is told what is wrong, and counts in UTF-16."""
    write(tmp_path)
    await initialize(client, tmp_path, lsp.ClientCapabilities())
    return Shop(tmp_path, client)


@pytest.fixture
async def asking(client: LanguageClient, tmp_path: pathlib.Path) -> Shop:
    """A client that can all that VS Code can, so it asks what is wrong."""
    write(tmp_path)
    result = await initialize(client, tmp_path, capable())
    shop = Shop(tmp_path, client)
    shop.legend = result.capabilities.semantic_tokens_provider.legend
    return shop
