#!/usr/bin/env bash
# The extension for Visual Studio Code: its grammar with the editor's own tokenizer, its views, and the package that people install.
#
#   tests/real/vscode.sh
#
# It needs Node 20 and unzip. What was packaged lies in lsp/editors/vscode/mesh.vsix.
set -euo pipefail
cd "$(dirname "$0")/../../lsp/editors/vscode"

for tool in node npm unzip; do
  command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${missing/node /nodejs } >/dev/null
fi

npm ci --no-audit --no-fund --silent
npm test
npm run --silent package

held=$(unzip -Z1 mesh.vsix)
for file in package.json readme.md LICENSE.txt language-configuration.json dist/extension.js snippets/mesh.json syntaxes/mesh.tmLanguage.json; do
  grep -qx "extension/$file" <<<"$held" || { echo "mesh.vsix has no $file: $held" >&2; exit 1; }
done
# Nothing else is in it: no sources, no modules, no keys.
[ "$(grep -c '^extension/' <<<"$held")" = 7 ] || { echo "mesh.vsix holds more than it should: $held" >&2; exit 1; }
# What was bundled is a program that asks for nothing but the editor.
unzip -p mesh.vsix extension/dist/extension.js > "${TMPDIR:-/tmp}/mesh-extension.js"
node --check "${TMPDIR:-/tmp}/mesh-extension.js"
version=$(unzip -p mesh.vsix extension/package.json | node -p 'JSON.parse(require("fs").readFileSync(0)).version')
echo "mesh.vsix $version: 7 files"
