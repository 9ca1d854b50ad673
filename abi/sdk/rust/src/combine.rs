//! Several futures at once inside one execution. Each branch has a waker of its own, and is polled only when that was
//! used: where the combinator itself is polled with the execution's own waker, which is nearly always. Inside another
//! combinator's branch, or under a waker that is not ours, each poll polls all branches.

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

    /// True once it is done.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        // SAFETY: the future is moved nowhere; it is replaced in place, which drops it there.
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
        // SAFETY: only a Done is moved out of, and an output is not pinned.
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

/// The branch's own waker, if it may have one here.
fn own_waker(kept: &mut Option<waker::Branch>, context: &Context<'_>) -> Own {
    current(|call| {
        let execution = match call {
            Some(call) if call.execution.waker().will_wake(context.waker()) => call.execution,
            _ => {
                *kept = None; // with the next waker of its own it begins anew
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

/// Waits for whichever comes first, and drops the other. If both have come, the first argument wins.
pub fn select2<A: Future, B: Future>(first: A, second: B) -> Select2<A, B> {
    Select2 { first: Branch::new(first), second: Branch::new(second) }
}

/// As [`select2`], for two futures of one kind of result.
pub fn race2<A: Future, B: Future<Output = A::Output>>(first: A, second: B) -> Race<(Branch<A>, Branch<B>)> {
    Race((Branch::new(first), Branch::new(second)))
}

/// Waits for all of two to eight futures, and gives their results as a tuple: `join!(a, b, c)`. To be used in an async
/// function; the await is in it.
#[macro_export]
macro_rules! join {
    ($($future:expr),+ $(,)?) => {
        $crate::combine::Join(($($crate::combine::Branch::new($future),)+)).await
    };
}

/// Waits for the first of two to eight futures with one kind of result, and drops the others: `race!(a, b, c)`. Of
/// several that have come, the first in the list wins. The await is in it.
#[macro_export]
macro_rules! race {
    ($($future:expr),+ $(,)?) => {
        $crate::combine::Race(($($crate::combine::Branch::new($future),)+)).await
    };
}

/// Which of two came first: see [`select2`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// What [`join2`] and `join!` wait for.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Join<T>(#[doc(hidden)] pub T);

/// What [`race2`] and `race!` wait for.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Race<T>(#[doc(hidden)] pub T);

/// What [`select2`] returns.
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
