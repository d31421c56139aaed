//! Who is left out, and what is too much.

use super::{behind_edge, failing, flags, slow, start};
use mesh_tests::harness::{Mesh, Upstream};
use mesh_tests::up::Client;
use std::time::{Duration, Instant};

/// The statuses of so many requests at once, each on a connection of its own, and how long they took.
fn together(mesh: &Mesh, door: &str, host: &str, requests: usize) -> Vec<(u16, Duration)> {
    let clients: Vec<Client> = (0..requests).map(|_| mesh.connect(door)).collect();
    std::thread::scope(|scope| {
        let ask = |mut client: Client| {
            let began = Instant::now();
            let status = client.get(host, "/", &[]).unwrap().0;
            (status, began.elapsed())
        };
        let asked: Vec<_> = clients.into_iter().map(|client| scope.spawn(move || ask(client))).collect();
        asked.into_iter().map(|own| own.join().unwrap()).collect()
    })
}

/// The statuses of so many requests at once, sorted, and how long the quickest and the slowest answer took.
fn at_once(mesh: &Mesh, requests: usize) -> (Vec<u16>, Duration, Duration) {
    let answers = together(mesh, "edge.default/web", "a", requests);
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    let times = || answers.iter().map(|(_, took)| *took);
    (statuses, times().min().unwrap(), times().max().unwrap())
}

/// The statuses of so many requests one after the other.
fn one_by_one(mesh: &Mesh, requests: usize) -> Vec<u16> {
    let mut client = mesh.connect("edge.default/web");
    (0..requests).map(|_| client.get("a", "/", &[]).unwrap().0).collect()
}

#[test]
fn more_requests_than_may_be_under_way_are_refused_at_once() {
    let slow = slow(1_500);
    let mesh = start(&[&slow], "circuit-breaker { max-requests 3 }");
    let (statuses, quickest, _) = at_once(&mesh, 8);
    assert_eq!(statuses, [200, 200, 200, 503, 503, 503, 503, 503]);
    assert!(quickest < Duration::from_millis(1_000), "{quickest:?}");
    assert_eq!(slow.heads().len(), 3);
    assert_eq!(one_by_one(&mesh, 2), [200, 200], "what is over makes room");
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UO").count(), 5);
}

#[test]
fn requests_wait_for_a_connection_and_no_more_than_may() {
    let slow = slow(400);
    let mesh = start(&[&slow], "circuit-breaker { max-connections 1; max-pending-requests 2 }");
    let mut first = mesh.connect("edge.default/web");
    std::thread::scope(|scope| {
        let first = scope.spawn(move || first.get("a", "/", &[]).unwrap().0);
        // While a connection is made its request waits, too: the others come when it is there.
        while slow.heads().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (statuses, ..) = at_once(&mesh, 4);
        assert_eq!(statuses, [200, 200, 503, 503]);
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(slow.heads().len(), 3, "who is refused meets nobody");
    assert_eq!(one_by_one(&mesh, 2), [200, 200]);
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UO").count(), 2);
}

#[test]
fn an_idle_connection_to_another_endpoint_makes_room() {
    let upstreams = ["one", "two", "three"].map(Upstream::named);
    let mesh = start(
        &[&upstreams[0], &upstreams[1], &upstreams[2]],
        "circuit-breaker { max-connections 1; max-pending-requests 1 }",
    );
    let began = Instant::now();
    assert_eq!(one_by_one(&mesh, 9), [200; 9]);
    assert!(began.elapsed() < Duration::from_secs(2), "nothing waits until it is idle for too long");
    assert!(upstreams.iter().all(|own| own.heads().len() == 3));
}

#[test]
fn who_waits_too_long_for_a_connection_is_refused() {
    let slow = slow(1_500);
    let limits = "circuit-breaker { max-connections 1; max-pending-requests 5; pending-timeout 100ms }";
    let mesh = start(&[&slow], limits);
    let (statuses, quickest, _) = at_once(&mesh, 3);
    assert_eq!(statuses, [200, 503, 503]);
    assert!((100..1_000).contains(&quickest.as_millis()), "{quickest:?}");
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UO").count(), 2);
}

#[test]
fn limits_of_the_caller_and_of_the_callee_hold_together() {
    for (own, of_callee) in [(2, 4), (4, 2)] {
        let slow = slow(1_200);
        let text = format!(
            "{}service web {{ port 80 http; calls s {{ circuit-breaker {{ max-requests {own} }} }} }}\n\
             authorize web {{ allow from anyone }}\nauthorize s {{ allow from web }}\n",
            behind_edge(&[&slow], &format!("circuit-breaker {{ max-requests {of_callee} }}"))
        );
        let mesh = Mesh::start(&text, &["web.default"]);
        let answers = together(&mesh, "web.default", "s", 6);
        assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 2, "{answers:?}");
    }
}

#[test]
fn what_a_service_lets_in_is_counted_whoever_calls() {
    let slow = slow(1_200);
    let text = format!(
        "{}service web {{ port 80 http; calls s {{ circuit-breaker {{ max-requests 9 }} }} }}\n\
         authorize web {{ allow from anyone }}\nauthorize s {{ allow from web }}\n",
        behind_edge(&[&slow], "circuit-breaker { max-requests 3 }")
    );
    let mesh = Mesh::start(&text, &["web.default"]);
    assert_eq!(let_in(&mesh, [("edge.default/web", "a"), ("web.default", "s")]), 3);
}

#[test]
fn what_a_caller_limits_it_limits_for_itself() {
    let slow = slow(1_200);
    let limited = "calls s { circuit-breaker { max-requests 2 } }";
    let text = format!(
        "{}service web {{ port 80 http; {limited} }}\nservice shop {{ port 80 http; {limited} }}\n\
         authorize web, shop {{ allow from anyone }}\nauthorize s {{ allow from web, shop }}\n",
        behind_edge(&[&slow], "")
    );
    // Both are in one process here.
    let mesh = Mesh::start(&text, &["web.default", "shop.default"]);
    assert_eq!(let_in(&mesh, [("web.default", "s"), ("shop.default", "s")]), 4);
}

/// How many of four requests at each of two doors, all at once, are answered with 200.
fn let_in(mesh: &Mesh, doors: [(&str, &'static str); 2]) -> usize {
    let clients = doors.map(|(door, host)| (0..4).map(|_| (mesh.connect(door), host)).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let ask = |(mut client, host): (Client, &'static str)| client.get(host, "/", &[]).unwrap().0;
        let asked = clients.into_iter().flatten().map(|own| scope.spawn(move || ask(own)));
        let asked: Vec<_> = asked.collect();
        asked.into_iter().map(|own| own.join().unwrap()).filter(|status| *status == 200).count()
    })
}

/// Two endpoints, the first of which fails.
fn one_of_two(status: u16, parts: &str) -> (Mesh, Upstream, Upstream) {
    let (bad, good) = (failing(status), Upstream::named("good"));
    let statements = format!("outlier-detection {{ {parts}; interval 10s; max-ejection-percent 10% }}");
    let mesh = start(&[&bad, &good], &statements);
    (mesh, bad, good)
}

#[test]
fn an_endpoint_that_fails_in_a_row_is_left_out_and_comes_back() {
    let (mesh, bad, _) = one_of_two(500, "consecutive-5xx 3; base-ejection-time 1s");
    let statuses = one_by_one(&mesh, 20);
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 3);
    assert_eq!(bad.heads().len(), 3);
    assert_eq!(statuses[6..], [200; 14]);
    std::thread::sleep(Duration::from_millis(1_050));
    one_by_one(&mesh, 20);
    assert_eq!(bad.heads().len(), 6, "it is tried again, and out again");
    // The second time takes twice as long.
    std::thread::sleep(Duration::from_millis(1_050));
    one_by_one(&mesh, 20);
    assert_eq!(bad.heads().len(), 6);
}

#[test]
fn the_longest_ejection_has_an_end() {
    let (mesh, bad, _) = one_of_two(500, "consecutive-5xx 1; base-ejection-time 1s; max-ejection-time 1s");
    for asked in 1..=3 {
        one_by_one(&mesh, 6);
        assert_eq!(bad.heads().len(), asked, "each time as long as the first");
        std::thread::sleep(Duration::from_millis(1_050));
    }
}

#[test]
fn gateway_errors_are_told_from_others() {
    for (status, expected) in [(500, 10), (502, 2), (503, 2), (504, 2), (404, 10)] {
        let (mesh, bad, _) = one_of_two(status, "consecutive-gateway-errors 2; base-ejection-time 1h");
        one_by_one(&mesh, 20);
        assert_eq!(bad.heads().len(), expected, "{status}");
    }
}

#[test]
fn an_endpoint_that_nobody_can_connect_to_is_left_out() {
    let good = Upstream::named("good");
    let text = behind_edge(
        &[&good],
        "outlier-detection { consecutive-gateway-errors 2; interval 10s; base-ejection-time 1h; max-ejection-percent 50% }",
    );
    // Port 1 of this machine is nobody's.
    let mesh = Mesh::start(&text.replace("endpoints static ", "endpoints static \"127.0.0.1:1\", "), &[]);
    let statuses = one_by_one(&mesh, 20);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UF").count(), 2);
}

#[test]
fn an_endpoint_with_too_few_successes_is_left_out_when_an_interval_has_passed() {
    // Every second request fails: never two in a row.
    let bad =
        Upstream::start(|asked| (if asked % 2 == 0 { 500 } else { 200 }, String::new(), Duration::ZERO));
    let good = Upstream::named("good");
    let mesh = start(
        &[&bad, &good],
        "outlier-detection { success-rate 80%; interval 1500ms; base-ejection-time 1h; max-ejection-percent 50% }",
    );
    one_by_one(&mesh, 20);
    std::thread::sleep(Duration::from_millis(1_550));
    one_by_one(&mesh, 2);
    let before = bad.heads().len();
    assert!((11..=12).contains(&before), "{before}");
    assert_eq!(one_by_one(&mesh, 20), [200; 20]);
    assert_eq!(bad.heads().len(), before);
}

#[test]
fn only_a_share_of_the_endpoints_is_left_out() {
    for (share, left) in [("34%", 1), ("10% min 2", 1), ("10%", 2), ("100%", 0)] {
        let bad = [failing(500), failing(500), failing(500)];
        let statements = format!(
            "outlier-detection {{ consecutive-5xx 1; interval 10s; base-ejection-time 1h; max-ejection-percent {share} }}"
        );
        let mesh = start(&[&bad[0], &bad[1], &bad[2]], &statements);
        one_by_one(&mesh, 12);
        let used = bad.iter().filter(|own| own.heads().len() > 1).count();
        assert_eq!(used, left, "{share}");
        let refused = if left == 0 { 503 } else { 500 };
        assert_eq!(one_by_one(&mesh, 1), [refused], "{share}");
        assert_eq!(flags(mesh).iter().any(|flag| flag == "UH"), left == 0);
    }
}

#[test]
fn with_few_endpoints_none_is_left_out() {
    let (bad, good, more) = (failing(500), Upstream::named("good"), Upstream::named("more"));
    let statements = |least: u32| {
        format!(
            "outlier-detection {{ consecutive-5xx 1; interval 10s; base-ejection-time 1h; max-ejection-percent 50%; min-hosts {least} }}"
        )
    };
    let mesh = start(&[&bad, &good, &more], &statements(3));
    one_by_one(&mesh, 12);
    assert_eq!(bad.heads().len(), 1);
    // `subset` has two of the three.
    let bad = failing(500);
    let text = behind_edge(&[&good, &more], &statements(3))
        .replace("route edge { to s }", "route edge { to s:v1 }")
        .replace(
            "endpoints static ",
            &format!(
                "subset v1 label v = \"1\"\n  endpoints static \"{}\", \"{}\" label v = \"1\"\n  endpoints static ",
                bad.address,
                Upstream::named("beside").address
            ),
        );
    let mesh = Mesh::start(&text, &[]);
    one_by_one(&mesh, 12);
    assert_eq!(bad.heads().len(), 6, "two are fewer than three");
}

#[test]
fn with_too_few_healthy_endpoints_all_are_used() {
    let upstreams = [failing(500), failing(500), Upstream::named("good")];
    let statements = "panic-threshold 50%
  outlier-detection { consecutive-5xx 1; interval 10s; base-ejection-time 1h; max-ejection-percent 100% }";
    let mesh = start(&[&upstreams[0], &upstreams[1], &upstreams[2]], statements);
    let statuses = one_by_one(&mesh, 33);
    // One of three is less than a half: each gets its turns.
    let failures = statuses.iter().filter(|status| **status == 500).count();
    assert!(failures >= 20, "{statuses:?}");
}

#[test]
fn the_same_endpoints_are_judged_by_a_caller_for_itself() {
    let (bad, good) = (failing(500), Upstream::named("good"));
    let outliers = "outlier-detection { consecutive-5xx 2; interval 10s; base-ejection-time 1h; max-ejection-percent 50% }";
    let text = format!(
        "{}service web {{ port 80 http; calls s {{ {outliers} }} }}\nauthorize web {{ allow from anyone }}\n\
         authorize s {{ allow from web }}\n",
        behind_edge(&[&bad, &good], "")
    );
    let mesh = Mesh::start(&text, &["web.default"]);
    let mut client = mesh.connect("web.default");
    (0..20).for_each(|_| drop(client.get("s", "/", &[]).unwrap()));
    assert_eq!(bad.heads().len(), 2);
    one_by_one(&mesh, 20);
    assert_eq!(bad.heads().len(), 12, "the gateway has no such rule");
}
