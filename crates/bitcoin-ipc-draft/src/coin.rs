//! Unspent outputs.

mod amount;
mod script;

use bitcoin_ipc::bitcoin::{Amount, TxOut};

use crate::format::{FormatError, read_varint, write_varint};

/// An unspent output, with what matters of its transaction.
///
/// ```
/// use bitcoin_ipc_draft::Coin;
/// use bitcoin_ipc::bitcoin::{Amount, ScriptBuf, TxOut};
///
/// let output = TxOut { value: Amount::ONE_BTC, script_pubkey: ScriptBuf::from_bytes(vec![0x51]) };
/// let coin = Coin { output, height: 100, coinbase: true };
/// let bytes = coin.to_bytes().unwrap();
/// // 100 * 2 + 1, one bitcoin, a script of one byte.
/// assert_eq!(bytes, [0x80, 0x49, 9, 7, 0x51]);
/// assert_eq!(Coin::from_bytes(&bytes).unwrap(), coin);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coin {
    /// The output.
    pub output: TxOut,
    /// The height of the block that has its transaction, below 2^31. Bitcoin Core has 0x7fffffff for an output
    /// in the memory pool.
    pub height: u32,
    /// Whether it is of a coinbase transaction.
    pub coinbase: bool,
}

/// The largest height that there is room for.
const MAX_HEIGHT: u32 = u32::MAX >> 1;

impl Coin {
    /// As Bitcoin Core serializes it: twice the height, with one more for a coinbase transaction; then the
    /// amount and the script in forms that are short for the usual ones.
    ///
    /// # Errors
    /// The height or the amount is larger than there can be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        if self.height > MAX_HEIGHT {
            let problem = format!("a coin's height is {MAX_HEIGHT} at most, not {}", self.height);
            return Err(FormatError::new(problem));
        }
        let value = within_range(self.output.value.to_sat())?;
        let mut bytes = Vec::new();
        write_varint(&mut bytes, u64::from(self.height * 2 + u32::from(self.coinbase)));
        write_varint(&mut bytes, amount::compress(value.to_sat()));
        script::write(&mut bytes, &self.output.script_pubkey);
        Ok(bytes)
    }

    /// From such bytes, and nothing after them.
    ///
    /// # Errors
    /// The bytes are no coin.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Coin, FormatError> {
        Coin::read(&mut bytes)
            .and_then(|coin| match bytes {
                [] => Ok(coin),
                _ => Err(FormatError::new("it has bytes after its end")),
            })
            .map_err(|problem| FormatError::new(format!("this is no coin: {problem}")))
    }

    fn read(bytes: &mut &[u8]) -> Result<Coin, FormatError> {
        let code = u32::try_from(read_varint(bytes)?)
            .map_err(|_| FormatError::new("its height is too large"))?;
        let value = amount::decompress(read_varint(bytes)?)
            .ok_or_else(|| FormatError::new("its amount is too large"))?;
        let value = within_range(value)?;
        let script_pubkey = script::read(bytes)?;
        let output = TxOut { value, script_pubkey };
        Ok(Coin { output, height: code >> 1, coinbase: code & 1 == 1 })
    }
}

/// An amount, if there can be so much money.
fn within_range(satoshis: u64) -> Result<Amount, FormatError> {
    let amount = Amount::from_sat(satoshis);
    if amount > Amount::MAX_MONEY {
        return Err(FormatError::new(format!("there are no {satoshis} satoshis")));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests;
