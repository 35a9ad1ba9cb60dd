//! Text from outside, made safe to print: every character is either shown by an embedded font, or a
//! Chinese, Japanese or Korean one by the machine's, or written as its code point, ‹U+0E01›. The
//! attached JSON keeps the exact text.
//!
//! Shown are scripts whose characters stand alone. Combining marks and scripts that need shaping
//! are written out: PDF/A forbids a missing glyph, and é in two characters is another name than é
//! in one.

use std::cell::Cell;

use typst::text::FontBook;

use crate::report_font::ReportFont;

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

/// The fonts that there are.
#[derive(Clone, Copy)]
pub(super) struct PrintFonts<'a> {
    /// Those that come with the program.
    pub(super) embedded: &'a FontBook,
    /// The machine's, for what those lack of Chinese, Japanese and Korean.
    pub(super) of_machine: Option<&'a ReportFont>,
}

/// Makes texts printable and remembers whether it had to change one, and whose fonts it needs.
pub(super) struct Typesetter<'a> {
    fonts: PrintFonts<'a>,
    escape: Escape,
    escaped: Cell<bool>,
    needs_machine_font: Cell<bool>,
}

impl<'a> Typesetter<'a> {
    pub(super) const fn new(fonts: PrintFonts<'a>, escape: Escape) -> Self {
        let (escaped, needs_machine_font) = (Cell::new(false), Cell::new(false));
        Self { fonts, escape, escaped, needs_machine_font }
    }

    /// The machine's font, when what was set so far is printed with it.
    pub(super) fn machine_font_used(&self) -> Option<&'a ReportFont> {
        self.fonts.of_machine.filter(|_| self.needs_machine_font.get())
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
        if matches!(c, ' '..='~') {
            return true;
        }
        if self.escape == Escape::BeyondAscii {
            return false;
        }
        if is_east_asian(c) {
            let font = self.fonts.of_machine.map(ReportFont::font);
            let shown = font.is_some_and(|font| font.info().coverage.contains(u32::from(c)));
            self.needs_machine_font.set(self.needs_machine_font.get() || shown);
            return shown;
        }
        stands_alone(c) && self.is_embedded(c)
    }

    fn is_embedded(&self, c: char) -> bool {
        let fonts = (0..).map_while(|index| self.fonts.embedded.info(index));
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

/// Chinese, Japanese and Korean as they are written one character after the other: their punctuation and
/// their space, which is as wide as a letter; Hiragana and Katakana, also of half the width; Han; whole
/// syllables of Hangul; Latin of full width. Not the marks that join the letter before, nor the copies of
/// Han that only old character sets tell apart.
fn is_east_asian(c: char) -> bool {
    matches!(c,
        '\u{3000}'..='\u{3003}' | '\u{3005}'..='\u{3029}' | '\u{3030}'..='\u{3037}'
        | '\u{303b}'..='\u{303d}' | '\u{3041}'..='\u{3096}' | '\u{309b}'..='\u{309f}'
        | '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff9d}'
        | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2ebe0}'
        | '\u{30000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report_font::tests::synthetic;

    fn embedded() -> FontBook {
        FontBook::from_infos(typst_kit::fonts::embedded().map(|(_, info)| info))
    }

    fn typesetter(embedded: &FontBook, escape: Escape) -> Typesetter<'_> {
        Typesetter::new(PrintFonts { embedded, of_machine: None }, escape)
    }

    #[test]
    fn a_character_without_a_glyph_is_written_as_its_code_point() {
        let fonts = embedded();
        let text = typesetter(&fonts, Escape::Unknown);
        assert_eq!(text.set("é*#$]"), "é*#$]");
        assert!(!text.has_escaped());
        assert_eq!(text.set("Ωж שלום ≥ µ"), "Ωж שלום ≥ µ");
        assert!(!text.has_escaped());
        assert_eq!(text.set("中 \u{202e}x"), format!("‹U+4E2D›{BREAK} ‹U+202E›{BREAK}x"));
        assert_eq!(text.set("e\u{301}"), format!("e‹U+0301›{BREAK}"));
        assert!(text.has_escaped());
    }

    #[test]
    fn letters_of_east_asia_are_shown_when_the_machine_has_a_font_of_them_and_nothing_else_is() {
        // The Thai letter, the jamo and the marks have glyphs in it, and need shaping all the same.
        let shown = "李雷ひらガナ한국어、（Ａ）　";
        let shaped = "ก\u{1112}\u{3099}\u{302a}\u{fe00}\u{ff9e}";
        let font = synthetic(&format!("中あ{shown}{shaped}"));
        let embedded = embedded();
        let fonts = PrintFonts { embedded: &embedded, of_machine: Some(&font) };
        let text = Typesetter::new(fonts, Escape::Unknown);
        assert_eq!(text.set("é"), "é");
        assert!(text.machine_font_used().is_none(), "the font that comes with the program has it");
        assert_eq!(text.set(shown), shown);
        assert!(!text.has_escaped());
        assert_eq!(text.machine_font_used(), Some(&font));
        assert_eq!(text.set(shaped).matches('‹').count(), shaped.chars().count());
        assert_eq!(text.set("漢"), format!("‹U+6F22›{BREAK}"), "it lacks this one");
        let ascii = Typesetter::new(fonts, Escape::BeyondAscii);
        assert_eq!(
            (ascii.set("李"), ascii.machine_font_used()),
            (format!("‹U+674E›{BREAK}"), None)
        );
    }

    #[test]
    fn beyond_ascii_can_be_escaped_altogether() {
        let fonts = embedded();
        let text = typesetter(&fonts, Escape::BeyondAscii).set("é~");
        assert_eq!(text, format!("‹U+00E9›{BREAK}~"));
    }

    #[test]
    fn a_long_word_gets_places_to_break_and_a_long_text_an_end() {
        let fonts = embedded();
        let text = typesetter(&fonts, Escape::Unknown);
        assert_eq!(text.set(&"a".repeat(20)).matches(BREAK).count(), 1);
        let long = text.set(&"ab ".repeat(1000));
        assert!(long.ends_with("… (shortened)") && long.chars().count() < MAX_CHARS + 20);
    }
}
