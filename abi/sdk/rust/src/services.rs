//! The host's services as free functions: they act on the execution that the calling thread is in.

use core::fmt::{self, Display, Write};
use core::time::Duration;
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::task::Waker;

use crate::execution::{expect_current, expect_execution, Function};
use crate::ffi;
use crate::text::Text;
use crate::time::{now, Time};

/// The level of a log line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    pub(crate) fn number(self) -> i32 {
        match self {
            Level::Trace => ffi::LOG_TRACE,
            Level::Debug => ffi::LOG_DEBUG,
            Level::Info => ffi::LOG_INFO,
            Level::Warning => ffi::LOG_WARNING,
            Level::Error => ffi::LOG_ERROR,
        }
    }
}

/// Writes a line to the host's log, under the task's name; cut at 4096 bytes. The macros [`info!`](crate::info) and its
/// siblings take a format instead.
///
/// # Panics
/// Outside a task, like all functions here.
pub fn log(level: Level, text: impl Display) {
    expect_current("taskhost::log()", |call| {
        let mut line = Text::new();
        let _ = write!(line, "{}", text);
        let (execution, line) = (call.execution, line.as_str());
        // SAFETY: [any-thread]; `exec` is valid. The text is copied.
        unsafe { (execution.services().log)(execution.exec(), level.number(), line.as_ptr().cast(), line.len()) }
    });
}

/// Writes a formatted line to the host's log: `info!("{} orders", count)`.
#[macro_export]
macro_rules! info {
    ($($format:tt)+) => { $crate::log($crate::Level::Info, ::core::format_args!($($format)+)) };
}
/// Like [`info!`].
#[macro_export]
macro_rules! trace {
    ($($format:tt)+) => { $crate::log($crate::Level::Trace, ::core::format_args!($($format)+)) };
}
/// Like [`info!`].
#[macro_export]
macro_rules! debug {
    ($($format:tt)+) => { $crate::log($crate::Level::Debug, ::core::format_args!($($format)+)) };
}
/// Like [`info!`].
#[macro_export]
macro_rules! warning {
    ($($format:tt)+) => { $crate::log($crate::Level::Warning, ::core::format_args!($($format)+)) };
}
/// Like [`info!`].
#[macro_export]
macro_rules! error {
    ($($format:tt)+) => { $crate::log($crate::Level::Error, ::core::format_args!($($format)+)) };
}

/// The task's config from the manifest: JSON text, `{}` if there is none.
pub fn config() -> String {
    expect_current("taskhost::config()", |call| {
        let mut size = 0;
        // SAFETY: [any-thread]; the text is owned by the host, valid until drop returns, and UTF-8.
        let text = unsafe {
            let text = (call.execution.services().config)(call.execution.exec(), &mut size);
            core::slice::from_raw_parts(text.cast::<u8>(), size)
        };
        String::from_utf8_lossy(text).into_owned()
    })
}

/// The task's name in the manifest.
pub fn task_name() -> String {
    expect_current("taskhost::task_name()", |call| {
        // SAFETY: [any-thread]; the text is owned by the host, valid until drop returns, and NUL-terminated.
        let name = unsafe { CStr::from_ptr((call.execution.services().task_name)(call.execution.exec())) };
        name.to_string_lossy().into_owned()
    })
}

/// The number of this execution within its task, from 1.
pub fn execution_number() -> u64 {
    expect_execution("taskhost::execution_number()", |call| {
        // SAFETY: [any-thread].
        unsafe { (call.execution.services().execution_number)(call.execution.exec()) }
    })
}

/// Reports that this execution is ready to do its job, for manifests that wait for that. Further calls have no effect.
pub fn notify_ready() {
    expect_execution("taskhost::notify_ready()", |call| {
        // SAFETY: [any-thread].
        unsafe { (call.execution.services().ready)(call.execution.exec()) }
    });
}

/// A sign of life, for the task's watchdog.
pub fn heartbeat() {
    expect_execution("taskhost::heartbeat()", |call| {
        // SAFETY: [any-thread].
        unsafe { (call.execution.services().heartbeat)(call.execution.exec()) }
    });
}

/// Tells operators what this execution is doing, in one line, cut at 256 bytes, which replaces the last one. Cheap
/// enough for each step of work, not for each byte: `status(format_args!("{} of {} files", done, all))`.
pub fn status(text: impl Display) {
    expect_execution("taskhost::status()", |call| {
        let mut line = Text::new();
        let _ = write!(line, "{}", text);
        let (execution, line) = (call.execution, line.as_str());
        // SAFETY: [any-thread]; `exec` is valid. The text is copied.
        unsafe { (execution.services().status)(execution.exec(), line.as_ptr().cast(), line.len()) }
    });
}

/// A waker for this execution, to end the wait of a blocking task from another thread. Keep it as long as you like:
/// once the execution has ended it does nothing. The futures of an async task use the waker that they are polled with
/// instead.
pub fn waker() -> Waker {
    expect_execution("taskhost::waker()", |call| ManuallyDrop::into_inner(call.execution.waker()))
}

/// The table of an extension, or NULL if this host has none with that id and revision. It stays valid as long as the
/// process lives; the extension's header documents its contents and who may call them.
pub fn extension(id: &CStr, revision: u32) -> *const core::ffi::c_void {
    expect_current("taskhost::extension()", |call| {
        // SAFETY: [any-thread]; the id is NUL-terminated.
        unsafe { (call.execution.services().extension)(call.execution.exec(), id.as_ptr(), revision) }
    })
}

/// The reasons why the wait of a blocking task ended; there may be several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a wait ends at once when the host asks for the end: look at stop()"]
pub struct Waited(u32);

impl Waited {
    /// The host asks the task to end: release what you hold and return soon.
    pub fn stop(self) -> bool {
        self.0 & ffi::WAIT_STOP != 0
    }

    /// A [`waker`] was used. This may be spurious.
    pub fn wake(self) -> bool {
        self.0 & ffi::WAIT_WAKE != 0
    }

    /// The time has come.
    pub fn time(self) -> bool {
        self.0 & ffi::WAIT_TIME != 0
    }
}

/// For blocking tasks: sleeps until `time`, a wake, or the stop; returns at once if a stop has been requested.
///
/// # Panics
/// In anything but a blocking task.
pub fn wait_until(time: impl Into<Time>) -> Waited {
    let time = time.into();
    expect_current("taskhost::wait_until()", |call| match call.function {
        // SAFETY: [execution, run only].
        Function::Run => Waited(unsafe { (call.execution.services().wait)(call.execution.exec(), time.nanoseconds()) }),
        function => panic!("waiting is for blocking tasks, and this is a {:?}; an async one has sleep()", function),
    })
}

/// Like [`wait_until`], for a duration from now.
pub fn wait_for(duration: Duration) -> Waited {
    wait_until(now() + duration)
}

/// Like [`wait_until`] without a time: until a wake or the stop.
pub fn wait() -> Waited {
    wait_until(Time::NEVER)
}

/// For a blocking task with an event loop of its own: a descriptor that is readable while [`wait`] would return for a
/// wake or the stop. `wait_until(now())` takes the wake; the stop stays. It is the host's: valid as long as the task
/// runs, and never to be read or closed. None if there is none to be had: use [`wait`].
///
/// # Panics
/// In anything but a blocking task.
#[cfg(unix)]
pub fn wait_fd() -> Option<std::os::unix::io::RawFd> {
    expect_current("taskhost::wait_fd()", |call| match call.function {
        Function::Run => {
            // SAFETY: [execution, run only].
            let fd = unsafe { (call.execution.services().wait_fd)(call.execution.exec()) };
            std::os::unix::io::RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)
        }
        function => panic!("taskhost::wait_fd() is for blocking tasks, and this is a {:?}", function),
    })
}

/// The same functions as methods, if you prefer signatures that show what a function may do: `async fn f(task:
/// Context)`. It is empty; like the free functions it acts on the execution that the calling thread is in.
#[derive(Clone, Copy)]
pub struct Context(());

impl Context {
    pub(crate) fn new() -> Context {
        Context(())
    }

    /// [`log`]
    pub fn log(&self, level: Level, text: impl Display) {
        log(level, text);
    }
    /// [`config`]
    pub fn config(&self) -> String {
        config()
    }
    /// [`Config::with_keys`](crate::Config::with_keys)
    ///
    /// # Errors
    /// As there.
    pub fn config_with_keys(&self, keys: &[&str]) -> Result<crate::Config, crate::ConfigError> {
        crate::Config::with_keys(keys)
    }
    /// [`task_name`]
    pub fn task_name(&self) -> String {
        task_name()
    }
    /// [`execution_number`]
    pub fn execution_number(&self) -> u64 {
        execution_number()
    }
    /// [`now`]
    pub fn now(&self) -> Time {
        now()
    }
    /// [`sleep`](crate::sleep)
    pub fn sleep(&self, duration: Duration) -> crate::Sleep {
        crate::sleep(duration)
    }
    /// [`sleep_until`](crate::sleep_until)
    pub fn sleep_until(&self, time: impl Into<Time>) -> crate::Sleep {
        crate::sleep_until(time)
    }
    /// [`stopped`](crate::stopped)
    pub fn stopped(&self) -> crate::Stopped {
        crate::stopped()
    }
    /// [`stop_requested`](crate::stop_requested)
    pub fn stop_requested(&self) -> bool {
        crate::stop_requested()
    }
    /// [`notify_ready`]
    pub fn notify_ready(&self) {
        notify_ready();
    }
    /// [`heartbeat`]
    pub fn heartbeat(&self) {
        heartbeat();
    }
    /// [`status`]
    pub fn status(&self, text: impl Display) {
        status(text);
    }
    /// [`waker`]
    pub fn waker(&self) -> Waker {
        waker()
    }
    /// [`wait_until`]
    pub fn wait_until(&self, time: impl Into<Time>) -> Waited {
        wait_until(time)
    }
    /// [`wait_for`]
    pub fn wait_for(&self, duration: Duration) -> Waited {
        wait_for(duration)
    }
    /// [`wait`]
    pub fn wait(&self) -> Waited {
        wait()
    }
    /// [`wait_fd`]
    #[cfg(unix)]
    pub fn wait_fd(&self) -> Option<std::os::unix::io::RawFd> {
        wait_fd()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Context")
    }
}
