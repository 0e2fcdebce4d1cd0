//! Whether anything wants to know of calls: the log, the spans or the statistics.

use crate::moment::Moment;
use crate::{call_log, call_span, stats};

/// Whether the ends of calls are noted. A load and a comparison for each of the three where they are off.
#[inline]
pub(crate) fn are_on() -> bool {
    stats::is_on() || call_log::is_on() || call_span::is_on()
}

/// The moment that is noted of a call: exact where it is told.
#[inline]
pub(crate) fn moment() -> Moment {
    if are_on() { Moment::exact() } else { Moment::coarse() }
}
