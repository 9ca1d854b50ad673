//! All ways to end, in Rust, for the tests.

use std::time::Duration;

use taskhost::{Config, Context};

/// As the config says: `{"end": "ok" | "error" | "panic", "message": TEXT}`
fn end() -> Result<(), String> {
    let config = Config::with_keys(&["end", "message"])?;
    let message = config.require("/message")?;
    match config.require::<String>("/end")?.as_str() {
        "ok" => Ok(()),
        "error" => Err(message),
        _ => panic!("{}", message),
    }
}

async fn probe() -> Result<(), String> {
    taskhost::sleep(Duration::from_millis(1)).await;
    end()
}

fn probe_blocking(task: Context) -> Result<(), String> {
    let _ = task.wait_for(Duration::from_millis(1));
    end()
}

fn start_panics() -> std::future::Ready<()> {
    panic!("the pump is dry");
}

/// Fails after counting to three, which begins from one each time.
async fn counts(task: Context) -> Result<(), String> {
    for count in 1..=3 {
        task.sleep(Duration::from_millis(1)).await;
        taskhost::info!("execution {} counts {}", task.execution_number(), count);
    }
    Err("counted".to_string())
}

struct Says(&'static str);

impl Drop for Says {
    fn drop(&mut self) {
        taskhost::info!("{}", self.0);
    }
}

async fn idle() {
    let _says = Says("idle was dropped");
    taskhost::notify_ready();
    loop {
        taskhost::sleep(Duration::from_secs(3600)).await;
    }
}

async fn graceful() {
    taskhost::notify_ready();
    taskhost::stopped().await;
    taskhost::sleep(Duration::from_millis(50)).await;
    taskhost::info!("graceful has saved its work");
}

async fn deaf() {
    let _says = Says("deaf was dropped");
    taskhost::stop_requested(); // a task that has asked ends by itself; this one does not
    taskhost::notify_ready();
    std::future::pending::<()>().await;
}

fn idle_blocking() {
    taskhost::notify_ready();
    while !taskhost::wait().stop() {}
    taskhost::info!("idle_blocking ends");
}

/// Ends when another thread has woken it a hundred times.
fn woken_blocking(task: Context) {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    for expected in 1..=100 {
        let (count, waker) = (count.clone(), task.waker());
        let thread = std::thread::spawn({
            let count = count.clone();
            move || {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                waker.wake();
            }
        });
        while count.load(std::sync::atomic::Ordering::SeqCst) < expected {
            assert!(!task.wait().time());
        }
        let _ = thread.join();
    }
}

/// Has work done on other threads, gives some of it up, and panics if its config says so.
async fn unblocks(task: Context) {
    let panics = Config::new().and_then(|config| config.get_or("/panics", false)).unwrap_or(false);
    let here = std::thread::current().id();
    let add = |from: u64| {
        taskhost::unblock(move || {
            assert_ne!(std::thread::current().id(), here);
            std::thread::sleep(Duration::from_millis(1));
            (from..from + 1000).sum::<u64>()
        })
    };
    let (first, second, third) = taskhost::join!(add(0), add(1000), add(2000));
    let slow = taskhost::unblock(|| std::thread::sleep(Duration::from_millis(200)));
    assert!(taskhost::timeout(Duration::from_millis(1), slow).await.is_err());
    task.status("has added");
    if panics {
        taskhost::unblock(|| panic!("the pump is dry")).await;
    }
    taskhost::info!("the sum is {}", first + second + third);
}

/// Other threads wake two branches many times, and go on after the end.
async fn busy(task: Context) {
    task.notify_ready();
    let branch = || async {
        for _ in 0..1000 {
            let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let mut thread = None;
            Woken(|waker: &std::task::Waker| {
                let (flag, waker) = (done.clone(), waker.clone());
                thread.get_or_insert_with(|| {
                    std::thread::spawn(move || {
                        flag.store(true, std::sync::atomic::Ordering::SeqCst);
                        waker.wake_by_ref();
                        waker
                    })
                });
                done.load(std::sync::atomic::Ordering::SeqCst)
            })
            .await;
            if let Some(waker) = thread.and_then(|thread| thread.join().ok()) {
                waker.wake(); // useless, but harmless
            }
        }
    };
    let pause = taskhost::sleep(Duration::from_millis(1));
    taskhost::join!(branch(), branch(), pause);
    taskhost::info!("busy is done");
}

struct Woken<F>(F);

impl<F: FnMut(&std::task::Waker) -> bool + Unpin> std::future::Future for Woken<F> {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if (self.0)(context.waker()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }
}

taskhost::plugin! {
    "probe" => probe,
    "probe_blocking" => blocking probe_blocking,
    "start_panics" => start_panics,
    "counts" => counts,
    "idle" => idle,
    "graceful" => graceful,
    "deaf" => deaf,
    "idle_blocking" => blocking idle_blocking,
    "woken_blocking" => blocking woken_blocking,
    "busy" => busy,
    "unblocks" => unblocks,
}
