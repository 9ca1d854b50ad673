//! One execution: its memory, how it ends, what a stop does.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use support::{Fake, SECOND};
use taskhost::ffi;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_future_lives_pinned_in_the_memory_of_the_host() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    struct Pinned(std::marker::PhantomPinned);
    impl Future for Pinned {
        type Output = ();
        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            SEEN.store(&*self as *const Pinned as usize, Ordering::SeqCst);
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    async fn task() {
        let large = [1u8; 5000];
        Pinned(std::marker::PhantomPinned).await;
        assert_eq!(large, [1; 5000]);
    }
    let mut fake = Fake::started(factory!(task));
    assert!(fake.state_size() >= 5000);
    assert_eq!(fake.poll(), ffi::AGAIN);
    let place = SEEN.load(Ordering::SeqCst);
    assert!(fake.memory().contains(&place));
    assert_eq!(fake.poll(), ffi::AGAIN);
    assert_eq!(place, SEEN.load(Ordering::SeqCst));
}

#[test]
fn a_future_with_a_large_alignment_gets_it() {
    #[repr(align(512))]
    struct Aligned(u8);
    async fn task() {
        let aligned = Aligned(1);
        taskhost::yield_now().await;
        assert_eq!(&aligned as *const Aligned as usize % 512, 0);
        assert_eq!(aligned.0, 1);
    }
    let factory = factory!(task);
    assert_eq!(factory.state_align, 512);
    let mut fake = Fake::started(factory);
    assert_eq!(fake.poll(), ffi::AGAIN);
    assert_eq!(fake.poll(), ffi::OK);
}

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
struct Counted;
impl Counted {
    fn new() -> Counted {
        MADE.fetch_add(1, Ordering::SeqCst);
        Counted
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn whatever_is_alive_is_dropped_exactly_once_at_each_pending_point() {
    async fn task() -> Result<(), String> {
        let _outer = Counted::new();
        for _ in 0..3 {
            let _inner = Counted::new();
            taskhost::sleep(seconds(1)).await;
        }
        let (_first, second) = (Counted::new(), Counted::new());
        taskhost::join!(
            async move {
                let _moved = second;
                taskhost::sleep(seconds(2)).await;
            },
            taskhost::sleep(seconds(1))
        );
        Err("done".to_string())
    }
    let factory = factory!(task);
    for polls in 0..7 {
        MADE.store(0, Ordering::SeqCst);
        DROPPED.store(0, Ordering::SeqCst);
        let mut fake = Fake::started(factory);
        for number in 0..polls {
            let status = if number == 0 { fake.poll() } else { fake.poll_at_timer() };
            assert_eq!(status, if number == 5 { ffi::ERROR } else { ffi::PENDING });
            if status == ffi::ERROR {
                break;
            }
        }
        fake.drop_state();
        assert_eq!(MADE.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst), "after {} polls", polls);
        assert_eq!(MADE.load(Ordering::SeqCst), [0, 2, 3, 4, 6, 6, 6][polls]);
    }
}

#[test]
fn outcomes_are_ok_and_error_with_the_text() {
    async fn nothing() {}
    async fn ok() -> Result<(), String> {
        Ok(())
    }
    async fn error(_: taskhost::Context) -> Result<(), Box<dyn std::error::Error>> {
        "x".parse::<i32>()?;
        Ok(())
    }
    assert_eq!(Fake::started(factory!(nothing)).poll(), ffi::OK);
    assert_eq!(Fake::started(factory!(ok)).poll(), ffi::OK);
    let mut fake = Fake::started(factory!(error));
    assert_eq!(fake.poll(), ffi::ERROR);
    assert_eq!(fake.failure().unwrap(), "invalid digit found in string");
}

#[test]
fn outcomes_of_blocking_tasks_are_told_as_well() {
    fn ok() {}
    fn error(task: taskhost::Context) -> Result<(), String> {
        Err(format!("{} {}", task.task_name(), task.execution_number()))
    }
    fn panics() {
        panic!("deep {}", "water");
    }
    assert_eq!(Fake::started(factory!(blocking ok)).run(), ffi::OK);
    let mut fake = Fake::started(factory!(blocking error));
    assert_eq!((fake.run(), fake.failure().unwrap().as_str()), (ffi::ERROR, "fake 7"));
    let mut fake = Fake::started(factory!(blocking panics));
    assert_eq!(fake.run(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("deep water (tests/execution.rs:"));
}

#[test]
fn a_panic_in_poll_is_reported_with_its_text_and_place() {
    async fn task() {
        taskhost::yield_now().await;
        panic!("the pump is dry");
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::AGAIN);
    assert_eq!(fake.poll(), ffi::PANIC);
    let text = fake.failure().unwrap();
    assert!(text.starts_with("the pump is dry (tests/execution.rs:"), "{}", text);
    fake.drop_state();
}

#[test]
fn a_panic_in_start_is_reported_and_nothing_was_made() {
    fn task() -> std::future::Ready<()> {
        panic!("no water")
    }
    let mut fake = Fake::new(factory!(task));
    assert_eq!(fake.start(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("no water ("));
}

struct PanicsInDrop;
impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("not my day");
    }
}

#[test]
fn a_panic_in_drop_is_logged() {
    async fn task() {
        let _bad = PanicsInDrop;
        taskhost::sleep(seconds(1)).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.drop_state();
    assert_eq!(fake.failure(), None);
    assert!(fake.log()[0].starts_with("4 not my day ("));
}

#[test]
fn a_panic_with_a_payload_that_panics_again_does_not_get_out() {
    async fn task() {
        std::panic::panic_any(PanicsInDrop);
    }
    async fn display() -> Result<(), Bad> {
        Err(Bad)
    }
    struct Bad;
    impl std::fmt::Display for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words");
        }
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("a panic whose payload is no text"));
    let mut fake = Fake::started(factory!(display));
    assert_eq!(fake.poll(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("no words"));
}

#[test]
fn a_very_long_error_is_cut() {
    async fn task() -> Result<(), String> {
        Err("é".repeat(10_000))
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::ERROR);
    assert_eq!(fake.failure().unwrap().len(), 4096);
}

#[test]
fn a_task_that_never_asked_about_the_stop_ends_at_its_await_point() {
    async fn task() {
        loop {
            taskhost::sleep(seconds(1)).await;
        }
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    fake.request_stop();
    assert_eq!(fake.poll(), ffi::OK);
}

#[test]
fn a_stop_before_the_first_poll_means_that_nothing_runs() {
    async fn task() {
        panic!("it ran");
    }
    let mut fake = Fake::started(factory!(task));
    fake.request_stop();
    assert_eq!(fake.poll(), ffi::OK);
}

#[test]
fn who_awaits_the_stop_is_told_and_takes_the_time_it_needs() {
    async fn task() -> Result<(), &'static str> {
        taskhost::stopped().await;
        taskhost::stopped().await; // the second time it is over at once
        taskhost::sleep(seconds(3)).await;
        Err("saved")
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.advance(SECOND);
    assert_eq!(fake.poll(), ffi::PENDING); // spurious
    fake.request_stop();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(3 * SECOND));
    assert_eq!(fake.poll_at_timer(), ffi::ERROR);
    assert_eq!(fake.failure().unwrap(), "saved");
}

#[test]
fn who_has_once_asked_about_the_stop_is_not_dropped_in_its_work() {
    async fn task() {
        assert!(!taskhost::stop_requested());
        taskhost::sleep(seconds(1)).await;
        assert!(taskhost::stop_requested());
        taskhost::log(taskhost::Level::Info, "finished");
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.request_stop();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::OK);
    assert_eq!(fake.log(), ["2 finished"]);
}

#[test]
fn services_reach_the_host_also_from_destructors() {
    struct Says;
    impl Drop for Says {
        fn drop(&mut self) {
            taskhost::warning!("{} goes", taskhost::task_name());
        }
    }
    async fn task(task: taskhost::Context) {
        let _says = Says;
        assert_eq!(task.config(), "{\"a\": 1}");
        assert_eq!(task.execution_number(), 7);
        task.notify_ready();
        task.heartbeat();
        task.status(format_args!("{} of {}", 1, 2));
        taskhost::debug!("{}", 1);
        // SAFETY: a literal with its NUL.
        let id = unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(b"none\0") };
        assert!(taskhost::extension(id, 1).is_null());
        task.sleep(seconds(1)).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.drop_state();
    assert_eq!(fake.log(), ["ready", "heartbeat", "status: 1 of 2", "1 1", "3 fake goes"]);
}

#[test]
fn a_blocking_task_waits_until_the_stop() {
    fn task() {
        let begin = taskhost::now();
        assert!(taskhost::wait_for(seconds(5)).time());
        assert_eq!(taskhost::now() - begin, seconds(5));
        let waited = taskhost::wait_until(taskhost::now() + seconds(1));
        assert!(waited.time() && !waited.stop() && !waited.wake());
    }
    fn stopped() {
        assert!(taskhost::stop_requested());
        assert!(taskhost::wait().stop());
        assert_eq!(taskhost::wait_fd(), Some(7));
    }
    let mut fake = Fake::started(factory!(blocking task));
    assert_eq!((fake.run(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.waits(), [1005 * SECOND, 1006 * SECOND]);
    let mut fake = Fake::started(factory!(blocking stopped));
    fake.request_stop();
    assert_eq!((fake.run(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.waits(), [ffi::NEVER]);
}

#[test]
fn used_in_the_wrong_place_a_function_panics_and_says_so() {
    async fn waits() {
        let _ = taskhost::wait();
    }
    fn sleeps() {
        let mut sleep = Box::pin(taskhost::sleep(seconds(1)));
        let waker = taskhost::waker();
        let _ = sleep.as_mut().poll(&mut Context::from_waker(&waker));
    }
    let mut fake = Fake::started(factory!(waits));
    assert_eq!(fake.poll(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("waiting is for blocking tasks"));
    let mut fake = Fake::started(factory!(blocking sleeps));
    assert_eq!(fake.run(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("taskhost::sleep() is for async tasks"));
    let payload = std::panic::catch_unwind(|| drop(taskhost::sleep(seconds(1)))).unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("taskhost::sleep() works only inside a task"));
}

mod plugin {
    async fn first() {}
    async fn second(_: taskhost::Context) {}
    fn third() {}
    mod inner {
        pub fn fourth(_: taskhost::Context) -> Result<(), String> {
            Ok(())
        }
    }
    taskhost::plugin! {
        /// The first line.
        /// The second line.
        "first" => first,
        "second" => second,
        "third" => blocking third,
        "fourth" => blocking inner::fourth,
    }
}

#[test]
fn a_plugin_has_a_chain_of_factories() {
    let mut factory = plugin::taskhost_plugin_v1();
    let mut found = Vec::new();
    // SAFETY: statics.
    while let Some(there) = unsafe { factory.as_ref() } {
        let text = |text: *const std::os::raw::c_char| {
            // SAFETY: a literal, or NULL.
            (!text.is_null()).then(|| unsafe { std::ffi::CStr::from_ptr(text) }.to_str().unwrap())
        };
        let functions = [there.start.is_some(), there.poll.is_some(), there.run.is_some(), there.drop.is_some()];
        found.push((text(there.name).unwrap(), text(there.description), functions));
        assert_eq!(text(there.version), Some("0.1.0"));
        assert_eq!(there.struct_size as usize, std::mem::size_of::<ffi::Factory>());
        factory = there.next;
    }
    let polled = [true, true, false, true];
    let blocking = [false, false, true, false];
    let expected = [
        ("first", Some("The first line."), polled),
        ("second", None, polled),
        ("third", None, blocking),
        ("fourth", None, blocking),
    ];
    assert_eq!(found, expected);
    assert_eq!(plugin::taskhost_plugin_v1(), plugin::taskhost_plugin_v1());
}
