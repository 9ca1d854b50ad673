//! The host's request to end.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::execution::{expect_execution, expect_poll, Function};
use crate::waits::{Node, What};

/// Completes when the host asks this execution to end; at once if it already has.
///
/// **A task that asks about the stop ends by itself.** Once an async task has polled a `stopped()` (or called
/// [`stop_requested`]) it is no longer cancelled: when the host asks it to end, the task is woken and has its
/// `stop_timeout` to do so, and may still await things. A task that has never asked is dropped at its await point.
///
/// # Panics
/// When it is awaited anywhere but in an async task.
pub fn stopped() -> Stopped {
    Stopped { node: Node::new(What::Stop) }
}

/// The future that [`stopped`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Stopped {
    node: Node,
}

impl Future for Stopped {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.node.fired() {
            return Poll::Ready(());
        }
        expect_poll("taskhost::stopped()", |call| {
            call.execution.mind_stop();
            if call.execution.stop_requested() {
                self.node.unlink();
                return Poll::Ready(());
            }
            // SAFETY: the node is pinned with the future that it is a field of, and never moved out of it.
            let node = unsafe { self.map_unchecked_mut(|stopped| &mut stopped.node) };
            node.link(call.execution, context.waker());
            Poll::Pending
        })
    }
}

/// True if the host has asked this execution to end. Once an async task has called this, it ends by itself: see
/// [`stopped`].
///
/// # Panics
/// Outside a task.
pub fn stop_requested() -> bool {
    expect_execution("taskhost::stop_requested()", |call| {
        if call.function == Function::Poll {
            call.execution.mind_stop();
        }
        call.execution.stop_requested()
    })
}
