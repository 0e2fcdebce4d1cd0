//! What several interfaces share: blocks by hash and height, and the structs by which Bitcoin Core's C++ types
//! travel, such as its results with an error for the user. Most are only used by the draft of a node that is
//! split from its wallet (the crate `bitcoin-ipc-draft`).

pub use crate::generated::common::{
    BilingualStr, BlockRef, EstimationResult, EstimatorBucket, Expected, FeeCalculation, GlobalArgs,
    Pair, PairInt64, PairUInt64, PsbtFillOptions, Settings, UtilResult, UtilResultVoid,
};
