//! Measures what tokio costs: compares rust_tokio with rust_shout, which does the same without it, each in its own
//! taskhost.
//!
//!   measure TASKHOST PLUGIN_DIR [REQUESTS]
//!
//! Prints a table in Markdown, as in ../tokio/README.md.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const REPETITIONS: u32 = 5; // the best one counts
const TICKS_A_SECOND: f64 = 100.0; // in /proc, on Linux

struct Measure {
    taskhost: PathBuf,
    plugins: PathBuf,
    work: PathBuf,
    requests: u32,
}

/// A running taskhost; killed if the measurement fails.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Host {
    /// A line of /proc/PID/status, as a number.
    fn status(&self, key: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find(|line| line.starts_with(key)).ok_or(io::ErrorKind::NotFound)?;
        let number = line.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Seconds of user and system time.
    fn cpu(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after_name = stat.rsplit(") ").next().unwrap_or("");
        Ok(after_name.split(' ').skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>()
            / TICKS_A_SECOND)
    }
}

impl Measure {
    fn start(&self, plugin: &str, tasks: u32, socket_folder: &Path, restarts: u32) -> io::Result<Host> {
        let entry = |number| {
            format!(
                r#"{{"name": "t{number}", "plugin": "{plugin}", "type": "detachable", "restarts": {restarts},
                "config": {{"path": "{}/{number}"}}}}"#,
                socket_folder.display()
            )
        };
        let tasks = (0..tasks).map(entry).collect::<Vec<_>>().join(",");
        let manifest = self.work.join("manifest.json");
        fs::write(&manifest, format!(r#"{{"shards": 1, "tasks": [{tasks}]}}"#))?;
        let mut command = Command::new(&self.taskhost);
        command.arg("--plugin-dir").arg(&self.plugins).arg(&manifest);
        Ok(Host(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }

    fn connect(&self, number: u32) -> io::Result<UnixStream> {
        let begin = Instant::now();
        loop {
            match UnixStream::connect(self.work.join(number.to_string())) {
                Err(_) if begin.elapsed() < Duration::from_secs(10) => sleep(Duration::from_millis(1)),
                other => return other,
            }
        }
    }

    /// Seconds, and seconds of the host's CPU, for a request.
    fn serve(&self, plugin: &str) -> io::Result<(f64, f64)> {
        let host = self.start(plugin, 1, &self.work, 0)?;
        let mut stream = self.connect(0)?;
        let (begin, cpu_begin) = (Instant::now(), host.cpu()?);
        let mut answer = [0; 6];
        for _ in 0..self.requests {
            stream.write_all(b"hello\n")?;
            stream.read_exact(&mut answer)?;
            assert_eq!(&answer, b"HELLO\n");
        }
        let requests = f64::from(self.requests);
        let used = (begin.elapsed().as_secs_f64() / requests, (host.cpu()? - cpu_begin) / requests);
        drop(host);
        fs::remove_file(self.work.join("0"))?;
        Ok(used)
    }

    fn row(&self, plugin: &str) -> io::Result<()> {
        let size = fs::metadata(self.plugins.join(format!("{plugin}.so")))?.len();
        let mut memory = Vec::new();
        for tasks in [1, 11] {
            let host = self.start(plugin, tasks, &self.work, 0)?;
            for number in 0..tasks {
                self.connect(number)?;
            }
            sleep(Duration::from_millis(100));
            memory.push((host.status("Threads:")?, host.status("VmRSS:")?));
            drop(host);
            for number in 0..tasks {
                let _ = fs::remove_file(self.work.join(number.to_string()));
            }
        }

        let (mut each, mut cpu, mut restart) = (f64::MAX, f64::MAX, f64::MAX);
        for _ in 0..REPETITIONS {
            let (seconds, of_cpu) = self.serve(plugin)?;
            each = each.min(seconds);
            cpu = cpu.min(of_cpu);
            let restarts = (self.requests / 100).max(1);
            // Without a folder for its socket it fails at once, until its restarts are used up.
            let begin = Instant::now();
            self.start(plugin, 1, &self.work.join("none"), restarts)?.0.wait()?;
            restart = restart.min(begin.elapsed().as_secs_f64() / f64::from(restarts));
        }

        let ((threads, resident), (threads_of_11, resident_of_11)) = (memory[0], memory[1]);
        println!(
            "| {} | {} KB | {} | {} | {:.1} MB | {} KB | {:.1} µs | {:.1} µs | {:.0} µs |",
            plugin,
            size / 1000,
            threads,
            (threads_of_11 - threads) / 10,
            resident as f64 * 1.024e-3,
            (resident_of_11.saturating_sub(resident)) / 10,
            each * 1e6,
            cpu * 1e6,
            restart * 1e6
        );
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let (taskhost, plugins) = match arguments.as_slice() {
        [taskhost, plugins] | [taskhost, plugins, _] => (taskhost.into(), plugins.into()),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "measure TASKHOST PLUGIN_DIR [REQUESTS]")),
    };
    let requests = arguments.get(2).and_then(|text| text.parse().ok()).filter(|count| *count > 0).unwrap_or(100_000);
    let work = std::env::temp_dir().join(format!("taskhost-measure-{}", std::process::id()));
    fs::create_dir(&work)?;
    let measure = Measure { taskhost, plugins, work: work.clone(), requests };
    println!("| | library | threads | each further task | memory | each further task | request | its CPU | restart |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let result = ["rust_shout", "rust_tokio"].iter().try_for_each(|plugin| measure.row(plugin));
    fs::remove_dir_all(&work)?;
    result
}
