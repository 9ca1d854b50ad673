//! Values of the task's config, read by the host through its extension `taskhost.config`, so that durations, and the
//! messages for wrong values and misspelt keys, are the same in every plugin. The bindings of `taskhost/ext/config.h`.

use core::ffi::c_void;
use core::fmt;
use core::ops::RangeInclusive;
use core::ptr;
use core::time::Duration;
use std::ffi::{CStr, CString};
use std::io;
use std::os::raw::c_char;

use crate::execution::{expect_current, Call, Function};
use crate::ffi;

/// Values of the task's config by their JSON pointers: `"/every"`, `"/pins/0"`.
///
/// ```
/// use std::time::Duration;
/// use taskhost::{Config, ConfigError};
///
/// async fn reader() -> Result<(), ConfigError> {
///     let config = Config::with_keys(&["path", "every", "pins"])?;
///     let path: String = config.require("/path")?;
///     let every = config.get_or("/every", Duration::from_secs(1))?;
///     let pins: Option<Vec<u8>> = config.get("/pins")?;
///     taskhost::info!("{} each {:?}, pins {:?}", path, every, pins);
///     Ok(())
/// }
/// # taskhost::plugin! { "reader" => reader }
/// ```
///
/// It is empty; like the free functions it acts on the execution that the calling thread is in. Its functions work in
/// the task's own functions and its check, not in destructors.
#[derive(Clone, Copy, Debug)]
pub struct Config(());

/// Something in the config is wrong, or this host reads no configs. When a task ends with it, even within another error
/// that displays it, the message is that of the host, such as `config: /every: must be a duration such as "250ms",
/// "10s" or "1.5h"`. If there were several errors, it is that of the last one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConfigError(&'static str);

/// The host has recorded the text itself with `fail`; we cannot read it.
const SAID: ConfigError = ConfigError("the config has a wrong value, which the host names");
const NO_READER: ConfigError = ConfigError("this host reads no configs (extension taskhost.config)");

impl Config {
    /// # Errors
    /// This host reads no configs.
    pub fn new() -> Result<Config, ConfigError> {
        with_reader(|_, _| ffi::OK).map(|()| Config(()))
    }

    /// A config whose top level has no other keys than these.
    ///
    /// # Errors
    /// It is not an object, or has another key; the message names the one that was probably meant.
    ///
    /// # Panics
    /// If a key has a NUL; the other functions panic if the pointer has one.
    pub fn with_keys(keys: &[&str]) -> Result<Config, ConfigError> {
        let keys = c_text(&keys.join(" "));
        // SAFETY: [execution], which `with_reader` ensures; the text is NUL-terminated.
        with_reader(|reader, exec| unsafe { (reader.keys)(exec, keys.as_ptr()) }).map(|()| Config(()))
    }

    /// The value, if there is one: a `String`, `bool`, `f64`, a [`Duration`] (`"250ms"`, `"10s"`, `"1.5h"`), an
    /// integer, which must fit its type, or a `Vec` of these.
    ///
    /// # Errors
    /// It is something else.
    pub fn get<T: ConfigValue>(self, pointer: &str) -> Result<Option<T>, ConfigError> {
        T::read(pointer)
    }

    /// The value, or a default if there is none.
    ///
    /// # Errors
    /// Those of [`get`](Config::get).
    pub fn get_or<T: ConfigValue>(self, pointer: &str, absent: T) -> Result<T, ConfigError> {
        Ok(T::read(pointer)?.unwrap_or(absent))
    }

    /// A required value.
    ///
    /// # Errors
    /// It is missing, or of another type.
    pub fn require<T: ConfigValue>(self, pointer: &str) -> Result<T, ConfigError> {
        let name = c_text(pointer);
        // SAFETY: as in `with_keys`.
        with_reader(|reader, exec| unsafe { (reader.require)(exec, name.as_ptr()) })?;
        T::read(pointer)?.ok_or(SAID)
    }

    /// A whole number within a range that is narrower than that of a type.
    ///
    /// # Errors
    /// It is something else.
    pub fn integer(self, pointer: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ConfigError> {
        let name = c_text(pointer);
        ask(0, 1, |reader, exec, value| {
            // SAFETY: as in `with_keys`.
            unsafe { (reader.integer)(exec, name.as_ptr(), *range.start(), *range.end(), value) }
        })
    }

    /// Reads a duration that does not stand in the config, such as an argument in a script: `"250ms"`, `"10s"`,
    /// `"1.5h"`. `None` if it is none, or longer than 365 days.
    #[must_use]
    pub fn parse_duration(self, text: &str) -> Option<Duration> {
        let (mut status, mut nanoseconds) = (ffi::ERROR, 0);
        with_reader(|reader, _| {
            // SAFETY: the text is of this size.
            status = unsafe { (reader.parse_duration)(text.as_ptr().cast(), text.len(), &mut nanoseconds) };
            ffi::OK
        })
        .ok()?;
        (status == ffi::OK).then(|| Duration::from_nanos(nanoseconds))
    }
}

/// A type that [`Config::get`] can read.
pub trait ConfigValue: Sized {
    #[doc(hidden)]
    fn read(pointer: &str) -> Result<Option<Self>, ConfigError>;
}

impl ConfigValue for String {
    fn read(pointer: &str) -> Result<Option<String>, ConfigError> {
        let name = c_text(pointer);
        let (mut text, mut size): (*const c_char, usize) = (ptr::null(), 0);
        // SAFETY: as in `with_keys`.
        with_reader(|reader, exec| unsafe { (reader.text)(exec, name.as_ptr(), &mut text, &mut size) })?;
        if text.is_null() {
            return Ok(None);
        }
        // SAFETY: owned by the host, valid until drop returns, and of this size.
        let bytes = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), size) };
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }
}

impl ConfigValue for bool {
    fn read(pointer: &str) -> Result<Option<bool>, ConfigError> {
        let name = c_text(pointer);
        // SAFETY: as in `with_keys`.
        let read = ask(0, 1, |reader, exec, value| unsafe { (reader.boolean)(exec, name.as_ptr(), value) })?;
        Ok(read.map(|value| value != 0))
    }
}

impl ConfigValue for f64 {
    fn read(pointer: &str) -> Result<Option<f64>, ConfigError> {
        let name = c_text(pointer);
        // SAFETY: as in `with_keys`.
        ask(0.0, 1.0, |reader, exec, value| unsafe { (reader.number)(exec, name.as_ptr(), value) })
    }
}

impl ConfigValue for Duration {
    fn read(pointer: &str) -> Result<Option<Duration>, ConfigError> {
        let name = c_text(pointer);
        // SAFETY: as in `with_keys`.
        let read = ask(0, 1, |reader, exec, value| unsafe { (reader.duration)(exec, name.as_ptr(), value) })?;
        Ok(read.map(Duration::from_nanos))
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {
        $(impl ConfigValue for $integer {
            fn read(pointer: &str) -> Result<Option<$integer>, ConfigError> {
                let least = i64::try_from(<$integer>::MIN).unwrap_or(i64::MIN);
                let most = i64::try_from(<$integer>::MAX).unwrap_or(i64::MAX); // a u64's upper half cannot be written
                let read = Config(()).integer(pointer, least..=most)?;
                Ok(read.and_then(|value| <$integer>::try_from(value).ok())) // it fits: the host has checked that
            }
        })*
    };
}
integers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl<T: ConfigValue> ConfigValue for Vec<T> {
    fn read(pointer: &str) -> Result<Option<Vec<T>>, ConfigError> {
        let name = c_text(pointer);
        // SAFETY: as in `with_keys`.
        let count = ask(0, 1, |reader, exec, value| unsafe { (reader.count)(exec, name.as_ptr(), value) })?;
        let element = |index| Config(()).require(&format!("{}/{}", pointer, index));
        count.map(|count| (0..count).map(element).collect()).transpose()
    }
}

/// The host leaves the variable as it is if there is no value; if it keeps a second initial value too, there is none.
fn ask<T: Copy + PartialEq>(
    first: T,
    second: T,
    question: impl Fn(&ffi::ConfigReader, *const ffi::Exec, &mut T) -> i32,
) -> Result<Option<T>, ConfigError> {
    for before in [first, second] {
        let mut value = before;
        with_reader(|reader, exec| question(reader, exec, &mut value))?;
        if value != before {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn with_reader(work: impl FnOnce(&ffi::ConfigReader, *const ffi::Exec) -> i32) -> Result<(), ConfigError> {
    expect_current("taskhost::Config", |call| {
        assert!(call.function != Function::Drop, "taskhost::Config is for the task's own functions, not destructors");
        let execution = call.execution;
        // SAFETY: [execution]; the literals are NUL-terminated. Tables stay valid as long as the process lives.
        let reader = unsafe {
            let id = CStr::from_bytes_with_nul_unchecked(ffi::CONFIG_EXTENSION);
            let table: *const c_void =
                (execution.services().extension)(execution.exec(), id.as_ptr(), ffi::CONFIG_REVISION);
            table.cast::<ffi::ConfigReader>().as_ref()
        };
        match reader.map(|reader| work(reader, execution.exec())) {
            Some(ffi::OK) => Ok(()),
            Some(_) => {
                execution.note_config_failure();
                Err(SAID)
            }
            None => Err(NO_READER),
        }
    })
}

fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| panic!("taskhost::Config: {:?} has a NUL", text))
}

/// True if this error text contains that of an error whose message the host has.
pub(crate) fn host_has_said(call: &Call<'_>, text: &str) -> bool {
    call.execution.config_has_failed() && text.contains(SAID.0)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConfigError({})", self.0)
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for String {
    fn from(error: ConfigError) -> String {
        error.0.to_string()
    }
}

impl From<ConfigError> for io::Error {
    fn from(error: ConfigError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}
