//! Time, and what the allocator hands out meanwhile.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The shortest of some runs, without giving back what they made.
pub fn best<T>(runs: usize, mut work: impl FnMut() -> T) -> Duration {
    let times = (0..runs).map(|_| {
        let start = Instant::now();
        let made = black_box(work());
        let time = start.elapsed();
        drop(made);
        time
    });
    times.min().unwrap_or_default()
}

/// The bytes that are still there when the work is done.
pub fn retained<T>(work: impl Fn() -> T) -> usize {
    let (made, (live, _)) = counted(work);
    drop(made);
    live
}

/// The most bytes there were at once while the work was done.
pub fn peak<T>(work: impl Fn() -> T) -> usize {
    let (made, (_, most)) = counted(work);
    drop(made);
    most
}

/// Bytes that live when the work is done, and the most that lived meanwhile.
pub fn counted<T>(work: impl Fn() -> T) -> (T, (usize, usize)) {
    LIVE.store(0, Relaxed);
    MOST.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
    let made = black_box(work());
    COUNTING.store(false, Relaxed);
    (made, (LIVE.load(Relaxed), MOST.load(Relaxed)))
}

/// What this thread asks the allocator for while the work is done: how often.
pub fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED.get();
    let made = black_box(work());
    (made, ASKED.get() - before)
}

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Counts what the allocator of the `mesh` command hands out, where it is asked to: counting takes time. The baselines have
/// the same one.
pub struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize, less: usize) {
    if more > 0 {
        // There is no counter any more where a thread ends.
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
    }
    if COUNTING.load(Relaxed) {
        let live = LIVE.load(Relaxed).wrapping_add(more).wrapping_sub(less);
        LIVE.store(live, Relaxed);
        MOST.fetch_max(live, Relaxed);
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator cannot be written without; each call goes to the other as it came"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}
