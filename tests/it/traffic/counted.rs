//! Global rate limits: who counts, what is counted by itself, and what becomes of who is one too many.

use super::asked::{Fields, field, fields};
use super::streams::answering;
use mesh_tests::harness::{Mesh, Upstream, free_address};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Who counts: what it was asked, and how often each descriptor came.
#[derive(Clone, Default)]
struct Counter {
    asked: Arc<Mutex<Vec<Asked>>>,
    counts: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    domain: String,
    /// Of each descriptor its entries, `key=value`, the number and the unit.
    descriptors: Vec<String>,
}

impl Counter {
    /// Starts one that counts as it is told, like the services that count for Envoy.
    fn start(&self) -> SocketAddr {
        let own = self.clone();
        answering(move |path, bytes| {
            assert_eq!(path, "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit");
            let message = own.answer(&bytes[5..]);
            ([&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat(), 0)
        })
    }

    fn answer(&self, message: &[u8]) -> Vec<u8> {
        let mut found = Fields::new();
        fields(message, &[], &[], &mut found);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut asked = Asked { domain: text(&found[&vec![1]][0]), descriptors: vec![] };
        let (mut statuses, mut is_over) = (Vec::new(), false);
        for descriptor in &found[&vec![2]] {
            let mut own = Fields::new();
            fields(descriptor, &[&[1], &[2]], &[], &mut own);
            let values = &own[&vec![1, 2]];
            let entries = own[&vec![1, 1]].iter().zip(values);
            let entries: Vec<String> =
                entries.map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
            let number = |place: &[u32]| text(&own[place][0]).parse::<u32>().unwrap();
            let (most, unit) = (number(&[2, 1]), number(&[2, 2]));
            let named = entries.join(" ");
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry(named.clone()).or_default();
            *count += 1;
            let code = if *count > most { 2 } else { 1 };
            is_over |= code == 2;
            // code, and duration_until_reset { seconds: 7 nanos: 1 }
            statuses.push(field(2, [vec![8, code], field(4, [8, 7, 16, 1])].concat()));
            asked.descriptors.push(format!("{named} {most}/{unit}"));
        }
        self.asked.lock().unwrap().push(asked);
        let header = |tag, name: &str, value: &str| field(tag, [field(1, name), field(2, value)].concat());
        let added = [header(3, "x-ratelimit-limit", "2"), header(4, "x-counted", "yes")].concat();
        [vec![8, if is_over { 2 } else { 1 }], statuses.concat(), added].concat()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A gateway with a limit in a rule, one of its own and one of the service behind it.
fn mesh(counter: impl Display, on_failure: &str, limits: [&str; 3], service: impl Display) -> String {
    let [gateway, rule, own] = limits;
    format!(
        r#"rate-limiter shared-limits {{ service counts; timeout 500ms; on-failure {on_failure} }}
gateway edge {{ {gateway}
  listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone; deny from anyone to /never }}
route edge {{ rule all {{ match /**; to s
  {rule} }} }}
service s {{ port 80 http; endpoints static "{service}"; {own} }}
authorize s {{ allow from gateway edge }}
service counts {{ port 81 grpc; endpoints static "{counter}" }}
authorize counts {{ allow from gateway edge, s }}
"#
    )
}

#[test]
fn a_service_counts_for_all_proxies_and_who_is_one_too_many_is_told_when_to_come_again() {
    let (counter, service) = (Counter::default(), Upstream::named("s"));
    let address = counter.start();
    let limit = "rate-limit global 2/m per header \"x-api-key\" by shared-limits";
    let text = mesh(address, "deny", ["", limit, ""], &service.address);
    // Two proxies, one count.
    let proxies = [Mesh::start(&text, &[]), Mesh::start(&text, &[])];
    let ask = |proxy: usize, key: &str| {
        let mut client = proxies[proxy].connect("edge.default/web");
        client.head("shop.test", "/", &[&format!("x-api-key: {key}")]).unwrap()
    };
    assert!(ask(0, "a").starts_with("http/1.1 200 "));
    let second = ask(1, "a");
    assert!(second.starts_with("http/1.1 200 ") && second.contains("x-ratelimit-limit: 2"), "{second}");
    let third = ask(0, "a");
    assert!(third.starts_with("http/1.1 429 ") && third.contains("retry-after: 8"), "{third}");
    assert!(third.contains("x-ratelimit-limit: 2"), "{third}");
    assert!(ask(1, "b").starts_with("http/1.1 200 "), "another key is another count");
    let refused = proxies[0].connect("edge.default/web").head("shop.test", "/never", &[]).unwrap();
    assert!(refused.starts_with("http/1.1 403 "), "{refused}");
    let place = "generic_key=route edge.default listener web host \"*\" rule all";
    let asked = |key: &str| Asked {
        domain: "shared-limits".to_owned(),
        descriptors: vec![format!("{place} x-api-key={key} 2/2")],
    };
    assert_eq!(counter.asked(), [asked("a"), asked("a"), asked("a"), asked("b")]);
    assert!(service.heads()[0].contains("x-counted: yes\r\n"), "{:?}", service.heads());
    assert_eq!(service.heads().len(), 3);
    let [first, _] = proxies;
    let lines = first.log();
    let over: Vec<&String> = lines.iter().filter(|line| line.contains("\"status\":429")).collect();
    assert!(
        over.len() == 1
            && over[0].contains("\"rate_limiter\":[\"shared-limits: over limit\"]")
            && over[0].contains("\"rule\":\"rate-limiter shared-limits\"")
            && over[0].contains("\"RL\""),
        "{lines:?}"
    );
}

#[test]
fn all_limits_of_one_limiter_are_one_question_and_what_is_only_tried_refuses_nobody() {
    let (counter, service) = (Counter::default(), Upstream::named("s"));
    let address = counter.start();
    let limits = [
        "rate-limit global 5/s by shared-limits",
        "rate-limit global 1/h per source-ip by shared-limits audit",
        "",
    ];
    let mesh = Mesh::start(&mesh(address, "deny", limits, &service.address), &[]);
    let mut client = mesh.connect("edge.default/web");
    let statuses: Vec<u16> = (0..7).map(|_| client.get("a", "/", &[]).unwrap().0).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    let asked = counter.asked();
    let gateway = "generic_key=gateway edge.default 5/1".to_owned();
    let rule = "generic_key=route edge.default listener web host \"*\" rule all source-ip=127.0.0.1 1/3";
    assert_eq!(asked[0].descriptors, [gateway, rule.to_owned()]);
    let flags = super::flags(mesh);
    let told = |flag: &str| flags.iter().filter(|own| own.contains(flag)).count();
    assert_eq!((told("RL-audit"), flags.iter().filter(|own| *own == "RL").count()), (4, 2), "{flags:?}");
}

#[test]
fn a_service_has_all_that_comes_to_it_counted_once_by_its_own_proxy() {
    let (counter, service) = (Counter::default(), Upstream::named("s"));
    let address = counter.start();
    let called_at = free_address();
    let limits = ["", "", "rate-limit global 2/m by shared-limits"];
    let text = mesh(address, "deny", limits, called_at)
        .replace("s { allow from gateway edge }", "s { allow from anyone }");
    let inbound = [("s", called_at, &*service.address)];
    let mesh = Mesh::start_as(&text, &[], vec![], &inbound);
    let mut client = mesh.connect("edge.default/web");
    let statuses: Vec<u16> = (0..4).map(|_| client.get("a", "/", &[]).unwrap().0).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(counter.asked().len(), 4, "its caller has nothing counted");
    assert_eq!(counter.asked()[0].descriptors, ["generic_key=service s.default 2/2"]);
}

#[test]
fn what_nobody_counts_passes_or_not_as_is_declared() {
    let limits = ["rate-limit global 1/m by shared-limits", "", ""];
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let undecided = answering(|_, _| (vec![0, 0, 0, 0, 0], 0));
    let failing = answering(|_, _| (vec![], 14));
    for (counter, said) in [
        (free_address(), "unreachable"),
        (silent.local_addr().unwrap(), "timeout"),
        (undecided, "error"),
        (failing, "error"),
    ] {
        for (on_failure, status, flag) in [("allow", 200, ""), ("deny", 503, "RLSE")] {
            let service = Upstream::named("s");
            let mesh = Mesh::start(&mesh(counter, on_failure, limits, &service.address), &[]);
            assert_eq!(mesh.connect("edge.default/web").get("a", "/", &[]).unwrap().0, status, "{said}");
            let line = mesh.log().remove(0);
            let told = format!("\"rate_limiter\":[\"shared-limits: {said}, {on_failure}\"]");
            assert!(line.contains(&told) && line.contains(flag), "{told} in {line}");
            assert_eq!(service.heads().len(), usize::from(status == 200));
        }
    }
}

#[test]
fn connections_are_counted_too() {
    let (counter, service) = (Counter::default(), Upstream::named("s"));
    let address = counter.start();
    let text = format!(
        r#"rate-limiter shared-limits {{ service counts; timeout 500ms; on-failure deny }}
gateway edge {{ listener web port 80 tcp {{ rate-limit global 1/m per source-ip by shared-limits }} }}
authorize edge {{ allow from anyone }}
route edge {{ to s }}
service s {{ port 80 tcp; endpoints static "{}" }}
authorize s {{ allow from gateway edge }}
service counts {{ port 81 grpc; endpoints static "{address}" }}
authorize counts {{ allow from gateway edge }}
"#,
        service.address
    );
    let mesh = Mesh::start(&text, &[]);
    let hear = || {
        let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _ =
            std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        said.len()
    };
    assert!(hear() > 0);
    assert_eq!(hear(), 0, "one too many");
    assert_eq!(
        counter.asked()[0].descriptors,
        ["generic_key=gateway edge.default listener web source-ip=127.0.0.1 1/2"]
    );
}
