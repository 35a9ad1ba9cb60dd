//! Bounds on the text of a query, before the recursive parser sees it.
//!
//! Invariant: the text is read once, from left to right, without recursion, and its strings and
//! comments end where the parser says they end (GraphQL, October 2021, section 2.1). What passes is
//! parsed with bounded recursion and in time linear in its length: the one place where the parser
//! goes back and reads again is a block string that does not end, and none passes. Everything else
//! that may be wrong with a text, the parser says.

use super::refusal::Refusal;

/// The deepest nesting of brackets of any kind: selections, lists and objects of arguments.
pub(super) const BRACKETS_MAX: usize = 64;
/// The most names, numbers, strings and signs. A query of as many fields as are allowed, each with an
/// alias and an argument, has fewer.
const TOKENS_MAX: usize = 10_000;
/// The longest name or number, in bytes; the longest name in the schema has a tenth of it. Names that
/// are wrong are compared with all that exist.
const WORD_MAX_BYTES: usize = 256;

/// Refuses a text with more, longer or deeper nested tokens than any sensible query has.
///
/// # Errors
/// What it has too much of, or that a string does not end.
pub(super) fn check_query_text(text: &str) -> Result<(), Refusal> {
    let mut scan = TextScan { rest: text.as_bytes(), depth: 0, tokens: 0 };
    while let Some(&byte) = scan.rest.first() {
        scan.skip_token(byte)?;
    }
    Ok(())
}

/// What is left of a text, and what was seen before.
struct TextScan<'q> {
    rest: &'q [u8],
    depth: usize,
    tokens: usize,
}

impl TextScan<'_> {
    fn skip_token(&mut self, first: u8) -> Result<(), Refusal> {
        let length = match first {
            b' ' | b',' | b'\t' | b'\n' | b'\r' => {
                self.advance(1);
                return Ok(());
            }
            b'#' => {
                let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
                self.advance(self.rest.iter().position(ends).unwrap_or(self.rest.len()));
                return Ok(());
            }
            b'"' => self.string_length()?,
            b'{' | b'[' | b'(' => {
                self.depth += 1;
                1
            }
            b'}' | b']' | b')' => {
                self.depth = self.depth.saturating_sub(1);
                1
            }
            _ => self.word_length()?,
        };
        self.advance(length);
        self.tokens += 1;
        if self.depth > BRACKETS_MAX {
            let message = format!("the query nests more than {BRACKETS_MAX} brackets");
            return Err(Refusal::TooDeep(message));
        }
        if self.tokens > TOKENS_MAX {
            let message = format!("the query has more than {TOKENS_MAX} words and signs");
            return Err(Refusal::TooComplex(message));
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// The length of the name or number that begins here, and 1 of any other sign.
    fn word_length(&self) -> Result<usize, Refusal> {
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = self.rest.iter().take_while(|byte| is_of_word(byte)).count();
        if length > WORD_MAX_BYTES {
            let message = format!("the query has a name of more than {WORD_MAX_BYTES} letters");
            return Err(Refusal::TooComplex(message));
        }
        Ok(length.max(1))
    }

    /// The length of the string that begins here, with its quotes.
    fn string_length(&self) -> Result<usize, Refusal> {
        let quotes = if self.rest.starts_with(BLOCK_QUOTES) { BLOCK_QUOTES } else { b"\"" };
        let is_block = quotes.len() > 1;
        let mut at = quotes.len();
        while let Some(rest) = self.rest.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(quotes) {
                return Ok(at + quotes.len());
            }
            at += match rest {
                // The only escape of a block string; elsewhere a backslash stands for itself.
                [b'\\', after @ ..] if is_block && after.starts_with(BLOCK_QUOTES) => 4,
                [b'\\', _, ..] if !is_block => 2,
                [b'\n' | b'\r', ..] if !is_block => break,
                _ => 1,
            };
        }
        Err(Refusal::Unreadable("a string does not end".to_owned()))
    }
}

const BLOCK_QUOTES: &[u8] = b"\"\"\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(text: &str) -> Option<&'static str> {
        check_query_text(text).err().map(|refusal| match refusal {
            Refusal::Unreadable(_) => "unreadable",
            Refusal::TooDeep(_) => "deep",
            Refusal::TooComplex(_) => "complex",
            Refusal::Invalid(_) => "invalid",
        })
    }

    #[test]
    fn brackets_count_where_the_parser_sees_them_and_nowhere_else() {
        let open = "{".repeat(BRACKETS_MAX + 1);
        assert_eq!(code_of(&open), Some("deep"));
        assert_eq!(code_of(&open[1..]), None);
        for hidden in [
            format!("# {open}"),
            format!("\"{open}\""),
            format!("\"\\\"{open}\""),
            format!("\"\"\"{open}\"\"\""),
            format!("\"\"\"\\\"\"\"\"{open}\"\"\""),
            format!("\"\"\" \" \"\" {open}\"\"\""),
            "{}".repeat(BRACKETS_MAX + 1),
        ] {
            assert_eq!(code_of(&hidden), None, "{hidden}");
        }
        // Each of these has brackets behind something that only looks as if it went on.
        for shown in [
            format!("# x\r{open}"),
            format!("\"\\\\\"{open}"),
            format!("\"\"{open}"),
            format!("\"\"\"\\\\\"\"\" \"\"\"{open}"),
            format!("\"\"\"\\\"\"\"\"\"\"{open}"),
        ] {
            assert_eq!(code_of(&shown), Some("deep"), "{shown}");
        }
    }

    #[test]
    fn a_string_that_does_not_end_is_refused_at_once() {
        for text in ["\"", "\"x\n\"", "\"\\\"", "\"\"\"", "\"\"\" \"\"", "\"\"\"\\\"\"\""] {
            assert_eq!(code_of(text), Some("unreadable"), "{text}");
        }
    }

    #[test]
    fn words_are_counted_and_measured() {
        assert_eq!(code_of(&"a ".repeat(TOKENS_MAX)), None);
        assert_eq!(code_of(&"a ".repeat(TOKENS_MAX + 1)), Some("complex"));
        assert_eq!(code_of(&"!".repeat(TOKENS_MAX + 1)), Some("complex"));
        assert_eq!(code_of(&"a".repeat(WORD_MAX_BYTES)), None);
        assert_eq!(code_of(&"a".repeat(WORD_MAX_BYTES + 1)), Some("complex"));
        assert_eq!(code_of(&", \t".repeat(TOKENS_MAX)), None);
    }
}
