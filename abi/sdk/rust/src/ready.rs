//! Waiting for file descriptors. The host watches each for what all waits for it want, and tells which are ready: see
//! `Waits::fire`.
#![cfg(unix)]

use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::io::{AsRawFd, RawFd};

use crate::execution::{current, expect_poll, Function};
use crate::ffi;
use crate::waits::{Node, What};

/// The condition to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    Readable,
    Writable,
    /// Either of the two.
    Both,
}

impl Interest {
    fn bits(self) -> u32 {
        match self {
            Interest::Readable => ffi::READABLE,
            Interest::Writable => ffi::WRITABLE,
            Interest::Both => ffi::READABLE | ffi::WRITABLE,
        }
    }
}

/// Waits until a descriptor is ready, has been closed by the peer, or has an error. As many descriptors at a time as
/// there is memory for, with any number of waits for each.
///
/// Another reader may be faster, so the descriptor should be in non-blocking mode. Each wait lets the thread's other
/// tasks have a turn, even if the descriptor is ready already.
///
/// # Errors
/// The descriptor is closed, or is always ready, as files are: read and write those without waiting, in
/// [`unblock`](crate::unblock). Or there is no memory, or no descriptor left in the process.
///
/// # Panics
/// When it is awaited anywhere but in an async task.
pub fn ready<D: AsRawFd>(descriptor: &D, interest: Interest) -> Ready<'_> {
    let what = What::Descriptor { fd: descriptor.as_raw_fd(), interests: interest.bits() };
    Ready { node: Node::new(what), _open: PhantomData }
}

/// [`ready`] for reading.
pub fn readable<D: AsRawFd>(descriptor: &D) -> Ready<'_> {
    ready(descriptor, Interest::Readable)
}

/// [`ready`] for writing.
pub fn writable<D: AsRawFd>(descriptor: &D) -> Ready<'_> {
    ready(descriptor, Interest::Writable)
}

/// The future that [`ready`], [`readable`] and [`writable`] return. It borrows the descriptor, which keeps it open.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Ready<'a> {
    node: Node,
    _open: PhantomData<&'a ()>,
}

impl Ready<'_> {
    fn descriptor(&self) -> RawFd {
        match self.node.what() {
            What::Descriptor { fd, .. } => fd,
            What::Time(_) | What::Stop => -1,
        }
    }
}

impl Future for Ready<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.node.fired() {
            return Poll::Ready(Ok(()));
        }
        expect_poll("taskhost::ready()", |call| {
            let (execution, fd) = (call.execution, self.descriptor());
            let is_new = !self.node.waits_in(execution);
            let is_first = is_new && execution.waits.interests(execution, fd) == 0;
            // SAFETY: the node is pinned with the future that it is a field of, and never moved out of it.
            let node = unsafe { self.as_mut().map_unchecked_mut(|ready| &mut ready.node) };
            node.link(execution, context.waker());
            // SAFETY: this is a poll.
            let refusal = if is_new { unsafe { execution.watch(fd) } } else { ffi::OK };
            if refusal != ffi::OK {
                self.node.unlink();
                return Poll::Ready(Err(error_of(refusal)));
            }
            if is_first {
                execution.expect_more();
            }
            Poll::Pending
        })
    }
}

/// The host must forget the descriptor before it is closed. During a drop it has already done that.
impl Drop for Ready<'_> {
    fn drop(&mut self) {
        current(|call| match call {
            Some(call)
                if call.function == Function::Poll && self.node.waits_in(call.execution) && self.node.unlink() =>
            {
                // SAFETY: this is a poll. For the waits that are left, or nobody.
                unsafe { call.execution.watch(self.descriptor()) };
            }
            _ => {}
        });
    }
}

const BAD_DESCRIPTOR: i32 = 9; // EBADF
const NO_DESCRIPTOR: i32 = 24; // EMFILE

fn error_of(refusal: i32) -> Error {
    match refusal {
        ffi::REFUSED_CLOSED => Error::from_raw_os_error(BAD_DESCRIPTOR),
        ffi::REFUSED_ALWAYS => Error::new(ErrorKind::InvalidInput, "it is always ready, as files are: don't wait"),
        ffi::REFUSED_DESCRIPTORS => Error::from_raw_os_error(NO_DESCRIPTOR),
        ffi::REFUSED_MEMORY => ErrorKind::OutOfMemory.into(),
        _ => Error::new(ErrorKind::Other, "the host can't wait for this descriptor; its log says why"),
    }
}
