//! Texts without allocation: what is longer than the host takes is cut, at a character's end.

use core::fmt;

const LIMIT: usize = 4096; // the host's, rule 4.6

pub(crate) struct Text {
    bytes: [u8; LIMIT],
    size: usize,
}

impl Text {
    pub(crate) fn new() -> Text {
        Text { bytes: [0; LIMIT], size: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        // What was written are whole characters; a text that is none would be empty.
        core::str::from_utf8(&self.bytes[..self.size]).unwrap_or_default()
    }
}

impl fmt::Write for Text {
    /// Fails where the rest would be cut anyway.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LIMIT - self.size;
        let mut size = text.len().min(room);
        while !text.is_char_boundary(size) {
            size -= 1;
        }
        self.bytes[self.size..self.size + size].copy_from_slice(&text.as_bytes()[..size]);
        self.size += size;
        if size == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = Text::new();
        assert!(write!(text, "{}é", "x".repeat(LIMIT - 1)).is_err());
        assert_eq!(text.as_str().len(), LIMIT - 1);
    }

    #[test]
    fn a_short_text_is_kept() {
        let mut text = Text::new();
        assert!(write!(text, "{} é", 1).is_ok());
        assert_eq!(text.as_str(), "1 é");
    }
}
