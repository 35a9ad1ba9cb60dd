//! Fonts of squares, made here: what is read, what is refused, and which one of a collection is taken.

use std::fs;

use super::*;

/// `fsType` of a font that documents may contain.
const INSTALLABLE: u16 = 0;
/// The same of one that they may not.
const RESTRICTED: u16 = 2;
/// The same of one of which they must contain all or nothing.
const WHOLE: u16 = 0x0100;

/// A font in which each of `letters` is a square.
pub(crate) fn synthetic(letters: &str) -> ReportFont {
    ReportFont::from_file(font_file(letters, INSTALLABLE)).unwrap()
}

/// The same as a file, which allows documents to contain it or not.
fn font_file(letters: &str, fs_type: u16) -> Vec<u8> {
    tables_at(0, letters, fs_type)
}

/// A collection of fonts, which are as many as there are `letters`.
fn collection(letters: &[&str]) -> Vec<u8> {
    let head = 12 + 4 * letters.len();
    let mut offsets = Vec::new();
    let mut fonts = Vec::new();
    for letters in letters {
        let offset = head + fonts.len();
        offsets.push(offset as u32);
        fonts.extend(tables_at(offset, letters, INSTALLABLE));
    }
    let mut file = b"ttcf".to_vec();
    file.extend(long(&[0x0001_0000, letters.len() as u32]));
    file.extend(long(&offsets));
    file.extend(fonts);
    file
}

fn short(numbers: &[i32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| (*number as u16).to_be_bytes()).collect()
}

fn long(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// An OpenType font at this offset of its file, as the specification has its tables.
fn tables_at(offset: usize, letters: &str, fs_type: u16) -> Vec<u8> {
    let mut letters: Vec<u32> = letters.chars().map(u32::from).collect();
    letters.sort_unstable();
    letters.dedup();
    let glyphs = letters.len() + 1;
    let square = square();
    let places: Vec<u32> = (0..=glyphs).map(|glyph| (glyph * square.len()) as u32).collect();
    let metrics = [&[0x0001, 0, 800, -200, 0, 1000, 0, 0, 900, 1][..], &[0; 7], &[glyphs as i32]];
    let tables = [
        (b"OS/2", short(&[&[4, 1000, 400, 5, i32::from(fs_type)][..], &[0; 43]].concat())),
        (b"cmap", character_map(&letters)),
        (b"glyf", square.repeat(glyphs)),
        (b"head", head()),
        (b"hhea", short(&metrics.concat())),
        (b"hmtx", short(&[1000, 100]).repeat(glyphs)),
        (b"loca", long(&places)),
        (b"maxp", short(&[&[0x0001, 0, glyphs as i32, 4, 1, 0, 0, 2][..], &[0; 8]].concat())),
        (b"name", names("Squares")),
        (b"post", long(&[0x0003_0000, 0, 0, 0, 0, 0, 0, 0])),
    ];
    let mut directory = short(&[0x0001, 0, tables.len() as i32, 128, 3, 32]);
    let mut content = Vec::new();
    for (tag, table) in &tables {
        let at = offset + 12 + 16 * tables.len() + content.len();
        directory.extend(tag.iter());
        directory.extend(long(&[0, at as u32, table.len() as u32]));
        content.extend(table);
        content.resize(content.len().next_multiple_of(4), 0);
    }
    directory.extend(content);
    directory
}

/// One contour of four points on the curve.
fn square() -> Vec<u8> {
    let mut glyph = short(&[1, 100, 0, 900, 800, 3, 0]);
    glyph.extend([1; 4]);
    glyph.extend(short(&[100, 800, 0, -800, 0, 0, 800, 0]));
    glyph
}

fn head() -> Vec<u8> {
    let mut table = long(&[0x0001_0000, 0x0001_0000, 0, 0x5f0f_3cf5]);
    table.extend(short(&[0, 1000, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 900, 800, 0, 8, 2, 1, 0]));
    table
}

/// Each letter has the glyph of its place among them; before them is the glyph for all others.
fn character_map(letters: &[u32]) -> Vec<u8> {
    let mut table = short(&[0, 1, 3, 10]);
    let count = letters.len() as u32;
    table.extend(long(&[12, 12 << 16, 16 + 12 * count, 0, count]));
    table.extend(
        letters.iter().zip(1..).flat_map(|(letter, glyph)| long(&[*letter, *letter, glyph])),
    );
    table
}

fn names(family: &str) -> Vec<u8> {
    let text: Vec<u8> = family.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut table = short(&[0, 1, 18, 3, 1, 0x0409, 1, text.len() as i32, 0]);
    table.extend(text);
    table
}

#[test]
fn a_font_is_named_and_known_by_the_digest_of_its_file() {
    let file = font_file("中", INSTALLABLE);
    let font = ReportFont::from_file(file.clone()).unwrap();
    assert_eq!((font.name().as_str(), font.sha256()), ("Squares", Sha256::digest_of(&file)));
    assert!(!format!("{font:?}").contains("data"), "no megabytes in a log");
}

#[test]
fn of_a_collection_the_first_with_the_most_scripts_is_taken() {
    let read = |letters: &[&str]| ReportFont::from_file(collection(letters));
    let chosen = read(&["é", "中", "中あ한", "中あ한ก"]).unwrap();
    assert_eq!(
        (chosen.font().index(), chosen.name()),
        (2, "Squares (font 2 of its file)".to_owned())
    );
    assert!(matches!(read(&["é", "a"]), Err(ReportFontError::OtherScripts)));
}

#[test]
fn what_is_no_font_to_print_these_letters_in_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &[u8]| {
        let file = folder.path().join("font.ttf");
        fs::write(&file, content).unwrap();
        ReportFont::read(&file).unwrap_err().to_string()
    };
    let font = font_file("中", INSTALLABLE);
    assert!(refused(b"").contains("no TrueType or OpenType font"));
    assert!(refused(b"%PDF-1.7").contains("no TrueType or OpenType font"));
    assert!(refused(&font[..40]).contains("no TrueType or OpenType font"));
    assert!(refused(&font_file("aéก", INSTALLABLE)).contains("no letters of Chinese"));
    for fs_type in [RESTRICTED, WHOLE] {
        assert!(refused(&font_file("中", fs_type)).contains("does not allow"));
    }
    let read = |path: &Path| ReportFont::read(path).unwrap_err().to_string();
    assert!(read(&folder.path().join("missing.ttf")).contains("cannot be read"));
    assert!(read(folder.path()).contains("no file"));
    assert!(read(Path::new("/dev/zero")).contains("no file"));
    let large = folder.path().join("large.ttf");
    File::create(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(read(&large).contains("larger than 160 MiB"));
}
