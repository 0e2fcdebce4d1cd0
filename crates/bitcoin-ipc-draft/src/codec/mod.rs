//! How values travel that rust-bitcoin has no encoding for: the codecs that the schemas of this crate name,
//! beside those of [`bitcoin_ipc::codec`].
//!
//! | codec | on the wire | in Rust |
//! |---|---|---|
//! | [`Serialized`] | Data | [`Locator`](crate::Locator), [`Coin`](crate::Coin) |
//! | [`PerKvb`] | Data | [`FeeRate`](crate::FeeRate) |
//! | [`Coins`] | a list of pairs | outpoints with coins |
//! | [`BumpFees`] | a list of pairs | outpoints with amounts |
//! | [`Map`] | a list of pairs | `BTreeMap` of texts, or of numbers |
//! | [`Json`] | Text | [`Value`](bitcoin_ipc::rpc::Value) |
//! | [`Secret`], [`SecretText`] | Data, Text | [`Passphrase`](crate::Passphrase) |
//! | [`Hash20`] | Data | a hash of 20 bytes, such as `PubkeyHash` |
//! | [`PathBytes`], [`PathText`] | Data, Text | `PathBuf` |
//! | [`Number`], [`Number8`] | Int32, UInt8 | the enums of [`values`](crate::values) |

mod hash;
mod json;
mod map;
mod number;
mod pairs;
mod path;
mod secret;
mod serialized;

pub use hash::Hash20;
pub use json::Json;
pub use map::Map;
pub use number::{Number, Number8};
pub use pairs::{BumpFees, Coins};
pub use path::{PathBytes, PathText};
pub use secret::{Secret, SecretText};
pub use serialized::{PerKvb, Serialized};
