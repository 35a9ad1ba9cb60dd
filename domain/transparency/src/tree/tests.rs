//! Against the vectors of Certificate Transparency's reference trees, and against the recursion that RFC 6962 defines.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::hashes::hash_leaf;

/// The leaves of the trees that the implementations of RFC 6962 test with.
const INPUTS: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
/// Their roots, of one leaf, of two and so on.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn digest(hex_digits: &str) -> Digest32 {
    hex::decode(hex_digits).unwrap().try_into().unwrap()
}

fn leaves(count: u64) -> Vec<Digest32> {
    (0..count).map(|n| hash_leaf(&n.to_be_bytes())).collect()
}

/// MTH of RFC 6962, as it is written there.
fn naive_root(leaves: &[Digest32]) -> Digest32 {
    match leaves.len() {
        0 => hash_nothing(),
        1 => leaves[0],
        n => {
            let mut k = 1;
            while k * 2 < n {
                k *= 2;
            }
            hash_children(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

/// The tiles of a tree, and what gives its nodes from them.
#[derive(Default)]
struct Tiles(BTreeMap<(u8, u64), Vec<Digest32>>);

impl Tiles {
    fn keep(&mut self, at: TileEntry, hash: Digest32) {
        let tile = self.0.entry((at.level, at.tile)).or_default();
        assert_eq!(tile.len(), at.entry, "entries come one after the other");
        tile.push(hash);
    }

    fn node(&self, level: u32, number: u64) -> Result<Digest32, Infallible> {
        let (first, count) = locate_node(level, number);
        let tile = &self.0[&(first.level, first.tile)];
        Ok(root_of(&tile[first.entry..first.entry + count]))
    }
}

fn grow(leaves: &[Digest32]) -> (Frontier, Tiles) {
    let (mut frontier, mut tiles) = (Frontier::default(), Tiles::default());
    for leaf in leaves {
        frontier.add_leaf(*leaf, |at, hash| tiles.keep(at, hash));
    }
    (frontier, tiles)
}

#[test]
fn the_reference_trees_have_their_roots() {
    assert_eq!(
        hex::encode(Frontier::default().root()),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let mut frontier = Frontier::default();
    for (input, root) in INPUTS.iter().zip(ROOTS) {
        frontier.add_leaf(hash_leaf(&hex::decode(input).unwrap()), |_, _| ());
        assert_eq!(frontier.root(), digest(root), "{input}");
    }
}

#[test]
fn the_reference_paths_are_found_and_verified() {
    let leaves: Vec<_> = INPUTS.iter().map(|i| hash_leaf(&hex::decode(i).unwrap())).collect();
    let (_, tiles) = grow(&leaves);
    // Leaf 6 of 8, and leaf 3 of 3 (counted from 1), as the reference has them.
    let path = prove_inclusion(5, 8, |level, number| tiles.node(level, number)).unwrap();
    let expected = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(path, expected.map(digest));
    assert!(verify_inclusion(&leaves[5], (5, 8), &path, &digest(ROOTS[7])));
    let path = prove_inclusion(2, 3, |level, number| tiles.node(level, number)).unwrap();
    assert_eq!(path, [digest(ROOTS[1])]);
    // From 6 to 8, and from 1 to 8.
    let path = prove_consistency(6, 8, |level, number| tiles.node(level, number)).unwrap();
    let expected = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(path, expected.map(digest));
    let (old, new) = (digest(ROOTS[5]), digest(ROOTS[7]));
    assert!(verify_consistency((6, &old), (8, &new), &path));
    let path = prove_consistency(1, 8, |level, number| tiles.node(level, number)).unwrap();
    assert_eq!(path.len(), 3);
    assert!(verify_consistency((1, &digest(ROOTS[0])), (8, &new), &path));
}

#[test]
fn tiles_of_several_levels_give_every_node() {
    let leaves = leaves(66_000);
    let (frontier, tiles) = grow(&leaves);
    assert_eq!(frontier.root(), naive_root(&leaves));
    assert_eq!(tiles.0.keys().map(|(level, _)| *level).max(), Some(2));
    for index in [0, 255, 256, 65_535, 65_536, 65_999] {
        let path = prove_inclusion(index, 66_000, |l, n| tiles.node(l, n)).unwrap();
        let leaf = &leaves[index as usize];
        assert!(verify_inclusion(leaf, (index, 66_000), &path, &frontier.root()), "{index}");
    }
    let peaks = Frontier::peak_nodes(66_000).map(|(level, number)| tiles.node(level, number));
    let peaks: Result<_, _> = peaks.collect();
    assert_eq!(Frontier::from_peaks(66_000, peaks.unwrap()), Some(frontier));
    assert_eq!(Frontier::from_peaks(66_000, Vec::new()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_leaf_is_proved_and_no_other_in_its_place(size in 1_u64..600) {
        let leaves = leaves(size);
        let (frontier, tiles) = grow(&leaves);
        let root = naive_root(&leaves);
        prop_assert_eq!(frontier.root(), root);
        for index in 0..size {
            let path = prove_inclusion(index, size, |l, n| tiles.node(l, n)).unwrap();
            let leaf = &leaves[index as usize];
            prop_assert!(verify_inclusion(leaf, (index, size), &path, &root));
            for other in [index.wrapping_sub(1), index + 1, index ^ 2, size] {
                prop_assert!(!verify_inclusion(leaf, (other, size), &path, &root));
            }
            let mut changed = path.clone();
            if let Some(step) = changed.last_mut() {
                step[7] ^= 1;
                prop_assert!(!verify_inclusion(leaf, (index, size), &changed, &root));
                prop_assert!(!verify_inclusion(leaf, (index, size), &path[1..], &root));
            }
            changed.push([0; 32]);
            prop_assert!(!verify_inclusion(leaf, (index, size), &changed, &root));
        }
    }

    #[test]
    fn an_older_tree_is_proved_and_no_other_one(size in 1_u64..600, part in 0.0_f64..1.0) {
        let old_size = 1 + ((size - 1) as f64 * part) as u64;
        let leaves = leaves(size);
        let (frontier, tiles) = grow(&leaves);
        let old = naive_root(&leaves[..old_size as usize]);
        let path = prove_consistency(old_size, size, |l, n| tiles.node(l, n)).unwrap();
        let new = frontier.root();
        prop_assert!(verify_consistency((old_size, &old), (size, &new), &path));
        let mut another = old;
        another[0] ^= 1;
        prop_assert!(!verify_consistency((old_size, &another), (size, &new), &path));
        if old_size < size {
            prop_assert!(!verify_consistency((old_size, &old), (size, &another), &path));
            prop_assert!(!verify_consistency((old_size, &old), (size, &new), &path[1..]));
        }
        prop_assert!(!verify_consistency((size + 1, &old), (size, &new), &path));
        prop_assert!(!verify_consistency((0, &old), (size, &new), &path));
    }
}
