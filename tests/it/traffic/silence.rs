//! What says nothing for too long.

use super::{behind_edge, flags};
use mesh_tests::harness::Mesh;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Answers each connection with these parts, each after a pause.
fn parts(answer: Vec<(u64, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                for (pause, part) in answer {
                    std::thread::sleep(Duration::from_millis(pause));
                    if stream.write_all(part.as_bytes()).is_err() {
                        return;
                    }
                }
                // It says nothing more, and does not close.
                std::thread::sleep(Duration::from_secs(5));
            });
        }
    });
    address
}

fn mesh(address: &str, statements: &str) -> Mesh {
    let text = behind_edge(&[], statements);
    Mesh::start(&text.replace("endpoints static ", &format!("endpoints static \"{address}\"")), &[])
}

/// What the client of one request gets, and how long that took.
fn answer(mesh: &Mesh) -> (String, Duration) {
    let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
    let began = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    // A response that is cut off may end in a reset.
    let _ = stream.read_to_string(&mut text);
    (text, began.elapsed())
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n";

#[test]
fn a_service_that_says_nothing_is_given_up() {
    let mesh = mesh(&parts(vec![(3_000, HEAD)]), "idle-timeout 200ms");
    let (text, took) = answer(&mesh);
    assert!(text.starts_with("HTTP/1.1 504 "), "{text}");
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    assert_eq!(flags(mesh), ["SI"]);
}

#[test]
fn a_response_that_falls_silent_is_cut_off() {
    let mesh = mesh(&parts(vec![(0, HEAD), (0, "abc"), (3_000, "def")]), "idle-timeout 200ms");
    let (text, took) = answer(&mesh);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("abc"), "{text}");
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    assert_eq!(flags(mesh), ["SI"]);
}

#[test]
fn what_comes_slowly_but_comes_is_not_silent() {
    let steady = vec![(300, HEAD), (300, "a"), (300, "b"), (300, "c"), (300, "d"), (300, "e"), (300, "f")];
    let mesh = mesh(&parts(steady), "idle-timeout 1500ms");
    let (text, took) = answer(&mesh);
    assert!(text.ends_with("abcdef"), "{text}");
    assert!(took >= Duration::from_millis(2_100), "{took:?}");
    assert_eq!(flags(mesh), [""]);
}

#[test]
fn the_rule_says_more_than_the_service() {
    let address = parts(vec![(600, HEAD), (0, "abcdef")]);
    let text = behind_edge(&[], "idle-timeout 100ms")
        .replace("endpoints static ", &format!("endpoints static \"{address}\""))
        .replace(
            "route edge { to s }",
            "route edge { rule r { match /**; to s; idle-timeout none }\n otherwise 404 }",
        );
    let mesh = Mesh::start(&text, &[]);
    assert!(answer(&mesh).0.ends_with("abcdef"));
    assert_eq!(flags(mesh), [""]);
}
