#![doc = include_str!("../README.md")]
#![warn(unsafe_op_in_unsafe_fn)]

pub mod ffi;

mod border;
#[doc(hidden)]
pub mod combine;
mod config;
mod execution;
mod plugin;
mod ready;
mod resolve;
mod services;
mod stop;
mod text;
mod time;
mod unblock;
mod waits;
mod waker;

pub use border::{AsyncTask, BlockingTask, CheckFunction, Outcome};
pub use combine::{join2, race2, select2, Either, Join, Race, Select2};
pub use config::{Config, ConfigError, ConfigValue};
#[cfg(unix)]
pub use ready::{readable, ready, writable, Interest, Ready};
pub use resolve::resolve;
#[cfg(unix)]
pub use services::wait_fd;
pub use services::{
    config, execution_number, extension, heartbeat, log, notify_ready, status, task_name, wait, wait_for, wait_until,
    waker, Context, Level, Waited,
};
pub use stop::{stop_requested, stopped, Stopped};
pub use time::{now, sleep, sleep_until, timeout, yield_now, Elapsed, Sleep, Time, YieldNow};
pub use unblock::{unblock, Unblock};

/// Used by `plugin!`.
#[doc(hidden)]
pub mod __private {
    pub use crate::plugin::{blocking, check_names, polled, Factory, Texts};
}
