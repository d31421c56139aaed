"""Both parsers over every file: the compiler's as `mesh lsp` tells of it (its folds and what it says of the text), and tree-sitter's."""

import ctypes
import json
import os
import pathlib
import subprocess
import sys

import tree_sitter

# What the compiler says of a text that cannot be cut into tokens, statements and blocks.
UNCUT = {"MESH1003", "MESH1004", "MESH1005"}

# A `#` right behind a word is refused by the compiler, for it could be meant as part of it; a grammar for colours shows the comment.
KNOWN = {"tests/suite/syntax/glued_comment.mesh"}


def language(library: str) -> tree_sitter.Language:
    function = ctypes.CDLL(library).tree_sitter_mesh
    function.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype = ctypes.py_object
    capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return tree_sitter.Language(capsule(function(), b"tree_sitter.Language", None))


class Server:
    def __init__(self):
        self.process = subprocess.Popen([os.environ["MESH"], "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.asked = 0
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.tell("initialized", {})

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def tell(self, method, params):
        self.send({"method": method, "params": params})

    def ask(self, method, params):
        self.asked += 1
        self.send({"id": self.asked, "method": method, "params": params})
        while True:
            length = 0
            while line := self.process.stdout.readline().strip():
                length = int(line.split(b":")[1])
            message = json.loads(self.process.stdout.read(length))
            if message.get("id") == self.asked:
                return message["result"]

    def look(self, number, text):
        """The first lines of blocks that go over several, and whether the text can be cut."""
        document = {"uri": f"untitled:{number}"}
        self.tell("textDocument/didOpen", {"textDocument": {**document, "languageId": "mesh", "version": 0, "text": text}})
        folds = self.ask("textDocument/foldingRange", {"textDocument": document})
        found = self.ask("textDocument/diagnostic", {"textDocument": document})["items"]
        self.tell("textDocument/didClose", {"textDocument": document})
        blocks = sorted((fold["startLine"], fold["endLine"] + 1) for fold in folds if "kind" not in fold)
        return blocks, any(one["code"] in UNCUT for one in found)


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


def main():
    parser = tree_sitter.Parser(language(sys.argv[1]))
    server = Server()
    files = sorted(path for folder in ["examples", "tests/suite"] for path in pathlib.Path(folder).rglob("*.mesh"))
    differ, uncut, blocks_in_all = [], 0, 0
    for number, path in enumerate(files):
        # A fixture may hold several files; each is a text of its own.
        text = path.read_bytes().decode(errors="replace")
        tree = parser.parse(text.encode()).root_node
        ours, broken = server.look(number, text)
        theirs = []
        for node in nodes(tree):
            if node.type == "block":
                # The brace may have the newlines before it in its token.
                open_row = node.start_point[0] + node.children[0].text.count(b"\n")
                if node.end_point[0] > open_row:
                    theirs.append((open_row, node.end_point[0]))
        if str(path) in KNOWN:
            assert broken and not tree.has_error, f"{path} is no difference any more"
        elif broken != tree.has_error:
            differ.append(f"{path}: ours {'cannot' if broken else 'can'} be cut, tree-sitter says otherwise")
        elif not broken and ours != sorted(theirs):
            differ.append(f"{path}: blocks {ours} and {sorted(theirs)}")
        uncut += broken
        blocks_in_all += len(theirs)
    print(f"{len(files)} files, {blocks_in_all} blocks over several lines, {uncut} texts that cannot be cut")
    for one in differ:
        print(one)
    # A comparison that compares nothing is none.
    sys.exit(bool(differ) or len(files) < 100 or uncut == 0 or blocks_in_all < 500)


main()
