//! No poll, clone, wake, sleep, join, race, stop or descriptor allocates; nor do start and drop. (`unblock` does.)

#![warn(unsafe_op_in_unsafe_fn)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use support::Fake;
use taskhost::{ffi, join, race};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

static STREAM: Mutex<Option<UnixStream>> = Mutex::new(None);

async fn everything() {
    let stream = STREAM.lock().unwrap().take();
    let mut kept: Option<Waker> = None;
    loop {
        taskhost::sleep(Duration::from_secs(1)).await;
        join!(taskhost::sleep(Duration::from_secs(2)), taskhost::sleep_until(taskhost::now()), taskhost::yield_now());
        race!(taskhost::sleep(Duration::from_secs(3)), taskhost::stopped(), async {
            if let Some(stream) = &stream {
                taskhost::readable(stream).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let _ = taskhost::timeout(Duration::from_secs(1), taskhost::sleep(Duration::from_secs(5))).await;
        support::poll_fn(|context| {
            let waker = context.waker().clone();
            waker.wake_by_ref();
            let another = waker.clone();
            another.wake();
            kept = Some(waker);
            Poll::Ready(())
        })
        .await;
    }
}

#[test]
fn an_execution_allocates_nothing_from_start_to_drop() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1); // the counter works
    let (_ours, theirs) = UnixStream::pair().unwrap();
    *STREAM.lock().unwrap() = Some(theirs);
    let factory = factory!(everything);
    Fake::started(factory).poll(); // the first one in the process sets the panic hook
    let (_ours, theirs) = UnixStream::pair().unwrap();
    *STREAM.lock().unwrap() = Some(theirs);

    let mut fake = Fake::new(factory);
    let mut status = ffi::PENDING;
    let mut agains = 0;
    let made = allocations(|| {
        assert_eq!(fake.start(), ffi::OK);
        assert_eq!(fake.poll(), ffi::PENDING);
    });
    assert_eq!(made, 0);
    for round in 0..100 {
        let made = allocations(|| {
            if status == ffi::AGAIN {
                agains += 1;
                status = fake.poll();
            } else {
                status = fake.poll_at_timer();
            }
        });
        assert_eq!(made, 0, "allocations in poll {}", round);
        assert!(status == ffi::PENDING || status == ffi::AGAIN);
    }
    assert_eq!(allocations(|| fake.drop_state()), 0);
    assert!(agains > 10);
}
