//! What the SDK keeps for one execution in the host's memory, in addition to its future; and the thread-local record of
//! the execution that a thread is in, which the free functions use.

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::task::Waker;

use crate::ffi;
use crate::waits::Waits;
use crate::waker::{Host, BRANCHES};

pub(crate) struct Execution {
    exec: *const ffi::Exec,
    value: ffi::WakerValue,
    host: Host,
    next_branch: Cell<u8>,
    minds_stop: Cell<bool>,
    config_has_failed: Cell<bool>,
    armed: Cell<u64>,
    /// What take_ready may still tell: watched descriptors, and work on other threads. Never too few; too many if a
    /// wait was dropped outside its execution, which forgets the descriptor only when it is ready.
    expected: Cell<u32>,
    pub(crate) waits: Waits,
}

/// The function that the execution is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Function {
    Start,
    Poll,
    Run,
    Drop,
    Check,
}

/// One call of the host into an execution, on the stack of the thread that makes it.
pub(crate) struct Call<'a> {
    pub(crate) execution: &'a Execution,
    pub(crate) function: Function,
    /// True while timers, descriptors and the stop are checked, before the task is polled.
    about_to_poll: Cell<bool>,
    /// The task has woken itself in this poll.
    again: Cell<bool>,
    /// The location of a panic, set by the panic hook.
    pub(crate) panic_place: Cell<Option<String>>,
}

thread_local! {
    static CURRENT: Cell<*const Call<'static>> = const { Cell::new(core::ptr::null()) };
}

/// The thread is in `call` until this is dropped.
pub(crate) struct Entered<'a> {
    _call: &'a Call<'a>,
    before: *const Call<'static>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.before));
    }
}

impl<'a> Call<'a> {
    pub(crate) fn new(execution: &'a Execution, function: Function) -> Call<'a> {
        Call {
            execution,
            function,
            about_to_poll: Cell::new(false),
            again: Cell::new(false),
            panic_place: Cell::new(None),
        }
    }

    pub(crate) fn enter(&'a self) -> Entered<'a> {
        let this = (self as *const Call<'a>).cast::<Call<'static>>();
        Entered { _call: self, before: CURRENT.with(|current| current.replace(this)) }
    }

    /// True if the task wants to be polled again after the others that are due.
    pub(crate) fn again(&self) -> bool {
        self.again.get()
    }

    /// Wakes the branches whose waits are over. False if the host asks the execution to end and the task leaves that to
    /// the SDK.
    pub(crate) fn prepare_poll(&self) -> bool {
        let execution = self.execution;
        let stop = execution.stop_requested();
        if stop && !execution.minds_stop.get() {
            return false;
        }
        self.about_to_poll.set(true);
        let more = execution.waits.fire(execution, stop);
        self.about_to_poll.set(false);
        self.again.set(more);
        true
    }
}

/// The call that this thread is in, if any.
pub(crate) fn current<R>(look: impl FnOnce(Option<&Call<'_>>) -> R) -> R {
    let call = CURRENT.try_with(Cell::get).unwrap_or(core::ptr::null());
    // SAFETY: not NULL only between `enter` and the drop of `Entered`, which borrows the call for that time; and the
    // reading thread is the one that entered.
    look(unsafe { call.as_ref() })
}

/// The call that this thread is in. Panics if there is none, naming the function that needs it.
pub(crate) fn expect_current<R>(what: &str, look: impl FnOnce(&Call<'_>) -> R) -> R {
    current(|call| match call {
        Some(call) => look(call),
        None => panic!("{} works only inside a task, on the thread that the host calls it on", what),
    })
}

/// The same, but the call must have an execution: that of a check has none.
pub(crate) fn expect_execution<R>(what: &str, look: impl FnOnce(&Call<'_>) -> R) -> R {
    expect_current(what, |call| {
        assert!(call.function != Function::Check, "{} is not for a check, which has no execution", what);
        look(call)
    })
}

/// The same, but the call must be a poll, since waiting works only there.
pub(crate) fn expect_poll<R>(what: &str, look: impl FnOnce(&Call<'_>) -> R) -> R {
    expect_current(what, |call| match call.function {
        Function::Poll => look(call),
        Function::Run => panic!("{} is for async tasks; a blocking one may block, and has wait_for()", what),
        Function::Start | Function::Drop => panic!("{} can't be awaited while the task starts or is dropped", what),
        Function::Check => panic!("{} is not for a check, which has no execution", what),
    })
}

/// True if this waker is that of the execution that this thread polls: the wake need not go through the host.
pub(crate) fn takes_wake(host: Host, value: ffi::WakerValue) -> bool {
    current(|call| match call {
        Some(call)
            if call.function == Function::Poll && call.execution.value == value && call.execution.host == host =>
        {
            if !call.about_to_poll.get() {
                call.again.set(true);
            }
            true
        }
        _ => false,
    })
}

impl Execution {
    /// Fails if wakers of too many different hosts exist.
    ///
    /// # Safety
    /// `exec` is valid until the result is dropped, and this is its start, poll or run.
    pub(crate) unsafe fn new(exec: *const ffi::Exec) -> Result<Execution, &'static str> {
        // SAFETY: the caller's promise: this is [execution].
        unsafe { Execution::with_waker(exec, ((*(*exec).services).waker)(exec)) }
    }

    /// What stands for an execution in a check. It has no waker.
    ///
    /// # Safety
    /// `exec` is valid until the result is dropped, and this is a check.
    pub(crate) unsafe fn for_check(exec: *const ffi::Exec) -> Result<Execution, &'static str> {
        // SAFETY: the caller's promise.
        unsafe { Execution::with_waker(exec, 0) }
    }

    /// # Safety
    /// `exec` is valid until the result is dropped.
    unsafe fn with_waker(exec: *const ffi::Exec, value: ffi::WakerValue) -> Result<Execution, &'static str> {
        // SAFETY: the caller's promise.
        let services = unsafe { &*(*exec).services };
        Ok(Execution {
            exec,
            value,
            host: Host::of(services).ok_or("this Rust plugin can't take tasks of more than four different hosts")?,
            next_branch: Cell::new(0),
            minds_stop: Cell::new(false),
            config_has_failed: Cell::new(false),
            armed: Cell::new(ffi::NEVER),
            expected: Cell::new(0),
            waits: Waits::new(),
        })
    }

    pub(crate) fn exec(&self) -> *const ffi::Exec {
        self.exec
    }

    pub(crate) fn services(&self) -> &ffi::Services {
        // SAFETY: `exec` is valid as long as the execution; the table stays as long as the process.
        unsafe { &*(*self.exec).services }
    }

    pub(crate) fn value(&self) -> ffi::WakerValue {
        self.value
    }

    pub(crate) fn host(&self) -> Host {
        self.host
    }

    /// Its root waker. It owns nothing, so it need not be dropped.
    pub(crate) fn waker(&self) -> ManuallyDrop<Waker> {
        ManuallyDrop::new(self.host.waker(self.value, 0))
    }

    /// Numbers wrap around: two branches with the same number cost each other a needless poll.
    pub(crate) fn new_branch_number(&self) -> u8 {
        let number = self.next_branch.get() % BRANCHES + 1;
        self.next_branch.set(number);
        number
    }

    pub(crate) fn now(&self) -> u64 {
        // SAFETY: [anywhere].
        unsafe { (self.services().now)() }
    }

    pub(crate) fn stop_requested(&self) -> bool {
        // SAFETY: [any-thread], and `exec` is valid.
        unsafe { (self.services().stop_requested)(self.exec) != 0 }
    }

    /// From now on the task ends by itself when the host asks it to.
    pub(crate) fn mind_stop(&self) {
        self.minds_stop.set(true);
    }

    /// The config reader has told the host why this execution may be about to fail.
    pub(crate) fn note_config_failure(&self) {
        self.config_has_failed.set(true);
    }

    pub(crate) fn config_has_failed(&self) -> bool {
        self.config_has_failed.get()
    }

    /// Notes that the host's timer has fired, if its time has come: even the same time must be set again.
    pub(crate) fn note_time(&self, now: u64) {
        if self.armed.get() <= now {
            self.armed.set(ffi::NEVER);
        }
    }

    /// Watches a descriptor for what its nodes want by now; without any, forgets it. Returns OK, or why the host
    /// refuses.
    ///
    /// # Safety
    /// In this execution's poll.
    pub(crate) unsafe fn watch(&self, fd: i32) -> i32 {
        let wanted = self.waits.interests(self, fd);
        if wanted == 0 {
            self.expected.set(self.expected.get().saturating_sub(1));
        }
        // SAFETY: [execution], as the caller promises; the host checks the descriptor.
        unsafe { (self.services().watch)(self.exec, fd.into(), wanted, fd as u64) }
    }

    /// Gives work to the host. Returns OK, or why the host refuses.
    ///
    /// # Safety
    /// In this execution's poll; the work is as the host requires it.
    pub(crate) unsafe fn offload(&self, work: &ffi::Work) -> i32 {
        // SAFETY: [execution], as the caller promises; the host copies the work.
        let refusal = unsafe { (self.services().offload)(self.exec, work) };
        if refusal == ffi::OK {
            self.expect_more();
        }
        refusal
    }

    pub(crate) fn expect_more(&self) {
        self.expected.set(self.expected.get() + 1);
    }

    pub(crate) fn told_of_work(&self) {
        self.expected.set(self.expected.get().saturating_sub(1));
    }

    /// What is ready now; returns how many entries were filled.
    ///
    /// # Safety
    /// In this execution's poll.
    pub(crate) unsafe fn take_ready(&self, list: &mut [ffi::Ready]) -> usize {
        if self.expected.get() == 0 {
            return 0;
        }
        // SAFETY: [execution], as the caller promises; the capacity is right.
        unsafe { (self.services().take_ready)(self.exec, list.as_mut_ptr(), list.len()) }
    }

    /// After a pending poll: sets the host's one timer to the earliest time.
    pub(crate) fn arm(&self) {
        let earliest = self.waits.earliest();
        if self.armed.replace(earliest) != earliest {
            // SAFETY: called at the end of a poll: this is [execution].
            unsafe { (self.services().wake_at)(self.exec, earliest) }
        }
    }
}
