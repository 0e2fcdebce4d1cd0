//! Lists of revoked certificates: read from a PEM file, and refused where they have expired.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use multiprocess::Result;
use tokio_rustls::rustls::pki_types::CertificateRevocationListDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::files::{not_pem, read, wrong};

/// The most that is read of such a file, in bytes: lists can be long.
const MAX_FILE: u64 = 32 << 20;

/// The lists in a file. Whether they are lists is found out by who checks with them.
pub(super) fn lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let text = read(file, MAX_FILE, |_| Ok(()))?;
    let all: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(file, &error))?;
    match all.is_empty() {
        true => Err(wrong(file, "has no revocation list in PEM (-----BEGIN X509 CRL-----)")),
        false => Ok(all),
    }
}

/// That none of them has expired. With an expired one every peer of its authority would be refused.
pub(super) fn check(file: &Path, lists: &[CertificateRevocationListDer<'static>]) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for list in lists {
        let Some(next) = next_update(list) else {
            return Err(wrong(
                file,
                "has a revocation list that does not say when the next is due",
            ));
        };
        if next <= written(now) {
            let (year, month, day) = (&next[..4], &next[4..6], &next[6..8]);
            return Err(wrong(
                file,
                format!(
                    "has a revocation list that has expired, as the next was due on {year}-{month}-{day}: get the \
                     authority's newest (or this machine's clock is wrong)"
                ),
            ));
        }
    }
    Ok(())
}

/// When the next list is due, as `YYYYMMDDhhmmss`. None where `list` is no such list.
fn next_update(list: &[u8]) -> Option<String> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let mut list = element(&mut &*list)?.1;
    let mut signed = element(&mut list)?.1;
    // Of the parts before the revoked certificates, two are times: of this list and of the next one.
    let mut times = std::iter::from_fn(|| element(&mut signed))
        .filter(|(tag, _)| [UTC_TIME, GENERALIZED_TIME].contains(tag));
    let (tag, time) = times.nth(1)?;
    let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let century = match tag {
        UTC_TIME if time.starts_with(['5', '6', '7', '8', '9']) => "19",
        UTC_TIME => "20",
        _ => "",
    };
    let time = format!("{century}{time}");
    (time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit())).then_some(time)
}

/// Takes the first element of DER out of `bytes`: its tag and its content.
fn element<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(length) {
        short @ ..0x80 => (short, rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(long - 0x80).filter(|(digits, _)| digits.len() <= 4)?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
    };
    let content;
    (content, *bytes) = rest.split_at_checked(length)?;
    Some((tag, content))
}

/// A time in seconds since 1970, as `YYYYMMDDhhmmss`.
fn written(time: u64) -> String {
    let (days, seconds) = (time / 86_400, time % 86_400);
    // Days since the first of March of the year 0, in periods of 400 years; a year begins with March, so that a leap
    // day is a year's last.
    let days = days + 719_468;
    let (period, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        ..10 => (400 * period + year, month + 3),
        _ => (400 * period + year + 1, month - 9),
    };
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_they_are_written() {
        for (time, text) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (951_868_800, "20000301000000"),
            (1_735_689_599, "20241231235959"),
            (4_107_542_400, "21000301000000"),
        ] {
            assert_eq!(written(time), text);
        }
    }

    #[test]
    fn the_second_time_is_the_next_lists() {
        let mut signed = b"\x02\x01\x01\x30\x00\x30\x00\x17\x0d010203040506Z".to_vec();
        let list = |signed: &[u8]| {
            [&[0x30, 0x81, signed.len() as u8 + 3, 0x30, 0x81, signed.len() as u8], signed].concat()
        };
        assert_eq!(next_update(&list(&signed)), None);
        signed.extend(b"\x17\x0d991231235959Z");
        assert_eq!(next_update(&list(&signed)).as_deref(), Some("19991231235959"));
        let at = signed.len() - 15;
        signed.truncate(at);
        signed.extend(b"\x18\x0f20510203040506Z");
        assert_eq!(next_update(&list(&signed)).as_deref(), Some("20510203040506"));
        for end in 0..signed.len() {
            assert_eq!(next_update(&list(&signed)[..end]), None);
        }
        assert_eq!(next_update(b"\x30\x85\x01\x01\x01\x01\x01\x30"), None);
    }
}
