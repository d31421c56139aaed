//! A plan made of the bytes, damaged and sealed again: it is refused, or it decides every request. What is accepted also comes back from
//! its values as it was.

#![no_main]

#[path = "plan/damage.rs"]
mod damage;
#[path = "plan/generate.rs"]
mod generate;
#[path = "plan/requests.rs"]
mod requests;

use mesh_engine::{Action, Entry, Moment, Peer, Refusal, Request, decide, distribution};
use mesh_plan::{PlanView, encode, verify};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often each plan is damaged: so often that keeping the books about coverage takes less than the work.
const ROUNDS: usize = 128;
/// Requests to what is accepted, each time.
const REQUESTS: usize = 8;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let plan = encode(&generate::plan(&mut draw)).expect("a plan within all limits");
    for _ in 0..ROUNDS {
        let mut damaged = plan.clone();
        damage::damage(&mut draw, &mut damaged);
        VERIFIED.fetch_add(1, Ordering::Relaxed);
        let Ok(view) = verify(damaged) else { continue };
        ACCEPTED.fetch_add(1, Ordering::Relaxed);
        for _ in 0..REQUESTS {
            requests::with_request(&mut draw, &view, |entry, peer, request| {
                decides(&view, entry, peer, request)
            });
        }
        if draw.one_in(128) {
            comes_back(&view);
        }
    }
    count();
});

/// A request is decided, and all that the decision refers to is there.
fn decides(view: &PlanView, entry: Entry, peer: Peer<'_>, request: &Request<'_>) {
    DECIDED.fetch_add(1, Ordering::Relaxed);
    let decision = decide(view, entry, peer, request, Moment { dice: 7 });
    let ends = distribution(view, entry, peer, request);
    let sum: u128 = ends.possible.iter().map(|possible| possible.numerator).sum();
    assert_eq!(sum, ends.denominator, "something happens to each request");
    assert!(ends.possible.iter().any(|possible| possible.decision == decision), "{decision:?} is possible");
    for possible in &ends.possible {
        let decision = &possible.decision;
        assert!(decision.action != Action::Refuse(Refusal::Broken), "a verified plan says all");
        decision.edited.edits(view).for_each(drop);
        decision.edited.path(view, request.path);
        decision.edited.host(view, request.host);
        if let Action::Forward(to) = &decision.action {
            mesh_engine::endpoints(view, to.service_index, to.port, to.subset_index).for_each(drop);
        }
    }
}

/// The values of a plan that was accepted are a plan that is accepted, with the same values and the same text.
fn comes_back(view: &PlanView) {
    let values = view.to_plan();
    let again = verify(encode(&values).expect("a plan within all limits")).expect("what was accepted");
    assert_eq!(again.to_plan(), values);
    assert_eq!(mesh_plan::text(&again).lines().count(), mesh_plan::text(view).lines().count());
}

static VERIFIED: AtomicU64 = AtomicU64::new(0);
static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static DECIDED: AtomicU64 = AtomicU64::new(0);

/// Says now and then how much was tried.
fn count() {
    let verified = VERIFIED.load(Ordering::Relaxed);
    if verified % (1 << 20) < ROUNDS as u64 {
        let (accepted, decided) = (ACCEPTED.load(Ordering::Relaxed), DECIDED.load(Ordering::Relaxed));
        eprintln!("{verified} plans verified, {accepted} of them accepted, {decided} requests decided");
    }
}

/// Numbers out of the bytes, and when these are used up, out of a generator that begins with them (Marsaglia, "Xorshift RNGs", 2003).
struct Draw<'b> {
    bytes: &'b [u8],
    state: u64,
}

impl<'b> Draw<'b> {
    fn new(bytes: &'b [u8]) -> Draw<'b> {
        // FNV-1a, which is not 0 but for texts that nobody meets.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Draw { bytes, state: bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1 }
    }

    fn byte(&mut self) -> u8 {
        if let Some((first, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return *first;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) as u8
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number below another one, which is not 0.
    fn below(&mut self, count: usize) -> usize {
        let low = usize::from(self.byte());
        if count > 256 { (usize::from(self.byte()) << 8 | low) % count } else { low % count }
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 1
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }

    /// Some of so many, in order.
    fn some(&mut self, count: usize) -> Vec<u32> {
        let chosen = self.byte();
        (0..count.min(8) as u32).filter(|place| chosen >> place & 1 == 1).collect()
    }
}
