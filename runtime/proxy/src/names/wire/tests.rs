//! What is an answer to a question, and what is none.

use super::*;
use simple_dns::ResourceRecord;
use simple_dns::rdata::{A, AAAA, CNAME};

fn name(text: &'static str) -> Name<'static> {
    Name::new(text).unwrap()
}

fn a(of: &'static str, ttl: u32, last: u8) -> ResourceRecord<'static> {
    let address = Ipv4Addr::new(192, 0, 2, last).into();
    ResourceRecord::new(name(of), CLASS::IN, ttl, RData::A(A { address }))
}

fn alias(of: &'static str, ttl: u32, to: &'static str) -> ResourceRecord<'static> {
    ResourceRecord::new(name(of), CLASS::IN, ttl, RData::CNAME(CNAME(name(to))))
}

/// What is read of an answer with these records, after something has been done to it.
fn read(records: Vec<ResourceRecord<'static>>, change: impl FnOnce(&mut Packet<'_>)) -> Message {
    let asked = Asked::new("db.test", Family::V4).unwrap();
    let mut packet = Packet::parse(&asked.bytes).unwrap();
    packet.set_flags(PacketFlag::RESPONSE);
    packet.answers = records;
    change(&mut packet);
    asked.read(&packet.build_bytes_vec_compressed().unwrap())
}

fn answer<const N: usize>(last: [u8; N], seconds: u64) -> Message {
    let addresses = last.iter().map(|last| Ipv4Addr::new(192, 0, 2, *last).into()).collect();
    Message::Answer(Answer { addresses, holds: Duration::from_secs(seconds) })
}

#[test]
fn an_answer_is_what_its_names_lead_to_and_holds_as_long_as_each_part() {
    assert_eq!(
        read(vec![a("DB.test", 60, 1), a("db.test", 30, 2), a("x.test", 1, 3)], |_| {}),
        answer([1, 2], 30)
    );
    let chain = vec![
        alias("db.test", 60, "b.test"),
        alias("b.test", 20, "C.test"),
        a("c.test", 40, 1),
        a("b.test", 5, 9),
    ];
    assert_eq!(read(chain, |_| {}), answer([1], 20));
    assert_eq!(read(vec![a("db.test", u32::MAX, 1)], |_| {}), answer([1], 0));
    let looped = vec![alias("db.test", 9, "b.test"), alias("b.test", 9, "db.test")];
    assert!(matches!(read(looped, |_| {}), Message::Answer(own) if own.addresses.is_empty()));
    let other = ResourceRecord::new(name("db.test"), CLASS::IN, 9, RData::AAAA(AAAA { address: 1 }));
    assert!(matches!(read(vec![other], |_| {}), Message::Answer(own) if own.addresses.is_empty()));
}

#[test]
fn what_is_not_the_answer_is_not_read() {
    let records = || vec![a("db.test", 60, 1)];
    assert_eq!(read(records(), |packet| packet.set_id(packet.id().wrapping_add(1))), Message::Other);
    assert_eq!(read(records(), |packet| packet.remove_flags(PacketFlag::RESPONSE)), Message::Other);
    assert_eq!(read(records(), |packet| packet.questions.clear()), Message::Other);
    assert_eq!(read(records(), |packet| packet.questions[0].qname = name("x.test")), Message::Other);
    assert_eq!(read(records(), |packet| packet.questions[0].qtype = QTYPE::TYPE(TYPE::AAAA)), Message::Other);
    assert_eq!(read(records(), |packet| packet.set_flags(PacketFlag::TRUNCATION)), Message::Cut);
    assert_eq!(
        read(records(), |packet| *packet.rcode_mut() = RCODE::ServerFailure),
        Message::Failed("SERVFAIL")
    );
    let nobody = read(vec![], |packet| *packet.rcode_mut() = RCODE::NameError);
    assert!(matches!(nobody, Message::Answer(own) if own.addresses.is_empty()));
}

#[test]
fn no_bytes_are_too_odd() {
    let asked = Asked::new("db.test", Family::V4).unwrap();
    let mut packet = Packet::parse(&asked.bytes).unwrap();
    packet.set_flags(PacketFlag::RESPONSE);
    packet.answers = vec![alias("db.test", 60, "b.test"), a("b.test", 60, 1)];
    let whole = packet.build_bytes_vec_compressed().unwrap();
    for end in 0..whole.len() {
        let _ = asked.read(&whole[..end]);
    }
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=dice.usize(..4) {
            let place = dice.usize(..bytes.len());
            bytes[place] = dice.u8(..);
        }
        let _ = asked.read(&bytes);
    }
}

#[test]
fn a_name_that_is_none_is_not_asked_for() {
    assert!(Asked::new(&"x".repeat(64), Family::V4).is_err());
    let one = Asked::new("db.test", Family::V4).unwrap();
    let ids: std::collections::HashSet<u16> =
        (0..50).map(|_| Asked::new("db.test", Family::V6).unwrap().id).collect();
    assert!(ids.len() > 40, "ids are drawn");
    assert_eq!(one.bytes[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0], "recursion is desired, of one question");
}
