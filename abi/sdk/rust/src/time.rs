//! The host's time, and waiting for it.

use core::future::Future;
use core::ops::{Add, Sub};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::time::Instant;

use crate::execution::{expect_current, expect_poll};
use crate::ffi;
use crate::waits::{Node, What};

/// A time on the host's monotonic clock. Comparable within one host only; an [`Instant`] converts into it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time(u64);

impl Time {
    /// A time that never comes.
    pub const NEVER: Time = Time(ffi::NEVER);

    pub(crate) fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The time since `earlier`; zero if that is later.
    pub fn saturating_duration_since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A result beyond the clock's range is [`Time::NEVER`].
impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(ffi::NEVER);
        Time(self.0.saturating_add(nanoseconds))
    }
}

/// Like [`Time::saturating_duration_since`].
impl Sub<Time> for Time {
    type Output = Duration;

    fn sub(self, earlier: Time) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Works only inside a task, since it reads the clock of the task's host.
impl From<Instant> for Time {
    fn from(instant: Instant) -> Time {
        let remaining = instant.saturating_duration_since(Instant::now());
        now() + remaining // the clocks are read in this order, so that it is never early
    }
}

/// The current time on the host's monotonic clock.
///
/// # Panics
/// Outside a task.
pub fn now() -> Time {
    Time(expect_current("taskhost::now()", |call| call.execution.now()))
}

/// Waits for `duration` from now, never less. Any number of these may be waited for at once. A duration beyond the
/// clock's range means for ever; zero lets the other tasks on the thread have a turn.
///
/// # Panics
/// Outside a task; and when it is awaited anywhere but in an async task.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(expect_current("taskhost::sleep()", |call| Time(call.execution.now())) + duration)
}

/// Waits until `time`, a [`Time`] or an [`Instant`].
///
/// # Panics
/// Like [`sleep`].
pub fn sleep_until(time: impl Into<Time>) -> Sleep {
    Sleep { node: Node::new(What::Time(time.into().0)) }
}

/// The future that [`sleep`] and [`sleep_until`] return. Dropping it ends the wait.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    node: Node,
}

impl Sleep {
    /// The time when it ends.
    pub fn time(&self) -> Time {
        match self.node.what() {
            What::Time(time) => Time(time),
            What::Descriptor { .. } | What::Stop => Time::NEVER,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.node.fired() {
            return Poll::Ready(());
        }
        if self.time() == Time::NEVER {
            return Poll::Pending;
        }
        expect_poll("taskhost::sleep()", |call| {
            // SAFETY: the node is pinned with the future that it is a field of, and never moved out of it.
            let node = unsafe { self.map_unchecked_mut(|sleep| &mut sleep.node) };
            node.link(call.execution, context.waker());
        });
        Poll::Pending
    }
}

/// The future took longer than [`timeout`] allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl core::fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("it took too long")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// Waits for `future`, but no longer than `duration`. If both are done at once, the future wins.
///
/// # Errors
/// [`Elapsed`] if the time is over; the future is then dropped.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    match crate::select2(future, sleep(duration)).await {
        crate::Either::First(output) => Ok(output),
        crate::Either::Second(()) => Err(Elapsed),
    }
}

/// Lets the other tasks on the thread have a turn.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future that [`yield_now`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
