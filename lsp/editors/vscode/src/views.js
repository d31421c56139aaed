// What is shown: a page with the graph, a text that says why. Without the editor, so that they can be tested.
"use strict";

/** The graph as a page that runs no scripts and loads nothing. */
function graphPage(svg, source) {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${source} 'unsafe-inline';">
<style>body { margin: 0; background: white; overflow: auto; } svg { max-width: none; }</style>
</head>
<body>${svg}</body>
</html>`;
}

/** An answer of `mesh/why` as Markdown: where the request ends, then each way there with the lines that say so. */
function whyText(why) {
  const lines = [`# ${why.request ?? "a connection"} from ${why.from} to ${why.to}`, ""];
  for (const end of why.ends) {
    lines.push(`- **${end.percent}%** ${end.end}${end.status ? ` (${end.status})` : ""}`);
  }
  for (const way of why.ways) {
    lines.push("", `## ${way.percent}% ${way.end}`, "");
    for (const step of way.steps) {
      const by = step.by ? `\`${step.by.text}\` (${step.by.file}:${step.by.start.line})` : "no line";
      lines.push(`1. ${step.holds ? "✓" : "✗"} ${step.kind} ${step.of}: ${by}`);
      for (const other of step.others) {
        lines.push(`   - not \`${other.line.text}\` (${other.line.file}:${other.line.start.line}): ${other.fails.join(", ")}`);
      }
    }
    for (const setting of way.settings) {
      const by = setting.line ? ` (${setting.line.file}:${setting.line.start.line})` : "";
      lines.push(`- ${setting.name} ${setting.value}${by}`);
    }
  }
  return lines.join("\n") + "\n";
}

module.exports = { graphPage, whyText };
