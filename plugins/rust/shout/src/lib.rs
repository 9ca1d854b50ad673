//! Sends what arrives on a Unix socket back in capitals: a server for several clients at once inside one task, without
//! threads or a runtime of its own. ../tokio does the same with tokio.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use taskhost::{race, readable, timeout, writable, Config};

const PATIENCE: Duration = Duration::from_secs(60); // with a silent client

/// Serves eight clients at a time; others wait until one of these has left.
async fn shout() -> io::Result<()> {
    let path: PathBuf = Config::with_keys(&["path"])?.require::<String>("/path")?.into();
    let listener = UnixListener::bind(&path)?;
    let _socket = Socket(path);
    listener.set_nonblocking(true)?;
    taskhost::notify_ready();
    let place = || serve(&listener);
    race!(place(), place(), place(), place(), place(), place(), place(), place())
}

/// Serves one client after the other, for ever.
async fn serve(listener: &UnixListener) -> io::Result<()> {
    loop {
        readable(listener).await?;
        match listener.accept() {
            Ok((stream, _)) => {
                let _ = converse(stream).await; // a client that hangs up is not a failure
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {} // another one was faster
            Err(error) => return Err(error),
        }
    }
}

async fn converse(mut stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut bytes = [0; 1024];
    loop {
        timeout(PATIENCE, readable(&stream)).await??;
        let size = match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(size) => size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        bytes[..size].make_ascii_uppercase();
        let mut sent = 0;
        while sent < size {
            match stream.write(&bytes[sent..size]) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => timeout(PATIENCE, writable(&stream)).await??,
                Err(error) => return Err(error),
            }
        }
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
    /// A Unix socket that sends back in capitals what comes.
    "rust_shout" => shout,
}
