//! What several interfaces share: blocks by hash and height, and the structs by which Bitcoin Core's C++ types
//! travel, such as its results with an error for the user. Most are only used by the draft of a node that is
//! split from its wallet (the crate `bitcoin-ipc-draft`).

pub use crate::generated::common::{
    BilingualStr, BlockRef, EstimationResult, EstimatorBucket, Expected, FeeCalculation,
    GlobalArgs, Pair, PairInt64, PairUInt64, PsbtFillOptions, Settings, UtilResult, UtilResultVoid,
};

impl<T> UtilResult<T> {
    /// The value, or the error.
    ///
    /// # Errors
    /// What the other side says, where that is an error.
    ///
    /// ```
    /// use bitcoin_ipc::common::{BilingualStr, UtilResult};
    ///
    /// assert_eq!(UtilResult::new(7).into_result(), Ok(7));
    /// let failed: UtilResult<u8> = UtilResult::failed("no wallet of this name");
    /// assert_eq!(failed.into_result(), Err(BilingualStr::from("no wallet of this name")));
    /// ```
    pub fn into_result(self) -> Result<T, BilingualStr> {
        match self.error {
            None => Ok(self.value),
            Some(error) => Err(error),
        }
    }

    /// An error. Its value is the default, which does not matter.
    pub fn failed(error: impl Into<BilingualStr>) -> UtilResult<T>
    where
        T: Default,
    {
        UtilResult::new(T::default()).error(error.into())
    }
}

/// A text that is not translated.
impl From<&str> for BilingualStr {
    fn from(text: &str) -> BilingualStr {
        BilingualStr::from(text.to_owned())
    }
}

/// A text that is not translated.
impl From<String> for BilingualStr {
    fn from(text: String) -> BilingualStr {
        BilingualStr::default().original(text.clone()).translated(text)
    }
}
