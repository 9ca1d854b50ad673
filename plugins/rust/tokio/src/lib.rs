//! A task with a tokio runtime of its own: a Unix socket that sends back in capitals what comes. ../shout does the same
//! without tokio.
//!
//! The runtime has its own threads, so the task is a blocking one: its thread has nothing to do but to wait for the
//! stop, or for the server to fail, and to see the runtime's threads out before it returns (rule 5.2).

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use taskhost::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;

const PATIENCE: Duration = Duration::from_secs(2); // for the runtime's blocking threads, of which there are none
const SILENCE: Duration = Duration::from_secs(60); // after which one is hung up on

fn shout(task: Context) -> io::Result<()> {
    let path: PathBuf = task.config_with_keys(&["path"])?.require::<String>("/path")?.into();
    let threads = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = {
        let _inside = threads.enter();
        UnixListener::bind(&path)?
    };
    let _socket = Socket(path);
    task.notify_ready();

    // What ends in the runtime wakes the task; a waker may be used from any thread.
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
    threads.shutdown_timeout(PATIENCE); // drops all that is served where it awaits, and joins the threads
    end
}

async fn serve(listener: UnixListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let _ = converse(stream).await; // one who hangs up is no failure
        });
    }
}

async fn converse(mut stream: UnixStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        // tokio's own clock, as good as anybody's
        let size = tokio::time::timeout(SILENCE, stream.read(&mut bytes)).await??;
        if size == 0 {
            return Ok(());
        }
        bytes[..size].make_ascii_uppercase();
        tokio::time::timeout(SILENCE, stream.write_all(&bytes[..size])).await??;
    }
}

/// The socket's file, taken away at the end; also at a panic.
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
