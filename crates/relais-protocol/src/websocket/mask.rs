//! The masking of client payloads, undone in place.

/// Unmasks `payload`, whose first byte is byte 0 of the key; returns the key turned so that it fits the bytes
/// that follow, when a payload comes in pieces.
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) -> [u8; 4] {
    // 32 bytes a step in plain safe code: the compiler turns the inner loop into vector instructions.
    let mut wide = [0u8; 32];
    for (index, byte) in wide.iter_mut().enumerate() {
        *byte = mask[index & 3];
    }
    let mut chunks = payload.chunks_exact_mut(32);
    for chunk in &mut chunks {
        for (byte, key) in chunk.iter_mut().zip(&wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(&wide) {
        *byte ^= key;
    }
    let mut turned = mask;
    turned.rotate_left(payload.len() & 3);
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_unmask_like_the_whole() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let masked: Vec<u8> = (0..100u8).collect();
        let expected: Vec<u8> = (0..100u8).map(|i| i ^ mask[usize::from(i) % 4]).collect();
        for cut in 0..100 {
            let mut bytes = masked.clone();
            let (first, second) = bytes.split_at_mut(cut);
            let turned = unmask(first, mask);
            unmask(second, turned);
            assert_eq!(bytes, expected);
        }
    }
}
