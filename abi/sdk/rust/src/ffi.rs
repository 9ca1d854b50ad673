//! `taskhost/plugin.h` and `taskhost/ext/config.h`, field by field. The comments there are the contract, and are not
//! repeated here.
//!
//! A function pointer of [`Services`] is always there (rule 4.8); those of [`Factory`] may be absent.

use core::ffi::c_void;
use std::os::raw::c_char;

pub const ABI_MAJOR: u32 = 1;
pub const ABI_MINOR: u32 = 0;

pub const OK: i32 = 0;
pub const PENDING: i32 = 1;
pub const ERROR: i32 = 2;
pub const PANIC: i32 = 3;
pub const AGAIN: i32 = 4;

pub const REFUSED_CALL: i32 = 16;
pub const REFUSED_ARGUMENT: i32 = 17;
pub const REFUSED_CLOSED: i32 = 18;
pub const REFUSED_ALWAYS: i32 = 19;
pub const REFUSED_LOOP: i32 = 20;
pub const REFUSED_DESCRIPTORS: i32 = 21;
pub const REFUSED_MEMORY: i32 = 22;
pub const REFUSED_THREADS: i32 = 23;
pub const REFUSED_WATCHERS: i32 = 24;

pub const LOG_TRACE: i32 = 0;
pub const LOG_DEBUG: i32 = 1;
pub const LOG_INFO: i32 = 2;
pub const LOG_WARNING: i32 = 3;
pub const LOG_ERROR: i32 = 4;

pub const READABLE: u32 = 1;
pub const WRITABLE: u32 = 2;
pub const BROKEN: u32 = 4;
pub const DONE: u32 = 8;

pub const WAIT_STOP: u32 = 1;
pub const WAIT_WAKE: u32 = 2;
pub const WAIT_TIME: u32 = 4;

pub const NEVER: u64 = u64::MAX;

/// `taskhost_waker`: a value; 0 is never a waker.
pub type WakerValue = u64;

/// `taskhost_fd`: a file descriptor; on Windows a SOCKET.
pub type Fd = i64;

/// `taskhost_ready`: something that `take_ready` tells.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    pub tag: u64,
    pub what: u32,
    pub reserved: u32,
}

/// `taskhost_work`: work that blocks.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Work {
    pub struct_size: u32,
    pub reserved: u32,
    pub tag: u64,
    pub argument: *mut c_void,
    pub run: unsafe extern "C" fn(argument: *mut c_void),
    pub discard: Option<unsafe extern "C" fn(argument: *mut c_void)>,
}

/// `taskhost_exec`: owned by the host, valid from the call of start until drop returns (rule 4.1).
#[repr(C)]
pub struct Exec {
    pub services: *const Services,
}

/// `taskhost_services`: stays valid as long as the process lives.
#[repr(C)]
pub struct Services {
    pub struct_size: u32,
    pub abi_minor: u32,
    pub log: unsafe extern "C" fn(exec: *const Exec, level: i32, text: *const c_char, size: usize),
    pub fail: unsafe extern "C" fn(exec: *const Exec, text: *const c_char, size: usize) -> i32,
    pub config: unsafe extern "C" fn(exec: *const Exec, size: *mut usize) -> *const c_char,
    pub task_name: unsafe extern "C" fn(exec: *const Exec) -> *const c_char,
    pub execution_number: unsafe extern "C" fn(exec: *const Exec) -> u64,
    pub stop_requested: unsafe extern "C" fn(exec: *const Exec) -> i32,
    pub now: unsafe extern "C" fn() -> u64,
    pub waker: unsafe extern "C" fn(exec: *const Exec) -> WakerValue,
    pub wake: unsafe extern "C" fn(waker: WakerValue),
    pub wake_at: unsafe extern "C" fn(exec: *const Exec, time: u64),
    pub wake_after: unsafe extern "C" fn(exec: *const Exec, delay: u64),
    pub watch: unsafe extern "C" fn(exec: *const Exec, fd: Fd, interests: u32, tag: u64) -> i32,
    pub take_ready: unsafe extern "C" fn(exec: *const Exec, list: *mut Ready, capacity: usize) -> usize,
    pub offload: unsafe extern "C" fn(exec: *const Exec, work: *const Work) -> i32,
    pub wait: unsafe extern "C" fn(exec: *const Exec, time: u64) -> u32,
    pub wait_fd: unsafe extern "C" fn(exec: *const Exec) -> Fd,
    pub ready: unsafe extern "C" fn(exec: *const Exec),
    pub heartbeat: unsafe extern "C" fn(exec: *const Exec),
    pub status: unsafe extern "C" fn(exec: *const Exec, text: *const c_char, size: usize),
    pub extension: unsafe extern "C" fn(exec: *const Exec, id: *const c_char, revision: u32) -> *const c_void,
}

/// `taskhost_factory`: the recipe for one kind of task.
#[repr(C)]
pub struct Factory {
    pub struct_size: u32,
    pub required_minor: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub description: *const c_char,
    pub state_size: usize,
    pub state_align: usize,
    pub flags: u32,
    pub reserved: u32,
    pub start: Option<unsafe extern "C" fn(state: *mut c_void, exec: *const Exec) -> i32>,
    pub poll: Option<unsafe extern "C" fn(state: *mut c_void, exec: *const Exec) -> i32>,
    pub run: Option<unsafe extern "C" fn(state: *mut c_void, exec: *const Exec) -> i32>,
    pub finish: Option<unsafe extern "C" fn(state: *mut c_void, exec: *const Exec) -> i32>,
    pub drop: Option<unsafe extern "C" fn(state: *mut c_void, exec: *const Exec)>,
    pub check: Option<unsafe extern "C" fn(exec: *const Exec) -> i32>,
    pub next: *const Factory,
}

pub const CONFIG_EXTENSION: &[u8] = b"taskhost.config\0";
pub const CONFIG_REVISION: u32 = 1;

/// `taskhost_config_reader` of `taskhost/ext/config.h`.
#[repr(C)]
pub struct ConfigReader {
    pub struct_size: u32,
    pub revision: u32,
    pub keys: unsafe extern "C" fn(exec: *const Exec, keys: *const c_char) -> i32,
    pub require: unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char) -> i32,
    pub text: unsafe extern "C" fn(
        exec: *const Exec,
        pointer: *const c_char,
        value: *mut *const c_char,
        size: *mut usize,
    ) -> i32,
    pub integer:
        unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char, least: i64, most: i64, value: *mut i64) -> i32,
    pub number: unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char, value: *mut f64) -> i32,
    pub boolean: unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char, value: *mut i32) -> i32,
    pub duration: unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char, value: *mut u64) -> i32,
    pub count: unsafe extern "C" fn(exec: *const Exec, pointer: *const c_char, value: *mut usize) -> i32,
    pub parse_duration: unsafe extern "C" fn(text: *const c_char, size: usize, value: *mut u64) -> i32,
}

// The layout that a C compiler gives these structs, on any target.
// tests/layout.rs compares names and order with the header, and checks each offset.
const _: () = {
    const WORD: usize = core::mem::size_of::<usize>();
    assert!(core::mem::size_of::<Exec>() == WORD);
    assert!(core::mem::size_of::<Ready>() == 16);
    assert!(core::mem::size_of::<Work>() == 16 + 3 * WORD);
    assert!(core::mem::size_of::<Services>() == 8 + 20 * WORD);
    assert!(core::mem::align_of::<Services>() == WORD);
    assert!(core::mem::size_of::<Factory>() == 16 + 12 * WORD);
    assert!(core::mem::align_of::<Factory>() == WORD);
    assert!(core::mem::size_of::<ConfigReader>() == 8 + 9 * WORD);
    assert!(core::mem::size_of::<Option<unsafe extern "C" fn()>>() == WORD);
};
