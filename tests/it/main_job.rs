//! The main job, as a newcomer does it: `mesh up examples/bookinfo`, a request, a save, a mistake.

#![expect(clippy::print_stdout, reason = "the figures are for who runs it with --nocapture")]

use mesh_tests::up::{Client, Up, Workplace};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which subset of reviews an answer came from.
fn subset(body: &str) -> &'static str {
    let found = ["v1", "v2", "v3"].into_iter().find(|name| body.contains(&format!("\"subset\": \"{name}\"")));
    found.unwrap_or_else(|| panic!("no subset of reviews in {body}"))
}

#[test]
fn a_header_chooses_the_subset_and_the_split_is_what_is_written() {
    let place = Workplace::of_example("bookinfo");
    let up = Up::start(&place.path);
    let gateway = up.address("gateway", "bookinfo");
    let mut client = Client::connect(&gateway);
    for _ in 0..20 {
        let (status, body) =
            client.get("shop.example", "/productpage", &["end-user: jason"]).expect("an answer");
        assert_eq!((status, subset(&body)), (200, "v2"), "{body}");
        let (status, body) = client.get("shop.example", "/productpage", &[]).expect("an answer");
        assert!(status == 200 && subset(&body) != "v2", "{body}");
    }
    let (status, _) = client.get("shop.example", "/reviews/1", &[]).expect("an answer");
    assert_eq!(status, 404, "the gateway has no route for it");

    // 16,000 draws: one percent is more than four standard deviations.
    let sidecar = up.address("sidecar", "productpage");
    let canary: u64 = std::thread::scope(|scope| {
        let ask = || {
            let mut client = Client::connect(&sidecar);
            let answers = (0..4_000).map(|_| client.get("reviews", "/reviews/1", &[]).expect("an answer"));
            answers.filter(|(_, body)| subset(body) == "v3").count() as u64
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    let share = canary as f64 / 16_000.0;
    assert!((share - 0.1).abs() < 0.01, "10% is {share}");
    assert_eq!(up.interrupt(), Some(0), "Ctrl-C is a clean end");
}

#[test]
fn what_clients_may_cost_is_tried_out_as_a_proxy_has_it() {
    let place = Workplace::of_example("bookinfo");
    let up = Up::start_with(&place.path, &["--limit", "head-bytes=4096"]);
    let mut client = Client::connect(&up.address("gateway", "bookinfo"));
    let mut status = |length: usize| {
        let header = format!("x-much: {}", "m".repeat(length));
        client.get("shop.example", "/productpage", &[&header]).expect("an answer").0
    };
    assert_eq!((status(2_000), status(5_000)), (200, 431));
}

#[test]
fn a_mesh_of_mutual_tls_is_tried_out_encrypted_between_all_of_its_proxies() {
    let place = Workplace::of_example("bookinfo");
    place.edit("bookinfo.mesh", "mesh bookinfo {", "mesh bookinfo {\n  mtls strict");
    let up = Up::start(&place.path);
    let mut client = Client::connect(&up.address("gateway", "bookinfo"));
    let (status, body) = client.get("shop.example", "/productpage", &["end-user: jason"]).expect("an answer");
    assert_eq!((status, subset(&body)), (200, "v2"), "{body}");
    let inbound: Vec<_> = up.said().into_iter().filter(|line| line.contains("mutual TLS on")).collect();
    assert!(inbound.iter().any(|line| line.contains("reviews.default:9080")), "{inbound:?}");
    for line in inbound {
        let address = line.split_once("mutual TLS on ").expect("an address").1;
        let answer = Client::connect(address).get("reviews", "/reviews/1", &[]);
        assert!(answer.is_err(), "plain bytes are not taken: {answer:?}");
    }
    // What is saved decides: without the mode all of it is plain again.
    place.edit("bookinfo.mesh", "  mtls strict", "");
    up.wait_for("  - inbound");
    let (status, _) = client.get("shop.example", "/productpage", &["end-user: jason"]).expect("an answer");
    assert_eq!(status, 200);
}

/// Between finding a port free and listening on it another program may take it: here the others do, all the time.
#[test]
fn meshes_that_are_started_at_once_all_find_ports() {
    let place = Workplace::of_example("bookinfo");
    place.edit("bookinfo.mesh", "mesh bookinfo {", "mesh bookinfo {\n  mtls strict");
    let ups: Vec<Up> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6).map(|_| scope.spawn(|| Up::start(&place.path))).collect();
        starts.into_iter().map(|start| start.join().expect("it serves")).collect()
    });
    let gateways: BTreeSet<String> = ups.iter().map(|up| up.address("gateway", "bookinfo")).collect();
    assert_eq!(gateways.len(), ups.len(), "{gateways:?}");
}

#[test]
fn a_typo_saved_under_traffic_is_shown_and_costs_no_request() {
    let place = Workplace::of_example("bookinfo");
    let up = Up::start(&place.path);
    let gateway = up.address("gateway", "bookinfo");
    let (stop, asked, failed) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::connect(&gateway);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get("shop.example", "/productpage", &["end-user: jason"]);
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !matches!(answer, Ok((200, _))) {
                        failed.fetch_add(1, Ordering::Relaxed);
                        client = Client::connect(&gateway);
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        place.edit("routes.mesh", "to reviews:v2", "to reviws:v2");
        up.wait_for("routes.mesh:16:");
        up.wait_for("Did you mean `reviews`?");
        up.wait_for("the old plan keeps serving");
        let mut client = Client::connect(&gateway);
        let (_, body) = client.get("shop.example", "/productpage", &["end-user: jason"]).expect("an answer");
        assert_eq!(subset(&body), "v2", "the old plan");

        place.edit("routes.mesh", "to reviws:v2", "to reviews:v3");
        let saved = Instant::now();
        while subset(&client.get("shop.example", "/productpage", &["end-user: jason"]).expect("an answer").1)
            != "v3"
        {
            assert!(
                saved.elapsed() < Duration::from_secs(20),
                "the fix does not take effect:\n{}",
                up.said().join("\n")
            );
        }
        println!("the new behaviour came {} ms after the save", saved.elapsed().as_millis());
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} requests, {} failed", asked.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 50, "there was traffic");
    assert_eq!(failed.load(Ordering::Relaxed), 0, "no request is lost");
}
