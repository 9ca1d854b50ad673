//! Waiting for file descriptors.
#![cfg(unix)]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::Duration;

use support::{Fake, SECOND};
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
    assert_eq!(fake.descriptors().len(), 1);
    assert_eq!(fake.descriptors()[0].1, ffi::READABLE);

    fake.forget_descriptors(); // a spurious wake that used up the host's wait: it must be requested again
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.descriptors().len(), 1);

    ours.write_all(b"one").unwrap();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.log(), ["2 one"]);
    assert_eq!(fake.descriptors().len(), 1); // for the next wait

    ours.write_all(b"two").unwrap();
    drop(ours);
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
    assert_eq!(fake.descriptors().len(), 1);
    assert_eq!((fake.poll_at_timer(), fake.failure()), (ffi::PENDING, None));
    assert_eq!(fake.descriptors(), []);
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
    assert_eq!(fake.descriptors()[0].1, ffi::READABLE | ffi::WRITABLE);
    ours.write_all(b"x").unwrap();
    assert_eq!(fake.poll(), ffi::PENDING);
    assert_eq!(fake.log(), ["2 readable", "2 either"]);
    assert_eq!(fake.descriptors()[0].1, ffi::WRITABLE);
    ours.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while ours.read(&mut bytes).is_ok() {}
    assert_eq!((fake.poll(), fake.failure()), (ffi::OK, None));
    assert_eq!(fake.log(), ["2 readable", "2 either", "2 writable"]);
    assert_eq!(fake.descriptors(), []);
}

#[test]
fn a_descriptor_that_is_always_ready_does_not_keep_the_other_tasks_waiting() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() {
        let stream = DESK.take();
        let busy = |what: &'static str| {
            let stream = &stream;
            async move {
                for _ in 0..100 {
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
        assert!(fake.wake_count() >= polls); // the task wakes itself, for another turn
        polls += 1;
        assert!(polls < 100);
    }
    assert_eq!(fake.log(), ["2 alone", "2 first", "2 second"]);
    assert_eq!((polls, fake.failure()), (5, None));
}

#[test]
fn what_can_not_be_waited_for_is_an_error_and_a_file_is_always_ready() {
    static DESK: Desk = Desk(Mutex::new(None));
    async fn task() {
        taskhost::readable(&File::open("Cargo.toml").unwrap()).await.unwrap();
        let stream = DESK.take();
        let number = stream.as_raw_fd();
        assert!(taskhost::readable(&stream).await.unwrap_err().to_string().contains("can't wait"));
        drop(stream);
        assert!(taskhost::readable(&(number + 1_000_000)).await.is_err());
        taskhost::sleep(Duration::from_secs(1)).await;
    }
    let _ours = DESK.lay();
    let mut fake = Fake::started(factory!(task));
    fake.refuse_descriptors();
    assert_eq!((fake.poll(), fake.failure()), (ffi::PENDING, None));
    assert_eq!(fake.timer_in(), Some(SECOND));
}
