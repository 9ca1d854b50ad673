//! Checks of configs, which have no execution.

mod support;

use support::Fake;
use taskhost::ffi;

mod checked {
    use taskhost::Context;

    struct Settings;
    fn settings() -> Result<Settings, String> {
        if taskhost::config().contains("\"a\": 1") && taskhost::now() < taskhost::Time::NEVER {
            Ok(Settings)
        } else {
            Err("config: /a: must be 1".to_string())
        }
    }
    fn wrong(task: Context) -> Result<(), &'static str> {
        taskhost::info!("{} is checked", task.task_name());
        Err("the pump is dry")
    }
    fn panics() -> Result<(), String> {
        panic!("no words");
    }
    fn beats(task: Context) -> Result<(), String> {
        task.heartbeat();
        Ok(())
    }
    fn stops(task: Context) -> Result<bool, String> {
        Ok(task.stop_requested())
    }
    async fn polled() {}
    fn run() {}
    taskhost::plugin! {
        /// The first line.
        #[check(settings)]
        "right" => polled,
        #[check(wrong)]
        "wrong" => blocking run,
        #[check(panics)]
        "panics" => polled,
        #[check(beats)]
        "beats" => polled,
        #[check(stops)]
        "stops" => polled,
    }
}

#[test]
fn a_check_says_whether_the_config_is_right() {
    let mut factory = checked::taskhost_plugin_v1();
    for (status, text) in [
        (ffi::OK, ""),
        (ffi::ERROR, "the pump is dry"),
        (ffi::PANIC, "no words (tests/checking.rs:"),
        (ffi::PANIC, "taskhost::heartbeat() is not for a check, which has no execution ("),
        (ffi::PANIC, "taskhost::stop_requested() is not for a check, which has no execution ("),
    ] {
        // SAFETY: a static.
        let there = unsafe { factory.as_ref() }.unwrap();
        let fake = Fake::new(there);
        assert_eq!(fake.check(), status);
        let failure = fake.failure().unwrap_or_default();
        assert!(failure.starts_with(text), "{}", failure);
        if status == ffi::ERROR {
            assert_eq!(fake.log(), ["2 fake is checked"]);
        }
        factory = there.next;
    }
    assert!(factory.is_null());
}
