"use strict";

const { test } = require("node:test");
const assert = require("node:assert");
const { graphPage, whyText } = require("../src/views");

test("the page of the graph runs nothing and loads nothing", () => {
  const page = graphPage("<svg></svg>", "vscode-webview:");
  assert.match(page, /default-src 'none'/);
  assert.match(page, /<body><svg><\/svg><\/body>/);
});

test("why is told with its lines", () => {
  const line = { text: "allow from page", file: "cart.mesh", start: { line: 3, column: 1 } };
  const told = whyText({
    request: "GET /", from: "page.default", to: "cart.default",
    ends: [{ percent: 100, end: "cart.default" }],
    ways: [{
      percent: 100, end: "cart.default",
      steps: [{ kind: "access", of: "cart.default", holds: true, by: line, others: [{ line, fails: ["method"] }] }],
      settings: [{ name: "timeout", value: "2s", line }],
    }],
  });
  assert.match(told, /✓ access cart.default: `allow from page` \(cart.mesh:3\)/);
  assert.match(told, /timeout 2s \(cart.mesh:3\)/);
});
