//! The bench's tasks in Rust, as small as possible, so that the host and the SDK are what is measured. The C
//! counterparts are `yield` (w4) and `idle` (w2) of bench_plugin.c.

use taskhost::{Config, ConfigError};

/// Wakes itself `turns` times, and ends.
async fn yielder() -> Result<(), ConfigError> {
    let turns: u64 = Config::with_keys(&["turns"])?.require("/turns")?;
    for _ in 0..turns {
        taskhost::yield_now().await;
    }
    Ok(())
}

/// Idle until the stop, which ends it where it waits, since it has never asked about it. Most tasks in Rust stop like
/// that; to await `stopped()` would cost 64 bytes more.
async fn sleeper() {
    std::future::pending().await
}

taskhost::plugin! {
    /// Wakes itself as often as its config says: {"turns": N}.
    "yielder" => yielder,
    /// Waits for the stop.
    "sleeper" => sleeper,
}
