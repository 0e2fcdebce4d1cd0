//! Floats by their bits, which tell one NaN from another.

use std::fmt::Debug;

use multiprocess::Call;
use multiprocess_everything::generated::everything::EverythingClient;
use proptest::prelude::*;

/// Any bits at all.
pub(crate) fn any_f32() -> impl Strategy<Value = f32> + Clone {
    any::<u32>().prop_map(f32::from_bits)
}

/// Any bits at all.
pub(crate) fn any_f64() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        Just(f64::NAN),
        Just(-0.0),
        Just(f64::from_bits(0xfff0_0000_0000_0001)),
    ]
}

/// The bits of all floats in a value, in a fixed order.
pub(crate) trait Floats {
    fn bits(&self) -> Vec<u64>;
}

impl Floats for f32 {
    fn bits(&self) -> Vec<u64> {
        vec![self.to_bits().into()]
    }
}

impl Floats for f64 {
    fn bits(&self) -> Vec<u64> {
        vec![self.to_bits()]
    }
}

impl<T: Floats> Floats for Vec<T> {
    fn bits(&self) -> Vec<u64> {
        self.iter().flat_map(Floats::bits).collect()
    }
}

/// Like `same`, for values that have floats: the bits of the floats are equal, and so is the Debug
/// output, which shows everything except the bits of a NaN.
pub(crate) fn same<T: Clone + Debug + Floats + Send + 'static>(
    cases: u32,
    values: impl Strategy<Value = T>,
    echo: impl Fn(&EverythingClient, T) -> Call<T>,
) {
    crate::round_trips(cases, values, echo, |sent, back| {
        assert_eq!(sent.bits(), back.bits());
        assert_eq!(format!("{sent:?}"), format!("{back:?}"));
    });
}

#[test]
fn doubles() {
    same(900, any_f64(), |object, value| object.pass_double(value));
}
