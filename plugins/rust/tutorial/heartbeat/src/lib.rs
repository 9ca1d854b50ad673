//! A function as in any tutorial on async, and the macro that makes a plugin of it.

use std::time::Duration;

use taskhost::sleep;

async fn send_heartbeat() {
    let mut count = 0;
    loop {
        count += 1;
        println!("heartbeat {}", count);
        sleep(Duration::from_millis(500)).await;
    }
}

taskhost::plugin! {
    /// Prints and counts, twice a second.
    "rust_heartbeat" => send_heartbeat,
}
