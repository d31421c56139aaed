//! Connections that have nothing to do keep nothing ready, and go on when there is something again.

use crate::plans::mesh;
use crate::proxy;
use crate::wire::{Client, Does, ok, upstream};
use std::time::Duration;

/// Longer than a connection needs to come to rest.
const PAUSE: Duration = Duration::from_millis(9_000);

#[test]
fn whatever_takes_long_goes_on_and_what_rested_serves_again() {
    let shop = upstream(|_, message| match message.line.starts_with("GET /shop/slow") {
        true => {
            Does::Pauses(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".into(), PAUSE, b"world".into())
        }
        false => ok(&format!("{} bytes", message.body.len())),
    });
    let (_proxy, edge) = proxy(mesh().to("shop", shop.address).view());
    let client = || Client::new(edge);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rests = client();
            for _ in 0..2 {
                assert_eq!(rests.get("/shop").unwrap().text(), "0 bytes");
                std::thread::sleep(PAUSE);
            }
            // Two at once, of which one is there when it wakes up and the other comes in pieces.
            rests.write(b"\r\nGET /shop HTTP/1.1\r\nhost: a\r\n\r\nGET /shop HTTP/1.1\r\nho");
            assert_eq!(rests.read().unwrap().text(), "0 bytes");
            rests.write(b"st: a\r\n\r\n");
            assert_eq!(rests.read().unwrap().text(), "0 bytes");
        });
        scope.spawn(|| {
            let answer = client().get("/shop/slow").unwrap();
            assert_eq!(answer.text(), "helloworld", "an answer that pauses");
        });
        scope.spawn(|| {
            let mut uploads = client();
            uploads.write(b"POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf");
            std::thread::sleep(PAUSE);
            uploads.write(b"half");
            assert_eq!(uploads.read().unwrap().text(), "8 bytes", "a request that pauses");
        });
    });
}
