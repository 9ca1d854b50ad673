//! Logs the lines of two named pipes, and at intervals how many there were: config, descriptors, several futures at
//! once, and an orderly end.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use taskhost::{join, race, readable, sleep, stopped, Config, ConfigError};

const LINE_LIMIT: usize = 2048; // bytes; the rest of a longer line becomes another one
const NON_BLOCKING: i32 = 0o4000; // O_NONBLOCK on Linux

struct Settings {
    orders: String,
    errors: String,
    every: Duration,
}

fn settings() -> Result<Settings, ConfigError> {
    let config = Config::with_keys(&["orders", "errors", "every"])?;
    Ok(Settings {
        orders: config.require("/orders")?,
        errors: config.require("/errors")?,
        every: config.get_or("/every", Duration::from_secs(10))?,
    })
}

async fn watch_pipes() -> Result<(), String> {
    let settings = settings()?;

    // Both at once, since the pipes may be made later, in any order.
    let (orders, errors) = join!(open(&settings.orders), open(&settings.errors));
    let (orders, errors) = (orders?, errors?);
    taskhost::notify_ready();

    let count = AtomicU64::new(0); // a Cell would not be allowed, since the task may change threads
    let end = race!(
        async {
            stopped().await;
            Ok(())
        },
        log_lines("order", &orders, &count),
        log_lines("error", &errors, &count),
        report(settings.every, &count),
    );
    taskhost::info!("{} lines in all", count.load(Ordering::Relaxed));
    end
}

/// Waits until the pipe exists. Until then the task has not asked about the stop, so a stop ends it here.
async fn open(path: &str) -> Result<File, String> {
    loop {
        // Opened for writing, too: with a writer of its own, the pipe does not end when the last other writer leaves.
        match OpenOptions::new().read(true).write(true).custom_flags(NON_BLOCKING).open(path) {
            Ok(file) => match file.metadata() {
                Ok(facts) if facts.file_type().is_fifo() => return Ok(file),
                _ => return Err(format!("{}: not a named pipe", path)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(format!("{}: {}", path, error)),
        }
    }
}

async fn log_lines(what: &str, mut pipe: &File, count: &AtomicU64) -> Result<(), String> {
    let mut line = Vec::with_capacity(LINE_LIMIT);
    let mut bytes = [0; 1024];
    loop {
        readable(pipe).await.map_err(|error| error.to_string())?;
        let size = match pipe.read(&mut bytes) {
            Ok(size) => size,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(error.to_string()),
        };
        for byte in &bytes[..size] {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LINE_LIMIT {
                count.fetch_add(1, Ordering::Relaxed);
                taskhost::info!("{}: {}", what, String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    }
}

async fn report(every: Duration, count: &AtomicU64) -> Result<(), String> {
    loop {
        sleep(every).await;
        taskhost::info!("{} lines so far", count.load(Ordering::Relaxed));
        taskhost::heartbeat();
    }
}

taskhost::plugin! {
    /// Logs the lines of two named pipes.
    "rust_pipes" => watch_pipes,
}
