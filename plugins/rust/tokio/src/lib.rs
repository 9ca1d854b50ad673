//! A task with a tokio runtime of its own: sends what arrives on a Unix socket back in capitals. ../shout does the same
//! without tokio.
//!
//! The runtime has its own threads, so the task is a blocking one: its thread only waits for the stop, or for the
//! server to fail, and joins the runtime's threads before it returns (rule 5.2).

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use taskhost::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;

const PATIENCE: Duration = Duration::from_secs(2); // for the runtime's blocking threads, of which there are none
const SILENCE: Duration = Duration::from_secs(60); // after it, the connection is closed

fn shout(task: Context) -> io::Result<()> {
    let path: PathBuf = task.config_with_keys(&["path"])?.require::<String>("/path")?.into();
    let threads = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = {
        let _inside = threads.enter();
        UnixListener::bind(&path)?
    };
    let _socket = Socket(path);
    task.notify_ready();

    // When the server ends, it wakes the task; a waker may be used from any thread.
    let (sender, receiver) = mpsc::channel();
    let waker = task.waker();
    threads.spawn(async move {
        let failure = serve(listener).await;
        let _ = sender.send(failure);
        waker.wake();
    });
    let end = loop {
        let waited = task.wait();
        if let Ok(failure) = receiver.try_recv() {
            break failure;
        }
        if waited.stop() {
            break Ok(());
        }
    };
    threads.shutdown_timeout(PATIENCE); // drops all connections where they await, and joins the threads
    end
}

async fn serve(listener: UnixListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let _ = converse(stream).await; // a client that hangs up is not a failure
        });
    }
}

async fn converse(mut stream: UnixStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        // tokio's own clock, which works here like any other
        let size = tokio::time::timeout(SILENCE, stream.read(&mut bytes)).await??;
        if size == 0 {
            return Ok(());
        }
        bytes[..size].make_ascii_uppercase();
        tokio::time::timeout(SILENCE, stream.write_all(&bytes[..size])).await??;
    }
}

/// The socket's file, removed at the end, even after a panic.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

taskhost::plugin! {
    /// A Unix socket that sends back in capitals what comes; with tokio.
    "rust_tokio" => blocking shout,
}
