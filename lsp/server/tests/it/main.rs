//! The server as a whole, with tools that fail: a bug of ours in one request is told, and the next one is answered.

use mesh_lsp::{Ended, Loaded, Reach, Tools, serve};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

const TEXT: &str = "# See MESH4005.\nservice web { calls cart to GET /a }\nservice cart { port 80 http }\nauthorize cart { allow from web }\n";

/// A client, and the server that it speaks with.
struct Session {
    input: PipeWriter,
    output: BufReader<PipeReader>,
    server: JoinHandle<Ended>,
    asked: i32,
}

/// Tools of a project in memory; `why` and the pages of diagnostics have a bug.
fn tools() -> Tools {
    let load = |_: &Path, reach: Reach| match reach {
        Reach::Below => {
            Ok(Loaded { files: vec![("a.mesh".into(), String::new(), TEXT.into())], flaws: vec![] })
        }
        Reach::Beside => Err("there is nothing beside".to_owned()),
    };
    Tools {
        load: Arc::new(load),
        read: Arc::new(|_| Some(TEXT.to_owned())),
        is_searched: |path| path.ends_with(".mesh"),
        why: Arc::new(|_, _, _| panic!("why has a bug")),
        graph: Arc::new(|sources, question, _| {
            Ok(json!({ "files": sources.len(), "around": question.around }))
        }),
        test: Arc::new(|_, name, _| Err(format!("no test `{name}` here"))),
        today: None,
        page: Arc::new(|_| panic!("pages have a bug")),
        version: "0".to_owned(),
    }
}

impl Session {
    fn begin() -> Session {
        let (server_input, input) = std::io::pipe().unwrap();
        let (output, server_output) = std::io::pipe().unwrap();
        let server = std::thread::spawn(move || serve(server_input, server_output, tools()));
        let mut session = Session { input, output: BufReader::new(output), server, asked: 0 };
        session
            .ask("initialize", json!({ "processId": null, "rootUri": "file:///shop", "capabilities": {} }));
        session.tell("initialized", json!({}));
        session
    }

    fn send(&mut self, message: Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            match line.trim().split_once(": ") {
                Some((_, value)) => length = value.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn end(mut self) -> Ended {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        self.server.join().unwrap()
    }
}

fn at(line: u32, character: u32) -> Value {
    json!({ "textDocument": { "uri": "file:///shop/a.mesh" }, "position": { "line": line, "character": character } })
}

#[test]
fn a_bug_in_one_request_is_told_and_the_next_is_answered() {
    let mut session = Session::begin();
    let failed = session.ask("textDocument/documentLink", at(0, 0));
    assert_eq!(failed["error"]["code"], -32603);
    assert_eq!(failed["error"]["message"], "a bug of mesh: pages have a bug");
    let told = session.receive();
    assert_eq!(told["method"], "window/showMessage", "{told}");
    let hover = session.ask("textDocument/hover", at(2, 9));
    assert!(
        hover["result"]["contents"]["value"].as_str().unwrap().contains("service cart.default"),
        "{hover}"
    );
    assert_eq!(session.end(), Ended::Cleanly);
}

#[test]
fn a_bug_in_a_job_is_the_answer_to_it() {
    let mut session = Session::begin();
    let failed = session.ask("mesh/why", at(3, 20));
    assert_eq!(failed["error"]["message"], "a bug of mesh: why has a bug");
    let graph = session.ask("mesh/graph", at(2, 9));
    assert_eq!(graph["result"], json!({ "files": 1, "around": "cart.default" }));
    let test = json!({ "command": "mesh.runTest", "arguments": ["file:///shop/a.mesh", "x"] });
    assert_eq!(session.ask("workspace/executeCommand", test)["error"]["message"], "no test `x` here");
    assert_eq!(session.end(), Ended::Cleanly);
}

#[test]
fn a_bug_while_something_wrong_is_told_does_not_end_the_server() {
    let mut session = Session::begin();
    let text = TEXT.replace("calls cart", "calls crt");
    let document = json!({ "uri": "file:///shop/a.mesh", "languageId": "mesh", "version": 1, "text": text });
    session.tell("textDocument/didOpen", json!({ "textDocument": document }));
    let symbols = session.ask("workspace/symbol", json!({ "query": "cart" }));
    assert_eq!(symbols["result"].as_array().map(Vec::len), Some(1), "{symbols}");
    assert_eq!(session.end(), Ended::Cleanly);
}

#[test]
fn a_client_that_goes_away_ends_the_server() {
    let Session { input, server, .. } = Session::begin();
    drop(input);
    assert_eq!(server.join().unwrap(), Ended::Abruptly);
}
