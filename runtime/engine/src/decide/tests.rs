//! Decisions about requests to the shop of [`crate::samples`], as a person would say them.

use super::*;
use crate::decision::{Action, Refusal};
use crate::request::{Headers, Method};
use crate::samples::{EDGE, RATINGS, REVIEWS, WEB, plan, shop, tower};
use mesh_plan::layout::seal;
use mesh_plan::{
    Backend, CallHost, ConsumerRoute, Edit, NONE, Node, Partition, Plan, REFUSED, Target, encode, verify,
};
use std::collections::BTreeMap;

const AT_EDGE: Entry = Entry::Gateway { gateway: EDGE, listener: 0 };
const AT_REVIEWS: Entry = Entry::Inbound { service: REVIEWS, port: 0 };
const AT_WEB: Entry = Entry::Sidecar { service: WEB };
const EDGE_TO_REVIEWS: Entry = Entry::FromGateway { gateway: EDGE, service: REVIEWS, port: 0 };

/// `GET /reviews/1` at `api.shop.test`.
fn request<'a>(headers: &'a dyn Headers) -> Request<'a> {
    Request {
        method: Method::Get,
        host: "api.shop.test",
        host_port: None,
        path: "/reviews/1",
        query: "",
        headers,
        source_ip: std::net::Ipv4Addr::LOCALHOST.into(),
        caller_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        client_ip: None,
        tokens: &[],
    }
}

const NO_HEADERS: &[(&str, &str)] = &[];

/// The plan's own words for what happens.
fn shown(decision: &Decision<'_>) -> String {
    let what = match &decision.action {
        Action::Forward(forward) => {
            let subset =
                if forward.subset.is_empty() { String::new() } else { format!(":{}", forward.subset) };
            let timeout =
                forward.timeout().map_or("none".to_owned(), |milliseconds| milliseconds.to_string());
            let retry = forward.retry().map_or("none".to_owned(), |retry| retry.count.to_string());
            format!("{}{subset} timeout {timeout} retry {retry}", forward.service)
        }
        Action::Refuse(Refusal::Denied { by }) => format!("denied by {by}"),
        Action::Refuse(refusal) => format!("{refusal:?} {}", refusal.status()),
        Action::Redirect { status, location } => format!("redirect {location} {status}"),
        Action::Respond { status, body } => format!("respond {status} {body}"),
    };
    let owner = if decision.owner.is_empty() { String::new() } else { format!(", ask {}", decision.owner) };
    format!("{what} because of [{}]{owner}", decision.rule)
}

/// What can happen, each with its chance in percent.
fn outcomes(entry: Entry, peer: Peer<'_>, request: &Request<'_>) -> Vec<String> {
    let plan = shop();
    let distribution = distribution(&plan, entry, peer, request);
    let sum: u128 = distribution.possible.iter().map(|possible| possible.numerator).sum();
    assert_eq!(sum, distribution.denominator);
    // Basis points: finer shares are none of the shop's.
    let percent = |possible: &Possible<'_>| {
        (possible.numerator / (distribution.denominator / u128::from(WHOLE))) as f64 / 100.0
    };
    let lines = distribution.possible.iter();
    lines.map(|possible| format!("{}% {}", percent(possible), shown(&possible.decision))).collect()
}

#[track_caller]
fn check(entry: Entry, peer: Peer<'_>, request: &Request<'_>, expected: &[&str]) {
    assert_eq!(outcomes(entry, peer, request), expected);
}

#[track_caller]
fn only(entry: Entry, peer: Peer<'_>, request: &Request<'_>, expected: &str) {
    check(entry, peer, request, &[&format!("100% {expected}")]);
}

#[test]
fn a_gateway_routes_and_the_services_route_decides_further() {
    check(
        AT_EDGE,
        Peer::Unauthenticated,
        &request(&NO_HEADERS),
        &[
            "50% ratings.shop timeout 800 retry none because of [half]",
            "45% reviews.shop:v1 timeout 5000 retry none because of [split]",
            "5% reviews.shop:v3 timeout 5000 retry none because of [split]",
        ],
    );
}

#[test]
fn what_was_looked_up_in_another_plan_refuses() {
    let (here, there) = (shop(), tower(&[10_000]));
    let resolved = Resolved::of(&here, AT_EDGE, Peer::Unauthenticated);
    let moment = Moment { dice: 0 };
    let refused = decide_at(&there, &resolved, &request(&NO_HEADERS), moment);
    assert_eq!(refused.action, Action::Refuse(Refusal::Broken));
    let decided = decide_at(&here, &resolved, &request(&NO_HEADERS), moment);
    assert_eq!(decided, decide(&here, AT_EDGE, Peer::Unauthenticated, &request(&NO_HEADERS), moment));
    assert!(matches!(decided.action, Action::Forward(_)));
}

#[test]
fn a_setting_is_taken_whole_from_the_nearest_level_that_writes_it() {
    let jason: &[(&str, &str)] = &[("end-user", "jason")];
    // `timeout none` of the rule ends the search; the retry is that of the mesh.
    let expected = "reviews.shop:v2 timeout none retry 3 because of [testers]";
    only(EDGE_TO_REVIEWS, Peer::Unauthenticated, &request(&jason), expected);
    // The rule of the caller's proxy is nearer than the entered one.
    check(
        AT_EDGE,
        Peer::Unauthenticated,
        &request(&jason),
        &[
            "50% ratings.shop timeout 800 retry none because of [half]",
            "50% reviews.shop:v2 timeout none retry none because of [testers]",
        ],
    );
    // From a sidecar the calls are nearer than the service and the mesh: `calls … to` first.
    let called = Request { host: "reviews", ..request(&NO_HEADERS) };
    check(
        AT_WEB,
        Peer::Unauthenticated,
        &called,
        &[
            "90% reviews.shop:v1 timeout 300 retry 1 because of [split]",
            "10% reviews.shop:v3 timeout 300 retry 1 because of [split]",
        ],
    );
    let inbound = Entry::Inbound { service: RATINGS, port: 0 };
    only(
        inbound,
        Peer::Unauthenticated,
        &request(&NO_HEADERS),
        "ratings.shop timeout 800 retry 3 because of []",
    );
}

#[test]
fn the_gateway_authorizes_before_it_looks_at_the_host() {
    let partner = Peer::Identity("spiffe://other.test/partner");
    let nowhere = Request { host: "nowhere.test", ..request(&NO_HEADERS) };
    only(AT_EDGE, partner, &nowhere, "denied by edge.shop because of [deny partner], ask platform");
    only(AT_EDGE, Peer::Unauthenticated, &nowhere, "NoRoute 404 because of [], ask platform");
}

#[test]
fn the_most_specific_host_pattern_has_the_table() {
    for (host, expected) in [
        ("api.shop.test", "redirect /reviews 308 because of [moved]"),
        ("www.shop.test", "respond 200 one because of [one label]"),
        ("a.b.shop.test", "respond 200 many because of [labels]"),
        ("a.b.x.shop.test", "respond 200 longer because of [longer labels]"),
        ("a.x.shop.test", "respond 200 longer because of [longer labels]"),
        ("x.shop.test", "respond 200 one because of [one label]"),
        ("shop.test", "NoRoute 404 because of [], ask platform"),
        (".shop.test", "NoRoute 404 because of [], ask platform"),
        ("xshop.test", "NoRoute 404 because of [], ask platform"),
        ("10.0.0.1", "NoRoute 404 because of [], ask platform"),
    ] {
        let request = Request { host, path: "/old", ..request(&NO_HEADERS) };
        assert_eq!(
            outcomes(AT_EDGE, Peer::Unauthenticated, &request),
            [format!("100% {expected}")],
            "{host}"
        );
    }
}

#[test]
fn a_path_runs_through_its_segments() {
    for (path, expected) in [
        ("/old", "redirect /reviews 308 because of [moved]"),
        ("/old/", "redirect /reviews 308 because of [moved]"),
        ("/old/and/older", "redirect /reviews 308 because of [moved]"),
        ("/older", "NoRoute 404 because of [], ask platform"),
        ("/", "NoRoute 404 because of [], ask platform"),
        ("/reviews", "NoRoute 404 because of [], ask platform"),
        ("/reviews/", "NoRoute 404 because of [], ask platform"),
        ("/reviews/1/2", "NoRoute 404 because of [], ask platform"),
        ("*", "respond 200 one because of [one label]"),
    ] {
        let request = Request { path, ..request(&NO_HEADERS) };
        assert_eq!(
            outcomes(AT_EDGE, Peer::Unauthenticated, &request),
            [format!("100% {expected}")],
            "{path}"
        );
    }
}

#[test]
fn a_header_is_exactly_a_value_or_has_the_longest_prefix() {
    let otherwise = "100% respond 404  because of [otherwise]";
    let split = [
        "90% reviews.shop:v1 timeout 5000 retry 3 because of [split]",
        "10% reviews.shop:v3 timeout 5000 retry 3 because of [split]",
    ];
    for value in ["j", "jim", "jasons", "JASON, j".split(", ").nth(1).unwrap(), "joe", "joey", "zz", "zzz"] {
        let headers: &[(&str, &str)] = &[("end-user", value)];
        assert_eq!(
            outcomes(EDGE_TO_REVIEWS, Peer::Unauthenticated, &request(&headers)),
            [otherwise],
            "{value}"
        );
    }
    for value in ["", "JASON", "jo", "job", "z", "i", "k", "jason, jason"] {
        let headers: &[(&str, &str)] = &[("end-user", value)];
        assert_eq!(outcomes(EDGE_TO_REVIEWS, Peer::Unauthenticated, &request(&headers)), split, "{value}");
    }
    let twice: &[(&str, &str)] = &[("end-user", "jason"), ("end-user", "jason")];
    assert_eq!(outcomes(EDGE_TO_REVIEWS, Peer::Unauthenticated, &request(&twice)), split);
}

#[test]
fn a_peer_is_its_identity_else_what_it_begins_with_else_its_kind() {
    for (identity, rule) in [
        ("spiffe://shop.test/ns/ops/sa/robot", "deny robot"),
        ("spiffe://shop.test/ns/ops/sa/other", "deny ops"),
        ("spiffe://shop.test/ns/shop/sa/reviews", "deny own"),
        ("spiffe://shop.test/ns/shop/sa/new", "deny own"),
        ("spiffe://shop.test/ns/ops", "deny own"),
        ("spiffe://shop.test/ns/ops/sa/robot/more", "deny own"),
        ("spiffe://shop.test/NS/ops/sa/other", "deny own"),
        ("spiffe://shop.test", "deny own"),
        ("spiffe://shop.test/ns/shop/sa/side-door", "deny gateway"),
        ("spiffe://other.test/partner", "deny foreign"),
        ("spiffe://partner.test/web", "deny domain"),
        ("spiffe://partner.test", "deny domain"),
        ("spiffe://partner.test/ns/ops/sa/robot", "deny below"),
        ("spiffe://partner.test/ns/ops/sa", "deny domain"),
        ("spiffe://partner.test/ns/ops/sa/robot/more", "deny domain"),
        ("spiffe://partner.test/ns/ops/sa/..", "deny foreign"),
        ("spiffe://Partner.test/web", "deny foreign"),
        ("spiffe://partner.test.evil.test/web", "deny foreign"),
        ("spiffe://shop.test.evil.test/ns/ops/sa/other", "deny foreign"),
        ("spiffe://evil-shop.test/ns/ops/sa/other", "deny foreign"),
        ("SPIFFE://shop.test/ns/ops/sa/other", "deny foreign"),
        ("spiffe://shop.test:443/ns/ops/sa/other", "deny foreign"),
        ("spiffe://shop.test/ns/ops/sa/other/", "deny foreign"),
        ("spiffe://shop.test//ns/ops/sa/other", "deny foreign"),
        ("spiffe://shop.test/ns/shop/../ops/sa/other", "deny foreign"),
        ("spiffe://shop.test/ns/ops%2Fsa/other", "deny foreign"),
        ("spiffe://shop.test/ns/ops/sa/other?x", "deny foreign"),
        ("", "deny foreign"),
    ] {
        let expected = format!("denied by reviews.shop because of [{rule}], ask team-reviews");
        let asked = outcomes(AT_REVIEWS, Peer::Identity(identity), &request(&NO_HEADERS));
        assert_eq!(asked, [format!("100% {expected}")], "{identity}");
        if let Some(known) = shop().principal_by_identity(identity) {
            assert_eq!(outcomes(AT_REVIEWS, Peer::Known(known), &request(&NO_HEADERS)), asked, "{identity}");
        }
    }
    let nobody = "denied by reviews.shop because of [deny nobody], ask team-reviews";
    only(AT_REVIEWS, Peer::Unauthenticated, &request(&NO_HEADERS), nobody);
    let by_default = "denied by reviews.shop because of [], ask team-reviews";
    let ratings = Peer::Identity("spiffe://shop.test/ns/shop/sa/ratings");
    only(AT_REVIEWS, ratings, &request(&NO_HEADERS), by_default);
}

#[test]
fn a_peer_that_is_allowed_reaches_the_service_itself_without_its_route() {
    let web = Peer::Identity("spiffe://shop.test/ns/shop/sa/web");
    only(AT_REVIEWS, web, &request(&NO_HEADERS), "reviews.shop timeout 5000 retry 3 because of []");
    let delete = Request { method: Method::Delete, ..request(&NO_HEADERS) };
    let denied = "denied by reviews.shop because of [deny delete], ask team-reviews";
    only(AT_REVIEWS, web, &delete, denied);
}

#[test]
fn the_callee_sees_the_caller_and_not_the_client() {
    let robot = Peer::Identity("spiffe://shop.test/ns/ops/sa/robot");
    assert_eq!(
        outcomes(AT_EDGE, robot, &request(&NO_HEADERS)),
        outcomes(AT_EDGE, Peer::Unauthenticated, &request(&NO_HEADERS))
    );
    let delete = Request { method: Method::Delete, ..request(&NO_HEADERS) };
    let denied = "denied by reviews.shop because of [deny delete], ask team-reviews";
    let half = "50% ratings.shop timeout 800 retry none because of [half]";
    // Which subset it would have been does not count any more.
    check(AT_EDGE, robot, &delete, &[half, &format!("50% {denied}")]);
}

#[test]
fn a_sidecar_reaches_what_its_service_declares_and_nothing_else() {
    let ask = |host, host_port, path| {
        let request = Request { host, host_port, path, ..request(&NO_HEADERS) };
        outcomes(AT_WEB, Peer::Unauthenticated, &request).swap_remove(0)
    };
    let undeclared = "100% UndeclaredCall 403 because of [], ask team-web";
    let reviews = "90% reviews.shop:v1 timeout 300 retry 1 because of [split]";
    assert_eq!(ask("reviews", None, "/reviews/1"), reviews);
    assert_eq!(ask("reviews.shop", Some(80), "/reviews/1"), reviews);
    assert_eq!(ask("reviews", Some(81), "/reviews/1"), undeclared);
    assert_eq!(ask("reviews", None, "/reviews"), undeclared, "the grant does not cover it");
    assert_eq!(ask("review", None, "/reviews/1"), undeclared);
    assert_eq!(ask("web", None, "/reviews/1"), undeclared);
    // Ratings has two ports, of which one is declared, and admits nobody there.
    assert_eq!(ask("ratings", Some(9_000), "/"), "100% denied by ratings.shop because of []");
    assert_eq!(ask("ratings", Some(80), "/"), undeclared);
    assert_eq!(ask("ratings", None, "/"), undeclared, "which port is not said");
}

#[test]
fn who_knows_the_call_decides_as_who_looks_it_up() {
    let plan = shop();
    let mut calls = 0;
    for host in ["reviews", "ratings", "ratings.shop", "nobody"] {
        for host_port in [None, Some(80), Some(9_000)] {
            let request = Request { host, host_port, ..request(&NO_HEADERS) };
            let looked_up = distribution(&plan, AT_WEB, Peer::Unauthenticated, &request);
            match callee(&plan, WEB, host, host_port) {
                Some(call) => {
                    let known = Entry::Call { service: WEB, call };
                    assert_eq!(
                        distribution(&plan, known, Peer::Unauthenticated, &request),
                        looked_up,
                        "{host}"
                    );
                    calls += 1;
                }
                None => assert_eq!(
                    looked_up.possible[0].decision.action,
                    Action::Refuse(Refusal::UndeclaredCall),
                    "{host}"
                ),
            }
        }
    }
    let nobody = Entry::Call { service: WEB, call: NONE };
    let decided = distribution(&plan, nobody, Peer::Unauthenticated, &request(&NO_HEADERS));
    assert_eq!(decided.possible[0].decision.action, Action::Refuse(Refusal::UndeclaredCall));
    assert!(calls > 1, "{calls} calls");
    assert_eq!(callee(&plan, 99, "reviews", None), None);
}

#[test]
fn the_most_specific_host_or_pattern_says_who_is_called() {
    let mut changed = plan();
    let caller = &mut changed.services[WEB as usize];
    let [first, second] = [0, 1];
    let hosts = [
        ("*.x.test", first),
        ("**.test", second),
        ("**.y.test", first),
        ("a.x.test", second),
        ("b.x.test", NONE),
        ("**.b.y.test", NONE),
        ("two.test", first),
        ("two.test", second),
        ("192.0.2.0/24", first),
        ("192.0.2.128/25", second),
        ("192.0.2.200", NONE),
    ];
    caller.hosts = hosts.map(|(host, call)| CallHost { host: host.to_owned(), call }).to_vec();
    caller.hosts.sort_by(|one, other| (&one.host, one.call).cmp(&(&other.host, other.call)));
    let numbers = [0, 1].map(|call: usize| {
        let call = &caller.calls[call];
        (call.service as usize, call.port as usize)
    });
    let numbers = numbers.map(|(service, port)| changed.services[service].ports[port].number);
    let plan = verify(encode(&changed).unwrap()).unwrap();
    let at = |host: &str| numbers.map(|number| callee(&plan, WEB, host, Some(number)));
    let (is_first, is_second) = ([Some(0), None], [None, Some(1)]);
    assert_ne!(numbers[0], numbers[1]);
    for (host, expected) in [
        ("c.x.test", is_first),
        ("a.x.test", is_second),
        ("b.x.test", [None, None]),
        ("c.c.x.test", is_second),
        ("x.test", is_second),
        ("test", [None, None]),
        ("c.y.test", is_first),
        ("c.c.y.test", is_first),
        ("b.y.test", is_first),
        ("c.b.y.test", [None, None]),
        ("y.test", is_second),
        ("xy.test", is_second),
        ("*.x.test", is_first),
        ("two.test", [Some(0), Some(1)]),
        ("192.0.2.7", is_first),
        ("[::ffff:192.0.2.7]", is_first),
        ("192.0.2.129", is_second),
        ("192.0.2.200", [None, None]),
        ("192.0.3.1", [None, None]),
        ("x.testing", [None, None]),
        ("", [None, None]),
        (".test", [None, None]),
    ] {
        assert_eq!(at(host), expected, "{host}");
    }
}

#[test]
fn who_has_a_route_of_its_own_uses_it_alone() {
    // Nobody is let in at the admin port; the gateway's own route leads elsewhere, with its timeout.
    let to_admin = Entry::FromGateway { gateway: EDGE, service: RATINGS, port: 1 };
    let elsewhere = "ratings.shop timeout 300 retry 3 because of [ratings]";
    only(to_admin, Peer::Unauthenticated, &request(&NO_HEADERS), elsewhere);
    let mut changed = plan();
    let mut decide = |change: &mut dyn FnMut(&mut Plan), entry, host| {
        change(&mut changed);
        let plan = verify(encode(&changed).unwrap()).unwrap();
        let request = Request { host, host_port: None, ..request(&NO_HEADERS) };
        let distribution = distribution(&plan, entry, Peer::Unauthenticated, &request);
        distribution.possible.iter().map(|possible| shown(&possible.decision)).collect::<Vec<_>>()
    };
    // The caller's own service: what it declares is asked first, then its own route, whose split is the only one.
    let own = |port, partition| vec![ConsumerRoute { service: REVIEWS, port, partition }];
    let mut set = |plan: &mut Plan| plan.services[WEB as usize].consumer_routes = own(0, 7);
    let rule = "ratings.shop timeout 300 retry 1 because of [ratings]";
    assert_eq!(decide(&mut set, AT_WEB, "reviews"), [rule]);
    // A gateway's own rule sends to its own route, and what comes from there to nobody's own.
    let mut set = |plan: &mut Plan| {
        plan.gateways[EDGE as usize].consumer_routes =
            vec![ConsumerRoute { service: RATINGS, port: 0, partition: 2 }, own(0, 7)[0]];
        plan.partitions[2].roots[0] = Target::Leaf(2);
        plan.partitions.push(Partition { roots: vec![Target::Leaf(8)], ..plan.partitions[3].clone() });
        plan.services[RATINGS as usize].ports[0].partition = 8;
        plan.partitions[8].access = Target::Leaf(0);
    };
    let half = "ratings.shop timeout 800 retry none because of [half]";
    let entered = "ratings.shop timeout 300 retry none because of [ratings]";
    assert_eq!(decide(&mut set, AT_EDGE, "api.shop.test"), [entered, half]);
}

#[test]
fn a_retry_comes_with_all_that_is_written() {
    let plan = shop();
    let web = Peer::Identity("spiffe://shop.test/ns/shop/sa/web");
    let decision = decide(&plan, AT_REVIEWS, web, &request(&NO_HEADERS), Moment { dice: 0 });
    let Action::Forward(forward) = decision.action else { panic!("{decision:?}") };
    assert_eq!((forward.service_index, forward.port, forward.subset_index), (REVIEWS, 0, NONE));
    let retry = forward.retry().unwrap();
    assert_eq!(
        (retry.count, retry.per_try_timeout, retry.backoff_base, retry.backoff_cap),
        (3, None, 25, 250)
    );
    assert!(retry.on_connect_failure && !retry.on_reset && !retry.on_timeout);
    assert!(retry.on_status(502) && retry.on_status(503) && !retry.on_status(500));
    assert!(retry.allows_method(Method::Options) && !retry.allows_method(Method::Post));
    assert_eq!(retry.budget.map(|budget| budget.share), Some(2_000));
}

#[test]
fn doors_that_the_plan_does_not_have_are_refused() {
    for entry in [
        Entry::Gateway { gateway: 1, listener: 0 },
        Entry::Gateway { gateway: 0, listener: 1 },
        Entry::Sidecar { service: 3 },
        Entry::FromGateway { gateway: 0, service: REVIEWS, port: 1 },
        Entry::FromGateway { gateway: NONE, service: REVIEWS, port: 0 },
        Entry::Inbound { service: WEB, port: 0 },
    ] {
        only(entry, Peer::Unauthenticated, &request(&NO_HEADERS), "Broken 500 because of []");
    }
}

/// Twenty services in each of nine layers: some 10^11 ways, and four hundred ends.
#[test]
fn as_many_draws_as_there_can_be_are_followed_exactly_and_in_no_time() {
    let weights: Vec<u32> = (0..20).map(|n| if n == 0 { 10_000 - 19 * 7 } else { 7 }).collect();
    let plan = tower(&weights);
    let entry = Entry::FromGateway { gateway: 0, service: 0, port: 0 };
    let distribution = distribution(&plan, entry, Peer::Unauthenticated, &request(&NO_HEADERS));
    assert_eq!(distribution.possible.len(), 400);
    assert_eq!(distribution.possible.iter().map(|it| it.numerator).sum::<u128>(), distribution.denominator);
    for Possible { numerator, decision } in &distribution.possible {
        let Action::Forward(forward) = &decision.action else { panic!("{decision:?}") };
        // The first draw chooses the timeout, the last one the service.
        let first = weights[forward.timeout().unwrap() as usize - 1];
        let last = weights[forward.service_index as usize % 20];
        let whole = distribution.denominator / u128::from(WHOLE).pow(2);
        assert_eq!(*numerator, whole * u128::from(first) * u128::from(last), "{decision:?}");
        assert_eq!(decision.rule, "layer 8");
    }
}

#[test]
fn draws_fall_as_often_as_the_weights_say() {
    const DECISIONS: u32 = 100_000;
    let plan = shop();
    let request = request(&NO_HEADERS);
    let distribution = distribution(&plan, AT_EDGE, Peer::Unauthenticated, &request);
    let mut drawn: BTreeMap<String, u32> = BTreeMap::new();
    for dice in 0..u64::from(DECISIONS) {
        let decision = decide(&plan, AT_EDGE, Peer::Unauthenticated, &request, Moment { dice });
        assert!(distribution.possible.iter().any(|possible| possible.decision == decision), "{decision:?}");
        *drawn.entry(shown(&decision)).or_default() += 1;
    }
    for possible in &distribution.possible {
        let expected = possible.numerator as f64 / distribution.denominator as f64;
        let share = f64::from(drawn[&shown(&possible.decision)]) / f64::from(DECISIONS);
        assert!((share - expected).abs() < 0.01, "{share} is not {expected}: {}", shown(&possible.decision));
    }
}

#[test]
fn equal_dice_decide_equally() {
    let plan = shop();
    let roll = |dice| decide(&plan, AT_EDGE, Peer::Unauthenticated, &request(&NO_HEADERS), Moment { dice });
    assert_eq!(roll(7), roll(7));
    assert!((0..64).any(|dice| roll(dice) != roll(7)));
}

#[test]
fn endpoints_are_those_of_the_port_or_of_a_subset() {
    let plan = shop();
    let addresses = |service, port, subset| {
        endpoints(&plan, service, port, subset)
            .map(|address| std::net::SocketAddr::new(address.ip, address.port).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(addresses(REVIEWS, 0, NONE), ["[::1]:9090", "10.0.0.1:8080", "10.0.0.2:8080"]);
    assert_eq!(addresses(REVIEWS, 0, 0), ["[::1]:9090", "10.0.0.2:8080"]);
    assert_eq!(addresses(REVIEWS, 0, 1), ["10.0.0.1:8080"]);
    for (service, port, subset) in [(REVIEWS, 0, 2), (REVIEWS, 0, 3), (REVIEWS, 1, NONE), (9, 0, NONE)] {
        assert!(addresses(service, port, subset).is_empty());
    }
}

/// All that `edge` sends on goes to the endpoints of `ratings`, which allow `/old` and what is below alone.
#[test]
fn a_service_authorizes_the_path_that_it_gets() {
    let decided = |edits: &[Edit], path| {
        let mut plan = plan();
        let whole = Backend { service: RATINGS, port: 0, subset: NONE, enter: false, weight: WHOLE };
        plan.outcomes[0].action = mesh_plan::Action::Forward(vec![whole]);
        plan.outcomes[0].edits = edits.to_vec();
        let refused = Target::Leaf(REFUSED);
        plan.nodes.push(Node { dim: 2, children: vec![refused, refused, Target::Leaf(0), refused] });
        plan.partitions[2].access = Target::Node(plan.nodes.len() as u32 - 1);
        let plan = verify(encode(&plan).unwrap()).unwrap();
        let request = Request { path, ..request(&NO_HEADERS) };
        shown(&decide(&plan, AT_EDGE, Peer::Unauthenticated, &request, Moment { dice: 0 }))
    };
    let denied = "denied by ratings.shop because of []";
    let sent = "ratings.shop timeout 800 retry none because of [half]";
    let prefix = |to: &str| Edit::Prefix { from: "/reviews".to_owned(), to: to.to_owned() };
    assert_eq!(decided(&[], "/reviews/1"), denied);
    assert_eq!(decided(&[prefix("/old")], "/reviews/1"), sent);
    assert_eq!(decided(&[prefix("/older")], "/reviews/1"), denied);
    assert_eq!(decided(&[Edit::Path("/old".to_owned())], "/reviews/1"), sent);
    assert_eq!(decided(&[Edit::Host("old".to_owned())], "/reviews/1"), denied);
}

/// Every bit of the plan, sealed again: refused, or every question still has an answer.
#[test]
fn no_plan_that_verifies_makes_a_decision_panic() {
    let bytes = encode(&plan()).unwrap();
    let jason: &[(&str, &str)] = &[("end-user", "jason")];
    let mut decided = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        seal(&mut flipped);
        let Ok(plan) = verify(flipped) else { continue };
        for entry in
            [AT_EDGE, AT_REVIEWS, AT_WEB, EDGE_TO_REVIEWS, Entry::Inbound { service: RATINGS, port: 1 }]
        {
            for (host, path) in
                [("api.shop.test", "/reviews/1"), ("reviews", "/reviews/x"), ("a.b.shop.test", "*")]
            {
                for peer in [Peer::Unauthenticated, Peer::Identity("spiffe://shop.test/ns/ops/sa/other")] {
                    let request = Request { host, path, ..request(&jason) };
                    let decision = decide(&plan, entry, peer, &request, Moment { dice: bit as u64 });
                    assert_ne!(
                        decision.action,
                        Action::Refuse(Refusal::Broken),
                        "bit {bit}: verified, and broken"
                    );
                    let distribution = distribution(&plan, entry, peer, &request);
                    assert!(distribution.possible.iter().any(|possible| possible.decision == decision));
                    decided += 1;
                }
            }
        }
        assert!(endpoints(&plan, REVIEWS, 0, 0).count() <= 3);
    }
    assert!(decided > 10_000, "{decided}");
}
