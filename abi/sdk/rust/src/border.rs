//! The border to the host: the functions that it calls for an execution. No panic leaves them; it becomes the return
//! value PANIC, with its text.

use core::any::Any;
use core::convert::Infallible;
use core::ffi::c_void;
use core::fmt::{Display, Write};
use core::future::Future;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::ptr;
use core::task::Poll;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

use crate::config;
use crate::execution::{current, Call, Execution, Function};
use crate::ffi;
use crate::services::{Context, Level};
use crate::text::Text;
use crate::unblock;

#[cfg(panic = "abort")]
compile_error!(
    "taskhost: with panic = \"abort\" a panic would end the host with all its tasks; leave it at \"unwind\""
);

/// The return type of a task's function: nothing, or a `Result` whose error can be displayed.
pub trait Outcome {
    #[doc(hidden)]
    type Error: Display;
    #[doc(hidden)]
    fn into_result(self) -> Result<(), Self::Error>;
}

impl Outcome for () {
    type Error = Infallible;
    fn into_result(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Outcome for Infallible {
    type Error = Infallible;
    fn into_result(self) -> Result<(), Infallible> {
        match self {}
    }
}

impl<E: Display> Outcome for Result<(), E> {
    type Error = E;
    fn into_result(self) -> Result<(), E> {
        self
    }
}

impl<E: Display> Outcome for Result<Infallible, E> {
    type Error = E;
    fn into_result(self) -> Result<(), E> {
        self.map(|never| match never {})
    }
}

/// A function that can be an async task: `async fn()` or `async fn(Context)`, or any other function that returns a
/// future. `plugin!` also requires that the future is `Send`, since the host may poll it on another thread next time,
/// and that its result is an [`Outcome`].
pub trait AsyncTask<Arguments>: Copy + 'static {
    #[doc(hidden)]
    type Future: Future + 'static;
    #[doc(hidden)]
    fn begin(self) -> Self::Future;
}

impl<F, R> AsyncTask<()> for F
where
    F: Fn() -> R + Copy + 'static,
    R: Future + 'static,
{
    type Future = R;
    fn begin(self) -> R {
        self()
    }
}

impl<F, R> AsyncTask<Context> for F
where
    F: Fn(Context) -> R + Copy + 'static,
    R: Future + 'static,
{
    type Future = R;
    fn begin(self) -> R {
        self(Context::new())
    }
}

/// A function that can be a blocking task: `fn()` or `fn(Context)`.
pub trait BlockingTask<Arguments>: Copy + 'static {
    #[doc(hidden)]
    type Output: Outcome;
    #[doc(hidden)]
    fn run(self) -> Self::Output;
}

impl<F, R> BlockingTask<()> for F
where
    F: Fn() -> R + Copy + 'static,
    R: Outcome,
{
    type Output = R;
    fn run(self) -> R {
        self()
    }
}

impl<F, R> BlockingTask<Context> for F
where
    F: Fn(Context) -> R + Copy + 'static,
    R: Outcome,
{
    type Output = R;
    fn run(self) -> R {
        self(Context::new())
    }
}

/// A function that can be a check: `fn() -> Result<T, E>` or `fn(Context) -> Result<T, E>`, with any `E: Display`. The
/// value is dropped, so the function that reads the task's config will do.
pub trait CheckFunction<Arguments>: Copy + 'static {
    #[doc(hidden)]
    type Value;
    #[doc(hidden)]
    type Error: Display;
    #[doc(hidden)]
    fn check(self) -> Result<Self::Value, Self::Error>;
}

impl<F, T, E> CheckFunction<()> for F
where
    F: Fn() -> Result<T, E> + Copy + 'static,
    E: Display,
{
    type Value = T;
    type Error = E;
    fn check(self) -> Result<T, E> {
        self()
    }
}

impl<F, T, E> CheckFunction<Context> for F
where
    F: Fn(Context) -> Result<T, E> + Copy + 'static,
    E: Display,
{
    type Value = T;
    type Error = E;
    fn check(self) -> Result<T, E> {
        self(Context::new())
    }
}

/// Conjures up a task's function: it is a zero-sized type, so no bytes are needed.
///
/// # Safety
/// There is, or was, a value of type F; `plugin!` had one when it instantiated the functions below.
unsafe fn function<F: Copy>() -> F {
    debug_assert!(mem::size_of::<F>() == 0, "plugin! has seen to it");
    // SAFETY: a zero-sized value has no bytes; it may be copied, and the caller ensures that one may exist.
    unsafe { ptr::NonNull::<F>::dangling().as_ptr().read() }
}

/// The functions of an async task's execution.
pub(crate) struct Polled<A, F>(PhantomData<(A, F)>);

/// An execution in the host's memory.
pub(crate) struct State<T> {
    execution: Execution,
    future: ManuallyDrop<T>,
}

impl<A, F: AsyncTask<A>> Polled<A, F>
where
    F::Future: Send,
    <F::Future as Future>::Output: Outcome,
{
    pub(crate) const SIZE: usize = mem::size_of::<State<F::Future>>();
    pub(crate) const ALIGN: usize = mem::align_of::<State<F::Future>>();

    /// # Safety
    /// Called as the host calls start: with SIZE bytes, aligned, for this execution only.
    pub(crate) unsafe extern "C" fn start(state: *mut c_void, exec: *const ffi::Exec) -> i32 {
        let state = state.cast::<State<F::Future>>();
        hook_panics();
        // SAFETY: valid until drop returns, and so is the state; this is start.
        let execution = match unsafe { Execution::new(exec) } {
            Ok(execution) => execution,
            // SAFETY: this is start.
            Err(text) => return unsafe { fail(exec, text) },
        };
        // SAFETY: the host provides the memory for this execution, and it holds nothing that must be dropped. From here
        // on the execution does not move. It is shared: nothing creates an exclusive reference to it.
        let execution = unsafe {
            ptr::addr_of_mut!((*state).execution).write(execution);
            &(*state).execution
        };
        guarded(execution, Function::Start, |_| {
            // SAFETY: `plugin!` took this function from a value.
            let future = unsafe { function::<F>() }.begin();
            // SAFETY: as above. From here on the future is pinned, until it is dropped in place.
            unsafe { ptr::addr_of_mut!((*state).future).write(ManuallyDrop::new(future)) };
            ffi::OK
        })
    }

    /// # Safety
    /// Called as the host calls poll: after a start that returned OK, before the end.
    pub(crate) unsafe extern "C" fn poll(state: *mut c_void, _: *const ffi::Exec) -> i32 {
        let state = state.cast::<State<F::Future>>();
        // SAFETY: start has written it, and drop has not been called.
        let execution = unsafe { &(*state).execution };
        guarded(execution, Function::Poll, |call| {
            if !call.prepare_poll() {
                return ffi::OK; // the host asks it to end; drop follows
            }
            // SAFETY: in place since start, until drop; no other function of the execution is called meanwhile.
            let future = unsafe { Pin::new_unchecked(&mut *ptr::addr_of_mut!((*state).future).cast::<F::Future>()) };
            match future.poll(&mut core::task::Context::from_waker(&execution.waker())) {
                Poll::Pending if call.again() => ffi::AGAIN,
                Poll::Pending => {
                    execution.arm();
                    ffi::PENDING
                }
                // SAFETY: this is poll.
                Poll::Ready(outcome) => unsafe { report(call, outcome) },
            }
        })
    }

    /// # Safety
    /// Called as the host calls drop: once, after a start that returned OK.
    pub(crate) unsafe extern "C" fn drop(state: *mut c_void, _: *const ffi::Exec) {
        let state = state.cast::<State<F::Future>>();
        // SAFETY: start has written it.
        let execution = unsafe { &(*state).execution };
        guarded(execution, Function::Drop, |_| {
            // SAFETY: start has written it, and nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut *ptr::addr_of_mut!((*state).future)) };
            ffi::OK
        });
        execution.waits.let_go(execution);
    }
}

/// The function of a blocking task's execution.
pub(crate) struct Blocking<A, F>(PhantomData<(A, F)>);

impl<A, F: BlockingTask<A>> Blocking<A, F> {
    /// # Safety
    /// Called as the host calls run.
    pub(crate) unsafe extern "C" fn run(_: *mut c_void, exec: *const ffi::Exec) -> i32 {
        hook_panics();
        // SAFETY: valid until drop, so longer than this function; this is run.
        let execution = match unsafe { Execution::new(exec) } {
            Ok(execution) => execution,
            // SAFETY: this is run.
            Err(text) => return unsafe { fail(exec, text) },
        };
        guarded(&execution, Function::Run, |call| {
            // SAFETY: `plugin!` took this function from a value. This is run.
            unsafe { report(call, function::<F>().run()) }
        })
    }
}

/// The function that checks a task's config.
pub(crate) struct Checked<A, C>(PhantomData<(A, C)>);

impl<A, C: CheckFunction<A>> Checked<A, C> {
    /// # Safety
    /// Called as the host calls check.
    pub(crate) unsafe extern "C" fn check(exec: *const ffi::Exec) -> i32 {
        hook_panics();
        // SAFETY: valid until this function returns; this is check.
        let execution = match unsafe { Execution::for_check(exec) } {
            Ok(execution) => execution,
            // SAFETY: this is check.
            Err(text) => return unsafe { fail(exec, text) },
        };
        guarded(&execution, Function::Check, |call| {
            // SAFETY: `plugin!` took this function from a value. This is check.
            unsafe { report(call, function::<C>().check().map(drop)) }
        })
    }
}

/// # Safety
/// In this execution's start, poll or run, or in a check.
unsafe fn fail(exec: *const ffi::Exec, text: &str) -> i32 {
    // SAFETY: the caller's promise; the text is copied.
    unsafe { ((*(*exec).services).fail)(exec, text.as_ptr().cast(), text.len()) }
}

/// # Safety
/// In this execution's poll or run, or in a check.
unsafe fn report<O: Outcome>(call: &Call<'_>, outcome: O) -> i32 {
    match outcome.into_result() {
        Ok(()) => ffi::OK,
        Err(error) => {
            let mut text = Text::new();
            // In the alternate form some errors include their causes.
            let _ = write!(text, "{:#}", error);
            if config::host_has_said(call, text.as_str()) {
                return ffi::ERROR;
            }
            // SAFETY: the caller's promise.
            unsafe { fail(call.execution.exec(), text.as_str()) }
        }
    }
}

/// Calls into the task, with the thread's current call set, and lets no panic out.
fn guarded(execution: &Execution, function: Function, work: impl FnOnce(&Call<'_>) -> i32) -> i32 {
    let call = Call::new(execution, function);
    let result = {
        let _entered = call.enter();
        catch_unwind(AssertUnwindSafe(|| work(&call)))
    };
    match result {
        Ok(status) => status,
        Err(payload) => {
            let mut text = Text::new();
            let _ = write_panic(&mut text, payload.as_ref(), call.panic_place.take());
            // A payload may panic when it is dropped; the payload of that panic is leaked.
            if let Err(another) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
                mem::forget(another);
            }
            let text = text.as_str();
            let (services, exec) = (execution.services(), execution.exec());
            // SAFETY: log is [any-thread], and the execution's drop has not returned; fail is [execution], and this
            // is start, poll, run or check.
            unsafe {
                if function == Function::Drop {
                    (services.log)(exec, Level::Error.number(), text.as_ptr().cast(), text.len());
                } else {
                    (services.fail)(exec, text.as_ptr().cast(), text.len());
                }
            }
            ffi::PANIC
        }
    }
}

fn write_panic(text: &mut Text, payload: &(dyn Any + Send), place: Option<String>) -> std::fmt::Result {
    text.write_str(panic_text(payload))?;
    match place {
        Some(place) => write!(text, " ({})", place),
        None => Ok(()),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<&'static str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or("a panic whose payload is no text", String::as_str),
    }
}

/// A panic inside a task is reported by the outcome, with its location; stderr belongs to the host. So the hook that
/// prints panics is skipped for those inside our calls and in `unblock`, but not on the task's own threads, nor if
/// RUST_BACKTRACE asks for more than the outcome can hold. The hook is the plugin's own: each cdylib has its own copy
/// of the standard library.
fn hook_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print_all = std::env::var_os("RUST_BACKTRACE").map_or(false, |value| value != "0");
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = || info.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
            let inside = current(|call| match call {
                Some(call) => {
                    call.panic_place.set(place());
                    true
                }
                None => unblock::keep_panic_place(place),
            });
            if !inside || print_all {
                before(info);
            }
        }));
    });
}
