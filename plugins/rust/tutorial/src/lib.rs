//! Three functions of the kind that each tutorial on async has, and one macro that makes supervised tasks of them.

use std::time::Duration;

use taskhost::sleep;

async fn read_sensor() {
    loop {
        println!("reading the sensor");
        sleep(Duration::from_secs(1)).await;
    }
}

async fn refresh_cache() {
    loop {
        println!("refreshing the cache");
        sleep(Duration::from_secs(2)).await;
    }
}

async fn send_heartbeat() {
    let mut count = 0;
    loop {
        count += 1;
        println!("heartbeat {}", count);
        sleep(Duration::from_millis(500)).await;
    }
}

taskhost::plugin! {
    /// Prints a line each second.
    "read_sensor" => read_sensor,
    /// Prints a line every two seconds.
    "refresh_cache" => refresh_cache,
    /// Prints and counts, twice a second.
    "send_heartbeat" => send_heartbeat,
}
