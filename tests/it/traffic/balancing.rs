//! Load balancing, request by request.

use super::{failing, slow, start};
use mesh_tests::harness::{Mesh, Upstream};
use std::collections::BTreeMap;

fn three() -> [Upstream; 3] {
    ["one", "two", "three"].map(Upstream::named)
}

/// How many of these requests, all on one connection, each upstream got.
fn shares(mesh: &Mesh, upstreams: &[Upstream], requests: usize) -> Vec<usize> {
    let before: Vec<usize> = upstreams.iter().map(|own| own.heads().len()).collect();
    let mut client = mesh.connect("edge.default/web");
    for _ in 0..requests {
        assert_eq!(client.get("a", "/", &[]).unwrap().0, 200);
    }
    upstreams.iter().zip(before).map(|(own, before)| own.heads().len() - before).collect()
}

fn all(upstreams: &[Upstream]) -> Vec<&Upstream> {
    upstreams.iter().collect()
}

#[test]
fn requests_of_one_connection_go_to_all_endpoints_in_turn() {
    for statement in ["", "load-balancer round-robin"] {
        let upstreams = three();
        let mesh = start(&all(&upstreams), statement);
        assert_eq!(shares(&mesh, &upstreams, 30), [10, 10, 10], "{statement}");
    }
}

#[test]
fn at_random_each_endpoint_gets_about_its_share() {
    let upstreams = three();
    let mesh = start(&all(&upstreams), "load-balancer random");
    let shares = shares(&mesh, &upstreams, 600);
    // Six standard deviations: 6 · √(600 · 1/3 · 2/3).
    assert!(shares.iter().all(|own| (200 - 70..=200 + 70).contains(own)), "{shares:?}");
    assert!(shares.iter().any(|own| *own != 200) || shares[0] != shares[1], "not in turn: {shares:?}");
}

#[test]
fn an_endpoint_that_has_much_to_do_gets_less() {
    for algorithm in ["least-request", "peak-ewma"] {
        let (quick, slow) = (Upstream::named("quick"), slow(400));
        let mesh = start(&[&quick, &slow], &format!("load-balancer {algorithm}"));
        // While requests wait at the slow one, the other one gets all that come.
        std::thread::scope(|scope| {
            for mut client in [(); 4].map(|()| mesh.connect("edge.default/web")) {
                scope.spawn(move || {
                    for _ in 0..25 {
                        assert_eq!(client.get("a", "/", &[]).unwrap().0, 200);
                    }
                });
            }
        });
        let (quick, slow) = (quick.heads().len(), slow.heads().len());
        assert_eq!(quick + slow, 100);
        assert!(slow <= 25, "{algorithm}: {slow} of 100 went to the slow one");
    }
}

/// Which upstream answers, for each key.
fn owners(mesh: &Mesh, ask: impl Fn(usize) -> (String, String)) -> BTreeMap<usize, String> {
    let mut client = mesh.connect("edge.default/web");
    let mut owners = BTreeMap::new();
    for round in 0..3 {
        for key in 0..40 {
            let (path, header) = ask(key);
            let (status, owner) = client.get("a", &path, &[&header]).unwrap();
            assert_eq!(status, 200);
            let known = owners.entry(key).or_insert_with(|| owner.clone());
            assert_eq!(*known, owner, "key {key} in round {round}");
        }
    }
    owners
}

#[test]
fn requests_with_the_same_key_go_to_the_same_endpoint() {
    type Ask = fn(usize) -> (String, String);
    let keys: [(&str, Ask); 3] = [
        ("header \"x-user\"", |key| ("/".to_owned(), format!("x-user: u{key}"))),
        ("cookie \"session\"", |key| ("/".to_owned(), format!("cookie: a=b; session=s{key}"))),
        ("query \"user\"", |key| (format!("/?a=b&user=u{key}"), "x-a: b".to_owned())),
    ];
    for algorithm in ["ring-hash", "maglev"] {
        for (key, ask) in keys {
            let upstreams = three();
            let mesh = start(&all(&upstreams), &format!("load-balancer {algorithm} {key}"));
            let owners = owners(&mesh, ask);
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            owners.values().for_each(|owner| *counts.entry(owner).or_default() += 1);
            assert_eq!(counts.len(), 3, "40 keys are spread: {algorithm} {key}: {counts:?}");
        }
    }
}

#[test]
fn one_address_goes_to_one_endpoint() {
    let upstreams = three();
    let mesh = start(&all(&upstreams), "load-balancer maglev source-ip");
    let mut shares: Vec<usize> = (0..5)
        .map(|_| shares(&mesh, &upstreams, 4))
        .fold(vec![0; 3], |all, own| all.iter().zip(own).map(|(all, own)| all + own).collect());
    shares.sort_unstable();
    assert_eq!(shares, [0, 0, 20], "over five connections");
}

#[test]
fn who_has_no_cookie_is_given_one_and_comes_back_to_the_same_endpoint() {
    let upstreams = three();
    let mesh = start(&all(&upstreams), "load-balancer ring-hash cookie \"session\" ttl 1h");
    let mut client = mesh.connect("edge.default/web");
    let mut values = Vec::new();
    for _ in 0..5 {
        let before: Vec<usize> = upstreams.iter().map(|own| own.heads().len()).collect();
        let head = client.head("a", "/", &[]).unwrap();
        let (_, cookie) = head.split_once("set-cookie: session=").expect("a cookie");
        let (value, rest) = cookie.split_once(';').expect("attributes");
        assert!(rest.starts_with(" max-age=3600; path=/; httponly"), "{rest}");
        let cookie = format!("cookie: session={value}");
        for _ in 0..4 {
            let head = client.head("a", "/", &[&cookie]).unwrap();
            assert!(!head.contains("set-cookie"), "it has one already");
        }
        let got: Vec<usize> =
            upstreams.iter().zip(before).map(|(own, before)| own.heads().len() - before).collect();
        assert_eq!(got.iter().max(), Some(&5), "all five to the same: {got:?}");
        values.push(value.to_owned());
    }
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 5, "nobody gets the cookie of another");
}

#[test]
fn keys_of_an_endpoint_that_is_left_out_go_to_others_and_no_others_move() {
    let outliers = "outlier-detection { consecutive-5xx 1; interval 10s; base-ejection-time 1h; max-ejection-percent 40% }";
    let [one, two, _] = three();
    let broken = failing(500);
    let hashed = format!("load-balancer maglev header \"x-user\"\n  {outliers}");
    let mesh = start(&[&one, &two, &broken], &hashed);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |key: usize| client.get("a", "/", &[&format!("x-user: u{key}")]).unwrap();
    let first: Vec<(u16, String)> = (0..40).map(&mut ask).collect();
    assert_eq!(first.iter().filter(|(status, _)| *status == 500).count(), 1, "then it is out");
    let second: Vec<(u16, String)> = (0..40).map(&mut ask).collect();
    assert!(second.iter().all(|(status, _)| *status == 200));
    let fails = first.iter().position(|(status, _)| *status == 500).unwrap();
    // Before the failure nobody was out: who did not meet the broken one then is where it was.
    for key in 0..40 {
        if key != fails && key > fails || first[key].0 == 200 {
            assert_eq!(first[key], second[key], "key {key}");
        }
    }
}
