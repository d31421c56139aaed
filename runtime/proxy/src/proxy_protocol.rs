//! Whom a connection comes from where a proxy before this one passes it on: the header of the PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>). Where it is declared every connection begins with it; one that does
//! not is closed, for its address would be that of the proxy.

use crate::bounds::Bound;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How a header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Behind the signature: version and command, family and transport, the length of the rest.
const FIXED: usize = 16;
/// The longest line of version 1, with its end.
const MAX_LINE: usize = 107;
/// The longest rest of version 2: addresses are 36 bytes, and what proxies add (names, a TLS certificate's subject) some hundreds.
const MAX_REST: usize = 4_096;
/// The length of two addresses of IPv4 and their ports, and of IPv6.
const INET: usize = 12;
const INET6: usize = 36;

/// Reads the header, and nothing behind it. `None`: the proxy speaks for itself, or for one that has no address.
///
/// # Errors
///
/// Why the connection is closed, in words.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, &'static str> {
    timeout(Bound::DetectTime.time(), header(stream))
        .await
        .map_err(|_| "there was no PROXY protocol header in time")?
}

async fn header(stream: &mut TcpStream) -> Result<Option<SocketAddr>, &'static str> {
    // No header is shorter than that.
    let mut begin = [0; SIGNATURE.len()];
    exact(stream, &mut begin).await?;
    if begin == *SIGNATURE { version_2(stream).await } else { version_1(stream, &begin).await }
}

async fn version_2(stream: &mut TcpStream) -> Result<Option<SocketAddr>, &'static str> {
    let mut fixed = [0; FIXED - SIGNATURE.len()];
    exact(stream, &mut fixed).await?;
    let [command, kind, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_REST {
        return Err("the PROXY protocol header is too long");
    }
    let mut rest = vec![0; length];
    exact(stream, &mut rest).await?;
    binary(command, kind, &rest)
}

/// What a header of version 2 says (2.2).
fn binary(command: u8, kind: u8, rest: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err("the PROXY protocol header is of another version"),
    };
    let addresses = match kind {
        0x11 => INET,
        0x21 => INET6,
        // Of no address, or of a socket of that machine.
        0x00 => 0,
        0x31 => 216,
        _ => return Err("the PROXY protocol header is of no stream"),
    };
    let (said, more) = rest.split_at_checked(addresses).ok_or("the PROXY protocol header is cut off")?;
    // Beside an address that is not known the rest is not either (2.2).
    if kind != 0 {
        extensions(more)?;
    }
    if is_local {
        return Ok(None);
    }
    Ok(match said.len() {
        INET => address::<4>(said, 8).map(|(ip, port)| SocketAddr::new(Ipv4Addr::from(ip).into(), port)),
        INET6 => address::<16>(said, 32).map(|(ip, port)| SocketAddr::new(Ipv6Addr::from(ip).into(), port)),
        _ => None,
    })
}

/// The first address, and the port at a place.
fn address<const N: usize>(said: &[u8], port: usize) -> Option<([u8; N], u16)> {
    let ip = said.first_chunk::<N>()?;
    let port = said.get(port..)?.first_chunk::<2>()?;
    Some((*ip, u16::from_be_bytes(*port)))
}

/// Type, length and value, one behind the other: none of them is needed, and none reaches over the end.
fn extensions(mut rest: &[u8]) -> Result<(), &'static str> {
    while let Some((head, behind)) = rest.split_first_chunk::<3>() {
        let [_, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = behind.get(length..).ok_or("the PROXY protocol header has an extension behind its end")?;
    }
    if rest.is_empty() { Ok(()) } else { Err("the PROXY protocol header has an extension behind its end") }
}

async fn version_1(stream: &mut TcpStream, begin: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    if !begin.starts_with(b"PROXY ") {
        return Err("there is no PROXY protocol header");
    }
    let mut line = begin.to_vec();
    // What is behind the line stays where it is.
    while !line.ends_with(b"\r\n") {
        let room = MAX_LINE - line.len();
        if room == 0 {
            return Err("the PROXY protocol header is too long");
        }
        let mut waiting = [0; MAX_LINE];
        let room = waiting.get_mut(..room).unwrap_or_default();
        let count = stream.peek(room).await.map_err(broken)?;
        let seen = room.get(..count).unwrap_or_default();
        let until = seen.iter().position(|byte| *byte == b'\n').map_or(count, |end| end + 1);
        if until == 0 {
            return Err("the PROXY protocol header is cut off");
        }
        let mut taken = vec![0; until];
        exact(stream, &mut taken).await?;
        line.extend(taken);
        if line.ends_with(b"\n") && !line.ends_with(b"\r\n") {
            return Err("the PROXY protocol header is no line");
        }
    }
    text(line.get(..line.len() - 2).unwrap_or_default())
}

/// What a line of version 1 says (2.1).
fn text(line: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    let no_line = "the PROXY protocol header is no line of version 1";
    let line = std::str::from_utf8(line).map_err(|_| no_line)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (family, source, destination, ports) = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            (*family, *source, *destination, [*from, *to])
        }
        _ => return Err(no_line),
    };
    let ip = |text: &str| {
        let ip: Option<IpAddr> = text.parse().ok();
        ip.filter(|ip| ip.is_ipv4() == (family == "TCP4")).ok_or("the PROXY protocol header says no address")
    };
    let port = |text: &str| {
        let is_number =
            text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let number = if is_number { text.parse().ok() } else { None };
        number.ok_or("the PROXY protocol header says no port")
    };
    let [from, to] = ports;
    let source = SocketAddr::new(ip(source)?, port(from)?);
    ip(destination)?;
    port(to)?;
    Ok(Some(source))
}

async fn exact(stream: &mut TcpStream, bytes: &mut [u8]) -> Result<(), &'static str> {
    stream.read_exact(bytes).await.map(drop).map_err(broken)
}

fn broken(_: io::Error) -> &'static str {
    "the connection ended inside its PROXY protocol header"
}

/// A line that says an address says it in no other way, and what is behind a binary header's end is never read.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    if let Ok(Some(source)) = text(bytes) {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {} {} {} 0", source.ip(), source.ip(), source.port());
        assert_eq!(text(line.as_bytes()), Ok(Some(source)));
    }
    let Some(([command, kind], rest)) = bytes.split_first_chunk::<2>() else { return };
    if let Ok(Some(source)) = binary(*command, *kind, rest) {
        let shorter = rest.len().checked_sub(1).and_then(|end| rest.get(..end)).unwrap_or_default();
        let is_whole = [INET, INET6].contains(&rest.len());
        let cut = binary(*command, *kind, shorter);
        // Without its last byte an address is cut off, or an extension is.
        assert!(cut.is_err() || cut == Ok(Some(source)) && !is_whole);
    }
}

#[cfg(test)]
mod tests {
    use super::{INET, INET6, MAX_REST, SIGNATURE, binary, read, text};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// What is read of bytes that come in one piece, or one by one, and what is left of them.
    fn reads(bytes: &[u8], one_by_one: bool) -> Result<(Option<SocketAddr>, Vec<u8>), &'static str> {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bytes = bytes.to_vec();
            let to = listener.local_addr().unwrap();
            let sent = tokio::spawn(async move {
                let mut stream = TcpStream::connect(to).await.unwrap();
                stream.set_nodelay(true).unwrap();
                for piece in bytes.chunks(if one_by_one { 1 } else { bytes.len().max(1) }) {
                    // The reader may have closed already.
                    let _ = stream.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
                let _ = stream.shutdown().await;
            });
            let (mut stream, _) = listener.accept().await.unwrap();
            let from = read(&mut stream).await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            sent.await.unwrap();
            Ok((from, rest))
        })
    }

    fn version_2(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, kind], &length, rest].concat()
    }

    #[test]
    fn an_address_is_read_and_nothing_behind_it() {
        let inet = [192, 0, 2, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80];
        let mut inet6 = [0; INET6];
        inet6[..2].copy_from_slice(&[0x20, 1]);
        inet6[15] = 7;
        inet6[32..34].copy_from_slice(&[0, 9]);
        let with_more = [&inet[..], &[4, 0, 2, 9, 9]].concat();
        for (header, from) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.2 8080 80\r\n".to_vec(), Some("192.0.2.1:8080")),
            (b"PROXY TCP6 2001::7 ::1 9 80\r\n".to_vec(), Some("[2001::7]:9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (version_2(0x21, 0x11, &inet), Some("192.0.2.1:8080")),
            (version_2(0x21, 0x11, &with_more), Some("192.0.2.1:8080")),
            (version_2(0x21, 0x21, &inet6), Some("[2001::7]:9")),
            (version_2(0x20, 0x11, &inet), None),
            (version_2(0x20, 0x00, b""), None),
            (version_2(0x21, 0x00, b"whatever"), None),
        ] {
            for one_by_one in [false, true] {
                let bytes = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
                let (said, rest) = reads(&bytes, one_by_one).unwrap();
                assert_eq!(said.map(|address| address.to_string()).as_deref(), from);
                assert_eq!(rest, b"GET / HTTP/1.1\r\n\r\n");
            }
        }
    }

    #[test]
    fn what_is_no_header_closes_the_connection() {
        for no_header in [
            &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
            b"",
            b"PROXY TCP4 1.2.3.4",
            b"PROXY TCP4 192.0.2.1 10.0.0.2 8080 80\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00",
        ] {
            assert!(reads(no_header, false).is_err(), "{no_header:?}");
        }
        let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        assert_eq!(reads(&endless, false), Err("the PROXY protocol header is too long"));
        let huge = version_2(0x21, 0x11, &vec![0; MAX_REST + 1]);
        assert_eq!(reads(&huge, false), Err("the PROXY protocol header is too long"));
    }

    #[test]
    fn lines_say_two_addresses_of_a_family_and_two_ports() {
        for line in [
            "PROXY",
            "PROXY TCP4",
            "proxy TCP4 1.2.3.4 1.2.3.4 1 2",
            "PROXY TCP4  1.2.3.4 1.2.3.4 1 2",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3",
            "PROXY TCP4 01.2.3.4 1.2.3.4 1 2",
            "PROXY TCP4 ::1 ::1 1 2",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2",
            "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2",
            "PROXY TCP4 1.2.3.4 x 1 2",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2",
        ] {
            assert!(text(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn nothing_of_a_header_reaches_over_its_end() {
        assert!(binary(0x21, 0x11, &[0; INET - 1]).is_err());
        assert!(binary(0x21, 0x21, &[0; INET6 - 1]).is_err());
        assert!(binary(0x21, 0x11, &[&[0; INET][..], &[1, 0, 3, 9, 9]].concat()).is_err());
        assert!(binary(0x21, 0x11, &[&[0; INET][..], &[1, 0]].concat()).is_err());
        assert!(binary(0x11, 0x11, &[0; INET]).is_err(), "another version");
        assert!(binary(0x22, 0x11, &[0; INET]).is_err(), "another command");
        assert!(binary(0x21, 0x12, &[0; INET]).is_err(), "datagrams");
        assert_eq!(binary(0x21, 0x31, &[0; 216]), Ok(None), "a socket of that machine");
    }
}
