//! Calls of gRPC: what the proxy itself answers is a status of gRPC, and what a service answers passes, trailers and all.

use crate::logging::{Lines, field};
use crate::plans::{mesh, retries};
use crate::streams::{Answer, Whole, client, server, whole};
use crate::wire::nobody;
use crate::{config, proxy};
use hyper::Request;
use hyper::body::Bytes;
use mesh_plan::Protocol::Grpc;
use mesh_plan::{Outliers, Retry, Settings};
use mesh_proxy::{AccessLog, start};
use std::net::SocketAddr;
use std::time::Duration;

/// A call with this timeout, if it is not empty.
fn call(edge: SocketAddr, path: &str, timeout: &str) -> Whole {
    client(edge, async |send| {
        let mut request = Request::post(format!("http://shop.test{path}"))
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers");
        if !timeout.is_empty() {
            request = request.header("grpc-timeout", timeout);
        }
        let (response, mut body) = send.clone().send_request(request.body(()).unwrap(), false).unwrap();
        // The answer may be there before the message is.
        let _ = body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true);
        whole(response).await.unwrap()
    })
}

fn status(answer: &Whole) -> (u16, &str) {
    assert!(answer.body.is_empty() && answer.trailers.is_empty(), "a head and nothing else");
    assert_eq!(answer.headers["content-type"], "application/grpc");
    (answer.status, answer.headers["grpc-status"].to_str().unwrap())
}

#[test]
fn what_the_proxy_answers_is_a_status_of_grpc() {
    let slow = server(async |_, _| {
        tokio::time::sleep(Duration::from_secs(10)).await;
        Answer::of(200, "late")
    });
    let lines = Lines::default();
    let plan = mesh()
        .to("nobody", nobody())
        .service("none", &[])
        .split("none", &[("none", 10_000)])
        .closed("closed", &[slow.address])
        .split("closed", &[("closed", 10_000)])
        .respond("limited", 429, "slow down")
        .to("slow", slow.address)
        .timeout(300)
        .to("patient", slow.address)
        .speaks(Grpc, Grpc)
        .view();
    let access_log = AccessLog::Writer(Box::new(lines.clone()));
    let handle = start(plan, crate::Config { access_log, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    let asked = [
        ("/closed", "", "7"),
        ("/x", "", "12"),
        ("/nobody", "", "14"),
        ("/none", "", "14"),
        ("/limited", "", "8"),
        ("/slow", "", "4"),
        // The caller waits for less than anybody has declared.
        ("/patient", "200m", "4"),
        ("/patient", "1x", "13"),
    ];
    for (path, timeout, expected) in asked {
        assert_eq!(status(&call(edge, path, timeout)), (200, expected), "{path}");
    }
    assert_eq!(call(edge, "/closed", "").headers["grpc-message"], "denied by closed.default");
    handle.shutdown();
    let lines = lines.all();
    let logged: Vec<_> =
        lines.iter().map(|line| (field(line, "status"), field(line, "grpc_status"))).collect();
    let expected: Vec<_> = asked
        .iter()
        .chain(&[("", "", "7")])
        .map(|(.., code)| ("200".to_owned(), (*code).to_owned()))
        .collect();
    assert_eq!(logged, expected);
    let flags: Vec<_> = lines.iter().map(|line| field(line, "flags")).collect();
    assert_eq!(flags[..7], ["UAEX", "NR", "UF", "UH", "", "UT", "UT"]);
}

#[test]
fn what_a_service_answers_passes_and_is_logged() {
    let shop = server(async |before, _| match before {
        0 => {
            Answer::of(200, "message").trailer("grpc-status", "5").header("content-type", "application/grpc")
        }
        1 => Answer::of(200, "").header("grpc-status", "3").header("content-type", "application/grpc"),
        _ => Answer::of(503, "no grpc"),
    });
    let lines = Lines::default();
    let plan = mesh().to("shop", shop.address).timeout(60_000).speaks(Grpc, Grpc).view();
    let access_log = AccessLog::Writer(Box::new(lines.clone()));
    let handle = start(plan, crate::Config { access_log, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    let in_trailers = call(edge, "/shop/Service/Method", "2S");
    assert_eq!(
        (in_trailers.text(), &in_trailers.trailers["grpc-status"]),
        ("message", &"5".parse().unwrap())
    );
    assert_eq!(status(&call(edge, "/shop/Service/Method", "")), (200, "3"));
    let other = call(edge, "/shop/Service/Method", "");
    assert_eq!((other.status, other.text()), (503, "no grpc"), "an upstream's answer is not translated");
    handle.shutdown();
    let lines = lines.all();
    assert_eq!((field(&lines[0], "status"), field(&lines[0], "grpc_status")), ("200".into(), "5".into()));
    assert_eq!(field(&lines[1], "grpc_status"), "3");
    assert!(!lines[2].contains("grpc_status"), "{}", lines[2]);
    let seen = shop.seen();
    let told = seen[0].0.headers["grpc-timeout"].to_str().unwrap();
    let micros: u64 = told.strip_suffix('u').unwrap().parse().unwrap();
    assert!((1_000_000..2_000_000).contains(&micros), "what is left of two seconds: {told}");
    assert!(
        !seen[1].0.headers.contains_key("grpc-timeout"),
        "who does not say how long it waits says nothing"
    );
    assert_eq!(seen[0].0.headers["te"], "trailers");
}

/// `POST` may be sent again, with a body that is kept.
fn on_unavailable(count: u32) -> Settings {
    let retry = Retry { on_status: vec![14], methods: 0b100_0111, buffer: 1_024, ..retries(count) };
    Settings { retry: Some(Some(retry)), ..Settings::default() }
}

#[test]
fn a_call_is_made_again_after_a_status_and_never_after_a_message() {
    let shop = server(async |before, _| match before {
        0 => Answer::of(200, "").header("grpc-status", "14"),
        2 => Answer::of(200, "message").trailer("grpc-status", "0"),
        3 => Answer::of(200, "message").trailer("grpc-status", "14"),
        4 => Answer::of(200, "").header("grpc-status", "13"),
        _ => Answer::of(200, "").trailer("grpc-status", "14"),
    });
    let lines = Lines::default();
    let plan = mesh().to("shop", shop.address).settings(on_unavailable(2)).speaks(Grpc, Grpc).view();
    let access_log = AccessLog::Writer(Box::new(lines.clone()));
    let handle = start(plan, crate::Config { access_log, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    let ended = |answer: Whole| {
        let status = answer.headers.get("grpc-status").or(answer.trailers.get("grpc-status")).unwrap();
        (answer.text().to_owned(), status.to_str().unwrap().to_owned())
    };
    let expect = |text: &str, status: &str| (text.to_owned(), status.to_owned());
    assert_eq!(ended(call(edge, "/shop", "")), expect("message", "0"), "the third try");
    assert_eq!(ended(call(edge, "/shop", "")), expect("message", "14"), "a message has passed");
    assert_eq!(ended(call(edge, "/shop", "")), expect("", "13"), "not listed");
    assert_eq!(ended(call(edge, "/shop", "")), expect("", "14"), "three tries and no more");
    assert_eq!(shop.seen().len(), 3 + 1 + 1 + 3);
    assert!(shop.seen().iter().all(|(_, body)| body == &[0, 0, 0, 0, 0]), "each with the whole message");
    handle.shutdown();
    let attempts: Vec<_> = lines.all().iter().map(|line| field(line, "attempts")).collect();
    assert_eq!(attempts, ["3", "1", "1", "3"]);
    let flags: Vec<_> = lines.all().iter().map(|line| field(line, "flags")).collect();
    assert_eq!(flags, ["", "", "", "URX"]);
}

#[test]
fn an_endpoint_is_judged_by_how_calls_end() {
    let bad = server(async |_, _| Answer::of(200, "message").trailer("grpc-status", "14"));
    let good = server(async |_, _| Answer::of(200, "message").trailer("grpc-status", "5"));
    let outliers = Outliers {
        consecutive_5xx: 2,
        consecutive_gateway_errors: 0,
        success_rate: 0,
        interval: 60_000,
        base_ejection: 60_000,
        max_ejection: 60_000,
        max_share: 10_000,
        max_at_least: 0,
        min_hosts: 1,
    };
    let settings = Settings { outliers: Some(outliers), ..Settings::default() };
    let plan = mesh().service("shop", &[bad.address, good.address]).split("shop", &[("shop", 10_000)]);
    let (_proxy, edge) = proxy(plan.settings(settings).speaks(Grpc, Grpc).view());
    for _ in 0..20 {
        call(edge, "/shop", "");
    }
    assert_eq!(bad.seen().len(), 2, "out after two in a row; NOT_FOUND is not the endpoint's failure");
    assert_eq!(good.seen().len(), 18);
}
