use super::*;
use bitcoin_ipc::bitcoin::ScriptBuf;
use bitcoin_ipc::bitcoin::hex::FromHex;

/// The generator of the curve: the public key of the private key 1.
const X: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const Y: &str = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
/// Its negative has the same x and this y, which is odd.
const NEGATIVE_Y: &str = "b7c52588d95c3b9aa25b0403f1eef75702e84bb7597aabe663b82f6f04ef2777";

fn hex(text: &str) -> Vec<u8> {
    Vec::from_hex(text).unwrap()
}

/// A coin of nothing at height 0 with this script, as bytes without those of height and amount.
fn written(script: &[u8]) -> Vec<u8> {
    let bytes = coin(0, script).to_bytes().unwrap();
    assert_eq!(bytes[..2], [0, 0]);
    bytes[2..].to_vec()
}

fn read(script: &[u8]) -> Result<Vec<u8>, FormatError> {
    let coin = Coin::from_bytes(&[&[0, 0], script].concat())?;
    Ok(coin.output.script_pubkey.into_bytes())
}

fn coin(satoshis: u64, script: &[u8]) -> Coin {
    let script_pubkey = ScriptBuf::from_bytes(script.to_vec());
    let output = TxOut { value: Amount::from_sat(satoshis), script_pubkey };
    Coin { output, height: 0, coinbase: false }
}

#[test]
fn the_six_kinds_of_scripts_are_short() {
    let hash = "11".repeat(20);
    for (script, short) in [
        (format!("76a914{hash}88ac"), format!("00{hash}")),
        (format!("a914{hash}87"), format!("01{hash}")),
        (format!("2102{X}ac"), format!("02{X}")),
        (format!("2103{X}ac"), format!("03{X}")),
        (format!("4104{X}{Y}ac"), format!("04{X}")),
        (format!("4104{X}{NEGATIVE_Y}ac"), format!("05{X}")),
    ] {
        assert_eq!(written(&hex(&script)), hex(&short), "{script}");
        assert_eq!(read(&hex(&short)).unwrap(), hex(&script), "{short}");
    }
}

#[test]
fn other_scripts_have_their_length_in_front() {
    let hash = "11".repeat(20);
    for script in [
        String::new(),
        "51".to_owned(),
        format!("0014{hash}"),
        // Nearly those kinds: other lengths, other ends, another form of a key, no point of the curve.
        format!("76a914{hash}8887"),
        format!("76a914{hash}88ac00"),
        format!("a914{hash}88"),
        format!("2104{X}ac"),
        format!("2102{X}ad"),
        format!("4106{X}{Y}ac"),
        format!("4104{X}{X}ac"),
        format!("4104{X}{Y}ad"),
    ] {
        let script = hex(&script);
        let mut expected = vec![script.len() as u8 + 6];
        expected.extend(&script);
        assert_eq!(written(&script), expected);
        assert_eq!(read(&expected).unwrap(), script);
    }
    let long = vec![0x51; 10_000];
    assert_eq!(read(&written(&long)).unwrap(), long);
    let longer = vec![0x51; 10_001];
    assert_eq!(read(&written(&longer)).unwrap(), [0x6a], "it can never be spent");
}

#[test]
fn a_short_key_that_is_none_is_only_refused_where_it_is_calculated_with() {
    // There is no point with this x.
    let none = "ff".repeat(32);
    assert_eq!(read(&hex(&format!("02{none}"))).unwrap(), hex(&format!("2102{none}ac")));
    for kind in ["04", "05"] {
        let error = read(&hex(&format!("{kind}{none}"))).unwrap_err().to_string();
        assert!(error.contains("public key is not valid"), "{error}");
    }
}

#[test]
fn a_coin_has_its_height_and_kind() {
    for (height, coinbase, code) in [
        (0, false, &[0][..]),
        (0, true, &[1]),
        (1, false, &[2]),
        (203_998, false, &[0x97, 0xf2, 0x3c]),
        (0x7fff_ffff, true, &[0x8e, 0xfe, 0xfe, 0xfe, 0x7f]),
    ] {
        let coin = Coin { height, coinbase, ..coin(5_000_000_000, &[]) };
        let bytes = [code, &[0x32, 6]].concat();
        assert_eq!(coin.to_bytes().unwrap(), bytes);
        assert_eq!(Coin::from_bytes(&bytes).unwrap(), coin);
        for length in 0..bytes.len() {
            let error = Coin::from_bytes(&bytes[..length]).unwrap_err().to_string();
            assert_eq!(error, "this is no coin: it is cut off");
        }
        let error = Coin::from_bytes(&[&bytes[..], &[0]].concat()).unwrap_err().to_string();
        assert_eq!(error, "this is no coin: it has bytes after its end");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let max = 2_100_000_000_000_000;
    assert_eq!(Coin::from_bytes(&coin(max, &[]).to_bytes().unwrap()).unwrap(), coin(max, &[]));
    assert!(coin(max + 1, &[]).to_bytes().is_err());
    let mut bytes = vec![0];
    write_varint(&mut bytes, amount::compress(max + 1));
    bytes.push(6);
    assert!(Coin::from_bytes(&bytes).unwrap_err().to_string().contains("satoshis"));
    assert!(Coin { height: 1 << 31, ..coin(1, &[]) }.to_bytes().is_err());
    // 2^32 for twice the height.
    let error = Coin::from_bytes(&[0x8e, 0xfe, 0xfe, 0xff, 0, 1, 6]).unwrap_err().to_string();
    assert_eq!(error, "this is no coin: its height is too large");
    // A script that is longer than there is memory.
    let mut bytes = vec![0, 0];
    write_varint(&mut bytes, u64::MAX);
    assert!(Coin::from_bytes(&bytes).is_err());
}
