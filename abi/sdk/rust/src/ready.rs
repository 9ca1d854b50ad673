//! Waiting for file descriptors. The host does not report what woke the execution, so each poll calls poll(2) once for
//! all descriptors that are waited for, and wakes the branches whose descriptor is ready.

#[cfg(not(unix))]
pub(crate) fn fire(_: &crate::execution::Execution) {}

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use core::future::Future;
    use core::marker::PhantomData;
    use core::pin::Pin;
    use core::task::{Context, Poll};
    use std::io;
    use std::os::raw::{c_int, c_short};
    use std::os::unix::io::{AsRawFd, RawFd};

    use crate::execution::{current, expect_poll, Execution, Function};
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

    /// Waits until a descriptor is ready, has been closed by the peer, or has an error. One that is always ready (a
    /// regular file) is ready at once. At most 64 descriptors at a time, with any number of waits for each.
    ///
    /// Another reader may be faster, so the descriptor should be in non-blocking mode. A task whose descriptors are
    /// ready at once 64 times in a row lets the thread's other tasks have a turn.
    ///
    /// # Errors
    /// The descriptor is closed, or there are too many.
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
        fn wanted(&self) -> (RawFd, u32) {
            match self.node.what() {
                What::Descriptor { fd, interests } => (fd, interests),
                What::Time(_) | What::Stop => (-1, 0),
            }
        }
    }

    impl Future for Ready<'_> {
        type Output = io::Result<()>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            let (fd, interests) = self.wanted();
            expect_poll("taskhost::ready()", |call| {
                let mut look = [Look::new(fd, interests)];
                if !look_at(&mut look) {
                    return Poll::Ready(Err(io::Error::last_os_error()));
                }
                if look[0].closed() {
                    self.node.unlink();
                    return Poll::Ready(Err(io::Error::from_raw_os_error(EBADF)));
                }
                if look[0].ready() {
                    if call.should_pause() {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if self.node.unlink() {
                        ask_anew(call.execution, fd);
                    }
                    return Poll::Ready(Ok(()));
                }
                // SAFETY: the node is pinned with the future that it is a field of, and never moved out of it.
                let node = unsafe { self.as_mut().map_unchecked_mut(|ready| &mut ready.node) };
                let waited = node.linked();
                node.link(call.execution, context.waker());
                if !waited && !ask(call.execution, fd, interests) {
                    self.node.unlink();
                    let text = "the host can't wait for this descriptor, or for so many";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::Other, text)));
                }
                Poll::Pending
            })
        }
    }

    /// The host's wait must be cancelled before the descriptor is closed. During a drop the host has already done that.
    impl Drop for Ready<'_> {
        fn drop(&mut self) {
            if !self.node.unlink() {
                return;
            }
            let (fd, _) = self.wanted();
            current(|call| {
                if let Some(call) = call.filter(|call| call.function == Function::Poll) {
                    ask_anew(call.execution, fd);
                }
            });
        }
    }

    fn ask(execution: &Execution, fd: RawFd, interests: u32) -> bool {
        // SAFETY: only called in a poll: this is [execution]. The host checks the descriptor.
        unsafe { (execution.services().wake_on_fd)(execution.exec(), fd, interests) == ffi::OK }
    }

    /// Cancels the wait for the descriptor, and requests the interests that other nodes still wait for.
    fn ask_anew(execution: &Execution, fd: RawFd) {
        ask(execution, fd, 0);
        let mut wanted = 0;
        execution.waits.each_other(execution, |what| match what {
            What::Descriptor { fd: other, interests } if other == fd => wanted |= interests,
            _ => {}
        });
        if wanted != 0 {
            ask(execution, fd, wanted);
        }
    }

    const LIMIT: usize = 64; // the host's

    /// Wakes the waits whose descriptor is ready. A wait of the host is good for one wake, which may have been used up
    /// for another node: so the waits of the remaining nodes are requested again.
    pub(crate) fn fire(owner: &Execution) {
        let mut looks = [Look::new(-1, 0); LIMIT];
        let mut count = 0;
        owner.waits.each_other(owner, |what| {
            if let What::Descriptor { fd, interests } = what {
                if let Some(look) = looks[..count].iter_mut().find(|look| look.fd == fd) {
                    *look = Look::new(fd, look.interests() | interests);
                } else if count < LIMIT {
                    looks[count] = Look::new(fd, interests);
                    count += 1;
                }
            }
        });
        if count == 0 || !look_at(&mut looks[..count]) {
            return;
        }
        for look in &looks[..count] {
            let meets = |what| match what {
                What::Descriptor { fd, interests } => fd == look.fd && look.meets(interests),
                What::Time(_) | What::Stop => false,
            };
            let mut fired = false;
            while owner.waits.fire_one(owner, |waits| waits.find_other(meets)) {
                fired = true;
            }
            if fired {
                ask_anew(owner, look.fd);
            } else {
                ask(owner, look.fd, look.interests());
            }
        }
    }

    const POLLIN: c_short = 1;
    const POLLOUT: c_short = 4;
    const POLLNVAL: c_short = 32;
    const EBADF: i32 = 9;

    /// struct pollfd
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Look {
        fd: c_int,
        events: c_short,
        revents: c_short,
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    type Count = std::os::raw::c_ulong;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    type Count = std::os::raw::c_uint;

    extern "C" {
        fn poll(looks: *mut Look, count: Count, timeout_ms: c_int) -> c_int; // the standard library links it
    }

    /// Returns false if poll(2) failed.
    fn look_at(looks: &mut [Look]) -> bool {
        // SAFETY: the count is right, and the memory is ours. The call does not wait.
        unsafe { poll(looks.as_mut_ptr(), looks.len() as Count, 0) >= 0 }
    }

    impl Look {
        fn new(fd: RawFd, interests: u32) -> Look {
            let read = if interests & ffi::READABLE != 0 { POLLIN } else { 0 };
            let write = if interests & ffi::WRITABLE != 0 { POLLOUT } else { 0 };
            Look { fd, events: read | write, revents: 0 }
        }

        fn interests(&self) -> u32 {
            let read = if self.events & POLLIN != 0 { ffi::READABLE } else { 0 };
            let write = if self.events & POLLOUT != 0 { ffi::WRITABLE } else { 0 };
            read | write
        }

        fn ready(&self) -> bool {
            self.revents != 0
        }

        fn closed(&self) -> bool {
            self.revents & POLLNVAL != 0
        }

        /// Ready for one of these, or in a state that is reported without being requested, such as an error or a
        /// hangup.
        fn meets(&self, interests: u32) -> bool {
            self.revents & (Look::new(self.fd, interests).events | !(POLLIN | POLLOUT)) != 0
        }
    }
}
