//! Waiting for file descriptors.
#![cfg(unix)]

mod support;

use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use support::Fake;
use taskhost::{ffi, join, select2, Either, Interest};

/// Passes a task its end of a pair.
struct Desk(Mutex<Option<UnixStream>>);

impl Desk {
    fn lay(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        *self.0.lock().unwrap() = Some(theirs);
        ours
    }
    fn take(&self) -> UnixStream {
        self.0.lock().unwrap().take().unwrap()
    }
}

#[test]
fn a_task_waits_until_its_descriptor_is_readable() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() -> Result<(), std::io::Error> {
        let mut stream = DESK.take();
        let mut bytes = [0; 10];
        for _ in 0..2 {
            taskhost::readable(&stream).await?;
            let size = stream.read(&mut bytes)?;
            taskhost::info!("{}", String::from_utf8_lossy(&bytes[..size]));
        }
        taskhost::readable(&stream).await?;
        assert_eq!(stream.read(&mut bytes)?, 0); // closed by the peer
        Ok(())
    }
    let mut ours = DESK.lay();
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.watched(), [ffi::READABLE]);

    assert_eq!(fake.poll(), ffi::PENDING); // spurious
    assert_eq!(fake.watched(), [ffi::READABLE]);

    ours.write_all(b"one").unwrap();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.log(), ["2 one"]);
    assert_eq!(fake.watched(), [ffi::READABLE]); // for the next wait

    ours.write_all(b"two").unwrap();
    drop(ours);
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.log(), ["2 one", "2 two"]);
}

#[test]
fn a_wait_that_is_dropped_is_forgotten_before_the_descriptor_is_closed() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() {
        {
            let stream = DESK.take();
            let first = select2(taskhost::readable(&stream), taskhost::sleep(Duration::from_secs(1))).await;
            assert!(matches!(first, Either::Second(())));
        }
        taskhost::sleep(Duration::from_secs(1)).await;
    }
    let _ours = DESK.lay();
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.watched(), [ffi::READABLE]);
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::PENDING, None));
    assert_eq!(fake.watched(), []);
    fake.drop_state();
}

#[test]
fn two_waits_for_one_descriptor_do_not_disturb_each_other() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() {
        let stream = DESK.take();
        let filled = std::iter::repeat([0u8; 4096]).take_while(|chunk| (&stream).write(chunk).is_ok()).count();
        assert!(filled > 0);
        join!(
            async {
                taskhost::readable(&stream).await.unwrap();
                taskhost::info!("readable");
            },
            async {
                taskhost::ready(&stream, Interest::Writable).await.unwrap();
                taskhost::info!("writable");
            },
            async {
                taskhost::ready(&stream, Interest::Both).await.unwrap();
                taskhost::info!("either");
            }
        );
    }
    let mut ours = DESK.lay();
    let mut fake = Fake::started(factory!(task));
    assert_eq!((fake.poll(), fake.failure()), (ffi::PENDING, None));
    assert_eq!(fake.watched(), [ffi::READABLE | ffi::WRITABLE]);
    ours.write_all(b"x").unwrap();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.log(), ["2 readable", "2 either"]);
    assert_eq!(fake.watched(), [ffi::WRITABLE]);
    ours.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while ours.read(&mut bytes).is_ok() {}
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.log(), ["2 readable", "2 either", "2 writable"]);
    assert_eq!(fake.watched(), []);
}

#[test]
fn a_descriptor_that_is_always_ready_does_not_keep_the_other_tasks_waiting() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() {
        let stream = DESK.take();
        let busy = |what: &'static str| {
            let stream = &stream;
            async move {
                for _ in 0..10 {
                    taskhost::readable(stream).await.unwrap();
                }
                taskhost::log(taskhost::Level::Info, what);
            }
        };
        busy("alone").await;
        join!(busy("first"), busy("second"));
    }
    let mut ours = DESK.lay();
    ours.write_all(b"x").unwrap();
    let mut fake = Fake::started(factory!(task));
    let mut polls = 1;
    while fake.poll() == ffi::PENDING {
        assert_eq!(fake.watched(), [ffi::READABLE]); // the host has it polled again
        polls += 1;
    }
    assert_eq!(fake.log(), ["2 alone", "2 first", "2 second"]);
    assert_eq!((polls, fake.failure()), (21, None));
}

#[test]
fn any_number_of_descriptors_is_waited_for_at_once() {
    const COUNT: usize = 150;
    static PAIRS: Mutex<Vec<(UnixStream, UnixStream)>> = Mutex::new(Vec::new());
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    async fn task() {
        let pairs = std::mem::take(&mut *PAIRS.lock().unwrap());
        let mut waits: Vec<_> = pairs.iter().map(|(_, theirs)| Box::pin(taskhost::readable(theirs))).collect();
        support::poll_fn(|context| {
            waits.retain_mut(|wait| wait.as_mut().poll(context).is_pending());
            HEARD.store(COUNT - waits.len(), Ordering::SeqCst);
            if waits.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
    let mut ours = Vec::new();
    for _ in 0..COUNT {
        let pair = UnixStream::pair().unwrap();
        ours.push(pair.0.try_clone().unwrap());
        PAIRS.lock().unwrap().push(pair);
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!((fake.poll(), fake.watched().len()), (ffi::PENDING, COUNT));
    ours[149].write_all(b"x").unwrap();
    assert_eq!((fake.poll(), HEARD.load(Ordering::SeqCst)), (ffi::PENDING, 1));
    ours.iter_mut().take(149).for_each(|stream| stream.write_all(b"x").unwrap());
    assert_eq!((fake.poll(), HEARD.load(Ordering::SeqCst)), (ffi::AGAIN, 65)); // as many as fit into a list
    assert_eq!(fake.poll(), ffi::AGAIN);
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.watched(), []);
}

#[test]
fn a_wait_that_left_its_execution_may_be_dropped_elsewhere_or_go_on_in_another() {
    static DESK: Desk = Desk(Mutex::new(None));
    static MOVED: Mutex<Option<Pin<Box<taskhost::Ready<'static>>>>> = Mutex::new(None);
    async fn begins() {
        let stream: &'static UnixStream = Box::leak(Box::new(DESK.take()));
        let mut wait = Box::pin(taskhost::readable(stream));
        support::poll_fn(|context| Poll::Ready(wait.as_mut().poll(context).is_pending())).await;
        *MOVED.lock().unwrap() = Some(wait);
        std::future::pending::<()>().await;
    }
    async fn goes_on() {
        let wait = MOVED.lock().unwrap().take().unwrap();
        wait.await.unwrap();
    }
    let mut ours = DESK.lay();
    let mut first = Fake::started(factory!(begins));
    assert_eq!((first.poll(), first.watched()), (ffi::PENDING, vec![ffi::READABLE]));
    let mut second = Fake::started(factory!(goes_on));
    assert_eq!((second.poll(), second.watched()), (ffi::PENDING, vec![ffi::READABLE]));
    ours.write_all(b"x").unwrap();
    assert_eq!((first.poll(), first.watched()), (ffi::PENDING, vec![])); // nobody there waits for it any more
    assert_eq!((second.poll(), second.failure()), (ffi::OK, None));

    let mut ours = DESK.lay();
    let mut first = Fake::started(factory!(begins));
    assert_eq!(first.poll(), ffi::PENDING);
    std::thread::spawn(|| drop(MOVED.lock().unwrap().take())).join().unwrap();
    assert_eq!((first.poll(), first.watched()), (ffi::PENDING, vec![ffi::READABLE]));
    ours.write_all(b"x").unwrap();
    assert_eq!((first.poll(), first.watched()), (ffi::PENDING, vec![]));
}

#[test]
fn what_the_host_refuses_is_an_error_with_its_reason() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() -> std::io::Result<()> {
        let stream = DESK.take();
        taskhost::readable(&stream).await
    }
    for (refusal, text) in [
        (ffi::REFUSED_CLOSED, "Bad file descriptor (os error 9)"),
        (ffi::REFUSED_ALWAYS, "it is always ready, as files are: don't wait"),
        (ffi::REFUSED_DESCRIPTORS, "Too many open files (os error 24)"),
        (ffi::REFUSED_MEMORY, "out of memory"),
        (ffi::REFUSED_LOOP, "the host can't wait for this descriptor; its log says why"),
    ] {
        let _ours = DESK.lay();
        let mut fake = Fake::started(factory!(task));
        fake.refuse_with(refusal);
        assert_eq!((fake.poll(), fake.failure().as_deref()), (ffi::ERROR, Some(text)));
        assert_eq!(fake.watched(), []);
    }
}
