#!/usr/bin/env bash
# A real client of the Language Server Protocol (pytest-lsp) asks `mesh lsp` everything over standard input and output.
#
#   tests/real/lsp.sh [PYTEST ARGUMENT…]
#
# It needs Python 3 with venv; pytest-lsp is installed into a directory of its own. MESH names another program than the debug build.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
if [ -z "${MESH:-}" ]; then
  cargo build --locked --workspace --bins --test it
  MESH=$(realpath "$target/debug/mesh")
fi
export MESH

python=${PYTHON:-python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
}
home=$target/lsp-venv
[ -x "$home/bin/pytest" ] || {
  "$python" -m venv "$home"
  "$home/bin/pip" install --quiet pytest-lsp==1.0.1
}
exec "$home/bin/pytest" --quiet -p no:cacheprovider tests/real/lsp "$@"
