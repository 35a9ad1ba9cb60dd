//! The arguments of the subcommands that are not roles.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PathBufValueParser, RangedU64ValueParser, TypedValueParser as _};
use domain::{PixelBox, PixelScale, Recipe};
use platform::artifact_store::ArtifactStoreConfig;
use platform::auth::KeysConfig;
use platform::config::listen_address;
use platform::foundation::FoundationConfig;

use crate::annotation::annotated_file;
use crate::installation::InstallationArgs;
use crate::services::Settings;

/// Where the platform listens unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// `chipq up`
#[derive(Debug, Clone, Args)]
pub(crate) struct UpArgs {
    /// Address and port to serve HTTP on.
    #[arg(long, env = "CHIPQ_LISTEN", default_value = LISTEN, value_name = "ADDR")]
    #[arg(value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Let the user demo (password demo) in, to try it out; refused unless the listener is on loopback.
    #[arg(long, env = "CHIPQ_DEMO")]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
    #[command(flatten, next_help_heading = "Limits")]
    pub(crate) settings: Settings,
}

/// `chipq demo`
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Exit after the table instead of serving until Ctrl-C.
    #[arg(long)]
    pub(crate) once: bool,
    /// Folder with a DeepPCB-style manifest.json: every pair is a part with its own golden sample.
    #[arg(long, value_name = "DIR")]
    pub(crate) boards: Option<PathBuf>,
    /// How many boards; with --boards, the first so many, and all by default.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) count: Option<usize>,
    /// Which boards are generated: the same seed, the same boards.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Address and port; when the default port is taken, a free one is used.
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Folder to keep everything in; a temporary one by default, removed at the end.
    #[arg(long, env = "CHIPQ_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) artifact_store: ArtifactStoreConfig,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) foundation: FoundationConfig,
    #[command(flatten, next_help_heading = "Limits")]
    pub(crate) settings: Settings,
}

impl DemoArgs {
    /// How many boards are generated unless told otherwise.
    pub(crate) const COUNT: usize = 24;

    /// The address to serve on, and whether another port will do.
    pub(crate) fn listen(&self) -> (SocketAddr, bool) {
        match self.listen {
            Some(address) => (address, false),
            None => (SocketAddr::from(([127, 0, 0, 1], 8080)), true),
        }
    }
}

/// `chipq rebuild`
#[derive(Debug, Clone, Args)]
pub(crate) struct RebuildArgs {
    /// The read model: inspection_overview, defects, parts, yield, reports or audit_trail.
    pub(crate) projection: String,
    /// Keep the old one and fail when the rebuilt one is not identical.
    #[arg(long)]
    pub(crate) expect_identical: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq verify`
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// Read models to check; all by default.
    pub(crate) projections: Vec<String>,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq evaluate`
#[derive(Debug, Clone, Args)]
pub(crate) struct EvaluateArgs {
    /// DeepPCB-style manifest.json; its pictures lie beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: PathBuf,
    /// File to write, one JSON object per pair.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Only pairs of this split, such as test.
    #[arg(long)]
    pub(crate) split: Option<String>,
    /// Paste the golden sample over every labelled box first: every call is then a false one.
    #[arg(long)]
    pub(crate) repaired: bool,
    /// ONNX file to try instead of the network that comes with the program.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Write the predictions also over the manifest, the weights or a picture.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `chipq inspect`
#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArgs {
    /// Picture of the golden sample, PNG or JPEG.
    pub(crate) golden: PathBuf,
    /// Picture of the board, of the same size.
    pub(crate) test: PathBuf,
    /// Another golden sample that boards may look like; the most like one is compared with.
    #[arg(long = "variant", value_name = "FILE")]
    pub(crate) variants: Vec<PathBuf>,
    /// A good board: where it differs from the golden sample, that much is tolerated.
    #[arg(long, value_name = "FILE")]
    pub(crate) accepted: Vec<PathBuf>,
    /// Inspect nothing outside of this, in pixels of the golden sample.
    #[arg(long, value_name = "X,Y,W,H", value_parser = parse_box)]
    pub(crate) region: Option<PixelBox>,
    /// Do not inspect this, in pixels of the golden sample.
    #[arg(long = "keep-out", value_name = "X,Y,W,H", value_parser = parse_box)]
    pub(crate) keep_outs: Vec<PixelBox>,
    /// Tolerate differences that no finding explains here, in pixels of the golden sample.
    #[arg(long = "tolerate", value_name = "X,Y,W,H", value_parser = parse_box)]
    pub(crate) tolerated: Vec<PixelBox>,
    /// How far the board may be bent against the golden sample, in pixels.
    #[arg(long, value_name = "PX", default_value_t = Recipe::BEND_MAX_PX, value_parser = parse_bend)]
    pub(crate) bend_max: f32,
    /// The scale of the board's picture, in pixels per millimetre.
    #[arg(long, value_name = "PX_PER_MM")]
    pub(crate) scale: Option<PixelScale>,
    /// The scale of the golden sample; a board of another one, or of none, is not compared.
    #[arg(long, value_name = "PX_PER_MM")]
    pub(crate) golden_scale: Option<PixelScale>,
    /// Print JSON for machines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the board with boxes around what was found, hatched where it was not inspected, and a legend; as PNG or
    /// JPEG, by the suffix.
    #[arg(long, value_name = "OUT.png",
          value_parser = PathBufValueParser::new().try_map(annotated_file))]
    pub(crate) annotate: Option<PathBuf>,
    /// Write the annotated picture also over one of the pictures that are read.
    #[arg(long, requires = "annotate")]
    pub(crate) force: bool,
}

/// A box as `X,Y,W,H`: its left and top, its width and its height.
fn parse_box(text: &str) -> Result<PixelBox, String> {
    let sides: Result<Vec<u32>, _> = text.split(',').map(|side| side.trim().parse()).collect();
    match sides.as_deref() {
        Ok(&[x, y, width, height]) if width > 0 && height > 0 => {
            Ok(PixelBox { x, y, width, height })
        }
        _ => Err("write left, top, width and height in pixels, such as 120,40,64,64".to_owned()),
    }
}

/// A bend as a recipe may have it.
fn parse_bend(text: &str) -> Result<f32, String> {
    let bend = text.parse().ok().filter(|bend| (0.0..=Recipe::BEND_MAX_PX).contains(bend));
    bend.ok_or_else(|| format!("write a number of pixels from 0 to {}", Recipe::BEND_MAX_PX))
}

/// What is photographed beside the golden sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PhotographUnits {
    /// The golden sample's own piece, shot again; flaws are put into it.
    SamePiece,
    /// Other pieces, whose mask, print, pads and holes lie a little elsewhere.
    OtherPieces,
}

/// `chipq generate-boards`
#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateBoardsArgs {
    /// How many boards.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) count: u64,
    /// The same seed writes the same files.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Folder to write manifest.json and images/ into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Colour photographs of bare boards under a solder mask instead of binarised copper.
    #[arg(long, value_enum, value_name = "UNITS")]
    pub(crate) photographs: Option<PhotographUnits>,
    /// Further good pieces of each design that are photographed, as accepted boards.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "photographs", value_parser = clap::value_parser!(u32).range(0..=32))]
    pub(crate) accepted: u32,
    /// Width and height of the pictures in pixels; photographs have 256 at least.
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(96..=4096))]
    pub(crate) size: u32,
    /// Per cent of boards without any defect.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) clean_per_cent: u32,
    /// Boards made of one design before the next begins.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) units_per_design: u32,
    /// Write also into a folder that has a manifest.json already.
    #[arg(long)]
    pub(crate) force: bool,
}
