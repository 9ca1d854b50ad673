//! A function as in any tutorial on async, and the macro that makes a plugin of it.

use std::time::Duration;

use taskhost::sleep;

async fn refresh_cache() {
    loop {
        println!("refreshing the cache");
        sleep(Duration::from_secs(2)).await;
    }
}

taskhost::plugin! {
    /// Prints a line every two seconds.
    "rust_cache" => refresh_cache,
}
