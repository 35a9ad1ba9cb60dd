//! Grain: noise that is a function of the place, so that what is drawn elsewhere never moves it.

/// −1 to 1 for a pixel, unrelated to its neighbours'.
pub(super) fn pixel_grain(seed: u32, x: i32, y: i32) -> f32 {
    let mut mixed = seed
        ^ x.cast_unsigned().wrapping_mul(0x9e37_79b1)
        ^ y.cast_unsigned().wrapping_mul(0x85eb_ca77);
    mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d);
    mixed = (mixed ^ (mixed >> 12)).wrapping_mul(0x297a_2d39);
    mixed ^= mixed >> 15;
    (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// −1 to 1, smooth over patches of `cell` pixels.
pub(super) fn patch_grain(seed: u32, x: i32, y: i32, cell: i32) -> f32 {
    let (column, row) = (x.div_euclid(cell), y.div_euclid(cell));
    let part = |at: i32| at.rem_euclid(cell) as f32 / cell as f32;
    let (right, down) = (part(x), part(y));
    let corner = |dx: i32, dy: i32| pixel_grain(seed, column + dx, row + dy);
    let above = corner(0, 0) * (1.0 - right) + corner(1, 0) * right;
    let below = corner(0, 1) * (1.0 - right) + corner(1, 1) * right;
    above * (1.0 - down) + below * down
}
