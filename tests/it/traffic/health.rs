//! Endpoints that are asked whether they are well.

use super::{behind_edge, flags};
use mesh_tests::harness::{Mesh, Upstream};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Answers requests with 200, and questions about its health with this status after this pause, both of which a test changes.
pub(super) struct Patient {
    pub(super) address: String,
    pub(super) status: Arc<AtomicU64>,
    pause: Arc<AtomicU64>,
    pub(super) asked: Arc<AtomicUsize>,
    pub(super) served: Arc<AtomicUsize>,
}

pub(super) fn patient() -> Patient {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let patient = Patient {
        address: listener.local_addr().unwrap().to_string(),
        status: Arc::new(AtomicU64::new(200)),
        pause: Arc::default(),
        asked: Arc::default(),
        served: Arc::default(),
    };
    let (status, pause) = (patient.status.clone(), patient.pause.clone());
    let (asked, served) = (patient.asked.clone(), patient.served.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (status, pause, asked, served) =
                (status.clone(), pause.clone(), asked.clone(), served.clone());
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if stream.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let is_question = head.starts_with("GET /health HTTP/1.1\r\n");
                    let own = if is_question { status.load(Ordering::SeqCst) } else { 200 };
                    if is_question {
                        std::thread::sleep(Duration::from_millis(pause.load(Ordering::SeqCst)));
                    }
                    (if is_question { &asked } else { &served }).fetch_add(1, Ordering::SeqCst);
                    let answer = format!("HTTP/1.1 {own} X\r\ncontent-length: 2\r\n\r\nok");
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    patient
}

fn mesh(patients: &[&str], statements: &str) -> Mesh {
    let addresses: Vec<String> = patients.iter().map(|own| format!("\"{own}\"")).collect();
    let text = behind_edge(&[], statements);
    Mesh::start(
        &text.replace("endpoints static ", &format!("endpoints static {}", addresses.join(", "))),
        &[],
    )
}

/// The statuses of so many requests.
fn ask(mesh: &Mesh, requests: usize) -> Vec<u16> {
    let mut client = mesh.connect("edge.default/web");
    (0..requests).map(|_| client.get("a", "/", &[]).unwrap().0).collect()
}

/// Waits until it holds, within reason.
pub(super) fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never holds");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How many of ten requests it serves.
fn served(mesh: &Mesh, patient: &Patient) -> usize {
    let before = patient.served.load(Ordering::SeqCst);
    assert_eq!(ask(mesh, 10), [200; 10]);
    patient.served.load(Ordering::SeqCst) - before
}

#[test]
fn who_says_that_it_is_not_well_gets_nothing_until_it_is() {
    let (one, two) = (patient(), patient());
    let mesh =
        mesh(&[&one.address, &two.address], "health-check GET /health { interval 30ms; timeout 20ms }");
    // It is asked without a single request.
    wait_for(|| one.asked.load(Ordering::SeqCst) > 2 && two.asked.load(Ordering::SeqCst) > 2);
    assert_eq!(served(&mesh, &one), 5);
    one.status.store(503, Ordering::SeqCst);
    wait_for(|| served(&mesh, &one) == 0);
    assert_eq!(served(&mesh, &one), 0);
    one.status.store(204, Ordering::SeqCst);
    wait_for(|| served(&mesh, &one) == 5);
}

#[test]
fn who_takes_too_long_to_say_is_not_well() {
    let (one, two) = (patient(), patient());
    let mesh =
        mesh(&[&one.address, &two.address], "health-check GET /health { interval 200ms; timeout 100ms }");
    one.pause.store(5_000, Ordering::SeqCst);
    wait_for(|| served(&mesh, &one) == 0);
}

#[test]
fn answers_in_a_row_are_counted() {
    let (one, two) = (patient(), patient());
    let mesh = mesh(
        &[&one.address, &two.address],
        "health-check GET /health { interval 60ms; timeout 50ms; unhealthy 3; healthy 5 }",
    );
    wait_for(|| one.asked.load(Ordering::SeqCst) > 0);
    one.status.store(500, Ordering::SeqCst);
    let failing = one.asked.load(Ordering::SeqCst);
    wait_for(|| served(&mesh, &one) == 0);
    assert!(one.asked.load(Ordering::SeqCst) - failing >= 3 - 1, "an answer may have been under way");
    one.status.store(200, Ordering::SeqCst);
    let well = one.asked.load(Ordering::SeqCst);
    wait_for(|| served(&mesh, &one) == 5);
    assert!(one.asked.load(Ordering::SeqCst) - well >= 5 - 1);
}

#[test]
fn a_connection_is_an_answer_too_and_where_nobody_is_well_nobody_is_asked() {
    let one = Upstream::named("one");
    // Port 1 of this machine is nobody's.
    let two = mesh(&["127.0.0.1:1", &one.address], "health-check tcp { interval 30ms; timeout 20ms }");
    wait_for(|| ask(&two, 10) == [200; 10]);
    let none = mesh(&["127.0.0.1:1"], "health-check tcp { interval 30ms; timeout 20ms }");
    wait_for(|| {
        ask(&none, 1);
        none.address("edge.default/web").port() > 0 && ask(&none, 1) == [503]
    });
    std::thread::sleep(Duration::from_millis(200));
    ask(&none, 1);
    assert_eq!(flags(none).last().map(String::as_str), Some("UH"));
    let panics = mesh(
        &["127.0.0.1:1", &one.address],
        "panic-threshold 60%\n  health-check tcp { interval 30ms; timeout 20ms }",
    );
    std::thread::sleep(Duration::from_millis(300));
    let statuses = ask(&panics, 10);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 5, "all are used: {statuses:?}");
}
