//! Work that blocks, on threads of the host's. The work and the future that awaits it share its result, so that either
//! may be gone before the other, and the future may be on any thread.

use core::any::Any;
use core::cell::Cell;
use core::ffi::c_void;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, Waker};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::execution::{current, expect_poll};
use crate::ffi;

/// Calls `work` on another thread, which it may block, and returns what it returns: for files, DNS, databases, and long
/// computations. A panic in it goes on in the task that awaits it.
///
/// The work owns what it uses, since it goes on if the future is dropped, or the task ends, before it is done; its
/// result is then thrown away. It is no part of the task: the functions of this crate panic in it. It begins when the
/// future is first polled.
///
/// ```
/// async fn reader() -> std::io::Result<()> {
///     let text = taskhost::unblock(|| std::fs::read_to_string("feed.csv")).await?;
///     taskhost::info!("{} lines", text.lines().count());
///     Ok(())
/// }
/// # taskhost::plugin! { "reader" => reader }
/// ```
///
/// # Panics
/// If the host has no thread for it, whose log says why; and when it is awaited anywhere but in an async task.
pub fn unblock<F, T>(work: F) -> Unblock<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let shared = Arc::new(Shared(Mutex::new(State { result: Progress::Going, waker: None })));
    let order = Box::new(Order { work: Some(work), shared: shared.clone() });
    Unblock { order: Some(order), shared }
}

/// The future that [`unblock`] returns.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Unblock<T> {
    order: Option<Box<dyn AnyOrder>>, // until it is given to the host
    shared: Arc<Shared<T>>,
}

impl<T: Send + 'static> Future for Unblock<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut waker = Some(context.waker().clone());
        let mut state = self.shared.lock();
        let result = mem::replace(&mut state.result, Progress::Over);
        if let Progress::Going = result {
            state.result = Progress::Going;
            mem::swap(&mut state.waker, &mut waker); // before the work begins, since it may be done at once
        }
        drop(state);
        drop(waker); // without the lock
        match result {
            Progress::Going => {
                if let Some(order) = self.order.take() {
                    give_to_host(order);
                }
                Poll::Pending
            }
            Progress::Done(Ok(value)) => Poll::Ready(value),
            Progress::Done(Err(panic)) => {
                current(|call| call.map(|call| call.panic_place.set(panic.place)));
                resume_unwind(panic.payload)
            }
            Progress::Discarded => panic!("taskhost::unblock() was awaited in a task that has ended"),
            Progress::Over => panic!("taskhost::unblock() was polled after its end"),
        }
    }
}

/// Nobody wants the result any more.
impl<T> Drop for Unblock<T> {
    fn drop(&mut self) {
        let result = mem::replace(&mut self.shared.lock().result, Progress::Over);
        drop(result); // without the lock
    }
}

struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    result: Progress<T>,
    waker: Option<Waker>,
}

enum Progress<T> {
    Going,
    Done(Result<T, Panicked>),
    Discarded,
    Over,
}

struct Panicked {
    payload: Box<dyn Any + Send>,
    place: Option<String>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What the host gets. It owns the work, and when it is dropped, which means that the host has told or discarded it, it
/// wakes the future.
struct Order<F, T> {
    work: Option<F>,
    shared: Arc<Shared<T>>,
}

trait AnyOrder: Send {
    fn run(&mut self);
}

impl<F: FnOnce() -> T + Send, T: Send> AnyOrder for Order<F, T> {
    fn run(&mut self) {
        let work = match self.work.take() {
            Some(work) => work,
            None => return,
        };
        let place = Cell::new(None);
        let result = quietly(&place, work).map_err(|payload| Panicked { payload, place: place.take() });
        let mut state = self.shared.lock();
        let unwanted = match state.result {
            Progress::Over => Some(result),
            _ => {
                state.result = Progress::Done(result);
                None
            }
        };
        drop(state);
        forget_panic(quietly(&place, move || drop(unwanted)));
    }
}

impl<F, T> Drop for Order<F, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Progress::Going = state.result {
            state.result = Progress::Discarded;
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn give_to_host(order: Box<dyn AnyOrder>) {
    expect_poll("taskhost::unblock()", |call| {
        let order: *mut Box<dyn AnyOrder> = Box::into_raw(Box::new(order));
        let work = ffi::Work {
            struct_size: mem::size_of::<ffi::Work>() as u32,
            reserved: 0,
            tag: order as usize as u64,
            argument: order.cast(),
            run,
            discard: Some(discard),
        };
        // SAFETY: this is a poll. The order is the host's until it tells the tag or calls discard.
        if unsafe { call.execution.offload(&work) } != ffi::OK {
            // SAFETY: the host has not taken it.
            drop(unsafe { Box::from_raw(order) });
            panic!("there is no thread for work that blocks; the host's log says why");
        }
    });
}

/// # Safety
/// As the host calls it: once, with the argument of a work that was given to it.
unsafe extern "C" fn run(argument: *mut c_void) {
    // SAFETY: the order is there until it is told or discarded, which comes later.
    let order = unsafe { &mut *argument.cast::<Box<dyn AnyOrder>>() };
    forget_panic(catch_unwind(AssertUnwindSafe(|| order.run())));
}

/// # Safety
/// As the host calls it: once, and nothing else with this argument is called later.
unsafe extern "C" fn discard(argument: *mut c_void) {
    // SAFETY: made by `give_to_host`, and the host's until now.
    let order = unsafe { Box::from_raw(argument.cast::<Box<dyn AnyOrder>>()) };
    forget_panic(quietly(&Cell::new(None), move || drop(order)));
}

/// The host has told that a work is done.
///
/// # Safety
/// The tag is one of ours, and is told once.
pub(crate) unsafe fn done(tag: u64) {
    let order = tag as usize as *mut Box<dyn AnyOrder>;
    // SAFETY: made by `give_to_host`; the host has given it back. It runs no code of the task's: the work has been
    // called, and the result belongs to the future.
    drop(unsafe { Box::from_raw(order) });
}

thread_local! {
    /// Where the place of a panic in `quietly` is kept.
    static PLACE: Cell<*const Cell<Option<String>>> = const { Cell::new(ptr::null()) };
}

/// Calls code of the task's on a thread of the host's, without a report of its panic on stderr.
fn quietly<T>(place: &Cell<Option<String>>, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let before = PLACE.with(|kept| kept.replace(place));
    let result = catch_unwind(AssertUnwindSafe(work));
    PLACE.with(|kept| kept.set(before));
    result
}

/// For the panic hook. False if the panic is not in `quietly`.
pub(crate) fn keep_panic_place(place: impl FnOnce() -> Option<String>) -> bool {
    let kept = PLACE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: not NULL only while `quietly`, on this thread, has it borrowed.
    match unsafe { kept.as_ref() } {
        Some(kept) => {
            kept.set(place());
            true
        }
        None => false,
    }
}

/// A payload may panic when it is dropped, on a thread where nobody could catch it.
fn forget_panic<T>(result: Result<T, Box<dyn Any + Send>>) {
    if let Err(payload) = result {
        mem::forget(payload);
    }
}
