//! Texts without allocation: those that exceed the host's limit are cut, at the end of a character.

use core::mem::MaybeUninit;
use core::{fmt, ptr, slice, str};

const LIMIT: usize = 4096; // the host's, rule 4.6

/// The first `size` bytes are initialised, and are whole characters. The rest is not even cleared: that would cost more
/// than a restart.
pub(crate) struct Text {
    bytes: MaybeUninit<[u8; LIMIT]>,
    size: usize,
}

impl Text {
    pub(crate) fn new() -> Text {
        Text { bytes: MaybeUninit::uninit(), size: 0 }
    }

    pub(crate) fn as_str(&self) -> &str {
        // SAFETY: that many bytes are initialised, with whole characters only.
        unsafe { str::from_utf8_unchecked(slice::from_raw_parts(self.bytes.as_ptr().cast(), self.size)) }
    }
}

impl fmt::Write for Text {
    /// Fails once the rest would be cut anyway.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LIMIT - self.size;
        let mut size = text.len().min(room);
        while !text.is_char_boundary(size) {
            size -= 1;
        }
        // SAFETY: size exceeds neither the free space after the written bytes nor the text's length.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), self.bytes.as_mut_ptr().cast::<u8>().add(self.size), size) };
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
