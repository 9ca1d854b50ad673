//! @NAME@: greets at an interval, until it is stopped or has greeted "times" times.

use std::time::Duration;

use taskhost::Config;

struct Settings {
    greeting: String,
    every: Duration,
    times: u64, // 0: unlimited
    end: String,
}

/// The host reports what is wrong, with the same messages for all tasks.
fn settings() -> Result<Settings, String> {
    let config = Config::with_keys(&["greeting", "every", "times", "end"])?;
    let settings = Settings {
        greeting: config.get_or("/greeting", "hello from Rust".to_string())?,
        every: config.get_or("/every", Duration::from_secs(1))?,
        times: config.get_or("/times", 0)?,
        end: config.get_or("/end", "ok".to_string())?,
    };
    if !["ok", "error", "panic"].contains(&settings.end.as_str()) {
        return Err("config: /end: must be \"ok\", \"error\" or \"panic\"".to_string());
    }
    Ok(settings)
}

/// One execution. A restart calls it again; a stop drops it where it waits.
async fn greet() -> Result<(), String> {
    let Settings { greeting, every, times, end } = settings()?;
    let mut done = 0;
    loop {
        taskhost::info!("{}", greeting);
        taskhost::notify_ready();
        done += 1;
        if done == times {
            break;
        }
        taskhost::sleep(every).await; // never shorter, whatever else wakes the task
    }
    match end.as_str() {
        "error" => Err("was told to fail".to_string()),
        "panic" => panic!("was told to panic"),
        _ => Ok(()),
    }
}

taskhost::plugin! {
    /// greets at an interval
    #[check(settings)]
    "@NAME@" => greet,
}
