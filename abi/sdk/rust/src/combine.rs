//! Several futures at once inside one execution. If the combinator is polled with the execution's own waker, which is
//! nearly always so, each branch has its own waker and is polled only when that was used. Inside another combinator's
//! branch, or under a waker that is not ours, each poll polls all branches.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::execution::current;
use crate::waker;

enum State<F: Future> {
    Running(F),
    Done(F::Output),
    Taken,
}

/// One future of a combinator. Pinned with it.
#[doc(hidden)]
pub struct Branch<F: Future> {
    state: State<F>,
    waker: Option<waker::Branch>,
}

impl<F: Future> Branch<F> {
    pub fn new(future: F) -> Branch<F> {
        Branch { state: State::Running(future), waker: None }
    }

    /// Returns true once it is done.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        // SAFETY: the future is not moved; it is replaced in place, which drops it there.
        let this = unsafe { self.get_unchecked_mut() };
        let future = match &mut this.state {
            // SAFETY: pinned with the branch.
            State::Running(future) => unsafe { Pin::new_unchecked(future) },
            State::Done(_) | State::Taken => return true,
        };
        let polled = match own_waker(&mut this.waker, context) {
            Own::Asleep => return false,
            Own::Woken(waker) => future.poll(&mut Context::from_waker(&waker.waker())),
            Own::None => future.poll(context),
        };
        match polled {
            Poll::Pending => false,
            Poll::Ready(output) => {
                this.state = State::Done(output);
                true
            }
        }
    }

    fn take(self: Pin<&mut Self>) -> F::Output {
        // SAFETY: only the output of a Done is moved out, and outputs are not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        match &mut this.state {
            State::Done(_) => match core::mem::replace(&mut this.state, State::Taken) {
                State::Done(output) => output,
                State::Running(_) | State::Taken => unreachable!(),
            },
            State::Running(_) | State::Taken => panic!("a join or select was polled after its end"),
        }
    }
}

enum Own {
    None,
    Asleep,
    Woken(waker::Branch),
}

/// The branch's own waker, if it can have one here.
fn own_waker(kept: &mut Option<waker::Branch>, context: &Context<'_>) -> Own {
    current(|call| {
        let execution = match call {
            Some(call) if call.execution.waker().will_wake(context.waker()) => call.execution,
            _ => {
                *kept = None; // it gets a new waker of its own next time
                return Own::None;
            }
        };
        match kept {
            Some(branch) if branch.belongs_to(execution.host(), execution.value()) => {
                if branch.woken() {
                    Own::Woken(*branch)
                } else {
                    Own::Asleep
                }
            }
            _ => {
                let number = execution.new_branch_number();
                let branch = waker::Branch::new(execution.host(), execution.value(), number);
                *kept = Some(branch);
                Own::Woken(branch)
            }
        }
    })
}

/// Waits for both.
pub fn join2<A: Future, B: Future>(first: A, second: B) -> Join<(Branch<A>, Branch<B>)> {
    Join((Branch::new(first), Branch::new(second)))
}

/// Waits for whichever is done first, and drops the other. If both are ready, the first argument wins.
pub fn select2<A: Future, B: Future>(first: A, second: B) -> Select2<A, B> {
    Select2 { first: Branch::new(first), second: Branch::new(second) }
}

/// Like [`select2`], for two futures with the same result type.
pub fn race2<A: Future, B: Future<Output = A::Output>>(first: A, second: B) -> Race<(Branch<A>, Branch<B>)> {
    Race((Branch::new(first), Branch::new(second)))
}

/// Waits for all of two to eight futures, and returns their results as a tuple: `join!(a, b, c)`. Use it in an async
/// function; it includes the await.
#[macro_export]
macro_rules! join {
    ($($future:expr),+ $(,)?) => {
        $crate::combine::Join(($($crate::combine::Branch::new($future),)+)).await
    };
}

/// Waits for the first of two to eight futures with the same result type, and drops the others: `race!(a, b, c)`. If
/// several are ready, the first in the list wins. It includes the await.
#[macro_export]
macro_rules! race {
    ($($future:expr),+ $(,)?) => {
        $crate::combine::Race(($($crate::combine::Branch::new($future),)+)).await
    };
}

/// Which of two futures was first: see [`select2`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// The future behind [`join2`] and `join!`.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Join<T>(#[doc(hidden)] pub T);

/// The future behind [`race2`] and `race!`.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Race<T>(#[doc(hidden)] pub T);

/// The future that [`select2`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Select2<A: Future, B: Future> {
    first: Branch<A>,
    second: Branch<B>,
}

impl<A: Future, B: Future> Future for Select2<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the branches are pinned with this, and never moved out of it.
        let (mut first, mut second) = unsafe {
            let this = self.get_unchecked_mut();
            (Pin::new_unchecked(&mut this.first), Pin::new_unchecked(&mut this.second))
        };
        if first.as_mut().poll(context) {
            Poll::Ready(Either::First(first.take()))
        } else if second.as_mut().poll(context) {
            Poll::Ready(Either::Second(second.take()))
        } else {
            Poll::Pending
        }
    }
}

macro_rules! tuples {
    ($first:ident $($other:ident)*) => {
        impl<$first: Future, $($other: Future),*> Future for Join<(Branch<$first>, $(Branch<$other>,)*)> {
            type Output = ($first::Output, $($other::Output,)*);

            #[allow(non_snake_case)]
            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                // SAFETY: the branches are pinned with this, and never moved out of it.
                let ($first, $($other,)*) = unsafe { &mut self.get_unchecked_mut().0 };
                // SAFETY: as above.
                let (mut $first, $(mut $other,)*) = unsafe {
                    (Pin::new_unchecked($first), $(Pin::new_unchecked($other),)*)
                };
                let done = $first.as_mut().poll(context);
                $(let done = $other.as_mut().poll(context) && done;)*
                if done {
                    Poll::Ready(($first.take(), $($other.take(),)*))
                } else {
                    Poll::Pending
                }
            }
        }

        impl<$first: Future, $($other: Future<Output = $first::Output>),*> Future
            for Race<(Branch<$first>, $(Branch<$other>,)*)>
        {
            type Output = $first::Output;

            #[allow(non_snake_case)]
            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                // SAFETY: the branches are pinned with this, and never moved out of it.
                let ($first, $($other,)*) = unsafe { &mut self.get_unchecked_mut().0 };
                // SAFETY: as above.
                let mut $first = unsafe { Pin::new_unchecked($first) };
                if $first.as_mut().poll(context) {
                    return Poll::Ready($first.take());
                }
                $(
                    // SAFETY: as above.
                    let mut $other = unsafe { Pin::new_unchecked($other) };
                    if $other.as_mut().poll(context) {
                        return Poll::Ready($other.take());
                    }
                )*
                Poll::Pending
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
