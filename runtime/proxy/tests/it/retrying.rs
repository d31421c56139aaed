//! A try that failed is made again exactly where the policy says so.

use crate::plans::{mesh, retries};
use crate::wire::{Client, Does, get, nobody, ok, raw, status, upstream};
use crate::{config, proxy};
use mesh_plan::{Budget, Retry};
use std::time::{Duration, Instant};

#[test]
fn a_listed_status_is_tried_again() {
    let shop = upstream(|before, _| if before < 2 { status(503, "busy") } else { ok("shop") });
    let retry = Retry { on_status: vec![503], ..retries(2) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    assert_eq!(get(edge, "/shop").text(), "shop");
    assert_eq!(shop.seen().len(), 3);
}

#[test]
fn the_last_response_is_passed_on_as_it_is() {
    let shop = upstream(|_, _| status(503, "busy"));
    let retry = Retry { on_status: vec![503], ..retries(2) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let answer = get(edge, "/shop");
    assert_eq!((answer.status(), answer.text()), (503, "busy"));
    assert_eq!(shop.seen().len(), 3);
}

#[test]
fn a_status_that_is_not_listed_is_an_answer() {
    let shop = upstream(|_, _| status(500, "broken"));
    let retry = Retry { on_status: vec![503], ..retries(2) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    assert_eq!(get(edge, "/shop").status(), 500);
    assert_eq!(shop.seen().len(), 1);
}

#[test]
fn after_a_failed_connect_another_endpoint_is_tried_whatever_the_method_and_body() {
    let shop = upstream(|_, request| ok(request.text()));
    let retry = Retry { on_connect_failure: true, ..retries(1) };
    let mesh = mesh().service("shop", &[nobody(), shop.address]).split("shop", &[("shop", 10_000)]);
    let (_proxy, edge) = proxy(mesh.retry(retry).view());
    let mut client = Client::new(edge);
    for _ in 0..10 {
        client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
        assert_eq!(client.read().unwrap().text(), "hello");
        client.write(
            b"POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\n",
        );
        assert_eq!(client.read().unwrap().text(), "bye");
    }
}

#[test]
fn a_request_that_may_have_had_an_effect_is_not_sent_again() {
    let shop = upstream(|_, _| Does::Closes(vec![]));
    let retry = Retry { on_reset: true, on_status: vec![502], ..retries(2) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let post = "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(raw(edge, post).status(), 502);
    assert_eq!(shop.seen().len(), 1);
    assert_eq!(get(edge, "/shop").status(), 502);
    assert_eq!(shop.seen().len(), 1 + 3);
}

#[test]
fn a_body_that_fits_in_the_buffer_is_sent_again() {
    let shop = upstream(|before, request| if before % 2 == 0 { status(503, "") } else { ok(request.text()) });
    let retry = Retry { on_status: vec![503], methods: 0b100_0111, buffer: 10, ..retries(1) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let mut client = Client::new(edge);
    client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n0123456789");
    assert_eq!(client.read().unwrap().text(), "0123456789");
    client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(client.read().unwrap().text(), "abcde");
    assert_eq!(shop.seen().len(), 4);
}

#[test]
fn a_body_that_does_not_fit_is_sent_once_and_whole() {
    let shop = upstream(|_, _| status(503, ""));
    let retry = Retry { on_status: vec![503], methods: 0b100_0111, buffer: 10, ..retries(3) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let mut client = Client::new(edge);
    client.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n0123456789A");
    assert_eq!(client.read().unwrap().status(), 503);
    let chunks = "8\r\n01234567\r\n8\r\n89ABCDEF\r\n0\r\n\r\n";
    client.write(
        format!("POST /shop HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}").as_bytes(),
    );
    assert_eq!(client.read().unwrap().status(), 503);
    let seen = shop.seen();
    let bodies: Vec<_> = seen.iter().map(|message| message.text()).collect();
    assert_eq!(bodies, ["0123456789A", "0123456789ABCDEF"]);
}

#[test]
fn a_try_that_takes_too_long_is_given_up_for_another() {
    let shop = upstream(|before, _| match before {
        0 => Does::Pauses(vec![], Duration::from_secs(3), vec![]),
        _ => ok("shop"),
    });
    let retry = Retry { on_timeout: true, per_try_timeout: 100, ..retries(1) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let began = Instant::now();
    assert_eq!(get(edge, "/shop").text(), "shop");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn the_total_timeout_is_never_tried_again() {
    let shop = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(3), vec![]));
    let retry = Retry { on_timeout: true, per_try_timeout: 100, on_status: vec![504], ..retries(5) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).timeout(250).retry(retry).view());
    let began = Instant::now();
    assert_eq!(get(edge, "/shop").status(), 504);
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(shop.seen().len(), 3, "at 0, 100 and 200 ms");
}

#[test]
fn the_wait_between_tries_is_within_its_bounds() {
    let shop = upstream(|_, _| status(503, ""));
    let retry = Retry { on_status: vec![503], backoff_base: 50, backoff_cap: 80, ..retries(4) };
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).retry(retry).view());
    let began = Instant::now();
    (0..4).for_each(|_| assert_eq!(get(edge, "/shop").status(), 503));
    let took = began.elapsed();
    // Sixteen waits: 25 + 3 × 40 ms on average and 50 + 3 × 80 ms at most, four times.
    assert!(took > Duration::from_millis(200) && took < Duration::from_millis(1_600), "{took:?}");
}

#[test]
fn a_budget_bounds_the_retries() {
    let shop = upstream(|_, _| status(503, ""));
    let budget = Some(Budget { share: 2_000, min_per_second: 0, over: 60_000 });
    let retry = Retry { on_status: vec![503], budget, ..retries(3) };
    let plan = mesh().to("shop", shop.address).retry(retry).view();
    let handle = mesh_proxy::start(plan, crate::Config { workers: 1, ..config() }).unwrap();
    let edge = handle.addresses()["edge.default/http"];
    (0..100).for_each(|_| assert_eq!(get(edge, "/shop").status(), 503));
    let retried = shop.seen().len() - 100;
    assert!((15..=20).contains(&retried), "a fifth of 100: {retried}");
}
