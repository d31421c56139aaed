//! What stays and what is replaced, when a name is asked for again, and what is said of it.

use super::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use tokio::time::Instant;

fn ips<const N: usize>(texts: [&str; N]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn told<const N: usize>(texts: [&str; N], seconds: u64) -> Told {
    Told::Addresses(ips(texts), Duration::from_secs(seconds))
}

fn failed() -> Told {
    Told::Failed("192.0.2.53:53: SERVFAIL".to_owned())
}

thread_local! {
    static SAID: RefCell<Vec<String>> = RefCell::default();
}

fn say(what: &str) {
    SAID.with_borrow_mut(|said| said.push(what.to_owned()));
}

/// What is known after each of these answers, how long it was before the next question, and what the operator was told.
fn follow_through(answers: Vec<[Told; 2]>) -> (Vec<Vec<IpAddr>>, Vec<Duration>, Vec<String>) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let name = Name { host: "db.test".to_owned(), is_outside: false, is_asked: false };
    let own = RefCell::new(Some(Arc::new(Followed { name, known: watch::Sender::default() })));
    let weak = Arc::downgrade(own.borrow().as_ref().unwrap());
    let (left, known, asked) =
        (RefCell::new(VecDeque::from(answers)), RefCell::<Vec<_>>::default(), RefCell::<Vec<_>>::default());
    let changes = Changes::default();
    SAID.take();
    runtime.block_on(keep_looking(weak, &changes, say, async |_| {
        asked.borrow_mut().push(Instant::now());
        if let Some(own) = own.borrow().as_ref().filter(|_| asked.borrow().len() > 1) {
            known.borrow_mut().push(own.known.borrow().addresses.to_vec());
        }
        match left.borrow_mut().pop_front() {
            Some(answer) => answer,
            None => {
                own.take();
                [Told::Nothing, Told::Nothing]
            }
        }
    }));
    let pauses = asked.borrow().windows(2).map(|two| two[1] - two[0]).collect();
    (known.take(), pauses, SAID.take())
}

#[test]
fn the_last_addresses_stay_where_there_are_none_and_nothing_is_told_twice() {
    let both = [told(["192.0.2.2", "192.0.2.1"], 60), told(["fd00::1"], 60)];
    let (known, _, said) = follow_through(vec![
        both.clone(),
        [failed(), failed()],
        [Told::Nothing, Told::Nothing],
        [Told::Nothing, failed()],
        [told(["192.0.2.3"], 60), Told::Nothing],
    ]);
    let first = ips(["192.0.2.1", "192.0.2.2", "fd00::1"]);
    assert_eq!(known, [first.clone(), first.clone(), first.clone(), ips(["fd00::1"]), ips(["192.0.2.3"])]);
    let wrong =
        "warning: cannot look up `db.test`: 192.0.2.53:53: SERVFAIL; known so far: 3 addresses; asking again";
    assert_eq!(said, [wrong, "`db.test` has 1 address again"]);
}

#[test]
fn what_is_told_of_one_family_does_not_wait_for_the_other() {
    let (known, pauses, said) = follow_through(vec![
        [told(["192.0.2.1"], 10), failed()],
        [told(["192.0.2.2"], 10), told(["fd00::1"], 10)],
        [told(["192.0.2.2"], 10), failed()],
    ]);
    assert_eq!(known, [ips(["192.0.2.1"]), ips(["192.0.2.2", "fd00::1"]), ips(["192.0.2.2", "fd00::1"])]);
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)), "{pauses:?}");
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn answers_hold_for_their_time_within_bounds_and_failures_for_longer_and_longer() {
    let at = |seconds| [told(["192.0.2.1"], seconds), Told::Nothing];
    let (_, pauses, _) = follow_through(vec![at(0), at(100), at(100_000)]);
    let seconds = Duration::from_secs_f64;
    let within = |pause: Duration, least: f64, most: f64| {
        // The clock of a paused runtime goes in milliseconds.
        assert!(pause >= seconds(least) && pause <= seconds(most + 0.002), "{pause:?}: {least} to {most}");
    };
    within(pauses[0], 1.0, 1.0);
    within(pauses[1], 80.0, 100.0);
    within(pauses[2], 240.0, 300.0);
    let (known, pauses, _) = follow_through(vec![[failed(), failed()]; 8]);
    for (pause, most) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
        within(*pause, most / 2.0, most);
    }
    assert!(known.iter().all(Vec::is_empty));
}

#[test]
fn a_name_has_so_many_addresses_and_each_once() {
    let many: Vec<IpAddr> =
        (0..3_000u32).map(|own| std::net::Ipv4Addr::from(own / 2 + 1).into()).rev().collect();
    let (known, _, _) = follow_through(vec![[Told::Addresses(many, Duration::ZERO), Told::Nothing]]);
    assert_eq!(known[0].len(), MOST_ADDRESSES);
    assert_eq!(known[0][..2], ips(["0.0.0.1", "0.0.0.2"]));
}
