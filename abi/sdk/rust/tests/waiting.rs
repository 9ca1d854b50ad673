//! Many waits on the host's one timer; branches and their wakers; futures that leave their execution.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use support::{Fake, SECOND};
use taskhost::{ffi, join, join2, race, select2, Either};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Polled by hand, with a count of the polls.
struct Probe<F>(F, &'static AtomicUsize);
impl<F: Future + Unpin> Future for Probe<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.0).poll(context)
    }
}

async fn says(what: &'static str, after: u64) {
    taskhost::sleep(seconds(after)).await;
    taskhost::log(taskhost::Level::Info, what);
}

#[test]
fn sleeps_end_in_the_order_of_their_times_and_equal_ones_as_they_began() {
    async fn task() {
        join!(says("c", 3), says("a", 1), says("b1", 2), says("b2", 2), says("d", 4), says("b3", 2));
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    let mut expected = Vec::new();
    for (time, group) in [(1, &["a"][..]), (2, &["b1", "b2", "b3"]), (3, &["c"]), (4, &["d"])] {
        assert_eq!(fake.timer(), Some((1000 + time) * SECOND));
        assert_eq!(fake.poll_at_timer(), if time == 4 { ffi::OK } else { ffi::PENDING });
        expected.extend(group.iter().map(|line| format!("2 {}", line)));
        assert_eq!(fake.log(), expected);
    }
}

#[test]
fn a_sleep_is_never_early_and_a_spurious_poll_changes_nothing() {
    async fn task() {
        taskhost::sleep(seconds(10)).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.advance(10 * SECOND - 1);
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_calls(), 1);
    fake.advance(1);
    assert_eq!(fake.poll(), ffi::OK);
}

#[test]
fn a_sleep_that_is_dropped_gives_its_timer_back() {
    async fn task() {
        let either = select2(taskhost::sleep(seconds(5)), taskhost::sleep(seconds(1))).await;
        assert_eq!(either, Either::Second(()));
        taskhost::sleep(seconds(100)).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(SECOND));
    assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(100 * SECOND));
    assert_eq!(fake.poll_at_timer(), ffi::OK);
}

#[test]
fn the_timer_is_cleared_when_nothing_waits_for_a_time_any_more() {
    async fn task() {
        {
            let mut sleep = Box::pin(taskhost::sleep(seconds(5)));
            support::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending())).await;
        }
        std::future::pending::<()>().await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer(), None);
}

#[test]
fn times_at_the_end_of_the_clock_and_no_time_at_all() {
    async fn task() {
        taskhost::sleep(Duration::from_secs(0)).await;
        taskhost::sleep_until(taskhost::now()).await;
        let later = taskhost::now() + seconds(3);
        assert_eq!(later - taskhost::now(), seconds(3));
        assert_eq!(taskhost::now() - later, seconds(0));
        let soon = taskhost::sleep_until(Instant::now() + seconds(3));
        assert!(soon.time() > taskhost::now() + seconds(2) && soon.time() <= taskhost::now() + seconds(3));
        assert_eq!(taskhost::now() + Duration::MAX, taskhost::Time::NEVER);
        taskhost::sleep(Duration::MAX).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::PENDING, None));
    assert_eq!(fake.timer(), None);
}

#[test]
fn a_timeout_gives_up_in_time() {
    async fn task() {
        let late = taskhost::timeout(seconds(1), taskhost::sleep(seconds(2))).await;
        assert_eq!(late.unwrap_err().to_string(), "it took too long");
        let error = std::io::Error::from(late.unwrap_err());
        assert_eq!((error.kind(), error.to_string().as_str()), (std::io::ErrorKind::TimedOut, "it took too long"));
        assert_eq!(taskhost::timeout(seconds(1), async { 5 }).await, Ok(5));
        assert_eq!(taskhost::timeout(seconds(1), taskhost::sleep(seconds(1))).await, Ok(()));
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.elapsed(), 2 * SECOND);
}

#[test]
fn selects_within_selects_end_with_the_first_of_all() {
    async fn task() {
        let inner = select2(taskhost::sleep(seconds(9)), select2(taskhost::sleep(seconds(2)), taskhost::stopped()));
        let first = select2(inner, taskhost::sleep(seconds(7))).await;
        assert!(matches!(first, Either::First(Either::Second(Either::First(())))));
        let first = race!(says("x", 3), async { says("y", 1).await }, says("z", 2));
        assert_eq!(first, ());
        join2(says("p", 1), join2(says("q", 2), says("r", 1))).await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    for _ in 0..3 {
        assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    }
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.log(), ["2 y", "2 p", "2 r", "2 q"]);
    assert_eq!(fake.elapsed(), 5 * SECOND);
}

#[test]
fn a_stop_wakes_the_branch_that_waits_for_it() {
    async fn task() {
        let (first, ()) = join!(select2(taskhost::stopped(), taskhost::sleep(seconds(60))), async {
            select2(taskhost::sleep(seconds(90)), taskhost::stopped()).await;
        });
        assert!(matches!(first, Either::First(())));
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.request_stop();
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
}

#[test]
fn a_branch_is_polled_only_when_its_own_waker_was_used() {
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    static SECOND_BRANCH: AtomicUsize = AtomicUsize::new(0);
    static WAKER: Mutex<Option<Waker>> = Mutex::new(None);
    async fn task() {
        let first = Probe(Box::pin(says("first", 1)), &FIRST);
        let second = Probe(
            Box::pin(support::poll_fn(|context: &mut Context<'_>| {
                *WAKER.lock().unwrap() = Some(context.waker().clone());
                Poll::<()>::Pending
            })),
            &SECOND_BRANCH,
        );
        join!(first, second);
    }
    let polls = || (FIRST.load(Ordering::SeqCst), SECOND_BRANCH.load(Ordering::SeqCst));
    let mut fake = Fake::started(factory!(task));
    assert_eq!((fake.poll(), polls()), (ffi::PENDING, (1, 1)));
    assert_eq!((fake.poll(), polls()), (ffi::PENDING, (1, 1))); // spurious
    assert_eq!((fake.poll_at_timer(), polls()), (ffi::PENDING, (2, 1)));
    assert_eq!(fake.wake_count(), 0); // its timer's branch was woken without the host
    let waker = WAKER.lock().unwrap().clone().unwrap();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(fake.wake_count(), 1);
    assert_eq!((fake.poll(), polls()), (ffi::PENDING, (2, 2)));
}

#[test]
fn a_task_that_wakes_itself_is_polled_again_without_the_host() {
    async fn task() {
        join!(taskhost::yield_now(), taskhost::sleep(seconds(1)));
        support::poll_fn(|context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::Ready(())
        })
        .await;
        taskhost::yield_now().await;
        std::future::pending::<()>().await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!((fake.poll(), fake.timer()), (ffi::AGAIN, None)); // a timer would be set for nothing
    assert_eq!((fake.poll(), fake.timer_in()), (ffi::PENDING, Some(SECOND)));
    assert_eq!(fake.poll_at_timer(), ffi::AGAIN);
    assert_eq!((fake.poll(), fake.timer()), (ffi::PENDING, None));
    assert_eq!(fake.wake_count(), 0);
}

#[test]
fn a_combinator_under_somebody_else_s_waker_works_as_well() {
    struct Other(Waker, AtomicUsize);
    impl Wake for Other {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.wake_by_ref();
        }
    }
    async fn task() {
        let mut inner = Box::pin(async {
            join!(says("a", 1), says("b", 2));
        });
        let mut other: Option<Arc<Other>> = None;
        support::poll_fn(move |context| {
            let other = other.get_or_insert_with(|| Arc::new(Other(context.waker().clone(), AtomicUsize::new(1))));
            if other.1.swap(0, Ordering::SeqCst) == 0 {
                return Poll::Pending;
            }
            inner.as_mut().poll(&mut Context::from_waker(&other.clone().into()))
        })
        .await;
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::PENDING);
    assert_eq!(fake.poll_at_timer(), ffi::OK);
    assert_eq!(fake.log(), ["2 a", "2 b"]);
}

#[test]
fn an_execution_may_change_threads_between_polls() {
    async fn task() {
        for _ in 0..20 {
            join!(taskhost::sleep(seconds(1)), taskhost::timeout(seconds(3), taskhost::sleep(seconds(2)))).1.unwrap();
        }
    }
    let mut fake = Fake::started(factory!(task));
    let mut status = fake.poll();
    for _ in 0..40 {
        assert_eq!((status, fake.failure()), (ffi::PENDING, None));
        let moved = move || {
            let status = fake.poll_at_timer();
            (fake, status)
        };
        let back = thread::spawn(moved).join().unwrap();
        fake = back.0;
        status = back.1;
    }
    assert_eq!(status, ffi::OK);
}

#[test]
fn wakers_kept_beyond_the_end_may_be_used_from_other_threads() {
    static KEPT: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    async fn keeps() {
        support::poll_fn(|context: &mut Context<'_>| {
            KEPT.lock().unwrap().push(context.waker().clone());
            Poll::Ready(())
        })
        .await;
    }
    async fn task() {
        join!(keeps(), async {
            keeps().await;
            taskhost::sleep(seconds(1)).await;
        });
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    let wakes = fake.wakes();
    drop(fake); // its memory is gone
    let threads = (0..4).map(|_| {
        thread::spawn(|| {
            for waker in KEPT.lock().unwrap().iter() {
                let another = waker.clone();
                another.wake();
                waker.wake_by_ref();
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(wakes.load(Ordering::SeqCst), 16); // they only reach the host's function
}

#[test]
fn wakers_of_one_execution_are_equal_and_of_others_are_not() {
    static SEEN: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    async fn task() {
        support::poll_fn(|context: &mut Context<'_>| {
            SEEN.lock().unwrap().push(context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    }
    let (mut first, mut second) = (Fake::started(factory!(task)), Fake::started(factory!(task)));
    first.poll();
    first.poll();
    second.poll();
    let seen = SEEN.lock().unwrap();
    assert!(seen[0].will_wake(&seen[1]));
    assert!(!seen[0].will_wake(&seen[2]));
}

type Boxed = Pin<Box<taskhost::Sleep>>;
static MOVED: Mutex<Vec<Boxed>> = Mutex::new(Vec::new());

/// Awaits sleeps that others hold.
async fn shares_its_sleeps() {
    for delay in 1..=8 {
        let mut sleep = Box::pin(taskhost::sleep(seconds(delay)));
        support::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending())).await;
        MOVED.lock().unwrap().push(sleep);
    }
    taskhost::sleep(seconds(9)).await;
}

#[test]
fn a_sleep_that_left_its_execution_may_be_dropped_anywhere_or_be_used_in_another_one() {
    async fn uses_another_s() {
        let mut sleep = MOVED.lock().unwrap().pop().unwrap();
        sleep.as_mut().await; // 8 s on the other execution's clock
    }
    // Dropped by other threads, while the execution is polled.
    let mut fake = Fake::started(factory!(shares_its_sleeps));
    assert_eq!(fake.poll(), ffi::PENDING);
    let thread = thread::spawn(|| while MOVED.lock().unwrap().pop().is_some() {});
    while fake.poll() == ffi::PENDING && !MOVED.lock().unwrap().is_empty() {}
    thread.join().unwrap();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(9 * SECOND));
    drop(fake);

    // Dropped after the execution's end.
    let mut fake = Fake::started(factory!(shares_its_sleeps));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(SECOND));
    drop(fake);
    assert_eq!(MOVED.lock().unwrap().len(), 8);

    // In another execution; then the first one's memory is used again, and both end.
    let mut other = Fake::started(factory!(uses_another_s));
    assert_eq!(other.poll(), ffi::PENDING);
    assert_eq!(other.timer_in(), Some(8 * SECOND));
    assert_eq!(other.poll_at_timer(), ffi::OK);
    MOVED.lock().unwrap().clear();

    // Moved while it still waits in the first.
    let mut fake = Fake::started(factory!(shares_its_sleeps));
    assert_eq!(fake.poll(), ffi::PENDING);
    let mut other = Fake::started(factory!(uses_another_s));
    assert_eq!(other.poll(), ffi::PENDING);
    MOVED.lock().unwrap().clear();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.timer_in(), Some(9 * SECOND));
    assert_eq!(other.poll_at_timer(), ffi::OK);
    assert_eq!(fake.poll_at_timer(), ffi::OK);
}

#[test]
fn threads_that_drop_sleeps_race_with_polls_and_with_the_end() {
    static HANDED: Mutex<Vec<Boxed>> = Mutex::new(Vec::new());
    async fn task() {
        loop {
            for delay in 1..=4 {
                let mut sleep = Box::pin(taskhost::sleep(seconds(delay)));
                support::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending())).await;
                HANDED.lock().unwrap().push(sleep);
            }
            taskhost::sleep(seconds(2)).await;
        }
    }
    static OVER: AtomicUsize = AtomicUsize::new(0);
    let dropper = || {
        while OVER.load(Ordering::SeqCst) == 0 {
            let sleep = HANDED.lock().unwrap().pop();
            drop(sleep);
        }
    };
    let threads = [thread::spawn(dropper), thread::spawn(dropper)];
    for _ in 0..200 {
        let mut fake = Fake::started(factory!(task));
        assert_eq!(fake.poll(), ffi::PENDING);
        for _ in 0..20 {
            assert_eq!(fake.poll_at_timer(), ffi::PENDING);
        }
    }
    OVER.store(1, Ordering::SeqCst);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn wakers_of_four_different_hosts_are_told_apart_and_a_fifth_is_refused() {
    static WAKES: [AtomicUsize; 4] =
        [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
    unsafe extern "C" fn wake<const HOST: usize>(_: u64) {
        WAKES[HOST].fetch_add(1 + HOST, Ordering::SeqCst);
    }
    static HOSTS: [ffi::Services; 4] = [
        support::services(wake::<0>),
        support::services(wake::<1>),
        support::services(wake::<2>),
        support::services(wake::<3>),
    ];
    async fn task() {
        support::poll_fn(|context: &mut Context<'_>| {
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake()).join().unwrap(); // within the task it would not reach the host
            Poll::<()>::Pending
        })
        .await;
    }
    assert_eq!(Fake::started(factory!(task)).poll(), ffi::PENDING); // SERVICES is the first, for all tests here
    for host in HOSTS.iter().take(3) {
        let mut fake = Fake::with_services(factory!(task), host);
        assert_eq!((fake.start(), fake.poll()), (ffi::OK, ffi::PENDING));
    }
    assert_eq!(WAKES.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>(), [1, 2, 3, 0]);
    let mut fake = Fake::with_services(factory!(task), &HOSTS[3]);
    assert_eq!(fake.start(), ffi::ERROR);
    assert!(fake.failure().unwrap().contains("four different hosts"));
}
