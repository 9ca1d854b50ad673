//! Logs how much a directory holds: file systems have no asynchronous interface, so this is an ordinary function on a
//! thread of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use taskhost::Context;

fn measure_directory(task: Context) -> Result<(), String> {
    let config = task.config_with_keys(&["path", "every"])?;
    let path: String = config.require("/path")?;
    let every = config.get_or("/every", Duration::from_secs(60))?;
    task.notify_ready();
    loop {
        let (files, bytes) = add_up(task, Path::new(&path)).map_err(|error| format!("{}: {}", path, error))?;
        if task.stop_requested() {
            return Ok(());
        }
        taskhost::info!("{}: {} files, {} bytes", path, files, bytes);
        task.heartbeat();
        if task.wait_for(every).stop() {
            return Ok(());
        }
    }
}

/// Counts files and bytes. Ends early when the host asks it to stop; what can't be read is left out.
fn add_up(task: Context, directory: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory)?.flatten() {
        if task.stop_requested() {
            break;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let (more_files, more_bytes) = add_up(task, &entry.path()).unwrap_or_default();
                files += more_files;
                bytes += more_bytes;
            }
            Ok(kind) if kind.is_file() => {
                files += 1;
                bytes += entry.metadata().map_or(0, |facts| facts.len());
            }
            _ => {}
        }
    }
    Ok((files, bytes))
}

taskhost::plugin! {
    /// Logs how much a directory holds; blocking.
    "rust_disk" => blocking measure_directory,
}
