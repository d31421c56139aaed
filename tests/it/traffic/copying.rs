//! Copies of requests, which the request itself never notices.

use super::{behind_edge, failing, flags, slow};
use mesh_tests::harness::{Mesh, Upstream};
use std::time::{Duration, Instant};

/// All requests go to `s`, and copies to `t`.
fn mirrored(s: &Upstream, t: &str, share: &str) -> Mesh {
    let text = behind_edge(&[s], "").replace(
        "route edge { to s }",
        &format!("route edge {{ rule all {{ match /**; to s; mirror t {share} including-writes }}\n otherwise 404 }}"),
    );
    let more = format!(
        "service t {{ port 80 http; endpoints static \"{t}\" }}\nauthorize t {{ allow from gateway edge }}\n"
    );
    Mesh::start(&format!("{text}{more}"), &[])
}

/// Waits until there are so many, within reason.
fn wait_for(count: usize, what: impl Fn() -> usize) -> usize {
    let began = Instant::now();
    while what() < count && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    what()
}

#[test]
fn a_copy_is_the_request_as_it_is_sent_on() {
    let (s, t) = (Upstream::named("s"), Upstream::named("t"));
    let mesh = mirrored(&s, &t.address, "100%");
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/x?y=1", &["x-a: 1"]).unwrap(), (200, "s".into()));
    let post = "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(client.send(post).unwrap(), (200, "s".into()));
    let chunks =
        "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbye\r\n2\r\n!!\r\n0\r\n\r\n";
    assert_eq!(client.send(chunks).unwrap(), (200, "s".into()));
    assert_eq!(wait_for(3, || t.heads().len()), 3);
    let mut bodies = t.bodies();
    bodies.sort();
    assert_eq!(bodies, [b"".to_vec(), b"bye!!".to_vec(), b"hello".to_vec()]);
    for head in t.heads() {
        // The length of what came in chunks is known by now; everything else is the same.
        let same = |head: &String| -> Vec<String> {
            let lines = head
                .lines()
                .filter(|line| !line.starts_with("content-length") && !line.starts_with("transfer-"));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert!(s.heads().iter().any(|own| same(own) == same(&head)), "{head}");
    }
}

#[test]
fn a_share_of_the_requests_is_copied() {
    let (s, t) = (Upstream::named("s"), Upstream::named("t"));
    let mesh = mirrored(&s, &t.address, "30%");
    let mut client = mesh.connect("edge.default/web");
    (0..400).for_each(|_| assert_eq!(client.get("a", "/", &[]).unwrap().0, 200));
    std::thread::sleep(Duration::from_secs(1));
    let copies = t.heads().len();
    // Five standard deviations: 5 · √(400 · 0.3 · 0.7).
    assert!((120 - 46..=120 + 46).contains(&copies), "{copies}");
}

#[test]
fn a_copy_that_is_slow_fails_or_meets_nobody_is_not_noticed() {
    let quick = Upstream::named("quick");
    let (slow, broken) = (slow(3_000), failing(500));
    for t in [slow.address.as_str(), &broken.address, "127.0.0.1:1"] {
        let before = quick.heads().len();
        let mesh = mirrored(&quick, t, "100%");
        let mut client = mesh.connect("edge.default/web");
        let began = Instant::now();
        (0..300).for_each(|_| assert_eq!(client.get("a", "/", &[]).unwrap(), (200, "quick".into())));
        // To wait for one slow copy after the other would take fifteen minutes.
        assert!(began.elapsed() < Duration::from_secs(20), "{t}: {:?}", began.elapsed());
        assert_eq!(quick.heads().len() - before, 300);
        assert!(flags(mesh).iter().all(String::is_empty), "{t}");
    }
    // Copies that wait for an answer have a bound: the rest was not sent.
    assert!(slow.heads().len() <= 128, "{}", slow.heads().len());
}

#[test]
fn a_body_that_is_long_is_not_copied_and_passes_whole() {
    let (s, t) = (Upstream::named("s"), Upstream::named("t"));
    let mesh = mirrored(&s, &t.address, "100%");
    let mut client = mesh.connect("edge.default/web");
    for (length, copies) in [(64 * 1024, 1), (64 * 1024 + 1, 1), (1_000_000, 1)] {
        let body = "x".repeat(length);
        let post = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        assert_eq!(client.send(&post).unwrap(), (200, "s".into()));
        assert_eq!(s.bodies().last().map(Vec::len), Some(length));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(wait_for(copies, || t.heads().len()), copies, "{length}");
    }
}
