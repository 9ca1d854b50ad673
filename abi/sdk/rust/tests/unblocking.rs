//! Work that blocks, on threads of the host's.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use support::Fake;
use taskhost::{ffi, join, resolve, select2, unblock, Either, Unblock};

#[test]
fn work_gives_its_result_to_who_awaits_it() {
    async fn task() {
        let here = std::thread::current().id();
        assert_ne!(unblock(|| std::thread::current().id()).await, here);
        let (text, number) = join!(unblock(|| "text".to_string()), unblock(move || 6 * 7));
        taskhost::info!("{} {}", text, number);
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!((fake.poll(), fake.works()), (ffi::PENDING, 1));
    assert_eq!((fake.poll(), fake.works()), (ffi::PENDING, 1)); // spurious
    fake.run_works();
    assert_eq!((fake.poll(), fake.works()), (ffi::PENDING, 2));
    fake.run_works();
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.log(), ["2 text 42"]);
    assert_eq!(fake.wake_count(), 2); // the host's, for each run_works; the branches were woken without it
}

#[test]
fn a_host_is_resolved_or_the_error_names_it() {
    async fn task() {
        for name in ["192.0.2.1:80", "[::1]:443", "192.0.2.1", "192.0.2.1:http"] {
            match resolve(name).await {
                Ok(addresses) => taskhost::info!("{:?}", addresses),
                Err(error) => taskhost::info!("{}", error),
            }
        }
    }
    let mut fake = Fake::started(factory!(task));
    for _ in 0..4 {
        assert_eq!(fake.poll(), ffi::PENDING);
        fake.run_works();
    }
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    let log = fake.log();
    assert_eq!(log[..2], ["2 [192.0.2.1:80]", "2 [[::1]:443]"]);
    assert_eq!(log[2], "2 can't resolve \"192.0.2.1\": invalid socket address");
    assert_eq!(log[3], "2 can't resolve \"192.0.2.1:http\": invalid port value");
}

#[test]
fn a_panic_in_the_work_goes_on_in_the_task() {
    async fn task() {
        unblock(|| {
            if taskhost_is_far() {
                panic!("the pump is {}", "dry");
            }
        })
        .await;
    }
    fn taskhost_is_far() -> bool {
        std::panic::catch_unwind(|| taskhost::info!("no execution here")).is_err()
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.run_works();
    assert_eq!(fake.poll(), ffi::PANIC);
    let text = fake.failure().unwrap();
    assert!(text.starts_with("the pump is dry (tests/unblocking.rs:"), "{}", text);
}

#[test]
fn without_a_thread_it_panics_and_says_so() {
    async fn task() {
        unblock(|| ()).await;
    }
    fn blocking() {
        let mut work = Box::pin(unblock(|| ()));
        let waker = taskhost::waker();
        let _ = work.as_mut().poll(&mut std::task::Context::from_waker(&waker));
    }
    let mut fake = Fake::started(factory!(task));
    fake.refuse_with(ffi::REFUSED_THREADS);
    assert_eq!(fake.poll(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("there is no thread for work that blocks; the host's log says why ("));
    let mut fake = Fake::started(factory!(blocking blocking));
    assert_eq!(fake.run(), ffi::PANIC);
    assert!(fake.failure().unwrap().starts_with("taskhost::unblock() is for async tasks"));
}

/// Counts how many are alive.
struct Counted(&'static AtomicUsize);
impl Counted {
    fn new(alive: &'static AtomicUsize) -> Counted {
        alive.fetch_add(1, Ordering::SeqCst);
        Counted(alive)
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn what_the_work_holds_and_gives_is_dropped_once_wherever_it_ends() {
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    let alive = || ALIVE.load(Ordering::SeqCst);
    async fn task() {
        drop(unblock(|| Counted::new(&ALIVE))); // never begun
        let held = Counted::new(&ALIVE);
        let work = unblock(move || (held, Counted::new(&ALIVE)));
        let first = select2(work, taskhost::sleep(Duration::from_secs(1))).await;
        if let Either::First(both) = first {
            taskhost::sleep(Duration::from_secs(2)).await;
            drop(both);
        }
        taskhost::sleep(Duration::from_secs(3)).await;
    }
    let factory = factory!(task);
    let started = || {
        let mut fake = Fake::started(factory);
        assert_eq!((fake.poll(), fake.works()), (ffi::PENDING, 1));
        fake
    };

    let mut fake = started(); // dropped before it is called
    assert_eq!(alive(), 1);
    fake.drop_state();
    assert_eq!(alive(), 0);

    let mut fake = started(); // dropped after it was called, and before it is told
    fake.run_works();
    assert_eq!(alive(), 2);
    fake.drop_state();
    assert_eq!(alive(), 0);

    let mut fake = started(); // dropped while it is going on
    let work = fake.take_work();
    fake.drop_state();
    assert_eq!(alive(), 1);
    std::thread::spawn(work).join().unwrap();
    assert_eq!(alive(), 0);

    let mut fake = started(); // given up
    assert_eq!((fake.poll_at_timer(), alive()), (ffi::PENDING, 1));
    fake.run_works();
    assert_eq!(alive(), 0);
    assert_eq!((fake.poll(), fake.poll_at_timer(), fake.failure()), (ffi::PENDING, ffi::OK, None));

    let mut fake = started(); // told
    fake.run_works();
    assert_eq!((fake.poll(), alive()), (ffi::PENDING, 2));
    assert_eq!((fake.poll_at_timer(), alive()), (ffi::PENDING, 0));
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::OK, None));
}

#[test]
fn a_result_or_a_work_that_panics_when_it_is_dropped_does_not_get_out() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("not my day");
        }
    }
    async fn result() {
        select2(unblock(|| Bad), taskhost::sleep(Duration::from_secs(1))).await;
        taskhost::sleep(Duration::from_secs(1)).await;
    }
    async fn work() {
        let held = Bad;
        let _: bool = unblock(move || std::mem::size_of_val(&held) > 0).await;
    }
    let mut fake = Fake::started(factory!(result)); // the fake host does not survive a panic
    assert_eq!((fake.poll(), fake.poll_at_timer()), (ffi::PENDING, ffi::PENDING));
    fake.run_works();
    assert_eq!((fake.poll(), fake.poll_at_timer()), (ffi::PENDING, ffi::OK));
    let mut fake = Fake::started(factory!(work));
    assert_eq!((fake.poll(), fake.works()), (ffi::PENDING, 1));
    fake.drop_state();
    assert_eq!(fake.log(), [""; 0]);
}

static MOVED: Mutex<Option<Pin<Box<Unblock<i32>>>>> = Mutex::new(None);

#[test]
fn a_work_that_left_its_execution_goes_on_in_another_one() {
    async fn begins() {
        let mut work = Box::pin(unblock(|| 42));
        support::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await;
        *MOVED.lock().unwrap() = Some(work);
        std::future::pending::<()>().await;
    }
    async fn goes_on() {
        let work = MOVED.lock().unwrap().take().unwrap();
        taskhost::info!("{}", work.await);
    }
    // Told to the first.
    let mut first = Fake::started(factory!(begins));
    assert_eq!(first.poll(), ffi::PENDING);
    let mut second = Fake::started(factory!(goes_on));
    assert_eq!(second.poll(), ffi::PENDING);
    first.run_works();
    assert_eq!((first.poll(), second.wake_count()), (ffi::PENDING, 1));
    assert_eq!((second.poll(), second.log()), (ffi::OK, vec!["2 42".to_string()]));

    // The first has ended when the work is done.
    let mut first = Fake::started(factory!(begins));
    assert_eq!(first.poll(), ffi::PENDING);
    let mut second = Fake::started(factory!(goes_on));
    assert_eq!(second.poll(), ffi::PENDING);
    let work = first.take_work();
    first.drop_state();
    std::thread::spawn(work).join().unwrap();
    assert_eq!(second.wake_count(), 1);
    assert_eq!((second.poll(), second.log()), (ffi::OK, vec!["2 42".to_string()]));

    // The first has ended before the work has begun.
    let mut first = Fake::started(factory!(begins));
    assert_eq!(first.poll(), ffi::PENDING);
    let mut second = Fake::started(factory!(goes_on));
    assert_eq!(second.poll(), ffi::PENDING);
    first.drop_state();
    assert_eq!((second.wake_count(), second.poll()), (1, ffi::PANIC));
    assert!(second.failure().unwrap().starts_with("taskhost::unblock() was awaited in a task that has ended ("));
}
