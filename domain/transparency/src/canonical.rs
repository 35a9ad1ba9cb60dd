//! JSON in one form: RFC 8785 (JCS), with every digit of a number kept.
//!
//! Members of an object are sorted by the UTF-16 code units of their names, strings are escaped as little as JSON
//! allows, nothing stands between tokens. A number is written as ECMAScript writes it, from the decimal digits that it
//! was given in: for the shortest digits of a double, which is what this platform writes, that is RFC 8785. Digits
//! that a double does not hold, as of integers beyond 2^53, are kept where RFC 8785 would round: two numbers that are
//! not equal never have one form, and what was altered is seen.

use std::cmp::Ordering;
use std::ops::Range;

/// How deep arrays and objects may stand in each other.
const DEPTH_MAX: usize = 128;
/// The largest exponent, of ten, that is read.
const EXPONENT_MAX: i64 = 1_000_000;
/// How many digits an integer may have to be copied as it is: each such number has one form.
const PLAIN_DIGITS_MAX: usize = 18;

/// Why a text has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// It is no JSON.
    #[error("at byte {at} is not what JSON has there")]
    Syntax {
        /// From 0.
        at: usize,
    },
    /// A name stands twice in an object: readers do not agree which counts.
    #[error("the name {name:?} stands twice in one object")]
    DoubledName {
        /// Which.
        name: String,
    },
    /// More than 128 arrays and objects stand in each other.
    #[error("arrays and objects stand in each other more than {DEPTH_MAX} deep")]
    TooDeep,
}

/// Appends the canonical form of `json` to `out`.
///
/// # Errors
/// When it is no JSON, or has no one meaning. `out` then ends in what is of no use.
pub fn write_canonical(json: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let mut reader = JsonReader { text: json, bytes: json.as_bytes(), at: 0, out };
    reader.copy_value(0)?;
    reader.skip_space();
    if reader.at == reader.bytes.len() { Ok(()) } else { Err(reader.syntax()) }
}

/// Appends a text as a canonical string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0x08 => out.extend(b"\\b"),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            0x0c => out.extend(b"\\f"),
            b'\r' => out.extend(b"\\r"),
            0..0x20 => {
                out.extend(b"\\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

struct JsonReader<'a, 'out> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: &'out mut Vec<u8>,
}

impl<'a> JsonReader<'a, '_> {
    const fn syntax(&self) -> CanonicalError {
        CanonicalError::Syntax { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether `byte` comes next, which is then read.
    fn take_byte(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect_byte(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.take_byte(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    fn copy_value(&mut self, depth: usize) -> Result<(), CanonicalError> {
        if depth > DEPTH_MAX {
            return Err(CanonicalError::TooDeep);
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.copy_object(depth),
            Some(b'[') => self.copy_array(depth),
            Some(b'"') => self.copy_string(),
            Some(b'-' | b'0'..=b'9') => self.copy_number(),
            Some(b't') => self.copy_word("true"),
            Some(b'f') => self.copy_word("false"),
            Some(b'n') => self.copy_word("null"),
            _ => Err(self.syntax()),
        }
    }

    fn copy_word(&mut self, word: &str) -> Result<(), CanonicalError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax());
        }
        self.out.extend(word.as_bytes());
        self.at += word.len();
        Ok(())
    }

    fn copy_array(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.expect_byte(b'[')?;
        self.out.push(b'[');
        self.skip_space();
        if !self.take_byte(b']') {
            loop {
                self.copy_value(depth + 1)?;
                self.skip_space();
                if self.take_byte(b']') {
                    break;
                }
                self.expect_byte(b',')?;
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn copy_object(&mut self, depth: usize) -> Result<(), CanonicalError> {
        self.expect_byte(b'{')?;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members = Vec::new();
        self.skip_space();
        if !self.take_byte(b'}') {
            loop {
                members.push(self.copy_member(depth)?);
                self.skip_space();
                if self.take_byte(b'}') {
                    break;
                }
                self.expect_byte(b',')?;
                self.out.push(b',');
            }
        }
        if members.windows(2).any(|pair| compare_names(&pair[0].0, &pair[1].0) != Ordering::Less) {
            self.sort_members(start, members)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The decoded name, and where the member with its name stands in `out`.
    fn copy_member(&mut self, depth: usize) -> Result<(String, Range<usize>), CanonicalError> {
        self.skip_space();
        let start = self.out.len();
        let name = self.read_string()?;
        write_string(&name, self.out);
        self.skip_space();
        self.expect_byte(b':')?;
        self.out.push(b':');
        self.copy_value(depth + 1)?;
        Ok((name, start..self.out.len()))
    }

    fn sort_members(
        &mut self,
        start: usize,
        mut members: Vec<(String, Range<usize>)>,
    ) -> Result<(), CanonicalError> {
        members.sort_by(|(a, _), (b, _)| compare_names(a, b));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(CanonicalError::DoubledName { name: pair[0].0.clone() });
        }
        let unsorted = self.out.split_off(start);
        for (n, (_, at)) in members.into_iter().enumerate() {
            if n > 0 {
                self.out.push(b',');
            }
            self.out.extend(&unsorted[at.start - start..at.end - start]);
        }
        Ok(())
    }

    fn copy_string(&mut self) -> Result<(), CanonicalError> {
        // Nearly all are as they have to be.
        if let Some(end) = self.find_plain_end() {
            self.out.extend(&self.bytes[self.at..=end]);
            self.at = end + 1;
            return Ok(());
        }
        let decoded = self.read_string()?;
        write_string(&decoded, self.out);
        Ok(())
    }

    /// Where the string that begins here ends, if nothing in it is escaped.
    fn find_plain_end(&self) -> Option<usize> {
        let begun = self.at + 1;
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let end = begun + self.bytes.get(begun..)?.iter().position(special)?;
        (self.bytes[end] == b'"').then_some(end)
    }

    fn read_string(&mut self) -> Result<String, CanonicalError> {
        if self.peek() == Some(b'"')
            && let Some(end) = self.find_plain_end()
        {
            let decoded = self.text[self.at + 1..end].to_owned();
            self.at = end + 1;
            return Ok(decoded);
        }
        self.expect_byte(b'"')?;
        let mut decoded = String::new();
        loop {
            let begun = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            decoded.push_str(&self.text[begun..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(decoded);
                }
                Some(b'\\') => decoded.push(self.read_escape()?),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn read_escape(&mut self) -> Result<char, CanonicalError> {
        self.expect_byte(b'\\')?;
        let Some(kind) = self.peek() else { return Err(self.syntax()) };
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.read_unit()?;
                let mut units = vec![first];
                // The first half of a pair, without which the second is nothing.
                if (0xd800..0xdc00).contains(&first) {
                    self.expect_byte(b'\\')?;
                    self.expect_byte(b'u')?;
                    units.push(self.read_unit()?);
                }
                match char::decode_utf16(units).next() {
                    Some(Ok(decoded)) => decoded,
                    _ => return Err(self.syntax()),
                }
            }
            _ => return Err(self.syntax()),
        })
    }

    fn read_unit(&mut self) -> Result<u16, CanonicalError> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or_else(|| self.syntax())?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.syntax());
        }
        let unit = u16::from_str_radix(&self.text[self.at..self.at + 4], 16);
        let unit = unit.map_err(|_| self.syntax())?;
        self.at += 4;
        Ok(unit)
    }

    fn copy_number(&mut self) -> Result<(), CanonicalError> {
        let begun = self.at;
        let is_negative = self.take_byte(b'-');
        let whole = self.read_digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(self.syntax());
        }
        let has_more = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        if !has_more && whole.len() <= PLAIN_DIGITS_MAX && !(is_negative && whole == "0") {
            let plain = &self.text[begun..self.at];
            self.out.extend(plain.as_bytes());
            return Ok(());
        }
        let fraction = if self.take_byte(b'.') { self.read_digits()? } else { "" };
        let exponent = match self.peek() {
            Some(b'e' | b'E') => {
                self.at += 1;
                self.read_exponent()?
            }
            _ => 0,
        };
        write_decimal(is_negative, (whole, fraction), exponent, self.out);
        Ok(())
    }

    /// At least one.
    fn read_digits(&mut self) -> Result<&'a str, CanonicalError> {
        let begun = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == begun { Err(self.syntax()) } else { Ok(&self.text[begun..self.at]) }
    }

    fn read_exponent(&mut self) -> Result<i64, CanonicalError> {
        let is_negative = self.peek() == Some(b'-');
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        let digits = self.read_digits()?.parse::<i64>().ok();
        let exponent = digits.filter(|digits| *digits <= EXPONENT_MAX);
        let exponent = exponent.ok_or_else(|| self.syntax())?;
        Ok(if is_negative { -exponent } else { exponent })
    }
}

fn compare_names(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// The number of these digits, as ECMAScript lays a number out.
fn write_decimal(
    is_negative: bool,
    (whole, fraction): (&str, &str),
    exponent: i64,
    out: &mut Vec<u8>,
) {
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let leading = digits.len() - significant.len();
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        out.push(b'0');
        return;
    }
    // The value is 0.significant times ten to the power of `point`.
    let point = exponent + i64::try_from(whole.len()).unwrap_or(i64::MAX)
        - i64::try_from(leading).unwrap_or(i64::MAX);
    let count = i64::try_from(significant.len()).unwrap_or(i64::MAX);
    let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
    let laid_out = if count <= point && point <= 21 {
        format!("{significant}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (before, after) = significant.split_at(usize::try_from(point).unwrap_or(0));
        format!("{before}.{after}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{significant}", zeros(-point))
    } else {
        let (first, rest) = significant.split_at(1);
        let separator = if rest.is_empty() { "" } else { "." };
        format!("{first}{separator}{rest}e{:+}", point - 1)
    };
    if is_negative {
        out.push(b'-');
    }
    out.extend(laid_out.as_bytes());
}

#[cfg(test)]
mod tests;
