//! A reader for the configs of the bundled Rust plugins: one JSON object whose values are texts, numbers or true and
//! false. No part of taskhost's interface; a plugin of your own may use serde_json, or take this along.

use std::time::Duration;

/// What has not been asked for yet.
pub struct Config {
    entries: Vec<(String, Value)>,
}

enum Value {
    Text(String),
    Other, // a number, true, false, null
}

impl Config {
    /// # Errors
    /// The text is not such an object.
    pub fn parse(json: &str) -> Result<Config, String> {
        let mut reader = Reader { rest: json };
        let mut entries = Vec::new();
        reader.expect('{')?;
        if !reader.take('}') {
            loop {
                let key = reader.text()?;
                reader.expect(':')?;
                entries.push((key, reader.value()?));
                if reader.take('}') {
                    break;
                }
                reader.expect(',')?;
            }
        }
        Ok(Config { entries })
    }

    fn find(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// # Errors
    /// There is no such text.
    pub fn text(&mut self, key: &str) -> Result<String, String> {
        match self.find(key) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Other) => Err(format!("config: \"{}\" must be a text", key)),
            None => Err(format!("config: \"{}\" is missing", key)),
        }
    }

    /// `"250ms"`, `"10s"`, `"5m"`, `"1h"`
    ///
    /// # Errors
    /// It is no duration, or none above zero.
    pub fn duration(&mut self, key: &str, if_absent: Duration) -> Result<Duration, String> {
        let wrong = || format!("config: \"{}\" must be a duration such as \"250ms\" or \"10s\"", key);
        let text = match self.find(key) {
            None => return Ok(if_absent),
            Some(Value::Text(text)) => text,
            Some(Value::Other) => return Err(wrong()),
        };
        let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let count: u64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
        match count.checked_mul(milliseconds) {
            Some(total) if total > 0 => Ok(Duration::from_millis(total)),
            _ => Err(wrong()),
        }
    }

    /// # Errors
    /// Something is left that nobody asked for.
    pub fn finish(self) -> Result<(), String> {
        match self.entries.first() {
            Some((key, _)) => Err(format!("config: unknown key \"{}\"", key)),
            None => Ok(()),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, letter: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, letter: char) -> Result<(), String> {
        if self.take(letter) {
            Ok(())
        } else {
            Err("config: must be an object of texts, numbers, true and false".to_string())
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            return self.text().map(Value::Text);
        }
        let end = self.rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || "+-.".contains(letter)));
        self.rest = match end {
            Some(0) => return Err("config: lists and objects have no meaning here".to_string()),
            Some(end) => &self.rest[end..],
            None => "",
        };
        Ok(Value::Other)
    }

    fn text(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        let mut letters = self.rest.chars();
        loop {
            match letters.next() {
                Some('"') => break,
                Some('\\') => text.push(match letters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(letter @ ('"' | '\\' | '/')) => letter,
                    _ => return Err("config: only the escapes \\\" \\\\ \\/ \\n \\r \\t are known here".to_string()),
                }),
                Some(letter) => text.push(letter),
                None => return Err("config: a text does not end".to_string()),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_durations_are_found_and_what_is_left_is_told() {
        let mut config = Config::parse(r#"{"path": "a \"b\"", "every": "250ms", "size": 12e3, "on": true}"#).unwrap();
        assert_eq!(config.text("path").unwrap(), "a \"b\"");
        assert_eq!(config.duration("every", Duration::MAX), Ok(Duration::from_millis(250)));
        assert_eq!(config.duration("absent", Duration::from_secs(1)), Ok(Duration::from_secs(1)));
        assert!(config.text("size").unwrap_err().contains("must be a text"));
        assert_eq!(config.text("none").unwrap_err(), "config: \"none\" is missing");
        assert_eq!(config.finish().unwrap_err(), "config: unknown key \"on\"");
        assert!(Config::parse("{ }").unwrap().finish().is_ok());
    }

    #[test]
    fn what_is_no_flat_object_is_refused() {
        for text in ["", "[]", "{", "{\"a\"", "{\"a\": }", "{\"a\": [1]}", "{\"a\": \"b", "{\"a\": 1 \"b\": 2}"] {
            assert!(Config::parse(text).is_err(), "{}", text);
        }
        for text in ["0s", "s", "10", "1d", "-1s", "99999999999999999999s"] {
            let mut config = Config::parse(&format!("{{\"every\": \"{}\"}}", text)).unwrap();
            assert!(config.duration("every", Duration::MAX).is_err(), "{}", text);
        }
    }
}
