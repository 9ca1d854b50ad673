//! `plugin!`: the library's entry, and its factories, made by the compiler.

use core::future::Future;
use core::mem;
use core::ptr;
use std::os::raw::c_char;

use crate::border::{AsyncTask, Blocking, BlockingTask, CheckFunction, Checked, Outcome, Polled};
use crate::ffi;

/// Makes the library a plugin. Use it once in a crate, with one entry for each kind of task that it provides:
///
/// ```
/// # async fn greeter() {}
/// # async fn feed(_: taskhost::Context) -> Result<(), std::io::Error> { Ok(()) }
/// # fn pump() -> Result<(), String> { Ok(()) }
/// # struct Settings;
/// # fn settings() -> Result<Settings, taskhost::ConfigError> { Ok(Settings) }
/// taskhost::plugin! {
///     /// Says hello each second.
///     "greeter" => greeter,
///     #[check(settings)]
///     "feed" => feed,
///     "pump" => blocking pump,
/// }
/// ```
///
/// - First the name that the manifest uses. One that is empty, has control characters or is repeated does not compile.
/// - Then the function's path: an `async fn()` or `async fn(Context)`, or after `blocking` an ordinary function, which
///   gets a thread of its own. It returns nothing, or `Result<(), E>` with any `E: Display`.
/// - The first line of a doc comment is the description that `taskhost inspect` shows. The version is the crate's.
/// - `#[check(function)]`, after the doc comment, names a function that decides whether an execution could live with
///   the task's config: a `fn() -> Result<T, E>`, such as the one that reads it. It is called by `taskhost check` and
///   before the host starts, without an execution: it can use `Config`, `config()`, `task_name()`, `now()`,
///   `extension()` and the log, and panics if it calls anything else of this crate.
///
/// Wrong functions do not compile. A future that cannot change threads:
///
/// ```compile_fail
/// async fn f() {
///     let shared = std::rc::Rc::new(1);
///     taskhost::stopped().await;
///     drop(shared);
/// }
/// taskhost::plugin! { "f" => f }
/// ```
///
/// An unsuitable return type; a repeated name; a function that is a value with a size:
///
/// ```compile_fail
/// async fn f() -> i32 { 1 }
/// taskhost::plugin! { "f" => f }
/// ```
/// ```compile_fail
/// async fn f() {}
/// taskhost::plugin! { "f" => f, "f" => f }
/// ```
/// ```compile_fail
/// fn f() {}
/// const POINTER: fn() = f;
/// taskhost::plugin! { "f" => blocking POINTER }
/// ```
#[macro_export]
macro_rules! plugin {
    (@chain) => { ::core::ptr::null() };
    (@chain $(#[doc = $doc:literal])* $(#[check($check:path)])? $name:literal => blocking $task:path
        $(, $($others:tt)*)?) => {{
        static TEXTS: $crate::__private::Texts =
            $crate::__private::Texts::new($name, ::core::option_env!("CARGO_PKG_VERSION"), &[$($doc),*]);
        static FACTORY: $crate::__private::Factory =
            $crate::__private::blocking($task, &TEXTS, $crate::plugin!(@chain $($($others)*)?))$(.checked_by($check))?;
        FACTORY.get()
    }};
    (@chain $(#[doc = $doc:literal])* $(#[check($check:path)])? $name:literal => $task:path
        $(, $($others:tt)*)?) => {{
        static TEXTS: $crate::__private::Texts =
            $crate::__private::Texts::new($name, ::core::option_env!("CARGO_PKG_VERSION"), &[$($doc),*]);
        static FACTORY: $crate::__private::Factory =
            $crate::__private::polled($task, &TEXTS, $crate::plugin!(@chain $($($others)*)?))$(.checked_by($check))?;
        FACTORY.get()
    }};
    (@names [$($names:literal)*]) => { $crate::__private::check_names(&[$($names),*]) };
    (@names [$($names:literal)*] $(#[doc = $doc:literal])* $(#[check($check:path)])?
        $name:literal => blocking $task:path $(, $($others:tt)*)?) => {
        $crate::plugin!(@names [$($names)* $name] $($($others)*)?)
    };
    (@names [$($names:literal)*] $(#[doc = $doc:literal])* $(#[check($check:path)])?
        $name:literal => $task:path $(, $($others:tt)*)?) => {
        $crate::plugin!(@names [$($names)* $name] $($($others)*)?)
    };
    ($($entries:tt)+) => {
        /// The plugin's entry.
        #[no_mangle]
        pub extern "C" fn taskhost_plugin_v1() -> *const $crate::ffi::Factory {
            const _: () = $crate::plugin!(@names [] $($entries)+);
            $crate::plugin!(@chain $($entries)+)
        }
    };
}

/// A factory in static memory.
#[doc(hidden)]
#[repr(transparent)]
pub struct Factory(ffi::Factory);

// SAFETY: neither it nor what its pointers refer to is ever changed.
unsafe impl Sync for Factory {}

impl Factory {
    pub const fn get(&'static self) -> *const ffi::Factory {
        &self.0
    }

    pub const fn checked_by<A, C: CheckFunction<A>>(mut self, _: C) -> Factory {
        check_function::<C>();
        self.0.check = Some(Checked::<A, C>::check);
        self
    }
}

/// The texts of a factory, NUL-terminated.
#[doc(hidden)]
pub struct Texts {
    name: [u8; 129],   // rule 2.3
    version: [u8; 65], // rule 2.4
    description: [u8; 1025],
}

impl Texts {
    pub const fn new(name: &str, version: Option<&str>, doc: &[&str]) -> Texts {
        assert!(!name.is_empty(), "a task's name must not be empty (rule 2.3)");
        Texts {
            name: copy(name.as_bytes(), 0),
            version: match version {
                Some(version) => copy(version.as_bytes(), 0),
                None => [0; 65],
            },
            description: match doc {
                [] => [0; 1025],
                [first, ..] => {
                    let bytes = first.as_bytes();
                    let blank = !bytes.is_empty() && bytes[0] == b' ';
                    copy(bytes, if blank { 1 } else { 0 })
                }
            },
        }
    }

    const fn factory(&'static self, next: *const ffi::Factory) -> ffi::Factory {
        ffi::Factory {
            struct_size: mem::size_of::<ffi::Factory>() as u32,
            required_minor: 0,
            name: self.name.as_ptr() as *const c_char,
            version: optional(&self.version),
            description: optional(&self.description),
            state_size: 0,
            state_align: 0,
            flags: 0,
            reserved: 0,
            start: None,
            poll: None,
            run: None,
            finish: None,
            drop: None,
            check: None,
            next,
        }
    }
}

const fn optional(text: &'static [u8]) -> *const c_char {
    if text[0] == 0 {
        ptr::null()
    } else {
        text.as_ptr() as *const c_char
    }
}

const fn copy<const SIZE: usize>(text: &[u8], begin: usize) -> [u8; SIZE] {
    assert!(text.len() - begin < SIZE, "a task's name has up to 128 bytes, its description 1024 (rules 2.3, 2.4)");
    let mut copied = [0; SIZE];
    let mut index = begin;
    while index < text.len() {
        assert!(text[index] >= b' ' && text[index] != 127, "a task's name or description has a control character");
        copied[index - begin] = text[index];
        index += 1;
    }
    copied
}

#[doc(hidden)]
pub const fn check_names(names: &[&str]) {
    let mut first = 0;
    while first < names.len() {
        let mut second = first + 1;
        while second < names.len() {
            assert!(!equal(names[first].as_bytes(), names[second].as_bytes()), "two tasks of one name (rule 2.9)");
            second += 1;
        }
        first += 1;
    }
}

const fn equal(first: &[u8], second: &[u8]) -> bool {
    if first.len() != second.len() {
        return false;
    }
    let mut index = 0;
    while index < first.len() {
        if first[index] != second[index] {
            return false;
        }
        index += 1;
    }
    true
}

const fn check_function<F>() {
    assert!(mem::size_of::<F>() == 0, "a task must be a function, not a pointer to one or a closure that captures");
}

#[doc(hidden)]
pub const fn polled<A, F: AsyncTask<A>>(_: F, texts: &'static Texts, next: *const ffi::Factory) -> Factory
where
    F::Future: Send,
    <F::Future as Future>::Output: Outcome,
{
    check_function::<F>();
    assert!(Polled::<A, F>::SIZE <= 1 << 30, "the future is larger than the host allows (rule 2.5)");
    assert!(Polled::<A, F>::ALIGN <= 4096, "the future's alignment is larger than the host allows (rule 2.6)");
    let mut factory = texts.factory(next);
    factory.state_size = Polled::<A, F>::SIZE;
    factory.state_align = Polled::<A, F>::ALIGN;
    factory.start = Some(Polled::<A, F>::start);
    factory.poll = Some(Polled::<A, F>::poll);
    factory.drop = Some(Polled::<A, F>::drop);
    Factory(factory)
}

#[doc(hidden)]
pub const fn blocking<A, F: BlockingTask<A>>(_: F, texts: &'static Texts, next: *const ffi::Factory) -> Factory {
    check_function::<F>();
    let mut factory = texts.factory(next);
    factory.run = Some(Blocking::<A, F>::run);
    Factory(factory)
}
