//! The lens: where in the photograph a place of the board lies, and back.

/// Geometry of one shot; the board's frame is wider than the photograph by `bleed` on every side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lens {
    /// Size of the photograph in pixels.
    pub(super) size: (f32, f32),
    pub(super) bleed: f32,
    /// Shift of the board in the photograph, pixels.
    pub(super) shift: (f32, f32),
    /// Turn of the board, radians, clockwise.
    pub(super) turn: f32,
    /// Magnification.
    pub(super) zoom: f32,
    /// How much farther away the right and the lower edge are than the middle, in parts.
    pub(super) tilt: (f32, f32),
    /// Barrel distortion at the corners, in parts.
    pub(super) distortion: f32,
}

impl Lens {
    fn middle(&self) -> (f32, f32) {
        ((self.size.0 - 1.0) / 2.0, (self.size.1 - 1.0) / 2.0)
    }

    /// Half of the diagonal.
    fn reach(&self) -> f32 {
        self.size.0.hypot(self.size.1) / 2.0
    }

    /// From the middle of the photograph, in parts of half its diagonal.
    pub(super) fn offset_from_middle(&self, x: f32, y: f32) -> (f32, f32) {
        let (middle, reach) = (self.middle(), self.reach());
        ((x - middle.0) / reach, (y - middle.1) / reach)
    }

    /// The board's place that is seen at a pixel of the photograph.
    pub(super) fn board_place(&self, x: f32, y: f32) -> (f32, f32) {
        let (out_x, out_y) = self.offset_from_middle(x, y);
        let barrel = 1.0 + self.distortion * (out_x * out_x + out_y * out_y);
        let away = 1.0 + self.tilt.0 * out_x + self.tilt.1 * out_y;
        let scale = barrel * away / self.zoom;
        let (middle, reach) = (self.middle(), self.reach());
        let from_x = out_x * reach * scale - self.shift.0;
        let from_y = out_y * reach * scale - self.shift.1;
        let (sine, cosine) = self.turn.sin_cos();
        (
            from_x * cosine + from_y * sine + middle.0 + self.bleed,
            from_y * cosine - from_x * sine + middle.1 + self.bleed,
        )
    }

    /// The pixel of the photograph where a place of the board is seen: by steps, because what one
    /// pixel misses the place by is nearly what the next has to make up for.
    pub(super) fn picture_place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (sine, cosine) = self.turn.sin_cos();
        let mut seen = (x - self.bleed, y - self.bleed);
        for _ in 0..6 {
            let at = self.board_place(seen.0, seen.1);
            let (miss_x, miss_y) = (x - at.0, y - at.1);
            seen.0 += miss_x * cosine - miss_y * sine;
            seen.1 += miss_y * cosine + miss_x * sine;
        }
        seen
    }
}
