//! The scans: which blocks they code, and the walk over them (T.81, annexes F and G).

use super::bits::Bits;
use super::block::{BandWalk, LAST, skip_mean};
use super::segment::CodedData;
use super::steps::BlockWalk;
use super::{Component, Frame, HuffmanTable, Unreadable};

const IMPOSSIBLE: Unreadable = Unreadable::Damaged("a scan header is impossible");
const NO_TABLE: Unreadable = Unreadable::Damaged("a scan has no table to be read by");

/// The Huffman tables in force: for means (DC) and for the other coefficients (AC).
#[derive(Default)]
pub(super) struct ScanTables {
    mean: [Option<HuffmanTable>; 4],
    other: [Option<HuffmanTable>; 4],
}

impl ScanTables {
    /// Takes the tables of a segment.
    pub(super) fn read(&mut self, mut content: &[u8]) -> Result<(), Unreadable> {
        let damaged = Unreadable::Damaged("a table is cut off");
        while let Some((&kind, rest)) = content.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(damaged)?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or(damaged)?;
            let tables = match kind >> 4 {
                0 => &mut self.mean,
                1 => &mut self.other,
                _ => return Err(damaged),
            };
            let place = tables.get_mut(usize::from(kind & 15)).ok_or(damaged)?;
            *place = Some(HuffmanTable::new(counts, symbols)?);
            content = rest;
        }
        Ok(())
    }
}

/// What earlier scans said of a component.
pub(super) struct CoefficientHistory {
    /// By block, one bit for each coefficient that is not zero; of progressive pictures alone.
    set: Vec<u64>,
    /// By coefficient: the bits that are still to come, once it has begun to.
    missing_bits: [Option<u8>; LAST as usize + 1],
}

impl CoefficientHistory {
    /// Of a component of a frame, before its first scan.
    pub(super) fn new(component: &Component, frame: &Frame) -> Self {
        let blocks = if frame.is_progressive { component.blocks_of(frame.units) } else { 0 };
        Self { set: vec![0; blocks], missing_bits: [None; LAST as usize + 1] }
    }

    /// That every coefficient came to its last bit.
    pub(super) fn is_complete(&self, is_progressive: bool) -> bool {
        let done = |missing: &Option<u8>| *missing == Some(0);
        if is_progressive {
            self.missing_bits.iter().all(done)
        } else {
            self.missing_bits.first().is_some_and(done)
        }
    }
}

/// A scan's header.
pub(super) struct Scan {
    parts: Vec<ScanPart>,
    /// Units of coded data, across and down.
    units: (usize, usize),
    /// Units from one restart marker to the next.
    interval: usize,
    is_progressive: bool,
    /// First and last coefficient.
    band: (u8, u8),
    /// The bit of an earlier scan that this one goes on from; 0 in a first scan.
    before: u8,
    /// The lowest bit that this scan codes.
    bit: u8,
}

/// A component of a scan.
struct ScanPart {
    component: Component,
    /// Its number within the frame.
    index: usize,
    /// Blocks in a unit, across and down.
    blocks: (usize, usize),
    mean_table: usize,
    other_table: usize,
}

impl Scan {
    pub(super) fn read(
        content: &[u8],
        frame: &Frame,
        restart_interval: usize,
    ) -> Result<Self, Unreadable> {
        let (&count, rest) = content.split_first().ok_or(IMPOSSIBLE)?;
        let (chosen, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(IMPOSSIBLE)?;
        let &[first, last, bits] = rest else { return Err(IMPOSSIBLE) };
        let alone = count == 1;
        let mut parts: Vec<ScanPart> = Vec::new();
        for [id, tables] in chosen.as_chunks::<2>().0 {
            let index = frame.components.iter().position(|component| component.id == *id);
            let index = index.filter(|index| parts.iter().all(|part| part.index < *index));
            let index = index.ok_or(IMPOSSIBLE)?;
            let component = frame.components[index];
            parts.push(ScanPart {
                component,
                index,
                blocks: if alone { (1, 1) } else { component.sampling },
                mean_table: usize::from(tables >> 4),
                other_table: usize::from(tables & 15),
            });
        }
        let units = if alone { parts[0].component.blocks } else { frame.units };
        let (before, bit) = (bits >> 4, bits & 15);
        let is_possible = if frame.is_progressive {
            let band = if first == 0 { last == 0 } else { alone && first <= last && last <= LAST };
            band && bit <= 13 && (before == 0 || before == bit + 1)
        } else {
            (first, last, bits) == (0, LAST, 0)
        };
        if parts.is_empty() || !is_possible {
            return Err(IMPOSSIBLE);
        }
        let interval = if restart_interval == 0 { usize::MAX } else { restart_interval };
        let is_progressive = frame.is_progressive;
        Ok(Self { parts, units, interval, is_progressive, band: (first, last), before, bit })
    }

    /// How many intervals of coded data the scan consists of.
    pub(super) fn restart_units(&self) -> usize {
        (self.units.0 * self.units.1).div_ceil(self.interval)
    }

    /// Walks the scan's coded data, one interval after the other.
    pub(super) fn walk(
        &self,
        tables: &ScanTables,
        history: &mut [CoefficientHistory],
        coded: &CodedData,
    ) -> Result<(), Unreadable> {
        for part in &self.parts {
            self.note_progress(&mut history[part.index])?;
        }
        let blocks = if self.is_progressive { Vec::new() } else { self.block_walks(tables)? };
        let all = self.units.0 * self.units.1;
        let mut start = 0_usize;
        for data in coded.intervals() {
            let end = start.saturating_add(self.interval).min(all);
            let mut bits = Bits::new(data);
            if self.is_progressive {
                self.walk_progressive(tables, history, &mut bits, start..end)?;
            } else {
                walk_sequential(&blocks, &mut bits, end - start)?;
            }
            bits.require_end()?;
            start = end;
        }
        Ok(())
    }

    /// How to walk each part's blocks, and how many of them a unit has.
    fn block_walks<'a>(
        &self,
        tables: &'a ScanTables,
    ) -> Result<Vec<(usize, BlockWalk<'a>)>, Unreadable> {
        let walk = |part: &ScanPart| {
            let walk = BlockWalk::new(part.mean_table(tables)?, part.other_table(tables)?);
            Ok((part.blocks.0 * part.blocks.1, walk))
        };
        self.parts.iter().map(walk).collect()
    }

    /// Notes which bits of which coefficients come with this scan; each must come once and in turn.
    fn note_progress(&self, history: &mut CoefficientHistory) -> Result<(), Unreadable> {
        for missing in
            &mut history.missing_bits[usize::from(self.band.0)..=usize::from(self.band.1)]
        {
            let in_turn = match *missing {
                None => self.before == 0,
                Some(bits) => bits > 0 && self.before == bits,
            };
            if !in_turn {
                return Err(Unreadable::Damaged("its scans are not in turn"));
            }
            *missing = Some(self.bit);
        }
        Ok(())
    }

    fn walk_progressive(
        &self,
        tables: &ScanTables,
        history: &mut [CoefficientHistory],
        bits: &mut Bits<'_>,
        units: std::ops::Range<usize>,
    ) -> Result<(), Unreadable> {
        if self.band.0 == 0 {
            return self.walk_means(tables, bits, units);
        }
        let Some(part) = self.parts.first() else { return Err(IMPOSSIBLE) };
        let table = part.other_table(tables)?;
        let blocks = &mut history[part.index].set;
        let mut band = BandWalk::new(table, self.band);
        for unit in units {
            let at = unit / self.units.0 * part.component.stride + unit % self.units.0;
            let set = blocks.get_mut(at).ok_or(IMPOSSIBLE)?;
            if self.before == 0 {
                band.skip_first(set, bits)?;
            } else {
                band.skip_refinement(set, bits)?;
            }
            bits.require_data()?;
        }
        band.require_end()
    }

    fn walk_means(
        &self,
        tables: &ScanTables,
        bits: &mut Bits<'_>,
        units: std::ops::Range<usize>,
    ) -> Result<(), Unreadable> {
        for _ in units {
            for part in &self.parts {
                for _ in 0..part.blocks.0 * part.blocks.1 {
                    if self.before == 0 {
                        skip_mean(part.mean_table(tables)?, bits)?;
                    } else {
                        bits.skip(1);
                    }
                }
            }
            bits.require_data()?;
        }
        Ok(())
    }
}

fn walk_sequential(
    blocks: &[(usize, BlockWalk<'_>)],
    bits: &mut Bits<'_>,
    units: usize,
) -> Result<(), Unreadable> {
    for _ in 0..units {
        for (count, walk) in blocks {
            for _ in 0..*count {
                walk.skip_block(bits)?;
            }
        }
        bits.require_data()?;
    }
    Ok(())
}

impl ScanPart {
    fn mean_table<'a>(&self, tables: &'a ScanTables) -> Result<&'a HuffmanTable, Unreadable> {
        tables.mean.get(self.mean_table).and_then(Option::as_ref).ok_or(NO_TABLE)
    }

    fn other_table<'a>(&self, tables: &'a ScanTables) -> Result<&'a HuffmanTable, Unreadable> {
        tables.other.get(self.other_table).and_then(Option::as_ref).ok_or(NO_TABLE)
    }
}
