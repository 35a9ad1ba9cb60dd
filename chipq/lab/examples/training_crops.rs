//! Writes training crops, of generated boards or of one split of a manifest, to FILE, and which
//! board gave how many of them to FILE.boards.jsonl. Counts go to standard error.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use boards::{
    BoardOptions, GeneratedBoard, LabelledBox, Manifest, ManifestItem, WholeFile, board_sequence,
};
use clap::Parser;
use lab::training::{photographed_pairs, write_photograph_records, write_records};
use vision::{DecodedImage, PreparedGolden};

/// Units made of one generated design: a design costs as much as two of its units.
const UNITS_PER_DESIGN: u32 = 3;

#[derive(Parser)]
struct Arguments {
    /// Where the records go.
    #[arg(long)]
    out: PathBuf,
    /// How many boards to generate.
    #[arg(long, conflicts_with = "manifest", required_unless_present = "manifest")]
    boards: Option<u64>,
    /// The sequence of generated boards.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Per cent of generated boards without any flaw.
    #[arg(long, default_value_t = 0)]
    clean_per_cent: u32,
    /// Photographs instead of binarised copper; records are of bytes then.
    #[arg(long, conflicts_with = "repaired")]
    photographs: bool,
    /// A DeepPCB-style manifest instead of generated boards.
    #[arg(long)]
    manifest: Option<PathBuf>,
    /// Only pairs of this split.
    #[arg(long, requires = "manifest")]
    split: Option<String>,
    /// Paste the golden sample over every labelled box first, so that no board has a flaw.
    #[arg(long)]
    repaired: bool,
}

struct Sink {
    repaired: bool,
    crops: WholeFile,
    boards: WholeFile,
    counts: [u64; 4],
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut beside = arguments.out.clone().into_os_string();
    beside.push(".boards.jsonl");
    let mut sink = Sink {
        repaired: arguments.repaired,
        crops: WholeFile::create(&arguments.out)?,
        boards: WholeFile::create(&PathBuf::from(beside))?,
        counts: [0; 4],
    };
    if let Some(manifest) = &arguments.manifest {
        let parsed: Manifest = serde_json::from_slice(&fs::read(manifest)?)?;
        let folder = manifest.parent().unwrap_or(Path::new("."));
        let wanted = |item: &&ManifestItem| {
            arguments.split.as_ref().is_none_or(|split| *split == item.split)
        };
        for item in parsed.items.iter().filter(wanted) {
            if arguments.photographs {
                sink.take_filed_photograph(item, folder)?;
            } else {
                sink.take(&item.id, &item.group, load(item, folder)?)?;
            }
        }
    } else if arguments.photographs {
        sink.take_photographs(&arguments)?;
    } else {
        let options = BoardOptions {
            max_shift: 8,
            over_etched_per_cent: 4,
            clean_per_cent: arguments.clean_per_cent,
            units_per_design: UNITS_PER_DESIGN,
            ..BoardOptions::default()
        };
        let boards = board_sequence(arguments.seed, options);
        for (index, board) in (0..arguments.boards.unwrap_or(0)).zip(boards) {
            let group = index / u64::from(UNITS_PER_DESIGN);
            sink.take(&index.to_string(), &group.to_string(), board)?;
        }
    }
    let Sink { crops, boards, counts: [count, labels, records, refused], .. } = sink;
    crops.finish()?;
    boards.finish()?;
    eprintln!("{count} boards, {labels} labels, {records} records, {refused} not comparable");
    Ok(())
}

fn load(item: &ManifestItem, folder: &Path) -> Result<GeneratedBoard, Box<dyn Error>> {
    let picture = |file: &Path| -> Result<_, Box<dyn Error>> {
        Ok(vision::decode(&fs::read(folder.join(file))?)?.into_grey())
    };
    let label = |label: &LabelledBox| label.class.as_named().map(|class| (class, label.bounds()));
    let defects: Option<Vec<_>> = item.boxes.iter().map(label).collect();
    let defects = defects.ok_or("a label is of a class that the network does not name")?;
    let (golden, test) = (picture(&item.template.file)?, picture(&item.test.file)?);
    Ok(GeneratedBoard { golden, test, defects })
}

impl Sink {
    fn take(&mut self, id: &str, group: &str, board: GeneratedBoard) -> Result<(), Box<dyn Error>> {
        let board = if self.repaired { board.into_repaired() } else { board };
        let records = write_records(&board, 1, &mut self.crops)?;
        self.count(id, group, board.defects.len() as u64, records)
    }

    /// Photographs of as many parts as it takes; all of a part's are clean, or none.
    fn take_photographs(&mut self, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
        let boards = arguments.boards.unwrap_or(0);
        let units = u64::from(UNITS_PER_DESIGN) + 1;
        for number in 0..boards.div_ceil(units) {
            let clean = number % 100 < u64::from(arguments.clean_per_cent);
            let (golden, photographs) = photographed_pairs(arguments.seed, number, units, clean)?;
            let Some(golden) = golden else { continue };
            for (unit, (test, photograph)) in photographs.iter().enumerate() {
                let labels = &photograph.labels;
                let records = write_photograph_records(&golden, test, labels, 1, &mut self.crops)?;
                let id = (number * units + unit as u64).to_string();
                self.count(&id, &number.to_string(), labels.len() as u64, records)?;
            }
        }
        Ok(())
    }

    fn take_filed_photograph(
        &mut self,
        item: &ManifestItem,
        folder: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let picture = |file: &Path| -> Result<DecodedImage, Box<dyn Error>> {
            Ok(vision::decode(&fs::read(folder.join(file))?)?)
        };
        let golden = PreparedGolden::new(&picture(&item.template.file)?)?;
        let test = picture(&item.test.file)?;
        let records = write_photograph_records(&golden, &test, &item.boxes, 1, &mut self.crops)?;
        self.count(&item.id, &item.group, item.boxes.len() as u64, records)
    }

    fn count(
        &mut self,
        id: &str,
        group: &str,
        labels: u64,
        records: Option<u64>,
    ) -> Result<(), Box<dyn Error>> {
        let line = serde_json::json!({ "id": id, "group": group, "records": records });
        writeln!(self.boards, "{line}")?;
        let refused = u64::from(records.is_none());
        let counted = [1, labels, records.unwrap_or(0), refused];
        self.counts.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
        Ok(())
    }
}
