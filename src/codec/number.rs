//! Numbers of 32 bits that have a type of their own.

use bitcoin::absolute::LockTime;
use bitcoin::{CompactTarget, Sequence, block, transaction};
use multiprocess::{Codec, CodecError};

/// For numbers of 32 bits with a type of rust-bitcoin: the versions of blocks and transactions (which are
/// signed there), sequence numbers, lock times and the compact form of a target. Every number is valid.
#[derive(Debug, Clone, Copy)]
pub struct Consensus32;

macro_rules! number {
    ($($name:ty: $from:expr, $to:expr;)*) => { $(
        impl Codec<$name> for Consensus32 {
            type Wire = u32;

            fn decode(wire: u32) -> Result<$name, CodecError> {
                Ok($from(wire))
            }

            fn encode(value: &$name) -> Result<u32, CodecError> {
                Ok($to(*value))
            }
        }
    )* };
}
number! {
    block::Version:
        |number: u32| block::Version::from_consensus(number.cast_signed()),
        |version: block::Version| version.to_consensus().cast_unsigned();
    transaction::Version:
        |number: u32| transaction::Version(number.cast_signed()),
        |version: transaction::Version| version.0.cast_unsigned();
    Sequence: Sequence::from_consensus, Sequence::to_consensus_u32;
    LockTime: LockTime::from_consensus, LockTime::to_consensus_u32;
    CompactTarget: CompactTarget::from_consensus, CompactTarget::to_consensus;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn travels<T>(number: u32, value: T)
    where
        T: PartialEq + std::fmt::Debug,
        Consensus32: Codec<T, Wire = u32>,
    {
        assert_eq!(<Consensus32 as Codec<T>>::decode(number).unwrap(), value);
        assert_eq!(<Consensus32 as Codec<T>>::encode(&value).unwrap(), number);
    }

    #[test]
    fn every_number_keeps_its_bits() {
        travels(0x2000_0000, block::Version::from_consensus(0x2000_0000));
        travels(u32::MAX, block::Version::from_consensus(-1));
        travels(2, transaction::Version::TWO);
        travels(0x8000_0000, transaction::Version(i32::MIN));
        travels(0xffff_fffe, Sequence::ENABLE_LOCKTIME_NO_RBF);
        travels(499_999_999, LockTime::from_height(499_999_999).unwrap());
        travels(500_000_000, LockTime::from_time(500_000_000).unwrap());
        travels(0x207f_ffff, CompactTarget::from_consensus(0x207f_ffff));
    }
}
