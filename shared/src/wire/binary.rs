//! The only file that names bincode: small structures to bytes and back, never beyond a stated limit.
//!
//! bincode is unmaintained (RUSTSEC-2025-0141); keeping it here makes it one file's work to replace. Without a
//! limit, a frame of 35 bytes that claims a huge vector aborts the process, so there is no call without one.

use bincode::config::{Config, standard};
use serde::{Serialize, de::DeserializeOwned};

/// The most bytes that one structure may take, on the wire and while it is decoded.
///
/// The largest is a plan: 202 layers of ResNet-152 with a 32-byte digest each, and some links. 256 KiB leaves
/// room for about a thousand links.
pub const LIMIT: usize = 256 * 1024;

/// Why a structure could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not encode")]
pub struct EncodeError(#[source] bincode::error::EncodeError);

/// Why bytes are not the structure that was expected.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes do not form the structure.
    #[error("malformed bytes")]
    Malformed(#[source] bincode::error::DecodeError),
    /// There are bytes behind the structure.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

fn config() -> impl Config {
    standard().with_limit::<LIMIT>()
}

/// Writes a structure.
///
/// # Errors
/// If it needs more than [`LIMIT`] bytes.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, EncodeError> {
    bincode::serde::encode_to_vec(value, config()).map_err(EncodeError)
}

/// Reads a structure that fills `bytes` exactly.
///
/// # Errors
/// If the bytes are malformed, claim more than [`LIMIT`], or do not end with the structure.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, config()).map_err(DecodeError::Malformed)?;
    if used == bytes.len() { Ok(value) } else { Err(DecodeError::Trailing(bytes.len() - used)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_claim_is_refused_before_it_is_allocated() {
        // A vector that says it has 2^60 elements.
        let claim = [253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert!(decode::<Vec<u64>>(&claim).is_err());
        assert!(decode::<String>(&claim).is_err());
    }

    #[test]
    fn bytes_behind_the_structure_are_refused() {
        let mut bytes = encode(&7u32).unwrap();
        bytes.push(0);
        assert!(matches!(decode::<u32>(&bytes), Err(DecodeError::Trailing(1))));
    }
}
