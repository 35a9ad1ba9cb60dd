//! Text from outside, made safe to print: every character is either shown by an embedded font or
//! written as its code point, ‹U+4E2D›. The attached JSON keeps the exact text.
//!
//! Shown are scripts whose characters stand alone. Combining marks and scripts that need shaping
//! are written out: PDF/A forbids a missing glyph, and é in two characters is another name than é
//! in one.

use std::cell::Cell;

use typst::text::FontBook;

/// A run of this many characters without a space gets places to break, so that it stays in its
/// column.
const UNBROKEN_CHARS: usize = 16;
const BREAK: char = '\u{200b}';
/// The most characters of one text that are printed.
const MAX_CHARS: usize = 600;

/// What is written as code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// What no embedded font has, and what does not stand alone.
    Unknown,
    /// Everything but printable ASCII.
    BeyondAscii,
}

/// Makes texts printable and remembers whether it had to change one.
pub(super) struct Typesetter<'a> {
    fonts: &'a FontBook,
    escape: Escape,
    escaped: Cell<bool>,
}

impl<'a> Typesetter<'a> {
    pub(super) const fn new(fonts: &'a FontBook, escape: Escape) -> Self {
        Self { fonts, escape, escaped: Cell::new(false) }
    }

    /// Whether any character was written as its code point so far.
    pub(super) fn has_escaped(&self) -> bool {
        self.escaped.get()
    }

    /// `text`, printable, breakable and at most [`MAX_CHARS`] long.
    pub(super) fn set(&self, text: &str) -> String {
        let mut printable = String::with_capacity(text.len());
        let mut unbroken = 0;
        for (index, c) in text.chars().enumerate() {
            if index == MAX_CHARS {
                printable.push_str(" … (shortened)");
                break;
            }
            unbroken = if c == ' ' { 0 } else { unbroken + 1 };
            if unbroken > UNBROKEN_CHARS && c.is_alphanumeric() {
                printable.push(BREAK);
                unbroken = 1;
            }
            if self.can_show(c) {
                printable.push(c);
            } else {
                self.escaped.set(true);
                printable.push_str(&format!("‹U+{:04X}›", u32::from(c)));
                printable.push(BREAK);
                unbroken = 0;
            }
        }
        printable
    }

    fn can_show(&self, c: char) -> bool {
        matches!(c, ' '..='~')
            || self.escape == Escape::Unknown && stands_alone(c) && self.has_glyph(c)
    }

    fn has_glyph(&self, c: char) -> bool {
        let fonts = (0..).map_while(|index| self.fonts.info(index));
        fonts.into_iter().any(|font| font.coverage.contains(u32::from(c)))
    }
}

/// Latin, Greek, Cyrillic, Hebrew letters; punctuation, currencies, arrows and operators. Nothing
/// that is invisible or reorders its neighbours.
fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{00a1}'..='\u{00ac}' | '\u{00ae}'..='\u{02ff}' | '\u{0370}'..='\u{0482}'
        | '\u{048a}'..='\u{052f}' | '\u{05d0}'..='\u{05ea}' | '\u{1e00}'..='\u{1fff}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20bf}'
        | '\u{2100}'..='\u{23ff}' | '\u{2500}'..='\u{25ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fonts() -> FontBook {
        FontBook::from_infos(typst_kit::fonts::embedded().map(|(_, info)| info))
    }

    #[test]
    fn a_character_without_a_glyph_is_written_as_its_code_point() {
        let fonts = fonts();
        let text = Typesetter::new(&fonts, Escape::Unknown);
        assert_eq!(text.set("é*#$]"), "é*#$]");
        assert!(!text.has_escaped());
        assert_eq!(text.set("Ωж שלום ≥ µ"), "Ωж שלום ≥ µ");
        assert!(!text.has_escaped());
        assert_eq!(text.set("中 \u{202e}x"), format!("‹U+4E2D›{BREAK} ‹U+202E›{BREAK}x"));
        assert_eq!(text.set("e\u{301}"), format!("e‹U+0301›{BREAK}"));
        assert!(text.has_escaped());
    }

    #[test]
    fn beyond_ascii_can_be_escaped_altogether() {
        assert_eq!(
            Typesetter::new(&fonts(), Escape::BeyondAscii).set("é~"),
            format!("‹U+00E9›{BREAK}~")
        );
    }

    #[test]
    fn a_long_word_gets_places_to_break_and_a_long_text_an_end() {
        let fonts = fonts();
        let text = Typesetter::new(&fonts, Escape::Unknown);
        assert_eq!(text.set(&"a".repeat(20)).matches(BREAK).count(), 1);
        let long = text.set(&"ab ".repeat(1000));
        assert!(long.ends_with("… (shortened)") && long.chars().count() < MAX_CHARS + 20);
    }
}
