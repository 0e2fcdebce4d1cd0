//! How rust-bitcoin's types travel: the codecs that the schemas of this crate name, for schemas of
//! your own as well.
//!
//! A schema puts a codec beside the type of a field, parameter or result:
//!
//! ```capnp
//! using Rust = import "/rust-multiprocess.capnp";
//!
//! struct Payment {
//!     txid @0 :Data $Rust.type("bitcoin_ipc::bitcoin::Txid") $Rust.codec("bitcoin_ipc::codec::Hash32");
//!     amount @1 :Int64 $Rust.type("bitcoin_ipc::bitcoin::Amount") $Rust.codec("bitcoin_ipc::codec::Satoshis");
//!     parents @2 :List(Data) $Rust.type("Vec<bitcoin_ipc::bitcoin::Transaction>")
//!         $Rust.codec("multiprocess::Each<bitcoin_ipc::codec::Consensus>");
//! }
//! ```
//!
//! | codec | on the wire | in Rust |
//! |---|---|---|
//! | [`Consensus`] | Data | what has a consensus encoding: `Block`, `Header`, `Transaction`, `TxOut` |
//! | [`Hash32`] | Data | a hash of 32 bytes: `BlockHash`, `Txid`, `Wtxid`, `TxMerkleNode` |
//! | [`Consensus32`] | UInt32 | a number with a type: versions, `Sequence`, `absolute::LockTime`, `CompactTarget` |
//! | [`Script`] | Data | `ScriptBuf` |
//! | [`WitnessItem`] | Data | a `Witness` of one item, or of none |
//! | [`OrEmpty`]`<C>` | Data | an Option of what `C` makes of bytes; none is empty |
//! | [`Satoshis`] | Int64 | `Amount` |
//! | [`Milliseconds`] | Float64 | `Duration`; [`FOREVER`] for no end |
//!
//! [`multiprocess::Each`] makes a codec for a list of any of them. What does not decode is an
//! [`Error::Decode`](multiprocess::Error::Decode) of that call alone, with the method and the field; what
//! cannot be sent an [`Error::ApiMisuse`](multiprocess::Error::ApiMisuse) with both. There is none for
//! `FeeRate` and `Work` yet, because no schema has a fee rate or a work.
//!
//! A codec can be used by itself:
//!
//! ```
//! use bitcoin_ipc::bitcoin::Amount;
//! use bitcoin_ipc::codec::Satoshis;
//! use multiprocess::Codec;
//!
//! assert_eq!(Satoshis::decode(150_000).unwrap(), Amount::from_sat(150_000));
//! assert!(Satoshis::decode(-1).is_err());
//! ```

mod amount;
mod bytes;
mod consensus;
mod duration;
mod hash;
mod number;

pub use amount::Satoshis;
pub use bytes::{OrEmpty, Script, WitnessItem};
pub use consensus::Consensus;
pub use duration::{FOREVER, Milliseconds};
pub use hash::Hash32;
pub use number::Consensus32;
