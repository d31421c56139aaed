//! Expectations in the words of the catalogue.

use super::*;

fn read(text: &str) -> Expect {
    Expect::read(text).expect(text)
}

#[test]
fn a_status_a_rule_and_an_end() {
    assert_eq!(read("403 d1 (control)").fates, [Fate::Status(403, Some("d1".to_owned()))]);
    let expect = read("400 + close");
    assert_eq!((expect.fates, expect.checks), (vec![Fate::Status(400, None)], vec![Check::Closes]));
    assert_eq!(read("400/505").fates, [Fate::Status(400, None), Fate::Status(505, None)]);
    let expect = read("400/431 or close within header timeout, <= 64 KiB buffered");
    assert_eq!(expect.fates, [Fate::Status(400, None), Fate::Status(431, None), Fate::Closed]);
    let expect = read("400 default; 403 d1 when slash=decode");
    assert_eq!(expect.fates, [Fate::Status(400, None)]);
    assert_eq!((expect.relaxed.as_deref(), expect.unchecked.len()), (Some("403 d1"), 0));
    let expect = read("400 default; 403 d1 when case=folded");
    assert_eq!((expect.relaxed, expect.unchecked), (None, vec!["403 d1 when case=folded".to_owned()]));
    assert_eq!(read("fixture D: 403 (segment boundary)").fixture, Fixture::Deny);
    assert_eq!(read("deny query role=admin => 403 (any value)").fates, [Fate::Status(403, None)]);
}

#[test]
fn what_the_upstream_gets() {
    let expect = read("FWD byte-identical (never decode to ?)");
    assert_eq!((expect.fates, expect.checks), (vec![Fate::Forwarded], vec![Check::SameTarget]));
    assert_eq!(read("FWD, body Z, re-framed by us").checks, [Check::Body(b"Z".to_vec())]);
    assert_eq!(read("FWD path=/").checks, [Check::Target("/".to_owned())]);
    let expect = read("UP answers 200: second request is parsed and gets 403; no raw bytes pass before 101");
    assert_eq!(expect.checks, [Check::UpstreamAnswers(200), Check::Then(Fate::Status(403, None))]);
    assert_eq!(read("parsed as a trailer, dropped; exactly 1 request at UP").checks, [Check::Requests(1)]);
    assert_eq!(
        read("UP sees exactly 2 requests, first with 5-byte body").checks,
        [Check::Requests(2), Check::BodyLength(5)]
    );
    assert_eq!(
        read("Upgrade, HTTP2-Settings removed; forwarded as plain HTTP/1.1; no tunnel").checks,
        [Check::Stripped(vec!["upgrade".to_owned(), "http2-settings".to_owned()])]
    );
}

#[test]
fn streams_and_memory() {
    assert_eq!(read("RST PROTOCOL_ERROR").fates, [Fate::Reset(Some(1))]);
    let expect =
        read("GOAWAY ENHANCE_YOUR_CALM within 1,000 resets; CPU <= 1 core-second; RSS delta < 256 KiB");
    assert_eq!(expect.fates, [Fate::GoneAway(Some(11))]);
    assert_eq!(expect.checks, [Check::Processor(1), Check::Memory(256 << 10)]);
    assert_eq!(read("RST/UNIMPLEMENTED, never routed").fates, [Fate::Reset(None), Fate::Grpc(12)]);
    assert_eq!(read("REFUSED_STREAM, others unharmed").fates, [Fate::Reset(Some(7))]);
    assert_eq!(read("HTTP 200 trailers-only grpc-status 7").fates, [Fate::Grpc(7)]);
}

#[test]
fn what_nobody_understands_is_said() {
    assert!(Expect::read("the moon is full").is_err());
    assert_eq!(read("400; the moon is full").unchecked, ["the moon is full"]);
}
