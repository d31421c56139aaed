//! How a connection of TLS begins: its ClientHello (RFC 8446 4.1.2), which says whom the client asks for and what it would speak. It is looked
//! at and not altered: whoever ends the TLS reads the same bytes.

use crate::bounds::Bound;
use crate::http1::Closing;
use crate::identity::Inside;
use crate::transport::{Begun, Transport};
use rustls::server::{Accepted, Acceptor};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Bytes until the end of a ClientHello: the longest record of TLS, as in Envoy's inspector. Browsers send some 2,000, with keys of
/// post-quantum exchange.
const MAX_HELLO: usize = 16 * 1024;
/// What is read at once: nearly always all of it.
const READ: usize = 4 * 1024;

/// What a ClientHello says.
pub(crate) struct Hello {
    /// Whom it asks for (SNI, RFC 6066 3): a name in lower case.
    pub(crate) name: Option<String>,
    /// Whether it is another proxy's of the mesh, to which this one answers itself.
    pub(crate) is_ours: bool,
}

impl Hello {
    fn of(accepted: &Accepted) -> Hello {
        let said = accepted.client_hello();
        let mut offers = said.alpn().into_iter().flatten();
        Hello { name: said.server_name().map(str::to_owned), is_ours: offers.any(Inside::is_tls_of_mesh) }
    }
}

/// A connection behind its ClientHello, which can be read again.
pub(crate) enum Greeted<S> {
    Tls(Hello, Begun<S>),
    /// It does not begin like TLS, in these words.
    Other(String, Begun<S>),
    /// It has ended before it began.
    Gone,
}

/// Reads a ClientHello.
pub(crate) async fn greet<S: Transport>(
    mut stream: S,
    closing: &mut watch::Receiver<Option<Closing>>,
) -> Greeted<S> {
    let mut acceptor = Acceptor::default();
    let mut read = Vec::new();
    let mut until = Instant::now() + Bound::DetectTime.time();
    let mut is_closing = false;
    loop {
        let before = read.len();
        let mut room = (&mut stream).take((MAX_HELLO - before).min(READ) as u64);
        let count = tokio::select! {
            biased;
            count = timeout_at(until, room.read_buf(&mut read)) => count,
            closing = closing.wait_for(Option::is_some), if !is_closing && before == 0 => {
                let Some(closing) = closing.ok().and_then(|closing| *closing) else { return Greeted::Gone };
                (is_closing, until) = (true, until.min(Instant::now() + closing.last_call));
                continue;
            }
        };
        let other = |why: &str, read, rest| Greeted::Other(why.to_owned(), Begun { read, rest });
        match count {
            Ok(Ok(1..)) => {}
            Ok(_) if before == 0 => return Greeted::Gone,
            Ok(_) => return other("it ended in its ClientHello", read, stream),
            Err(_) if is_closing => return Greeted::Gone,
            Err(_) => return other("its ClientHello took too long", read, stream),
        }
        let mut bytes = read.get(before..).unwrap_or_default();
        while !bytes.is_empty() {
            if acceptor.read_tls(&mut bytes).is_err() {
                return other("its ClientHello is too long", read, stream);
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                return Greeted::Tls(Hello::of(&accepted), Begun { read, rest: stream });
            }
            Ok(None) if read.len() >= MAX_HELLO => {
                return other("its ClientHello is too long", read, stream);
            }
            Ok(None) => {}
            Err((error, _)) => return other(&error.to_string(), read, stream),
        }
    }
}

/// Why a connection is refused, as TLS says it (RFC 8446 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    AccessDenied = 49,
    /// It asks for nobody, and whom it means is known by that alone.
    MissingExtension = 109,
    UnrecognizedName = 112,
}

impl Alert {
    /// In a record in the clear, as before any keys are agreed on.
    pub(crate) fn bytes(self) -> [u8; 7] {
        const ALERT: u8 = 21;
        const FATAL: u8 = 2;
        [ALERT, 3, 3, 0, 2, FATAL, self as u8]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::io::{AsyncWriteExt, duplex};

    impl Transport for tokio::io::DuplexStream {
        fn has_bytes(&self) -> bool {
            false
        }

        fn reset_when_closed(&self) {}
    }

    /// A handshake record of a ClientHello for a name, or for nobody, with so many bytes of padding (RFC 7685).
    fn hello(name: Option<&str>, padding: usize) -> Vec<u8> {
        let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let extension = |kind: u16, bytes: &[u8]| [&kind.to_be_bytes(), long(bytes).as_slice()].concat();
        let name = name.map(|name| extension(0, &long(&[&[0], long(name.as_bytes()).as_slice()].concat())));
        let extensions = [
            name.unwrap_or_default(),
            extension(13, &long(&[4, 3])),
            extension(16, &long(b"\x02h2")),
            extension(21, &vec![0; padding]),
        ];
        let body =
            [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1]), &[1, 0], &long(&extensions.concat())].concat();
        let message = [&[1, 0], long(&body).as_slice()].concat();
        let records = message.chunks(16_000).map(|part| [&[22, 3, 1], long(part).as_slice()].concat());
        records.collect::<Vec<_>>().concat()
    }

    /// What is made of bytes that come in parts, after which the client waits, or ends.
    async fn greeted(parts: &[&[u8]], ends: bool) -> Greeted<tokio::io::DuplexStream> {
        let (mut client, server) = duplex(64 * 1024);
        let (_tell, mut closing) = watch::channel(None);
        let mut greeted = pin!(greet(server, &mut closing));
        for part in parts {
            client.write_all(part).await.unwrap();
            tokio::select! {
                biased;
                greeted = &mut greeted => return greeted,
                () = tokio::task::yield_now() => {}
            }
        }
        if ends {
            drop(client);
        }
        greeted.await
    }

    #[tokio::test(start_paused = true)]
    async fn a_hello_is_read_in_whatever_parts_it_comes_and_stays_what_it_was() {
        let bytes = hello(Some("Shop.Test"), 300);
        for size in [1, 7, 100, bytes.len()] {
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            let Greeted::Tls(hello, begun) = greeted(&parts, false).await else { panic!("parts of {size}") };
            assert_eq!(hello.name.as_deref(), Some("shop.test"));
            assert!(!hello.is_ours);
            assert!(bytes == begun.read, "parts of {size}");
        }
        let bytes = hello(None, 0);
        let Greeted::Tls(hello, _) = greeted(&[&bytes], false).await else { panic!("it is TLS") };
        assert_eq!(hello.name, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_begin_like_tls_is_told_from_it() {
        let why = |greeted| match greeted {
            Greeted::Tls(..) => "TLS".to_owned(),
            Greeted::Other(why, _) => why,
            Greeted::Gone => "gone".to_owned(),
        };
        let bytes = hello(Some("shop.test"), 0);
        let half = &bytes[..bytes.len() / 2];
        assert_eq!(why(greeted(&[half], true).await), "it ended in its ClientHello");
        assert_eq!(why(greeted(&[half], false).await), "its ClientHello took too long");
        assert_eq!(why(greeted(&[], false).await), "its ClientHello took too long");
        assert_eq!(why(greeted(&[], true).await), "gone");
        assert!(why(greeted(&[b"GET / HTTP/1.1\r\n\r\n"], false).await).contains("corrupt message"));
        let long = hello(Some("shop.test"), 20_000);
        assert_eq!(why(greeted(&[&long], false).await), "its ClientHello is too long");
    }
}
