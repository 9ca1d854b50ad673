//! What an execution waits for: any number of times, descriptors and the stop, based on what the host provides: one
//! timer, one watch for each descriptor, and wakes. Each wait is a node inside the future that waits, linked into a
//! list of its execution: nothing is allocated.
//!
//! A future may be dropped anywhere. Usually that happens inside its own execution, but safe code can also move a boxed
//! one to another thread and drop it there, before or after the execution's end. So a list changes under a lock, and
//! the lock is in static memory, where a node finds it even if the execution is gone. It is contended only in that
//! case, or for the length of a list operation by other executions that share it.

use core::cell::UnsafeCell;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use core::task::Waker;
use std::sync::{Mutex, MutexGuard};

use crate::execution::Execution;
use crate::ffi;
use crate::unblock;

const LOCKS: usize = 64;

#[repr(align(64))] // a cache line each
struct Lock(Mutex<()>);

#[allow(clippy::declare_interior_mutable_const)] // only to fill the array
const UNLOCKED: Lock = Lock(Mutex::new(()));
static LOCK: [Lock; LOCKS] = [UNLOCKED; LOCKS];

fn lock(owner: *const Execution) -> MutexGuard<'static, ()> {
    let spread = (owner as usize as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
    // Nothing panics while a lock is held; even if one were poisoned, the lists would be consistent.
    LOCK[spread as usize].0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Time(u64),
    Descriptor { fd: i32, interests: u32 },
    Stop,
}

const IDLE: u8 = 0;
const LINKED: u8 = 1;
const FIRED: u8 = 2;

/// One wait. `state` determines who may access the other fields. LINKED: the holder of the owner's lock accesses `next`
/// and `previous`, the owner's thread `waker`. Otherwise: the future that contains the node.
pub(crate) struct Node {
    what: What,
    state: AtomicU8,
    links: UnsafeCell<Links>,
    _pinned: PhantomPinned,
}

struct Links {
    next: *const Node,
    previous: *const Node,
    owner: *const Execution,
    waker: Option<Waker>,
}

// SAFETY: what another thread can reach through a node is guarded by `state` and the lock, as described above; a Waker
// may be dropped on any thread. Through a shared node only `what` and `state` can be read.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(crate) const fn new(what: What) -> Node {
        Node {
            what,
            state: AtomicU8::new(IDLE),
            links: UnsafeCell::new(Links { next: ptr::null(), previous: ptr::null(), owner: ptr::null(), waker: None }),
            _pinned: PhantomPinned,
        }
    }

    pub(crate) fn what(&self) -> What {
        self.what
    }

    /// True if the wait is over.
    pub(crate) fn fired(&self) -> bool {
        self.state.load(Ordering::Acquire) == FIRED
    }

    fn linked(&self) -> bool {
        self.state.load(Ordering::Acquire) == LINKED
    }

    /// True if it waits in this execution. Called by the future that contains the node.
    pub(crate) fn waits_in(&self, execution: &Execution) -> bool {
        // SAFETY: held by the caller, and only the holder writes `owner`.
        self.linked() && ptr::eq(unsafe { (*self.links.get()).owner }, execution)
    }

    /// Starts to wait in `owner`, whose poll this is; a further call replaces the waker.
    pub(crate) fn link(self: Pin<&mut Self>, owner: &Execution, waker: &Waker) {
        let this: &Node = self.into_ref().get_ref();
        let links = this.links.get();
        if !this.waits_in(owner) {
            this.unlink();
            let waker = Some(waker.clone());
            // SAFETY: not LINKED, and held exclusively: nobody else accesses the links. (The old waker's drop may run
            // other code, but none that can reach this node.)
            unsafe {
                (*links).waker = waker;
                (*links).owner = owner;
            }
            owner.waits.insert(owner, this);
            return;
        }
        // SAFETY: LINKED in this execution: its thread, which is this one, may access the waker.
        let kept = unsafe { &mut (*links).waker };
        if !kept.as_ref().map_or(false, |kept| kept.will_wake(waker)) {
            let old = kept.replace(waker.clone());
            drop(old);
        }
    }

    /// Ends the wait. Called by the future that contains the node, on any thread. True if it was waiting.
    pub(crate) fn unlink(&self) -> bool {
        if !self.linked() {
            return false; // since only the holder links it, nobody else accesses it any more
        }
        // SAFETY: held by the caller, and only the holder writes `owner`.
        let owner = unsafe { (*self.links.get()).owner };
        let _guard = lock(owner);
        if !self.linked() {
            return false; // fired, or its execution was dropped, while we waited for the lock
        }
        // SAFETY: LINKED while we hold the lock: an execution removes its nodes from its lists under the lock before it
        // ends, so `owner` is alive, and the node is in one of its lists.
        unsafe { (*owner).waits.remove(self) };
        self.state.store(IDLE, Ordering::Release);
        true
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.unlink();
    }
}

struct List {
    first: *const Node,
    last: *const Node,
}

impl List {
    const fn new() -> List {
        List { first: ptr::null(), last: ptr::null() }
    }

    /// # Safety
    /// Under the lock; `node` is in no list; `before`, if not NULL, is in this one.
    unsafe fn insert_after(&mut self, before: *const Node, node: &Node) {
        // SAFETY: the caller's promise; nodes in a list are alive, since they leave it before they are dropped.
        unsafe {
            let links = node.links.get();
            let after = if before.is_null() { self.first } else { (*(*before).links.get()).next };
            (*links).previous = before;
            (*links).next = after;
            if before.is_null() {
                self.first = node;
            } else {
                (*(*before).links.get()).next = node;
            }
            if after.is_null() {
                self.last = node;
            } else {
                (*(*after).links.get()).previous = node;
            }
        }
    }

    /// # Safety
    /// Under the lock; `node` is in this list.
    unsafe fn remove(&mut self, node: &Node) {
        // SAFETY: the caller's promise; the neighbours are alive.
        unsafe {
            let links = node.links.get();
            let (previous, next) = ((*links).previous, (*links).next);
            if previous.is_null() {
                self.first = next;
            } else {
                (*(*previous).links.get()).next = next;
            }
            if next.is_null() {
                self.last = previous;
            } else {
                (*(*next).links.get()).previous = previous;
            }
            (*links).previous = ptr::null();
            (*links).next = ptr::null();
        }
    }
}

/// The lists of one execution. Changed under its lock; only its own thread adds and fires nodes.
pub(crate) struct Waits {
    times: UnsafeCell<List>,  // sorted by time; equal times in order of insertion
    others: UnsafeCell<List>, // descriptors and the stop
    earliest: AtomicU64,      // a copy for its own thread, to be read without the lock
}

impl Waits {
    pub(crate) const fn new() -> Waits {
        Waits {
            times: UnsafeCell::new(List::new()),
            others: UnsafeCell::new(List::new()),
            earliest: AtomicU64::new(ffi::NEVER),
        }
    }

    pub(crate) fn earliest(&self) -> u64 {
        self.earliest.load(Ordering::Relaxed)
    }

    fn insert(&self, owner: &Execution, node: &Node) {
        let _guard = lock(owner);
        // SAFETY: under the lock; the node is in no list, and stays in place until it has left this one.
        unsafe {
            if let What::Time(time) = node.what {
                let times = &mut *self.times.get();
                let mut before = times.last;
                while !before.is_null() && (*before).time() > time {
                    before = (*(*before).links.get()).previous;
                }
                times.insert_after(before, node);
                self.note_earliest();
            } else {
                let others = &mut *self.others.get();
                others.insert_after(others.last, node);
            }
        }
        node.state.store(LINKED, Ordering::Release);
    }

    /// # Safety
    /// Under the lock; `node` is in one of the lists. It may be gone once its state says so.
    unsafe fn remove(&self, node: &Node) {
        // SAFETY: the caller's promise.
        unsafe {
            if let What::Time(_) = node.what {
                (*self.times.get()).remove(node);
                self.note_earliest();
            } else {
                (*self.others.get()).remove(node);
            }
        }
    }

    /// # Safety
    /// Under the lock.
    unsafe fn note_earliest(&self) {
        // SAFETY: the caller's promise; nodes in a list are alive.
        let time = unsafe { (*self.times.get()).first.as_ref().map_or(ffi::NEVER, Node::time) };
        self.earliest.store(time, Ordering::Relaxed);
    }

    /// Wakes the waits that are over: times in order. Called on the execution's thread, at the beginning of a poll.
    /// Returns true if more may be over.
    pub(crate) fn fire(&self, owner: &Execution, stop: bool) -> bool {
        if self.earliest() != ffi::NEVER {
            let now = owner.now();
            owner.note_time(now);
            while self.earliest() <= now {
                // SAFETY: `first` is read under the lock.
                let due = |waits: &Waits| unsafe { (*waits.times.get()).first.as_ref() }.filter(|n| n.time() <= now);
                self.fire_one(owner, due);
            }
        }
        if stop {
            while self.fire_one(owner, |waits| waits.find_other(|what| what == What::Stop)) {}
        }
        self.fire_ready(owner)
    }

    /// Wakes those that the host has something for. Whatever is ready beyond the list comes in the next poll.
    fn fire_ready(&self, owner: &Execution) -> bool {
        let mut list = [ffi::Ready { tag: 0, what: 0, reserved: 0 }; 64];
        // SAFETY: this is a poll of the owner's; the same below.
        let count = unsafe { owner.take_ready(&mut list) };
        for ready in &list[..count] {
            if ready.what == ffi::DONE {
                owner.told_of_work();
                // SAFETY: a tag of ours, and it is told once.
                unsafe { unblock::done(ready.tag) };
            } else {
                self.fire_descriptor(owner, ready.tag as i32, ready.what);
            }
        }
        count == list.len()
    }

    fn fire_descriptor(&self, owner: &Execution, fd: i32, what: u32) {
        let meets = |waited| match waited {
            What::Descriptor { fd: other, interests } => other == fd && interests & what != 0,
            What::Time(_) | What::Stop => false,
        };
        while self.fire_one(owner, |waits| waits.find_other(meets)) {}
        // For those that still wait, or nobody; else the host would wake the execution for it again and again.
        // SAFETY: as above.
        unsafe { owner.watch(fd) };
    }

    /// Fires the node that `choose` finds under the lock. False if it finds none.
    fn fire_one<'a>(&'a self, owner: &Execution, choose: impl FnOnce(&'a Waits) -> Option<&'a Node>) -> bool {
        let waker = {
            let _guard = lock(owner);
            let node = match choose(self) {
                Some(node) => node,
                None => return false,
            };
            // SAFETY: under the lock, and the node is in a list of this execution, whose thread this is. Once its state
            // says FIRED the node may be gone.
            unsafe {
                self.remove(node);
                let waker = (*node.links.get()).waker.take();
                node.state.store(FIRED, Ordering::Release);
                waker
            }
        };
        if let Some(waker) = waker {
            if !owner.waker().will_wake(&waker) {
                waker.wake(); // a branch; the root is about to be polled anyway
            }
        }
        true
    }

    /// Only under the lock.
    fn find_other(&self, matches: impl Fn(What) -> bool) -> Option<&Node> {
        // SAFETY: under the lock; nodes in a list are alive.
        unsafe {
            let mut node = (*self.others.get()).first;
            while !node.is_null() && !matches((*node).what) {
                node = (*(*node).links.get()).next;
            }
            node.as_ref()
        }
    }

    /// What the nodes wait for at a descriptor: interests of the host's watch.
    pub(crate) fn interests(&self, owner: &Execution, fd: i32) -> u32 {
        let mut all = 0;
        let _guard = lock(owner);
        // SAFETY: under the lock; nodes in a list are alive.
        unsafe {
            let mut node = (*self.others.get()).first;
            while !node.is_null() {
                match (*node).what {
                    What::Descriptor { fd: other, interests } if other == fd => all |= interests,
                    _ => {}
                }
                node = (*(*node).links.get()).next;
            }
        }
        all
    }

    /// Called before the execution is gone: ends the waits of futures that others still hold.
    pub(crate) fn let_go(&self, owner: &Execution) {
        let _guard = lock(owner);
        // SAFETY: under the lock; nodes in a list are alive until their state says that they have left it.
        unsafe {
            for list in [&self.times, &self.others] {
                while let Some(node) = (*list.get()).first.as_ref() {
                    self.remove(node);
                    node.state.store(IDLE, Ordering::Release);
                }
            }
        }
    }
}

impl Node {
    fn time(&self) -> u64 {
        match self.what {
            What::Time(time) => time,
            What::Descriptor { .. } | What::Stop => ffi::NEVER,
        }
    }
}
