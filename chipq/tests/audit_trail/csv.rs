//! Comma-separated values, read back.

/// The records of a CSV file, by RFC 4180.
pub(crate) fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut value) = (Vec::new(), Vec::new(), String::new());
    let (mut chars, mut is_quoted) = (text.chars().peekable(), false);
    while let Some(c) = chars.next() {
        match (c, is_quoted) {
            ('"', true) if chars.peek() == Some(&'"') => value.push(chars.next().unwrap()),
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => record.push(std::mem::take(&mut value)),
            ('\r', false) => assert_eq!(chars.peek(), Some(&'\n'), "a record ends in CRLF"),
            ('\n', false) => {
                record.push(std::mem::take(&mut value));
                records.push(std::mem::take(&mut record));
            }
            (c, _) => value.push(c),
        }
    }
    assert!(record.is_empty() && value.is_empty(), "the last record ends, too");
    records
}
