//! The host's waker, a plain 64-bit value, as Rust's `Waker`: the value is the data word itself, so clone, drop and
//! wake access no memory that could be freed, and a waker may be kept for ever, on any thread.
//!
//! Two more things must be found from a waker, and both are encoded in the identity of its vtable:
//!
//! - the host's `wake` function. It lives as long as the process, so it is kept in a slot of a small static array, and
//!   each slot has its own vtables. All executions of one host share a slot; usually only one is in use.
//! - which branch of a `join` or `select` it belongs to. A branch's waker marks the branch and then wakes the
//!   execution. The marks are counters in a static table too, because a waker may outlive the branch. Branches that
//!   share a counter cost each other a needless poll, never a lost one.

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::task::{RawWaker, RawWakerVTable, Waker};

use crate::execution;
use crate::ffi;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("taskhost: a waker is a 64-bit value, kept in a Waker's pointer: only 64-bit targets are possible");

const HOSTS: usize = 4;
/// Branch 0 stands for the whole execution.
pub(crate) const BRANCHES: u8 = 8;
const MARKS: usize = 1024;

type Wake = unsafe extern "C" fn(ffi::WakerValue);

#[allow(clippy::declare_interior_mutable_const)] // only to fill the arrays
const NO_HOST: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
#[allow(clippy::declare_interior_mutable_const)]
const NO_MARK: AtomicUsize = AtomicUsize::new(0);

static WAKE: [AtomicPtr<()>; HOSTS] = [NO_HOST; HOSTS];
static MARK: [AtomicUsize; MARKS] = [NO_MARK; MARKS];

static VTABLES: [[RawWakerVTable; BRANCHES as usize + 1]; HOSTS] = [row::<0>(), row::<1>(), row::<2>(), row::<3>()];

const fn row<const HOST: usize>() -> [RawWakerVTable; BRANCHES as usize + 1] {
    [
        vtable::<HOST, 0>(),
        vtable::<HOST, 1>(),
        vtable::<HOST, 2>(),
        vtable::<HOST, 3>(),
        vtable::<HOST, 4>(),
        vtable::<HOST, 5>(),
        vtable::<HOST, 6>(),
        vtable::<HOST, 7>(),
        vtable::<HOST, 8>(),
    ]
}

const fn vtable<const HOST: usize, const BRANCH: u8>() -> RawWakerVTable {
    RawWakerVTable::new(clone::<HOST, BRANCH>, wake::<HOST, BRANCH>, wake::<HOST, BRANCH>, drop)
}

/// # Safety
/// None: the data is a value. It is unsafe only because the vtable requires it; the same holds for the others.
unsafe fn clone<const HOST: usize, const BRANCH: u8>(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLES[HOST][BRANCH as usize])
}

/// # Safety
/// As `clone`.
unsafe fn wake<const HOST: usize, const BRANCH: u8>(data: *const ()) {
    let value = data as usize as ffi::WakerValue;
    if BRANCH != 0 {
        MARK[mark_of(value, BRANCH)].fetch_add(1, Ordering::Release);
    }
    if execution::takes_wake(Host(HOST as u8), value) {
        return; // it comes from the execution's own poll
    }
    let wake = WAKE[HOST].load(Ordering::Acquire);
    // SAFETY: a waker of this slot was created after the slot was permanently filled with a function of this type. The
    // function is valid as long as the process lives, takes any value, and may be called from anywhere.
    unsafe { core::mem::transmute::<*mut (), Wake>(wake)(value) }
}

/// # Safety
/// As `clone`.
unsafe fn drop(_: *const ()) {}

fn mark_of(value: ffi::WakerValue, branch: u8) -> usize {
    let spread = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize;
    (spread + usize::from(branch)) % MARKS
}

/// The slot of a host. It is never reused for another host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host(u8);

impl Host {
    /// None if all slots in the process are taken by other hosts.
    pub(crate) fn of(services: &ffi::Services) -> Option<Host> {
        let wake = services.wake as *mut ();
        for (slot, place) in WAKE.iter().enumerate() {
            let there = match place.compare_exchange(core::ptr::null_mut(), wake, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => wake,
                Err(other) => other,
            };
            if there == wake {
                return Some(Host(slot as u8));
            }
        }
        None
    }

    /// The waker of an execution (branch 0), or of one of its branches.
    pub(crate) fn waker(self, value: ffi::WakerValue, branch: u8) -> Waker {
        let data = value as usize as *const ();
        let raw = RawWaker::new(data, &VTABLES[usize::from(self.0)][usize::from(branch)]);
        // SAFETY: the vtable's functions keep the contract of RawWaker: the data is a value, so clones are independent,
        // all of them may be used on any thread, and nothing is freed.
        unsafe { Waker::from_raw(raw) }
    }
}

/// Lets a branch of a combinator find out whether its waker has been used since the last check.
#[derive(Clone, Copy)]
pub(crate) struct Branch {
    value: ffi::WakerValue,
    host: Host,
    number: u8,
    seen: usize,
}

impl Branch {
    /// Created before the branch's first poll, so no wake before that poll is missed.
    pub(crate) fn new(host: Host, value: ffi::WakerValue, number: u8) -> Branch {
        debug_assert!((1..=BRANCHES).contains(&number));
        let mut branch = Branch { value, host, number, seen: 0 };
        branch.seen = branch.mark();
        branch
    }

    pub(crate) fn belongs_to(&self, host: Host, value: ffi::WakerValue) -> bool {
        self.host == host && self.value == value
    }

    pub(crate) fn woken(&mut self) -> bool {
        let now = self.mark();
        let before = core::mem::replace(&mut self.seen, now);
        now != before
    }

    pub(crate) fn waker(&self) -> ManuallyDrop<Waker> {
        ManuallyDrop::new(self.host.waker(self.value, self.number))
    }

    fn mark(&self) -> usize {
        MARK[mark_of(self.value, self.number)].load(Ordering::Acquire)
    }
}
