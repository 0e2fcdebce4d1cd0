//! Paths of files.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use multiprocess::{Codec, CodecError};

/// For a path that travels as Data: its bytes.
#[derive(Debug, Clone, Copy)]
pub struct PathBytes;

impl Codec<PathBuf> for PathBytes {
    type Wire = Vec<u8>;

    fn decode(wire: Vec<u8>) -> Result<PathBuf, CodecError> {
        Ok(OsString::from_vec(wire).into())
    }

    fn encode(value: &PathBuf) -> Result<Vec<u8>, CodecError> {
        Ok(value.as_os_str().as_bytes().to_vec())
    }
}

/// For a path that travels as Text. One that is not UTF-8 cannot be sent.
#[derive(Debug, Clone, Copy)]
pub struct PathText;

impl Codec<PathBuf> for PathText {
    type Wire = String;

    fn decode(wire: String) -> Result<PathBuf, CodecError> {
        Ok(wire.into())
    }

    fn encode(value: &PathBuf) -> Result<String, CodecError> {
        match value.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(format!("the path {value:?} is not UTF-8: rename it").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_bytes() {
        for bytes in [&b""[..], b"/home/me/w\xc3\xa4llet", b"/not\xff/utf-8"] {
            let path = PathBytes::decode(bytes.to_vec()).unwrap();
            assert_eq!(PathBytes::encode(&path).unwrap(), bytes);
        }
        assert_eq!(PathBytes::decode(b"/a/b".to_vec()).unwrap(), PathBuf::from("/a/b"));
    }

    #[test]
    fn a_path_in_text_is_utf_8() {
        let path = PathText::decode("/home/me/w\u{e4}llet".to_owned()).unwrap();
        assert_eq!(path, PathBuf::from("/home/me/w\u{e4}llet"));
        assert_eq!(PathText::encode(&path).unwrap(), "/home/me/w\u{e4}llet");
        let other = PathBytes::decode(b"/not\xff".to_vec()).unwrap();
        let error = PathText::encode(&other).unwrap_err().to_string();
        assert!(error.contains("is not UTF-8"), "{error}");
    }
}
