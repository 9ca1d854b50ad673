//! Values of the config through the host's reader, here a fake one with the values of the test.

#![warn(unsafe_op_in_unsafe_fn)]

mod support;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::ffi::{c_void, CStr};
use std::os::raw::c_char;
use std::time::Duration;

use support::Fake;
use taskhost::ffi::{self, ConfigReader, Exec, Services};
use taskhost::{Config, ConfigError};

#[derive(Clone, Copy)]
enum Value {
    Text(&'static str),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Duration(u64),
    Count(usize),
}

thread_local! {
    static VALUES: RefCell<Vec<(&'static str, Value)>> = const { RefCell::new(Vec::new()) };
    static FAILS: Cell<u32> = const { Cell::new(0) };
}

/// # Safety
/// Called as a plugin calls `fail`.
unsafe extern "C" fn counted_fail(exec: *const Exec, text: *const c_char, size: usize) -> i32 {
    FAILS.with(|fails| fails.set(fails.get() + 1));
    // SAFETY: the caller's promise.
    unsafe { (support::SERVICES.fail)(exec, text, size) }
}

fn say(exec: *const Exec, text: &str) -> i32 {
    // SAFETY: called by the SDK, which passed the exec.
    unsafe { counted_fail(exec, text.as_ptr().cast(), text.len()) }
}

fn text(of: *const c_char) -> String {
    // SAFETY: the SDK passes keys and pointers NUL-terminated.
    unsafe { CStr::from_ptr(of) }.to_str().unwrap().to_string()
}

fn find(pointer: *const c_char) -> Option<Value> {
    let pointer = text(pointer);
    VALUES.with(|values| values.borrow().iter().find(|(key, _)| *key == pointer).map(|(_, value)| *value))
}

fn give<T>(
    exec: *const Exec,
    pointer: *const c_char,
    value: *mut T,
    what: &str,
    read: impl Fn(Value) -> Option<T>,
) -> i32 {
    match find(pointer).map(read) {
        None => ffi::OK,
        // SAFETY: the SDK's own.
        Some(Some(found)) => unsafe {
            value.write(found);
            ffi::OK
        },
        Some(None) => say(exec, &format!("config: {}: must be {}", text(pointer), what)),
    }
}

unsafe extern "C" fn keys(exec: *const Exec, known: *const c_char) -> i32 {
    let known = text(known);
    let known: Vec<_> = known.split(' ').collect();
    let unknown = VALUES.with(|values| {
        let keys: Vec<_> = values.borrow().iter().map(|(key, _)| key.split('/').nth(1).unwrap()).collect();
        keys.into_iter().find(|key| !known.contains(key))
    });
    unknown.map_or(ffi::OK, |key| say(exec, &format!("config: unknown key \"{}\"", key)))
}
unsafe extern "C" fn require(exec: *const Exec, pointer: *const c_char) -> i32 {
    match find(pointer) {
        Some(_) => ffi::OK,
        None => say(exec, &format!("config: {}: is missing", text(pointer))),
    }
}
unsafe extern "C" fn read_text(
    exec: *const Exec,
    pointer: *const c_char,
    value: *mut *const c_char,
    size: *mut usize,
) -> i32 {
    let status = give(exec, pointer, value, "a text", |value| match value {
        Value::Text(text) => Some(text.as_ptr().cast()),
        _ => None,
    });
    if let Some(Value::Text(text)) = find(pointer) {
        // SAFETY: the SDK's own.
        unsafe { *size = text.len() };
    }
    status
}
unsafe extern "C" fn integer(exec: *const Exec, pointer: *const c_char, least: i64, most: i64, to: *mut i64) -> i32 {
    give(exec, pointer, to, &format!("a whole number from {} to {}", least, most), |value| match value {
        Value::Integer(number) if (least..=most).contains(&number) => Some(number),
        _ => None,
    })
}
unsafe extern "C" fn number(exec: *const Exec, pointer: *const c_char, to: *mut f64) -> i32 {
    give(exec, pointer, to, "a number", |value| match value {
        Value::Number(number) => Some(number),
        _ => None,
    })
}
unsafe extern "C" fn boolean(exec: *const Exec, pointer: *const c_char, to: *mut i32) -> i32 {
    give(exec, pointer, to, "true or false", |value| match value {
        Value::Boolean(boolean) => Some(i32::from(boolean)),
        _ => None,
    })
}
unsafe extern "C" fn duration(exec: *const Exec, pointer: *const c_char, to: *mut u64) -> i32 {
    give(exec, pointer, to, "a duration", |value| match value {
        Value::Duration(duration) => Some(duration),
        _ => None,
    })
}
unsafe extern "C" fn count(exec: *const Exec, pointer: *const c_char, to: *mut usize) -> i32 {
    give(exec, pointer, to, "an array", |value| match value {
        Value::Count(count) => Some(count),
        _ => None,
    })
}

/// Knows one duration.
unsafe extern "C" fn parse_duration(text: *const c_char, size: usize, to: *mut u64) -> i32 {
    // SAFETY: the text is of this size.
    if unsafe { std::slice::from_raw_parts(text.cast::<u8>(), size) } != b"250ms" {
        return ffi::ERROR;
    }
    // SAFETY: valid for a write.
    unsafe { *to = 250_000_000 };
    ffi::OK
}

static READER: ConfigReader = ConfigReader {
    struct_size: std::mem::size_of::<ConfigReader>() as u32,
    revision: 1,
    keys,
    require,
    text: read_text,
    integer,
    number,
    boolean,
    duration,
    count,
    parse_duration,
};

unsafe extern "C" fn extension(_: *const Exec, id: *const c_char, revision: u32) -> *const c_void {
    if text(id) == "taskhost.config" && revision == 1 {
        &READER as *const ConfigReader as *const c_void
    } else {
        std::ptr::null()
    }
}

static SERVICES: Services = Services { extension, fail: counted_fail, ..support::services(support::wake) };

fn with(factory: &'static ffi::Factory, values: &[(&'static str, Value)]) -> Fake {
    VALUES.with(|there| *there.borrow_mut() = values.to_vec());
    FAILS.with(|fails| fails.set(0));
    let mut fake = Fake::with_services(factory, &SERVICES);
    assert_eq!(fake.start(), ffi::OK);
    fake
}

/// How the task ends with this config: its status, its message, and how often `fail` was called.
fn end(factory: &'static ffi::Factory, values: &[(&'static str, Value)]) -> (i32, Option<String>, u32) {
    let mut fake = with(factory, values);
    let status = if factory.run.is_some() { fake.run() } else { fake.poll() };
    (status, fake.failure(), FAILS.with(Cell::get))
}

#[test]
fn values_of_each_kind_are_read_and_absent_ones_are_none() {
    async fn present(task: taskhost::Context) -> Result<(), ConfigError> {
        let config = task.config_with_keys(&["text", "empty", "n", "x", "on", "off", "every", "pins"])?;
        assert_eq!(config.get::<String>("/text")?.as_deref(), Some("Grüße"));
        assert_eq!(config.get::<String>("/empty")?.as_deref(), Some(""));
        assert_eq!(config.get::<u8>("/n/0")?, Some(0));
        assert_eq!(config.get::<u8>("/n/1")?, Some(1));
        assert_eq!(config.get::<i64>("/n/2")?, Some(i64::MIN));
        assert_eq!(config.get::<u64>("/n/3")?, Some(i64::MAX as u64));
        assert_eq!(config.integer("/n/4", -5..=-1)?, Some(-5));
        assert_eq!((config.get("/x/0")?, config.get("/x/1")?, config.get("/x/2")?), (Some(0.0), Some(1.0), Some(1.5)));
        assert_eq!((config.get("/on")?, config.get("/off")?), (Some(true), Some(false)));
        assert_eq!(config.get("/every")?, Some(Duration::from_millis(250)));
        assert_eq!(config.get("/pins")?, Some(vec![4u16, 5]));
        assert_eq!(config.require::<u16>("/pins/1")?, 5);
        assert_eq!(config.get_or("/pins/1", 9)?, 5);
        Ok(())
    }
    async fn absent() -> Result<(), ConfigError> {
        let config = Config::new()?;
        assert_eq!(config.get::<String>("/a")?, None);
        assert_eq!((config.get::<i64>("/a")?, config.integer("/a", 7..=7)?), (None, None));
        assert_eq!((config.get::<f64>("/a")?, config.get::<bool>("/a")?), (None, None));
        assert_eq!((config.get::<Duration>("/a")?, config.get::<Vec<bool>>("/a")?), (None, None));
        assert_eq!(config.get_or("/a", 9u8)?, 9);
        Ok(())
    }
    let values = [
        ("/text", Value::Text("Grüße")),
        ("/empty", Value::Text("")),
        ("/n/0", Value::Integer(0)),
        ("/n/1", Value::Integer(1)),
        ("/n/2", Value::Integer(i64::MIN)),
        ("/n/3", Value::Integer(i64::MAX)),
        ("/n/4", Value::Integer(-5)),
        ("/x/0", Value::Number(0.0)),
        ("/x/1", Value::Number(1.0)),
        ("/x/2", Value::Number(1.5)),
        ("/on", Value::Boolean(true)),
        ("/off", Value::Boolean(false)),
        ("/every", Value::Duration(250_000_000)),
        ("/pins", Value::Count(2)),
        ("/pins/0", Value::Integer(4)),
        ("/pins/1", Value::Integer(5)),
    ];
    assert_eq!(end(factory!(present), &values), (ffi::OK, None, 0));
    assert_eq!(end(factory!(absent), &[]), (ffi::OK, None, 0));
}

#[test]
fn a_duration_that_does_not_stand_in_the_config_is_read_too() {
    async fn parses() -> Result<(), ConfigError> {
        let config = Config::new()?;
        assert_eq!(config.parse_duration(&"250ms and more"[..5]), Some(Duration::from_millis(250)));
        assert_eq!((config.parse_duration("soon"), config.parse_duration("")), (None, None));
        Ok(())
    }
    assert_eq!(end(factory!(parses), &[]), (ffi::OK, None, 0));
}

#[test]
fn an_error_that_ends_the_task_gives_the_host_s_text_once() {
    async fn plain() -> Result<(), ConfigError> {
        Config::new()?.get::<Duration>("/every").map(|_| ())
    }
    async fn as_text() -> Result<(), String> {
        let _every: Duration = Config::new()?.require("/every")?;
        Ok(())
    }
    async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        let _config = Config::with_keys(&["a", "b"])?;
        Ok(())
    }
    async fn in_more_words() -> Result<(), String> {
        Config::new()?.get::<Duration>("/every").map(|_| ()).map_err(|error| format!("reading: {}", error))
    }
    fn blocking() -> std::io::Result<()> {
        let _size = Config::new()?.get::<u8>("/every")?;
        Ok(())
    }
    async fn of_many() -> Result<(), ConfigError> {
        Config::new()?.get::<Vec<u16>>("/pins").map(|_| ())
    }
    let wrong = [("/every", Value::Integer(1000))];
    let said = |text: &str| (ffi::ERROR, Some(text.to_string()), 1);
    assert_eq!(end(factory!(plain), &wrong), said("config: /every: must be a duration"));
    assert_eq!(end(factory!(as_text), &wrong), said("config: /every: must be a duration"));
    assert_eq!(end(factory!(as_text), &[]), said("config: /every: is missing"));
    assert_eq!(end(factory!(boxed), &wrong), said("config: unknown key \"every\""));
    assert_eq!(end(factory!(in_more_words), &wrong), said("config: /every: must be a duration"));
    assert_eq!(end(factory!(blocking blocking), &wrong), said("config: /every: must be a whole number from 0 to 255"));
    let pins = [("/pins", Value::Count(2)), ("/pins/0", Value::Integer(1)), ("/pins/1", Value::Boolean(true))];
    assert_eq!(end(factory!(of_many), &pins), said("config: /pins/1: must be a whole number from 0 to 65535"));
}

#[test]
fn an_error_that_the_task_gets_over_is_not_its_end() {
    async fn fails_otherwise() -> Result<(), &'static str> {
        let every = Config::new().and_then(|config| config.get_or("/every", Duration::ZERO));
        assert_eq!(every.unwrap_err().to_string(), "the config has a wrong value, which the host names");
        Err("the pump is dry")
    }
    async fn panics() {
        let _every: Duration = Config::new().and_then(|config| config.require("/every")).unwrap();
    }
    let wrong = [("/every", Value::Integer(1000))];
    assert_eq!(end(factory!(fails_otherwise), &wrong), (ffi::ERROR, Some("the pump is dry".to_string()), 2));
    let (status, text, _) = end(factory!(panics), &wrong);
    assert_eq!(status, ffi::PANIC);
    assert!(text.unwrap().contains("ConfigError(the config has a wrong value"));
}

#[test]
fn a_host_without_the_reader_is_said_to_be_one() {
    async fn task() -> Result<(), ConfigError> {
        Config::with_keys(&["a"]).map(|_| ())
    }
    let mut fake = Fake::started(factory!(task));
    assert_eq!(fake.poll(), ffi::ERROR);
    assert_eq!(fake.failure().unwrap(), "this host reads no configs (extension taskhost.config)");
}

#[test]
fn a_config_is_not_for_destructors_nor_pointers_for_nul() {
    struct Reads;
    impl Drop for Reads {
        fn drop(&mut self) {
            let _ = Config::new();
        }
    }
    async fn task() {
        let _reads = Reads;
        std::future::pending::<()>().await;
    }
    async fn nul() -> Result<(), ConfigError> {
        Config::new()?.get_or("/a\0b", 1).map(|_| ())
    }
    let mut fake = with(factory!(task), &[]);
    assert_eq!(fake.poll(), ffi::PENDING);
    fake.drop_state();
    assert!(fake.log()[0].starts_with("4 taskhost::Config is for the task's own functions"));
    let (status, text, _) = end(factory!(nul), &[]);
    assert_eq!(status, ffi::PANIC);
    assert!(text.unwrap().starts_with("taskhost::Config: \"/a\\0b\" has a NUL"));
}
