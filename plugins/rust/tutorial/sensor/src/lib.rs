//! A function as in any tutorial on async, and the macro that makes a plugin of it.

use std::time::Duration;

use taskhost::sleep;

async fn read_sensor() {
    loop {
        println!("reading the sensor");
        sleep(Duration::from_secs(1)).await;
    }
}

taskhost::plugin! {
    /// Prints a line each second.
    "rust_sensor" => read_sensor,
}
