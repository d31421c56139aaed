"use strict";

// The grammar over every example: each statement's first word is a keyword, each comment a comment, each text a text.
const { test } = require("node:test");
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const textmate = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");

const root = path.join(__dirname, "../../../../examples");

async function grammar() {
  const wasm = fs.readFileSync(path.join(path.dirname(require.resolve("vscode-oniguruma")), "onig.wasm")).buffer;
  const onigLib = oniguruma.loadWASM(wasm).then(() => ({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }));
  const file = path.join(__dirname, "../syntaxes/mesh.tmLanguage.json");
  const loadGrammar = async () => textmate.parseRawGrammar(fs.readFileSync(file, "utf8"), file);
  return new textmate.Registry({ onigLib, loadGrammar }).loadGrammar("source.mesh");
}

function files(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const whole = path.join(folder, entry.name);
    return entry.isDirectory() ? files(whole) : entry.name.endsWith(".mesh") ? [whole] : [];
  });
}

test("the words of every example are coloured", async () => {
  const mesh = await grammar();
  let lines = 0;
  for (const file of files(root)) {
    let [state, continued] = [textmate.INITIAL, false];
    for (const [number, line] of fs.readFileSync(file, "utf8").split("\n").entries()) {
      const { tokens, ruleStack } = mesh.tokenizeLine(line, state);
      state = ruleStack;
      const scopes = (at) => tokens.find((token) => token.startIndex <= at && at < token.endIndex).scopes.join(" ");
      const first = line.search(/\S/);
      if (first < 0 || line[first] === "}") continue;
      lines += 1;
      const place = `${file}:${number + 1} ${line}`;
      if (line[first] === "#") {
        assert.match(scopes(first), /comment/, place);
      } else if (/^\s*[a-z]/.test(line) && !continued && !/^\s*(when|and|except|expect)\b/.test(line)) {
        assert.match(scopes(first), /keyword|entity/, place);
      }
      continued = /,\s*$/.test(line);
      const quote = line.indexOf('"');
      if (quote >= 0 && line[first] !== "#") {
        assert.match(scopes(quote), /string/, place);
      }
    }
    assert.strictEqual(state.depth, 1, `${file}: nothing is left open`);
  }
  assert.ok(lines > 500, `${lines} lines`);
});
