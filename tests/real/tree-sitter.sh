#!/usr/bin/env bash
# The tree-sitter grammar beside the compiler's parser: over every .mesh file of the repository both find the same blocks, and both or
# neither find that a text cannot be cut into statements.
#
#   tests/real/tree-sitter.sh
#
# It needs a C compiler and Python 3 with venv. MESH names another program than the debug build.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
if [ -z "${MESH:-}" ]; then
  cargo build --locked --workspace --bins --test it
  MESH=$(realpath "$target/debug/mesh")
fi
export MESH
home=$target/tree-sitter-venv
[ -x "$home/bin/python" ] && "$home/bin/python" -c 'import tree_sitter' 2>/dev/null || {
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet tree-sitter==0.25.2
}
cc -O1 -shared -fPIC -Ilsp/editors/tree-sitter/src lsp/editors/tree-sitter/src/parser.c -o "$home/mesh.so"
exec "$home/bin/python" tests/real/tree_sitter_beside.py "$home/mesh.so"
