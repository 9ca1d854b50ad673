//! Compares the `ffi` module with the header: the order of the fields, the constants, and the resulting offsets.

use std::fs;
use std::mem::MaybeUninit;
use std::ptr::addr_of;

use taskhost::ffi;

fn header(name: &str) -> String {
    let path = format!("{}/../../include/taskhost/{}", env!("CARGO_MANIFEST_DIR"), name);
    fs::read_to_string(&path).expect(&path)
}

/// The names of a struct's fields, in order.
fn fields_in_c(file: &str, name: &str) -> Vec<String> {
    let text = header(file);
    let begin = text.find(&format!("struct {} {{", name)).expect(name);
    let body = &text[begin..begin + text[begin..].find("\n}").unwrap()];
    let mut plain = String::new();
    let mut rest = body;
    while let Some(open) = rest.find("/*") {
        plain.push_str(&rest[..open]);
        rest = &rest[open + rest[open..].find("*/").unwrap() + 2..];
    }
    plain.push_str(rest);
    let plain = &plain[plain.find('{').unwrap() + 1..];
    let field = |line: &str| {
        let name = match line.find("(*") {
            Some(open) => &line[open + 2..open + line[open..].find(')').unwrap()],
            None => line.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap(),
        };
        name.to_string()
    };
    plain.split(';').map(str::trim).filter(|line| !line.is_empty()).map(field).collect()
}

macro_rules! offsets {
    ($type:ty: $($field:ident)*) => {{
        let there = MaybeUninit::<$type>::uninit();
        let base = there.as_ptr();
        // SAFETY: only addresses are taken.
        vec![$((stringify!($field).to_string(), unsafe { addr_of!((*base).$field) } as usize - base as usize)),*]
    }};
}

const WORD: usize = std::mem::size_of::<usize>();

fn check(offsets: Vec<(String, usize)>, c_fields: &[String], heads: usize, sizes: impl Fn(&str) -> usize) {
    assert_eq!(offsets.iter().map(|(name, _)| name).collect::<Vec<_>>(), c_fields.iter().collect::<Vec<_>>());
    let mut expected = 0;
    for (index, (name, offset)) in offsets.iter().enumerate() {
        assert_eq!(*offset, expected, "{}", name);
        expected += if index < heads { 4 } else { sizes(name) };
    }
}

#[test]
fn services_have_the_header_s_fields_in_its_order() {
    let offsets = offsets!(ffi::Services: struct_size abi_minor log fail config task_name execution_number
        stop_requested now waker wake wake_at wake_after watch take_ready offload wait wait_fd ready heartbeat status
        extension);
    check(offsets, &fields_in_c("plugin.h", "taskhost_services"), 2, |_| WORD);
}

#[test]
fn factories_have_the_header_s_fields_in_its_order() {
    let offsets = offsets!(ffi::Factory: struct_size required_minor name version description state_size state_align
        flags reserved start poll run finish drop check next);
    let sizes = |name: &str| if name == "flags" || name == "reserved" { 4 } else { WORD };
    check(offsets, &fields_in_c("plugin.h", "taskhost_factory"), 2, sizes);
}

#[test]
fn what_is_ready_and_work_have_the_header_s_fields_in_its_order() {
    let sizes = |name: &str| match name {
        "what" | "reserved" => 4,
        "tag" => 8,
        _ => WORD,
    };
    check(offsets!(ffi::Ready: tag what reserved), &fields_in_c("plugin.h", "taskhost_ready"), 0, sizes);
    let offsets = offsets!(ffi::Work: struct_size reserved tag argument run discard);
    check(offsets, &fields_in_c("plugin.h", "taskhost_work"), 2, sizes);
}

#[test]
fn readers_of_configs_have_the_header_s_functions_in_its_order() {
    let offsets = offsets!(ffi::ConfigReader: struct_size revision keys require text integer number boolean duration
        count parse_duration);
    check(offsets, &fields_in_c("ext/config.h", "taskhost_config_reader"), 2, |_| WORD);
    let text = header("ext/config.h");
    let id = std::ffi::CStr::from_bytes_with_nul(ffi::CONFIG_EXTENSION).unwrap().to_str().unwrap();
    assert!(text.contains(&format!("#define TASKHOST_EXTENSION_CONFIG \"{}\"\n", id)));
    assert!(text.contains(&format!("#define TASKHOST_CONFIG_REVISION {}\n", ffi::CONFIG_REVISION)));
}

#[test]
fn constants_are_those_of_the_header() {
    let text = header("plugin.h");
    let defined = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("#define TASKHOST_{} ", name))).expect(name);
        let value = line.split_whitespace().nth(2).unwrap().trim_end_matches('u');
        value.parse::<u32>().expect(value)
    };
    macro_rules! compare {
        ($($name:ident)*) => { $(assert_eq!(defined(stringify!($name)), ffi::$name as u32);)* };
    }
    compare!(ABI_MAJOR ABI_MINOR OK PENDING ERROR PANIC AGAIN REFUSED_CALL REFUSED_ARGUMENT REFUSED_CLOSED
        REFUSED_ALWAYS REFUSED_LOOP REFUSED_DESCRIPTORS REFUSED_MEMORY REFUSED_THREADS REFUSED_WATCHERS LOG_TRACE
        LOG_DEBUG LOG_INFO LOG_WARNING LOG_ERROR READABLE WRITABLE BROKEN DONE WAIT_STOP WAIT_WAKE WAIT_TIME);
}
