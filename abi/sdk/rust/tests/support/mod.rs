//! A host that the test controls: time passes only when the test moves the clock, and nothing is polled on its own.
#![allow(dead_code)] // each test uses only a part of it
#![warn(unsafe_op_in_unsafe_fn)]

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::cell::Cell;
use std::ffi::{c_void, CString};
use std::future::Future;
use std::os::raw::{c_char, c_int, c_short, c_ulong};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::task::{Context, Poll};

use taskhost::ffi::{self, Exec, Factory, Services};

/// The factory of a function, as `plugin!` creates it.
#[macro_export]
macro_rules! factory {
    (blocking $task:expr) => {
        $crate::factory!(@ blocking, $task)
    };
    ($task:expr) => {
        $crate::factory!(@ polled, $task)
    };
    (@ $kind:ident, $task:expr) => {{
        static TEXTS: taskhost::__private::Texts = taskhost::__private::Texts::new("test", None, &[]);
        static FACTORY: taskhost::__private::Factory =
            taskhost::__private::$kind($task, &TEXTS, std::ptr::null());
        // SAFETY: a static.
        unsafe { &*FACTORY.get() }
    }};
}

pub const SECOND: u64 = 1_000_000_000;

#[repr(C)]
struct FakeExec {
    exec: Exec,
    config: CString,
    wakes: &'static AtomicUsize, // its address is the waker; never freed, like a host's slots
    clock: AtomicU64,
    timer: AtomicU64,
    timer_calls: AtomicUsize,
    stop: AtomicU64,
    checking: AtomicBool,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    log: Vec<String>,
    failure: Option<String>,
    watched: Vec<(i64, u32, u64)>, // descriptor, interests, tag
    refusal: i32,
    works: Vec<Work>, // that have not been called
    done: Vec<Work>,  // that have, and have not been told
    waits: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Work(ffi::Work);

// SAFETY: what is given to the host may be used on any thread.
unsafe impl Send for Work {}

impl Work {
    fn run(self) {
        // SAFETY: called once, as the host does.
        unsafe { (self.0.run)(self.0.argument) }
    }
    fn discard(self) {
        if let Some(discard) = self.0.discard {
            // SAFETY: called once, as the host does.
            unsafe { discard(self.0.argument) }
        }
    }
}

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// One execution and its memory, which is poisoned once it is dropped.
pub struct Fake {
    factory: &'static Factory,
    fake: Box<FakeExec>,
    state: *mut u8,
    layout: Layout,
    alive: bool,
}

// SAFETY: only the owner of the Fake calls the functions of the execution, never concurrently.
unsafe impl Send for Fake {}

impl Fake {
    pub fn new(factory: &'static Factory) -> Fake {
        Fake::with_services(factory, &SERVICES)
    }

    pub fn with_services(factory: &'static Factory, services: &'static Services) -> Fake {
        let layout = Layout::from_size_align(factory.state_size.max(1), factory.state_align.max(16)).unwrap();
        let fake = Box::new(FakeExec {
            exec: Exec { services },
            config: CString::new("{\"a\": 1}").unwrap(),
            wakes: Box::leak(Box::new(AtomicUsize::new(0))),
            clock: AtomicU64::new(1000 * SECOND),
            timer: AtomicU64::new(ffi::NEVER),
            timer_calls: AtomicUsize::new(0),
            stop: AtomicU64::new(0),
            checking: AtomicBool::new(false),
            heard: Mutex::new(Heard { watched: Vec::with_capacity(64), ..Heard::default() }),
        });
        // SAFETY: the layout has a size.
        let state = unsafe { alloc_zeroed(layout) };
        Fake { factory, fake, state, layout, alive: false }
    }

    /// An execution that has been started; the start must succeed.
    pub fn started(factory: &'static Factory) -> Fake {
        let mut fake = Fake::new(factory);
        assert_eq!(fake.start(), ffi::OK);
        fake
    }

    fn exec(&self) -> *const Exec {
        CLOCK.with(|clock| clock.set(self.fake.clock.load(Ordering::SeqCst)));
        &*self.fake as *const FakeExec as *const Exec
    }

    pub fn start(&mut self) -> i32 {
        let exec = self.exec();
        // SAFETY: fresh memory, as large and aligned as asked.
        let status = self.factory.start.map_or(ffi::OK, |start| unsafe { start(self.state.cast(), exec) });
        self.alive = status == ffi::OK;
        status
    }

    pub fn poll(&mut self) -> i32 {
        assert!(self.alive);
        let exec = self.exec();
        // SAFETY: started, not dropped.
        unsafe { self.factory.poll.unwrap()(self.state.cast(), exec) }
    }

    pub fn run(&mut self) -> i32 {
        let exec = self.exec();
        // SAFETY: started, not dropped.
        unsafe { self.factory.run.unwrap()(self.state.cast(), exec) }
    }

    /// Asks the factory's check about the config. No execution exists then.
    pub fn check(&self) -> i32 {
        let exec = self.exec();
        self.fake.checking.store(true, Ordering::SeqCst);
        // SAFETY: the services refuse what a check may not call.
        let status = unsafe { self.factory.check.expect("it has a check")(exec) };
        self.fake.checking.store(false, Ordering::SeqCst);
        status
    }

    /// Drops the execution once, as the host does. The Fake's own drop does it if the test has not.
    pub fn drop_state(&mut self) {
        let exec = self.exec();
        self.fake.heard.lock().unwrap().watched.clear();
        if std::mem::take(&mut self.alive) {
            if let Some(drop) = self.factory.drop {
                // SAFETY: started, not dropped.
                unsafe { drop(self.state.cast::<c_void>(), exec) }
            }
        }
        let left = {
            let mut heard = self.fake.heard.lock().unwrap();
            [std::mem::take(&mut heard.works), std::mem::take(&mut heard.done)]
        };
        left.iter().flatten().for_each(|work| work.discard());
        // SAFETY: ours, and nobody else's any more.
        unsafe { std::ptr::write_bytes(self.state, 0xAA, self.layout.size()) };
    }

    /// Moves the clock to the execution's timer, which must be set, and polls.
    pub fn poll_at_timer(&mut self) -> i32 {
        let timer = self.timer().expect("it waits for no time");
        let now = self.fake.clock.load(Ordering::SeqCst);
        self.fake.clock.store(now.max(timer), Ordering::SeqCst);
        self.fake.timer.store(ffi::NEVER, Ordering::SeqCst);
        self.poll()
    }

    pub fn advance(&self, nanoseconds: u64) {
        self.fake.clock.fetch_add(nanoseconds, Ordering::SeqCst);
    }
    /// The time from the beginning of the clock.
    pub fn elapsed(&self) -> u64 {
        self.fake.clock.load(Ordering::SeqCst) - 1000 * SECOND
    }
    /// The timer as a time on the clock, if it is set.
    pub fn timer(&self) -> Option<u64> {
        Some(self.fake.timer.load(Ordering::SeqCst)).filter(|timer| *timer != ffi::NEVER)
    }
    pub fn timer_in(&self) -> Option<u64> {
        self.timer().map(|timer| timer.saturating_sub(self.fake.clock.load(Ordering::SeqCst)))
    }
    pub fn timer_calls(&self) -> usize {
        self.fake.timer_calls.load(Ordering::SeqCst)
    }
    pub fn request_stop(&self) {
        self.fake.stop.store(1, Ordering::SeqCst);
    }
    pub fn wakes(&self) -> &'static AtomicUsize {
        self.fake.wakes
    }
    pub fn wake_count(&self) -> usize {
        self.fake.wakes.load(Ordering::SeqCst)
    }
    pub fn failure(&self) -> Option<String> {
        self.fake.heard.lock().unwrap().failure.clone()
    }
    pub fn log(&self) -> Vec<String> {
        self.fake.heard.lock().unwrap().log.clone()
    }
    /// The interests in descriptors that the host watches at present.
    pub fn watched(&self) -> Vec<u32> {
        self.fake.heard.lock().unwrap().watched.iter().map(|(_, interests, _)| *interests).collect()
    }
    /// What watch and offload return from now on.
    pub fn refuse_with(&self, refusal: i32) {
        self.fake.heard.lock().unwrap().refusal = refusal;
    }
    /// The number of works that have not been called.
    pub fn works(&self) -> usize {
        self.fake.heard.lock().unwrap().works.len()
    }
    /// Calls all works on another thread, and wakes the execution.
    pub fn run_works(&self) {
        let works = std::mem::take(&mut self.fake.heard.lock().unwrap().works);
        let run = move || {
            works.iter().for_each(|work| work.run());
            works
        };
        let done = std::thread::spawn(run).join().expect("a work lets no panic out");
        self.fake.heard.lock().unwrap().done.extend(done);
        self.fake.wakes.fetch_add(1, Ordering::SeqCst);
    }
    /// A work that is going on: the caller calls it, and then the execution or nobody is told.
    pub fn take_work(&self) -> impl FnOnce() + Send + 'static {
        let work = self.fake.heard.lock().unwrap().works.remove(0);
        move || {
            work.run();
            work.discard();
        }
    }
    pub fn waits(&self) -> Vec<u64> {
        self.fake.heard.lock().unwrap().waits.clone()
    }
    pub fn memory(&self) -> std::ops::Range<usize> {
        self.state as usize..self.state as usize + self.layout.size()
    }
    pub fn state_size(&self) -> usize {
        self.factory.state_size
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.drop_state();
        // SAFETY: allocated with it.
        unsafe { dealloc(self.state, self.layout) };
    }
}

/// For services that a check may call.
fn anyone<'a>(exec: *const Exec) -> &'a FakeExec {
    // SAFETY: only called with the beginning of a FakeExec.
    unsafe { &*exec.cast::<FakeExec>() }
}

fn fake<'a>(exec: *const Exec) -> &'a FakeExec {
    let fake = anyone(exec);
    assert!(!fake.checking.load(Ordering::SeqCst), "a check has called what it must not");
    fake
}

/// # Safety
/// `text` has `size` bytes of UTF-8.
unsafe fn text(text: *const c_char, size: usize) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8(unsafe { std::slice::from_raw_parts(text.cast(), size) }.to_vec()).unwrap()
}

unsafe extern "C" fn log(exec: *const Exec, level: i32, line: *const c_char, size: usize) {
    // SAFETY: as the SDK calls it.
    let line = format!("{} {}", level, unsafe { text(line, size) });
    anyone(exec).heard.lock().unwrap().log.push(line);
}
unsafe extern "C" fn fail(exec: *const Exec, line: *const c_char, size: usize) -> i32 {
    // SAFETY: as the SDK calls it.
    anyone(exec).heard.lock().unwrap().failure = Some(unsafe { text(line, size) });
    ffi::ERROR
}
unsafe extern "C" fn config(exec: *const Exec, size: *mut usize) -> *const c_char {
    let config = &anyone(exec).config;
    // SAFETY: the SDK passes a valid pointer.
    unsafe { *size = config.as_bytes().len() };
    config.as_ptr()
}
unsafe extern "C" fn task_name(_: *const Exec) -> *const c_char {
    b"fake\0".as_ptr().cast()
}
unsafe extern "C" fn execution_number(_: *const Exec) -> u64 {
    7
}
unsafe extern "C" fn stop_requested(exec: *const Exec) -> i32 {
    fake(exec).stop.load(Ordering::SeqCst) as i32
}
unsafe extern "C" fn now() -> u64 {
    CLOCK.with(Cell::get)
}
unsafe extern "C" fn waker(exec: *const Exec) -> u64 {
    fake(exec).wakes as *const AtomicUsize as u64
}
pub unsafe extern "C" fn wake(waker: u64) {
    // SAFETY: the address of a number that is never freed.
    unsafe { &*(waker as *const AtomicUsize) }.fetch_add(1, Ordering::SeqCst);
}
unsafe extern "C" fn wake_at(exec: *const Exec, time: u64) {
    fake(exec).timer_calls.fetch_add(1, Ordering::SeqCst);
    fake(exec).timer.store(time, Ordering::SeqCst);
}
unsafe extern "C" fn wake_after(exec: *const Exec, delay: u64) {
    // SAFETY: as above.
    unsafe { wake_at(exec, now().saturating_add(delay)) }
}
unsafe extern "C" fn watch(exec: *const Exec, fd: i64, interests: u32, tag: u64) -> i32 {
    let mut heard = fake(exec).heard.lock().unwrap();
    if interests == 0 {
        heard.watched.retain(|(other, ..)| *other != fd);
    } else if heard.refusal != ffi::OK {
        return heard.refusal;
    } else if let Some(there) = heard.watched.iter_mut().find(|(other, ..)| *other == fd) {
        *there = (fd, interests, tag);
    } else {
        heard.watched.push((fd, interests, tag));
    }
    ffi::OK
}
unsafe extern "C" fn take_ready(exec: *const Exec, list: *mut ffi::Ready, capacity: usize) -> usize {
    let mut heard = fake(exec).heard.lock().unwrap();
    // SAFETY: the SDK's own, with initial values.
    let list = unsafe { std::slice::from_raw_parts_mut(list, capacity) };
    let mut count = 0;
    while count < capacity && !heard.done.is_empty() {
        list[count] = ffi::Ready { tag: heard.done.remove(0).0.tag, what: ffi::DONE, reserved: 0 };
        count += 1;
    }
    for (fd, interests, tag) in &heard.watched {
        let what = is_ready(*fd, *interests);
        if what != 0 && count < capacity {
            list[count] = ffi::Ready { tag: *tag, what, reserved: 0 };
            count += 1;
        }
    }
    count
}
unsafe extern "C" fn offload(exec: *const Exec, work: *const ffi::Work) -> i32 {
    let mut heard = fake(exec).heard.lock().unwrap();
    if heard.refusal != ffi::OK {
        return heard.refusal;
    }
    // SAFETY: the SDK's.
    let work = unsafe { *work };
    assert_eq!((work.struct_size as usize, work.reserved), (std::mem::size_of::<ffi::Work>(), 0));
    heard.works.push(Work(work));
    ffi::OK
}

/// struct pollfd
#[repr(C)]
struct Look {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

extern "C" {
    fn poll(looks: *mut Look, count: c_ulong, timeout_ms: c_int) -> c_int; // the standard library links it
}

/// What the host would tell about a descriptor.
fn is_ready(fd: i64, interests: u32) -> u32 {
    const READ: c_short = 1; // POLLIN
    const WRITE: c_short = 4; // POLLOUT
    let event = |interest, event| if interests & interest != 0 { event } else { 0 };
    let events = event(ffi::READABLE, READ) | event(ffi::WRITABLE, WRITE);
    let mut look = Look { fd: fd as c_int, events, revents: 0 };
    // SAFETY: one entry, which is ours. The call does not wait.
    assert!(unsafe { poll(&mut look, 1, 0) } >= 0);
    let found = |event, interest| if look.revents & event != 0 { interest } else { 0 };
    let what = found(READ, ffi::READABLE) | found(WRITE, ffi::WRITABLE);
    what | found(!(READ | WRITE), ffi::BROKEN | ffi::READABLE | ffi::WRITABLE)
}
unsafe extern "C" fn wait(exec: *const Exec, time: u64) -> u32 {
    let fake = fake(exec);
    fake.heard.lock().unwrap().waits.push(time);
    if fake.stop.load(Ordering::SeqCst) != 0 {
        return ffi::WAIT_STOP;
    }
    CLOCK.with(|clock| clock.set(clock.get().max(time)));
    ffi::WAIT_TIME
}
unsafe extern "C" fn ready(exec: *const Exec) {
    fake(exec).heard.lock().unwrap().log.push("ready".to_string());
}
unsafe extern "C" fn wait_fd(_: *const Exec) -> i64 {
    7
}
unsafe extern "C" fn status(exec: *const Exec, line: *const c_char, size: usize) {
    // SAFETY: as the SDK calls it.
    let line = format!("status: {}", unsafe { text(line, size) });
    fake(exec).heard.lock().unwrap().log.push(line);
}
unsafe extern "C" fn heartbeat(exec: *const Exec) {
    fake(exec).heard.lock().unwrap().log.push("heartbeat".to_string());
}
unsafe extern "C" fn extension(_: *const Exec, _: *const c_char, _: u32) -> *const c_void {
    std::ptr::null()
}

pub static SERVICES: Services = services(wake);

pub const fn services(wake: unsafe extern "C" fn(u64)) -> Services {
    Services {
        struct_size: std::mem::size_of::<Services>() as u32,
        abi_minor: 0,
        log,
        fail,
        config,
        task_name,
        execution_number,
        stop_requested,
        now,
        waker,
        wake,
        wake_at,
        wake_after,
        watch,
        take_ready,
        offload,
        wait,
        wait_fd,
        ready,
        heartbeat,
        status,
        extension,
    }
}

/// The one in std is newer than rustc 1.63.
pub fn poll_fn<R, F: FnMut(&mut Context<'_>) -> Poll<R> + Unpin>(function: F) -> PollFn<F> {
    PollFn(function)
}

pub struct PollFn<F>(F);

impl<R, F: FnMut(&mut Context<'_>) -> Poll<R> + Unpin> Future for PollFn<F> {
    type Output = R;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        (self.0)(context)
    }
}
