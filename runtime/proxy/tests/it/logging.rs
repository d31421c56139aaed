//! One line for each request says what became of it and why.

use crate::config;
use crate::plans::{mesh, retries};
use crate::wire::{Client, Does, get, nobody, ok, raw, status, upstream};
use mesh_plan::{PlanView, Retry};
use mesh_proxy::{AccessLog, start};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn all(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of what `ask` asks of the gateway.
fn log(plan: PlanView, ask: impl FnOnce(SocketAddr)) -> Vec<String> {
    let lines = Lines::default();
    let access_log = AccessLog::Writer(Box::new(lines.clone()));
    let handle = start(plan, crate::Config { access_log, ..config() }).unwrap();
    ask(handle.addresses()["edge.default/http"]);
    handle.shutdown();
    lines.all()
}

/// `"name":value` of a line.
pub(crate) fn field(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap();
    rest.split(['}', ',']).next().unwrap().trim_matches('"').to_owned()
}

#[test]
fn a_line_tells_what_was_asked_decided_and_done() {
    let shop = upstream(|_, _| ok("shop"));
    let plan = mesh().to("shop", shop.address).view();
    let digest = plan.digest_hex();
    let request = "GET //shop/%7Ea?q=1 HTTP/1.1\r\nhost: SHOP.test:80\r\nx-request-id: my\"id\r\n\r\n";
    let lines = log(plan, |edge| drop(raw(edge, request)));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let (time, duration) = (field(line, "time"), field(line, "duration_ms"));
    let expected = format!(
        "{{\"time\":\"{time}\",\"entry\":\"edge.default/http\",\"method\":\"GET\",\"host\":\"shop.test:80\",\
         \"path\":\"/shop/~a\",\"status\":200,\"flags\":\"\",\"rule\":\"route edge.default rule shop\",\
         \"owner\":\"\",\"service\":\"shop.default\",\"subset\":\"\",\"upstream\":\"{}\",\"attempts\":1,\
         \"duration_ms\":{duration},\"request_id\":\"my\\\"id\",\"source_ip\":\"127.0.0.1\",\"plan\":\"{}\"}}",
        shop.address,
        &digest[..12],
    );
    assert_eq!(*line, expected);
    assert!(duration.parse::<f64>().unwrap() > 0.0);
}

#[test]
fn flags_say_why_there_was_no_other_answer() {
    let reset = upstream(|_, _| Does::Closes(vec![]));
    let busy = upstream(|_, _| status(503, ""));
    let slow = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(2), vec![]));
    let broken = upstream(|_, _| Does::Closes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".into()));
    let mesh = mesh()
        .to("broken", broken.address)
        .to("busy", busy.address)
        .retry(Retry { on_status: vec![503], ..retries(2) })
        .closed("closed", &[])
        .split("closed", &[("closed", 10_000)])
        .service("empty", &[])
        .split("empty", &[("empty", 10_000)])
        .to("nobody", nobody())
        .to("reset", reset.address)
        .to("slow", slow.address)
        .timeout(100);
    let paths = ["/broken", "/busy", "/closed", "/empty", "/nobody", "/none", "/reset", "/slow"];
    let lines = log(mesh.view(), |edge| {
        for path in paths {
            let _ = Client::new(edge).get(path);
        }
    });
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            format!(
                "{} {} {} {}",
                field(line, "path"),
                field(line, "status"),
                field(line, "flags"),
                field(line, "attempts")
            )
        })
        .collect();
    let expected = [
        "/broken 200 UC 1",
        "/busy 503 URX 3",
        "/closed 403 UAEX 0",
        "/empty 503 UH 0",
        "/nobody 503 UF 1",
        "/none 404 NR 0",
        "/reset 502 UC 1",
        "/slow 504 UT 1",
    ];
    assert_eq!(told, expected);
    assert_eq!(field(&lines[2], "rule"), "authorize closed.default: deny");
}

#[test]
fn a_request_that_its_client_abandons_has_a_line() {
    let shop = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(2), vec![]));
    let lines = log(mesh().to("shop", shop.address).view(), |edge| {
        let mut client = Client::new(edge);
        client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
        std::thread::sleep(Duration::from_millis(100));
    });
    assert_eq!((lines.len(), field(&lines[0], "flags").as_str()), (1, "DC"));
}

#[test]
fn a_refused_request_has_a_line() {
    let lines = log(mesh().view(), |edge| {
        assert_eq!(get(edge, "/%2F").status(), 400);
    });
    assert_eq!((lines.len(), field(&lines[0], "status").as_str()), (1, "400"));
}

#[test]
fn a_refusal_names_the_owner_in_the_log_and_at_a_gateway_only_there() {
    let plan = mesh().closed("shop", &[]).split("shop", &[("shop", 10_000)]).owner("books team").view();
    let lines = log(plan, |edge| {
        assert_eq!(get(edge, "/shop").text(), "denied by shop.default");
    });
    assert_eq!(field(&lines[0], "owner"), "books team");
}

#[test]
fn a_closing_listener_logs_under_the_last_plan_that_had_it() {
    let lines = Lines::default();
    let access_log = AccessLog::Writer(Box::new(lines.clone()));
    let mesh = mesh().respond("x", 200, "x");
    let digest = mesh.view().digest_hex();
    let handle = start(mesh.view(), crate::Config { access_log, ..config() }).unwrap();
    let mut client = Client::new(handle.addresses()["edge.default/http"]);
    assert_eq!(client.get("/x").unwrap().text(), "x");
    handle.swap_doors(mesh.respond("y", 200, "y").view(), vec![]).unwrap();
    assert_eq!(client.get("/x").unwrap().text(), "x");
    handle.shutdown();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let last = text.lines().nth(1).unwrap();
    assert_eq!((field(last, "status").as_str(), field(last, "plan").as_str()), ("200", &digest[..12]));
}
