//! `chipq audit export`: the log in one file.
//!
//! Invariant: the file is there whole or not at all. Of what the events announce, ids and digests of pictures are held
//! in memory until the end; nothing else grows with the log.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use boards::WholeFile;
use platform::event_log::Position;
use platform::postgres::Pool;
use proof::{
    HeadFolder, ProofConfig, StoredTree, find_index, hash_stored, list_origins, load_frontier,
    load_tree, read_leaves,
};
use transparency::{
    Digest32, EMPTY_CHAIN, ExportBlock, ExportEnd, ExportHeader, SignedNote, TILE_HASHES, TreeHead,
    link_chain, note_artifacts, write_artifact_line, write_head_line,
};

use super::cannot_write;
use crate::cli::ExportAuditArgs;
use crate::failure::{Failure, exit};
use crate::installation::InstallationArgs;
use crate::operator_session::OperatorSession;

/// How many events are read at once.
const READ_EVENTS: usize = 1_000;

/// Writes the export.
pub(super) async fn run(args: ExportAuditArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = export(&session, &args).await;
    let written = session.close(outcome).await?;
    outln!(
        "{} events, {} tree heads and the digests of {} pictures in {}",
        written.events,
        written.heads,
        written.artifacts,
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes the whole log of the private installation in `data`, to be measured with.
pub(crate) async fn export_all(data: &Path, out: &Path) -> anyhow::Result<ExportEnd> {
    let args = ExportAuditArgs {
        out: out.to_owned(),
        from: None,
        to: None,
        proof: ProofConfig::default(),
        installation: InstallationArgs::private(data.to_owned()),
    };
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = export(&session, &args).await;
    session.close(outcome).await
}

async fn export(session: &OperatorSession, args: &ExportAuditArgs) -> anyhow::Result<ExportEnd> {
    let pool = session.pool();
    let folder = HeadFolder::new(args.proof.head_folder(session.data_dir()));
    let notes = if folder.path().exists() { folder.read_all()? } else { Vec::new() };
    let origins = list_origins(pool).await?;
    let origin = origins.last().map(|origin| origin.origin.clone()).unwrap_or_default();
    let heads = heads_of(&origin, notes)?;
    let tree = load_tree(pool).await?;
    let (first, to) = find_range(pool, args, &tree).await?;
    let end = if to < tree.position {
        find_index(pool, Position(to.0 + 1)).await?
    } else {
        tree.frontier.size()
    };
    let heads: Vec<_> =
        heads.into_iter().filter(|(head, _)| (first.max(1)..=end).contains(&head.size)).collect();
    let frontier = load_frontier(pool, first).await?;
    let chain = find_chain(pool, first, &heads).await?;

    let mut out = Writer::create(args)?;
    out.write(&ExportHeader::new(origin, &frontier, &chain).to_line())?;
    for (_, note) in &heads {
        out.write(&write_head_line(note))?;
    }
    let mut counted = ExportEnd { artifacts: 0, events: 0, heads: heads.len() as u64 };
    let (mut block, mut artifacts) = (ExportBlock::default(), BTreeMap::new());
    let mut after = Position(args.from.unwrap_or(1) - 1);
    let log = session.log();
    while after < to {
        let page = log.read_stored(after, to, READ_EVENTS).await?;
        for event in &page.events {
            let (envelope, leaf) = hash_stored(event)?;
            note_artifacts(&envelope, &mut artifacts)?;
            out.write(&envelope)?;
            out.write(b"\n")?;
            let filled = block.add_leaf(first + counted.events, leaf);
            counted.events += 1;
            out.write(&filled.unwrap_or_default())?;
        }
        after = page.up_to;
    }
    out.write(&block.take_line().unwrap_or_default())?;
    for artifact in artifacts.values() {
        out.write(&write_artifact_line(artifact))?;
    }
    counted.artifacts = artifacts.len() as u64;
    out.write(&counted.to_line())?;
    out.finish()?;
    if args.to.is_none() && tree.position < log.head().await? {
        errln!(
            "what came after position {} is not in the log's tree yet, and left out: a few seconds of `chipq up` or \
             `chipq log-proof` bring it there",
            tree.position
        );
    }
    Ok(counted)
}

/// The tree heads of this origin, the smallest first.
fn heads_of(origin: &str, notes: Vec<SignedNote>) -> anyhow::Result<Vec<(TreeHead, SignedNote)>> {
    let mut heads = Vec::new();
    for note in notes {
        let head = TreeHead::read_unverified(&note)?;
        if head.origin == origin {
            heads.push((head, note));
        }
    }
    heads.sort_by_key(|(head, _)| head.size);
    Ok(heads)
}

/// How many events are before the first, and the position of the last at most.
async fn find_range(
    pool: &Pool,
    args: &ExportAuditArgs,
    tree: &StoredTree,
) -> anyhow::Result<(u64, Position)> {
    let (from, to) = (args.from.unwrap_or(1), args.to.map_or(tree.position, Position));
    let refuse = |what: String| {
        Failure::new(what, "give positions of the log, --from before --to", exit::USAGE)
    };
    if from > tree.position.0 && args.from.is_some() {
        let what = format!("the log's tree ends at position {}, before {from}", tree.position);
        return Err(refuse(what).into());
    }
    if to.0 < from && args.to.is_some() {
        return Err(refuse(format!("--to {to} is before --from {from}")).into());
    }
    let first = if from > 1 { find_index(pool, Position(from)).await? } else { 0 };
    Ok((first, to.min(tree.position)))
}

/// The chain over the first `size` events: from the last head before, by the leaves between.
async fn find_chain(
    pool: &Pool,
    size: u64,
    heads: &[(TreeHead, SignedNote)],
) -> anyhow::Result<Digest32> {
    let before = heads.iter().rev().find(|(head, _)| head.size <= size);
    let (mut at, mut chain) = before.map_or((0, EMPTY_CHAIN), |(head, _)| (head.size, head.chain));
    while at < size {
        let tile = read_leaves(pool, at / TILE_HASHES).await?;
        let within = usize::try_from(at % TILE_HASHES)?;
        let count = usize::try_from((size - at).min(TILE_HASHES - at % TILE_HASHES))?;
        let leaves = tile.hashes.get(within..within + count);
        let leaves =
            leaves.ok_or_else(|| anyhow::anyhow!("the tiles of the log's tree are not whole"))?;
        chain = leaves.iter().fold(chain, |chain, leaf| link_chain(&chain, leaf));
        at += count as u64;
    }
    Ok(chain)
}

/// The file under way.
struct Writer<'a> {
    file: WholeFile,
    args: &'a ExportAuditArgs,
}

impl<'a> Writer<'a> {
    fn create(args: &'a ExportAuditArgs) -> Result<Self, Failure> {
        let file = WholeFile::create(&args.out).map_err(|error| cannot_write(&args.out, &error))?;
        Ok(Self { file, args })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| cannot_write(&self.args.out, &error))
    }

    fn finish(self) -> Result<(), Failure> {
        self.file.finish().map_err(|error| cannot_write(&self.args.out, &error))
    }
}
