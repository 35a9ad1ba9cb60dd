//! Records of photographs: each labelled flaw is in one, with its class and its box.

use super::*;

#[test]
fn every_flaw_of_a_photograph_is_in_a_record_with_its_class_and_box() {
    let (golden, photographs) = photographed_pairs(3, 0, 1, false).expect("photographs");
    let golden = golden.expect("shows something");
    let (test, photograph) = &photographs[0];
    let mut file = Vec::new();
    let written = write_photograph_records(&golden, test, &photograph.labels, 1, &mut file)
        .expect("written")
        .expect("comparable");
    assert_eq!(file.len(), written as usize * PHOTOGRAPH_RECORD_LEN);
    assert!(photograph.labels.len() >= 10);
    let records: Vec<_> = file.chunks_exact(PHOTOGRAPH_RECORD_LEN).collect();
    for label in &photograph.labels {
        let number = number_of(label.class).expect("a class of the network");
        let bounds = label.bounds();
        let holds = |record: &&&[u8]| {
            let packed = u32::from_le_bytes([record[1], record[2], record[3], 0]);
            let (x, y) = ((packed & 4095) as usize, (packed >> 12) as usize);
            let width = f32::from_le_bytes([record[4], record[5], record[6], record[7]])
                + f32::from_le_bytes([record[12], record[13], record[14], record[15]]);
            record[0] == number
                && sides_around(&bounds, (x, y)).is_some()
                && (width - bounds.width as f32).abs() < 0.01
        };
        assert!(records.iter().filter(holds).count() >= 1, "{label:?}");
    }
}

#[test]
fn a_clean_photograph_gives_background_alone_and_not_without_bound() {
    let (golden, photographs) = photographed_pairs(4, 0, 2, true).expect("photographs");
    let golden = golden.expect("shows something");
    for (test, photograph) in &photographs {
        let mut file = Vec::new();
        let written = write_photograph_records(&golden, test, &photograph.labels, 1, &mut file)
            .expect("written")
            .expect("comparable");
        assert!(written <= u64::from(BACKGROUND_MAX));
        assert!(file.chunks_exact(PHOTOGRAPH_RECORD_LEN).all(|record| record[0] == 0));
    }
}
