//! A network's two outputs to answers, the same for every engine. Whatever is not an answer is refused here
//! and is never read as "nothing": numbers that are none, probabilities out of range (a network that
//! answers with logarithms, say) or that do not sum to 1.

use vision::{CLASS_COUNT, CropOutput};

use super::EngineError;

/// The output of a probability for background and each class.
pub(super) const PROBABILITIES: &str = "probabilities";
/// The output of the distances from the crop's centre to the box's sides.
pub(super) const SIDES: &str = "sides";

/// How far the sum of a row may lie from 1, and a probability above it: what 16-bit arithmetic rounds off.
const ROUNDING: f32 = 1e-3;

/// Rows of `WIDTH` numbers, all of them finite.
pub(super) fn finite_rows<const WIDTH: usize>(
    output: &'static str,
    numbers: &[f32],
) -> Result<Vec<[f32; WIDTH]>, EngineError> {
    if numbers.iter().any(|number| !number.is_finite()) {
        let detail = "a value is not a finite number".to_owned();
        return Err(EngineError::Output { output, detail });
    }
    Ok(numbers.as_chunks().0.to_vec())
}

/// One answer per row of the two outputs.
pub(super) fn pair_outputs(
    probabilities: Vec<[f32; CLASS_COUNT]>,
    sides: Vec<[f32; 4]>,
) -> Result<Vec<CropOutput>, EngineError> {
    let invalid = |detail| EngineError::Output { output: PROBABILITIES, detail };
    let pair = |(probabilities, sides)| {
        let probabilities = check_probabilities(probabilities).map_err(invalid)?;
        Ok(CropOutput { probabilities, sides })
    };
    probabilities.into_iter().zip(sides).map(pair).collect()
}

/// The row, with what was rounded above 1 cut off.
fn check_probabilities(row: [f32; CLASS_COUNT]) -> Result<[f32; CLASS_COUNT], String> {
    if let Some(number) = row.iter().find(|number| !(0.0..=1.0 + ROUNDING).contains(*number)) {
        return Err(format!("{number} is not a probability"));
    }
    let sum: f32 = row.iter().sum();
    if (sum - 1.0).abs() > ROUNDING {
        return Err(format!("the probabilities of a crop sum to {sum} and not to 1"));
    }
    Ok(row.map(|number| number.min(1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(row: [f32; CLASS_COUNT]) -> Result<Vec<CropOutput>, EngineError> {
        pair_outputs(vec![row], vec![[1.0; 4]])
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let numbers = [1.0, 2.0, f32::NAN, 4.0];
        assert!(matches!(finite_rows::<4>("sides", &numbers), Err(EngineError::Output { .. })));
        let rows = finite_rows::<2>("sides", &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rows, Ok(vec![[1.0, 2.0], [3.0, 4.0]]));
    }

    #[test]
    fn log_probabilities_and_rows_that_do_not_sum_to_1_are_refused() {
        let even = [1.0 / 8.0; CLASS_COUNT];
        assert!(read(even).is_ok());
        assert_eq!(
            read([1.0005, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap()[0].probabilities[0],
            1.0
        );
        for (row, why) in [
            (even.map(f32::ln), "is not a probability"),
            ([0.0; CLASS_COUNT], "sum to 0"),
            ([0.2; CLASS_COUNT], "sum to 1.6"),
            ([2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "2 is not a probability"),
            ([f32::NAN, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "is not a probability"),
        ] {
            let refused = read(row).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    proptest! {
        /// Also such as come near: a row of shares that was scaled.
        #[test]
        fn a_row_is_read_only_when_it_is_a_distribution(
            shares in proptest::array::uniform8(0.0_f32..1.0),
            scale in prop_oneof![Just(1.0_f32), 0.99_f32..1.01, any::<f32>()],
            shift in prop_oneof![Just(0.0_f32), -0.1_f32..0.1],
        ) {
            let whole = shares.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            let row = shares.map(|share| share / whole * scale + shift);
            let sum: f64 = row.iter().copied().map(f64::from).sum();
            let in_range = row.iter().all(|number| (0.0..=1.001).contains(number));
            let off = (sum - 1.0).abs();
            if in_range && off < 0.000_99 {
                let read = read(row).unwrap()[0].probabilities;
                prop_assert!(read.iter().all(|number| (0.0..=1.0).contains(number)));
            } else if !in_range || off > 0.001_01 {
                prop_assert!(read(row).is_err(), "{row:?}");
            }
        }
    }
}
