//! Masking (RFC 6455 §5.3): octet i of the payload is XORed with octet i mod 4 of the key.

/// XORs `data` in place. `offset` is the position of its first octet in the frame's payload, so
/// that a payload may be unmasked as it comes in. Masking and unmasking are the same.
pub(super) fn apply(key: [u8; 4], offset: u64, data: &mut [u8]) {
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let wide = u64::from(key) << 32 | u64::from(key);
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    for (octet, key) in tail.iter_mut().zip(wide.to_le_bytes()) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition_at_every_offset_and_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..40_u8 {
            for offset in 0..9_u64 {
                let plain: Vec<u8> = (0..length).map(|i: u8| i.wrapping_mul(7)).collect();
                let expected: Vec<u8> =
                    plain.iter().enumerate().map(|(i, octet)| octet ^ key[(i + offset as usize) % 4]).collect();
                let mut masked = plain.clone();
                apply(key, offset, &mut masked);
                assert_eq!(masked, expected, "length {length}, offset {offset}");
                apply(key, offset, &mut masked);
                assert_eq!(masked, plain);
            }
        }
    }
}
