//! One question of DNS to one server (RFC 1035), over UDP, and over TCP where the answer does not fit. A proxy is a stub: the server does the
//! work of a resolver.

use crate::cause;
use ring::rand::{SecureRandom as _, SystemRandom};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// Names that stand for one another before there is an address: more is a loop, or nobody's intent.
const MOST_ALIASES: usize = 16;
/// An answer over UDP has 512 bytes at most where no more was asked for (RFC 1035 4.2.1); what is longer is cut and not understood.
const MOST_DATAGRAM: usize = 4_096;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn record(self) -> TYPE {
        match self {
            Family::V4 => TYPE::A,
            Family::V6 => TYPE::AAAA,
        }
    }
}

/// The addresses of a name, and how long they hold. There may be none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) holds: Duration,
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
enum Message {
    /// Not the answer to this question.
    Other,
    /// Too long for a datagram.
    Cut,
    Answer(Answer),
    /// The server has no answer.
    Failed(&'static str),
}

/// A question, and what its answer has to repeat.
struct Asked {
    id: u16,
    host: String,
    family: Family,
    bytes: Vec<u8>,
}

/// Asks. Whoever calls has the time; the error is in words for a log.
pub(super) async fn ask(server: SocketAddr, host: &str, family: Family) -> Result<Answer, String> {
    let asked = Asked::new(host, family)?;
    let said = over_udp(server, &asked).await.map_err(|error| cause(&error))?;
    let said = match said {
        Message::Cut => over_tcp(server, &asked).await.map_err(|error| cause(&error))?,
        said => said,
    };
    match said {
        Message::Answer(answer) => Ok(answer),
        Message::Failed(why) => Err(why.to_owned()),
        Message::Cut | Message::Other => Err("the answer is none".to_owned()),
    }
}

/// From a port that the system draws, by a socket that hears this server alone: with the id drawn too, nobody else guesses an answer
/// (RFC 5452).
async fn over_udp(server: SocketAddr, asked: &Asked) -> io::Result<Message> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&asked.bytes).await?;
    let mut bytes = vec![0; MOST_DATAGRAM];
    loop {
        let size = socket.recv(&mut bytes).await?;
        // What is not the answer is somebody else's attempt, or late.
        match asked.read(bytes.get(..size).unwrap_or_default()) {
            Message::Other => {}
            message => return Ok(message),
        }
    }
}

async fn over_tcp(server: SocketAddr, asked: &Asked) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let mut bytes = (asked.bytes.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(&asked.bytes);
    stream.write_all(&bytes).await?;
    let size = stream.read_u16().await?;
    let mut bytes = vec![0; size.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(asked.read(&bytes))
}

impl Asked {
    fn new(host: &str, family: Family) -> Result<Asked, String> {
        let mut id = [0; 2];
        SystemRandom::new().fill(&mut id).map_err(|_| "the system has no random numbers".to_owned())?;
        let id = u16::from_be_bytes(id);
        let name = Name::new(host).map_err(|_| "it is no name".to_owned())?;
        let (kind, class) = (QTYPE::TYPE(family.record()), QCLASS::CLASS(CLASS::IN));
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(name, kind, class, false));
        let bytes = packet.build_bytes_vec().map_err(|_| "it is no name".to_owned())?;
        Ok(Asked { id, host: host.to_owned(), family, bytes })
    }

    fn read(&self, bytes: &[u8]) -> Message {
        let Ok(packet) = Packet::parse(bytes) else { return Message::Other };
        let kind = QTYPE::TYPE(self.family.record());
        let is_same = |own: &Question<'_>| is_named(&own.qname, &self.host) && own.qtype == kind;
        let [question] = packet.questions.as_slice() else { return Message::Other };
        if packet.id() != self.id || !packet.has_flags(PacketFlag::RESPONSE) || !is_same(question) {
            return Message::Other;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Message::Cut;
        }
        match packet.rcode() {
            RCODE::NoError => self.answer(&packet),
            RCODE::NameError => Message::Answer(Answer { addresses: vec![], holds: Duration::ZERO }),
            RCODE::ServerFailure => Message::Failed("SERVFAIL"),
            RCODE::Refused => Message::Failed("REFUSED"),
            RCODE::FormatError => Message::Failed("FORMERR"),
            RCODE::NotImplemented => Message::Failed("NOTIMP"),
            _ => Message::Failed("an error of the server"),
        }
    }

    /// Follows the names that stand for the one that is asked for, as far as the answer has them; it holds for as long as each of its parts.
    fn answer(&self, packet: &Packet<'_>) -> Message {
        let mut at = self.host.clone();
        let mut ttl = u32::MAX;
        for _ in 0..MOST_ALIASES {
            let alias = packet.answers.iter().find_map(|record| match &record.rdata {
                RData::CNAME(target) if is_named(&record.name, &at) => {
                    Some((target.0.to_string(), record.ttl))
                }
                _ => None,
            });
            let Some((target, holds)) = alias else { break };
            (at, ttl) = (target, ttl.min(seconds(holds)));
        }
        let mut addresses = Vec::new();
        for record in packet.answers.iter().filter(|record| is_named(&record.name, &at)) {
            let ip: IpAddr = match (&record.rdata, self.family) {
                (RData::A(own), Family::V4) => Ipv4Addr::from(own.address).into(),
                (RData::AAAA(own), Family::V6) => Ipv6Addr::from(own.address).into(),
                _ => continue,
            };
            addresses.push(ip.to_canonical());
            ttl = ttl.min(seconds(record.ttl));
        }
        Message::Answer(Answer { addresses, holds: Duration::from_secs(ttl.into()) })
    }
}

/// A TTL with its highest bit set is zero (RFC 2181 8).
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

fn is_named(name: &Name<'_>, host: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests;
