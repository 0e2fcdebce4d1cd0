//! What Bitcoin Core's own serializations have in common: their errors, and numbers of variable length.

use std::borrow::Cow;
use std::fmt;

/// Bytes that are not what Bitcoin Core would write, or a value that cannot be written so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError(Cow<'static, str>);

impl FormatError {
    pub(crate) fn new(problem: impl Into<Cow<'static, str>>) -> FormatError {
        FormatError(problem.into())
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

/// Takes so many bytes from the front.
pub(crate) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], FormatError> {
    let (taken, rest) =
        bytes.split_at_checked(length).ok_or_else(|| FormatError::new("it is cut off"))?;
    *bytes = rest;
    Ok(taken)
}

/// Writes a number of variable length (VARINT): seven bits in each byte, the highest first, and a bit in all
/// but the last. Each byte but the last stands for one more than its bits, so every number has one form only.
pub(crate) fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    let start = bytes.len();
    bytes.push((number & 0x7f) as u8);
    while number > 0x7f {
        number = (number >> 7) - 1;
        bytes.push((number & 0x7f) as u8 | 0x80);
    }
    bytes[start..].reverse();
}

/// Reads such a number.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Result<u64, FormatError> {
    let too_large = || FormatError::new("a number in it is too large");
    let mut number: u64 = 0;
    loop {
        let byte = take(bytes, 1)?[0];
        if number > u64::MAX >> 7 {
            return Err(too_large());
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        number = number.checked_add(1).ok_or_else(too_large)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_known_form() {
        let known: [(u64, &[u8]); 12] = [
            (0, &[0]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 0]),
            (255, &[0x80, 0x7f]),
            (256, &[0x81, 0]),
            (16_383, &[0xfe, 0x7f]),
            (16_384, &[0xff, 0]),
            (16_511, &[0xff, 0x7f]),
            (65_535, &[0x82, 0xfe, 0x7f]),
            (1 << 32, &[0x8e, 0xfe, 0xfe, 0xff, 0]),
            (u64::MAX, &[0x80, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0x7f]),
        ];
        for (number, form) in known {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, number);
            assert_eq!(bytes, form, "{number}");
            let mut rest = form;
            assert_eq!(read_varint(&mut rest).unwrap(), number);
            assert!(rest.is_empty());
            assert!(read_varint(&mut &form[..form.len() - 1]).is_err(), "{number} cut off");
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        // One more than the largest, and far more.
        let more = [0x80, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xff, 0];
        for mut bytes in [&more[..], &[0xff; 30]] {
            let error = read_varint(&mut bytes).unwrap_err().to_string();
            assert!(error.contains("too large"), "{error}");
        }
    }
}
