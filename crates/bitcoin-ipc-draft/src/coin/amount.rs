//! Amounts in a form that is short for round ones.

/// Takes zeros off the end of a number, up to nine, and puts their count in its last digit.
pub(super) fn compress(mut satoshis: u64) -> u64 {
    if satoshis == 0 {
        return 0;
    }
    let mut zeros = 0;
    while satoshis.is_multiple_of(10) && zeros < 9 {
        satoshis /= 10;
        zeros += 1;
    }
    if zeros == 9 {
        return 1 + (satoshis - 1) * 10 + 9;
    }
    // The last digit is not 0 now: nine values of it instead of ten.
    let (rest, digit) = (satoshis / 10, satoshis % 10);
    1 + (rest * 9 + digit - 1) * 10 + zeros
}

/// The reverse; none for what is more than a u64 holds.
pub(super) fn decompress(compressed: u64) -> Option<u64> {
    let Some(number) = compressed.checked_sub(1) else { return Some(0) };
    let (number, zeros) = (number / 10, (number % 10) as u32);
    let number = if zeros == 9 {
        number + 1
    } else {
        (number / 9).checked_mul(10)?.checked_add(number % 9 + 1)?
    };
    number.checked_mul(10_u64.pow(zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_known_form() {
        const BITCOIN: u64 = 100_000_000;
        for (satoshis, compressed) in [
            (0, 0),
            (1, 1),
            (1_000_000, 7),
            (BITCOIN, 9),
            (50 * BITCOIN, 0x32),
            (21_000_000 * BITCOIN, 0x0140_6f40),
        ] {
            assert_eq!(compress(satoshis), compressed, "{satoshis}");
            assert_eq!(decompress(compressed), Some(satoshis), "{compressed}");
        }
    }

    #[test]
    fn every_amount_has_a_form_of_its_own() {
        for start in [0, 999_000, 99_999_000, 2_099_999_999_999_000] {
            for satoshis in start..start + 2_000 {
                assert_eq!(decompress(compress(satoshis)), Some(satoshis), "{satoshis}");
            }
        }
        for compressed in 0..20_000 {
            assert_eq!(compress(decompress(compressed).unwrap()), compressed, "{compressed}");
        }
    }

    #[test]
    fn what_is_too_much_is_none() {
        for compressed in [u64::MAX, u64::MAX - 6, 1 << 63] {
            assert_eq!(decompress(compressed), None, "{compressed}");
        }
    }
}
