//! The world Typst sees: the template, the embedded fonts, the machine's font where a report needs it,
//! and the report's virtual files. No disk, no network, no packages, no clock.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chrono::{Datelike as _, Timelike as _};
use domain::Report;
use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration, Smart};
use typst::syntax::{FileId, Source};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt as _, World};
use typst_kit::fonts::{FontStore, embedded};
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use super::ReportPdfError;
use super::glyphs::PrintFonts;
use crate::report_font::ReportFont;

const TEMPLATE: &str = include_str!("report.typ");
const PARTS: (&str, &str) = ("parts.typ", include_str!("parts.typ"));
const CREATOR: &str = concat!("chipq ", env!("CARGO_PKG_VERSION"));

/// Renders after which an unused entry of Typst's process-wide memo is dropped: the template's
/// parse survives, old pictures do not pile up.
const MEMO_AGE_RENDERS: usize = 2;

/// What every render shares.
pub(super) struct Compiler {
    library: LazyHash<Library>,
    fonts: FontStore,
    /// The same with the machine's behind them. Apart, so that a report that does not need that one is the
    /// same on every machine.
    machine: Option<MachineFonts>,
    template: Source,
    /// What the template imports, once it has asked for it.
    parts: OnceLock<Source>,
}

struct MachineFonts {
    font: ReportFont,
    all: FontStore,
}

impl Compiler {
    pub(super) fn new(of_machine: Option<ReportFont>) -> Self {
        let come_along: Vec<_> = embedded().collect();
        let mut fonts = FontStore::new();
        fonts.extend(come_along.iter().cloned());
        let machine = of_machine.map(|font| {
            let mut all = FontStore::new();
            all.extend(come_along);
            all.push((font.font().clone(), font.font().info().clone()));
            MachineFonts { font, all }
        });
        let template = Source::detached(TEMPLATE);
        let library = LazyHash::new(Library::default());
        Self { library, fonts, machine, template, parts: OnceLock::new() }
    }

    pub(super) fn fonts(&self) -> PrintFonts<'_> {
        let of_machine = self.machine.as_ref().map(|machine| &machine.font);
        PrintFonts { embedded: self.fonts.book(), of_machine }
    }

    /// Typesets the template over `files` and writes PDF/A-3b.
    pub(super) fn compile_pdf(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        report: &Report,
        needs_machine_font: bool,
    ) -> Result<Vec<u8>, ReportPdfError> {
        let options = pdf_options(report)?;
        let files = files.iter().map(|(name, data)| (name.as_str(), Bytes::new(data.clone())));
        let with_machine = self.machine.as_ref().filter(|_| needs_machine_font);
        let fonts = with_machine.map_or(&self.fonts, |machine| &machine.all);
        let world = ReportWorld { shared: self, fonts, files: files.collect() };
        let document = typst::compile(&world).output;
        let pdf = document.and_then(|document| typst_pdf::pdf(&document, &options));
        typst::comemo::evict(MEMO_AGE_RENDERS);
        pdf.map_err(|problems| ReportPdfError::Typst(join_messages(&problems)))
    }
}

fn pdf_options(report: &Report) -> Result<PdfOptions, ReportPdfError> {
    let at = report.judged_at;
    let small = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
    let (month, day) = (small(at.month()), small(at.day()));
    let (hour, minute, second) = (small(at.hour()), small(at.minute()), small(at.second()));
    let date = (0..=9999)
        .contains(&at.year())
        .then(|| Datetime::from_ymd_hms(at.year(), month, day, hour, minute, second))
        .flatten()
        .ok_or(ReportPdfError::Date(at))?;
    let standards = PdfStandards::new(&[PdfStandard::A_3b])
        .map_err(|problem| ReportPdfError::Typst(problem.message().to_string()))?;
    Ok(PdfOptions {
        ident: Smart::Custom(report.report_id.to_string()),
        creator: Smart::Custom(Some(CREATOR.to_owned())),
        timestamp: Some(Timestamp::new_utc(date)),
        standards,
        ..PdfOptions::default()
    })
}

fn join_messages(problems: &[SourceDiagnostic]) -> String {
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    messages.join("; ")
}

struct ReportWorld<'a> {
    shared: &'a Compiler,
    fonts: &'a FontStore,
    files: BTreeMap<&'a str, Bytes>,
}

impl World for ReportWorld<'_> {
    fn library(&self) -> &LazyHash<Library> {
        &self.shared.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        self.fonts.book()
    }

    fn main(&self) -> FileId {
        self.shared.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        let (name, text) = PARTS;
        if id == self.main() {
            Ok(self.shared.template.clone())
        } else if id.get().vpath().get_without_slash() == name {
            let parts = self.shared.parts.get_or_init(|| Source::new(id, text.to_owned()));
            Ok(parts.clone())
        } else {
            Err(FileError::AccessDenied)
        }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let name = id.get().vpath().get_without_slash();
        let file = self.files.get(name).cloned();
        file.ok_or_else(|| FileError::NotFound(name.into()))
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.font(index)
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}
