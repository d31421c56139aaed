// The client: it starts `mesh lsp`, and shows what no other editor has a place for: the graph, and why a request ends as it does.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { graphPage, whyText } = require("./views");

/** @type {LanguageClient | undefined} */
let client;

async function start() {
  const settings = vscode.workspace.getConfiguration("mesh");
  const [command, ...args] = settings.get("command", ["mesh", "lsp"]);
  client = new LanguageClient(
    "mesh",
    "Mesh",
    { command, args },
    {
      documentSelector: [{ language: "mesh" }],
      initializationOptions: { projects: settings.get("projects", []) },
      middleware: {
        // Who may call a service is shown as references are, at the place of the lens.
        async executeCommand(name, args, next) {
          const found = await next(name, args);
          if (name === "mesh.showCallers" && Array.isArray(found)) {
            const [uri, position] = args;
            const places = found.map(client.protocol2CodeConverter.asLocation);
            await vscode.commands.executeCommand(
              "editor.action.showReferences",
              client.protocol2CodeConverter.asUri(uri),
              client.protocol2CodeConverter.asPosition(position),
              places,
            );
          }
          return found;
        },
      },
    },
  );
  try {
    await client.start();
  } catch (error) {
    const said = `The server \`${command}\` does not start: ${error.message}. Install mesh, or set "mesh.command".`;
    const choice = await vscode.window.showErrorMessage(said, "Open Settings");
    if (choice) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "mesh.command");
    }
  }
}

/** What is asked at the cursor. */
function here() {
  const editor = vscode.window.activeTextEditor;
  if (!client || !editor || editor.document.languageId !== "mesh") {
    return undefined;
  }
  return {
    textDocument: { uri: client.code2ProtocolConverter.asUri(editor.document.uri) },
    position: client.code2ProtocolConverter.asPosition(editor.selection.active),
  };
}

async function ask(method) {
  const at = here();
  if (!at) {
    return undefined;
  }
  try {
    return await client.sendRequest(method, at);
  } catch (error) {
    vscode.window.showWarningMessage(error.message);
    return undefined;
  }
}

/** @type {vscode.WebviewPanel | undefined} */
let panel;

async function showGraph() {
  const answer = await ask("mesh/graph");
  if (!answer) {
    return;
  }
  if (!panel) {
    panel = vscode.window.createWebviewPanel("mesh.graph", "Mesh", vscode.ViewColumn.Beside, { enableScripts: false });
    panel.onDidDispose(() => (panel = undefined));
  }
  panel.webview.html = graphPage(answer.svg, panel.webview.cspSource);
}

async function why() {
  const answer = await ask("mesh/why");
  if (!answer) {
    return;
  }
  const document = await vscode.workspace.openTextDocument({ language: "markdown", content: whyText(answer) });
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: true });
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("mesh.showGraph", showGraph),
    vscode.commands.registerCommand("mesh.why", why),
    vscode.commands.registerCommand("mesh.restart", async () => {
      await client?.stop();
      await start();
    }),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("mesh.command") || event.affectsConfiguration("mesh.projects")) {
        await client?.stop();
        await start();
      }
    }),
  );
  await start();
}

async function deactivate() {
  await client?.stop();
}

module.exports = { activate, deactivate };
