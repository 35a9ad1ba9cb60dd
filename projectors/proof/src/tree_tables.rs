//! The tree in the database: its tiles, and how far it is.
//!
//! Invariant: tiles only grow. Whoever knows a size of the tree reads the same hashes below it for ever, while it grows.

use std::collections::{BTreeMap, BTreeSet};

use platform::event_log::Position;
use platform::postgres::{DatabaseConnection, Pool};
use transparency::{Digest32, Frontier, TILE_HASHES, locate_node, root_of};
use uuid::Uuid;

use crate::growth::UnwrittenGrowth;

/// Why the tree cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Hashes are missing that have to be there.
    #[error(
        "the tiles of the log's tree are not whole (level {level}, node {number}): somebody changed them; \
         `chipq audit verify` compares the log with the tree heads that are kept outside the database"
    )]
    Damaged {
        /// Of the node that cannot be had.
        level: u32,
        /// Its number.
        number: u64,
    },
}

/// The tree as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTree {
    /// How many events it has, and its complete subtrees.
    pub frontier: Frontier,
    /// The position of the last event.
    pub position: Position,
    /// The chain over them.
    pub chain: Digest32,
}

/// The leaves of a tile of level 0, and of which events they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafTile {
    /// Their hashes.
    pub hashes: Vec<Digest32>,
    /// The positions of their events.
    pub positions: Vec<i64>,
    /// The ids of their events.
    pub event_ids: Vec<Uuid>,
}

/// The tree as far as it is written down.
///
/// # Errors
/// When the database fails, or the tiles are not whole.
pub async fn load_tree(pool: &Pool) -> Result<StoredTree, TreeError> {
    let row = sqlx::query_as("SELECT size, position, chain FROM proof_tree").fetch_one(pool);
    let (size, position, chain): (i64, i64, Vec<u8>) = row.await?;
    let frontier = load_frontier(pool, size.unsigned_abs()).await?;
    let damaged = |_| TreeError::Damaged { level: 0, number: size.unsigned_abs() };
    let chain = chain.try_into().map_err(damaged)?;
    Ok(StoredTree { frontier, position: Position(position), chain })
}

/// The tree as it was with `size` events.
///
/// # Errors
/// When the database fails, or it never had so many.
pub async fn load_frontier(pool: &Pool, size: u64) -> Result<Frontier, TreeError> {
    let damaged = || TreeError::Damaged { level: 0, number: size };
    let peaks: Vec<_> = Frontier::peak_nodes(size).collect();
    let nodes = load_nodes(pool, peaks.iter().copied().collect()).await?;
    let peaks: Option<Vec<_>> = peaks.iter().map(|peak| nodes.get(peak).copied()).collect();
    peaks.and_then(|peaks| Frontier::from_peaks(size, peaks)).ok_or_else(damaged)
}

/// How many events of the tree are before this position: the index of the first that is not.
///
/// # Errors
/// When the database fails.
pub async fn find_index(pool: &Pool, position: Position) -> Result<u64, TreeError> {
    let row: Option<(i64, Vec<i64>)> = sqlx::query_as(
        "SELECT number, positions FROM proof_tiles WHERE level = 0 AND positions[1] < $1
         ORDER BY number DESC LIMIT 1",
    )
    .bind(position.0)
    .fetch_optional(pool)
    .await?;
    let Some((number, positions)) = row else { return Ok(0) };
    let before = positions.partition_point(|found| *found < position.0);
    Ok(number.unsigned_abs() * TILE_HASHES + before as u64)
}

/// These nodes of the tree, by level and number.
///
/// # Errors
/// When the database fails, or one of them is not there.
async fn load_nodes(
    pool: &Pool,
    wanted: BTreeSet<(u32, u64)>,
) -> Result<BTreeMap<(u32, u64), Digest32>, TreeError> {
    let located = wanted.iter().map(|(level, number)| locate_node(*level, *number).0);
    let tiles: BTreeSet<(i16, i64)> =
        located.map(|at| (i16::from(at.level), at.tile.cast_signed())).collect();
    let (levels, numbers): (Vec<i16>, Vec<i64>) = tiles.into_iter().unzip();
    let rows: Vec<(i16, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT level, number, hashes FROM proof_tiles
         JOIN unnest($1::smallint[], $2::bigint[]) AS wanted (level, number) USING (level, number)",
    )
    .bind(levels)
    .bind(numbers)
    .fetch_all(pool)
    .await?;
    let found: BTreeMap<_, _> =
        rows.into_iter().map(|(level, number, hashes)| ((level, number), hashes)).collect();
    let node = |(level, number): (u32, u64)| {
        let damaged = TreeError::Damaged { level, number };
        let (first, count) = locate_node(level, number);
        let tile = found.get(&(i16::from(first.level), first.tile.cast_signed()));
        let hashes = tile.map(|hashes| hashes.as_chunks::<32>().0);
        let hashes = hashes.and_then(|hashes| hashes.get(first.entry..first.entry + count));
        Ok(((level, number), root_of(hashes.ok_or(damaged)?)))
    };
    wanted.into_iter().map(node).collect()
}

/// What `prove` makes of the nodes that it asks for, which follow from what is proved alone: it is asked twice, first
/// with nodes that are none, to find which ones.
///
/// # Errors
/// When the database fails, or a node is not there.
pub async fn prove_with_tiles(
    pool: &Pool,
    prove: impl Fn(
        &mut dyn FnMut(u32, u64) -> Result<Digest32, TreeError>,
    ) -> Result<Vec<Digest32>, TreeError>,
) -> Result<Vec<Digest32>, TreeError> {
    let mut wanted = BTreeSet::new();
    prove(&mut |level, number| {
        wanted.insert((level, number));
        Ok([0; 32])
    })?;
    let nodes = load_nodes(pool, wanted).await?;
    prove(&mut |level, number| {
        nodes.get(&(level, number)).copied().ok_or(TreeError::Damaged { level, number })
    })
}

/// The leaves of tile `number` of level 0; none where there is no such tile.
///
/// # Errors
/// When the database fails.
pub async fn read_leaves(pool: &Pool, number: u64) -> Result<LeafTile, TreeError> {
    let row: Option<(Vec<u8>, Vec<i64>, Vec<Uuid>)> = sqlx::query_as(
        "SELECT hashes, positions, event_ids FROM proof_tiles WHERE level = 0 AND number = $1",
    )
    .bind(number.cast_signed())
    .fetch_optional(pool)
    .await?;
    let tile = row.map(|(hashes, positions, event_ids)| LeafTile {
        hashes: hashes.as_chunks::<32>().0.to_vec(),
        positions,
        event_ids,
    });
    Ok(tile.unwrap_or_default())
}

/// Every tile above the leaves, by level and number.
///
/// # Errors
/// When the database fails.
pub(crate) async fn read_inner_tiles(
    pool: &Pool,
) -> Result<BTreeMap<(u8, u64), Vec<Digest32>>, TreeError> {
    let rows: Vec<(i16, i64, Vec<u8>)> =
        sqlx::query_as("SELECT level, number, hashes FROM proof_tiles WHERE level > 0")
            .fetch_all(pool)
            .await?;
    let tiles = rows.into_iter().map(|(level, number, hashes)| {
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        ((level, number.unsigned_abs()), hashes.as_chunks::<32>().0.to_vec())
    });
    Ok(tiles.collect())
}

/// Writes down what is new in the tree.
pub(crate) async fn save_growth(
    transaction: &mut DatabaseConnection,
    growth: UnwrittenGrowth,
) -> Result<(), sqlx::Error> {
    for ((level, number), new) in growth.tiles {
        // Exactly behind what is there: whoever else wrote meanwhile is found by it.
        let written = sqlx::query(
            "INSERT INTO proof_tiles AS t (level, number, hashes, positions, event_ids)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (level, number) DO UPDATE
             SET hashes = t.hashes || excluded.hashes, positions = t.positions || excluded.positions,
                 event_ids = t.event_ids || excluded.event_ids
             WHERE octet_length(t.hashes) = $6",
        )
        .bind(i16::from(level))
        .bind(number.cast_signed())
        .bind(new.hashes.concat())
        .bind(new.positions)
        .bind(new.event_ids)
        .bind(i32::try_from(new.from * 32).unwrap_or(i32::MAX))
        .execute(&mut *transaction)
        .await?;
        if written.rows_affected() == 0 {
            return Err(sqlx::Error::Protocol(
                "a tile of the log's tree is not as it was left".to_owned(),
            ));
        }
    }
    sqlx::query("UPDATE proof_tree SET size = $1, position = $2, chain = $3")
        .bind(growth.size.cast_signed())
        .bind(growth.position.0)
        .bind(&growth.chain[..])
        .execute(transaction)
        .await?;
    Ok(())
}
