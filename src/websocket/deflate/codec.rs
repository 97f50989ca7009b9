//! permessage-deflate at work (RFC 7692 §7.2): messages through zlib, the four octets
//! `00 00 ff ff` taken off the end and put back.
//!
//! # Invariants
//!
//! - Inflating stops as soon as the output passes its ceiling, whatever the input promises.
//! - zlib's state is made when the first compressed message needs it, and dropped after each
//!   message of a side that has agreed to `no_context_takeover`.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::super::error::ProtocolError;

/// What a sender takes off the end of a message and a receiver puts back (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// zlib's smallest window for raw deflate; a window of 8 bits can be read with it, not written.
const MIN_BITS: u8 = 9;

/// The room for inflated octets that one call of zlib is given.
const STEP: usize = 4096;

/// The parameters of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Direction {
    pub no_context_takeover: bool,
    pub window_bits: u8,
}

/// Compresses messages.
#[derive(Debug)]
pub(in super::super) struct Deflater {
    direction: Direction,
    level: u8,
    zlib: Option<Box<Compress>>,
}

impl Deflater {
    pub(in super::super) fn new(direction: Direction, level: u8) -> Self {
        Self { direction, level, zlib: None }
    }

    /// Compresses one message into `out`; `false` says that it must go as it is, which is lawful
    /// for any message (§6). So goes an empty message, for which zlib has no output after a
    /// flush, and every message to a peer whose window zlib cannot keep to.
    pub(in super::super) fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        if message.is_empty() || self.direction.window_bits < MIN_BITS {
            return false;
        }
        let zlib = self.zlib.get_or_insert_with(|| {
            Box::new(Compress::new_with_window_bits(
                Compression::new(u32::from(self.level.min(9))),
                false,
                self.direction.window_bits.min(15),
            ))
        });
        out.reserve(message.len() / 2 + 64);
        let start = zlib.total_in();
        loop {
            let done = (zlib.total_in() - start) as usize;
            let rest = message.get(done..).unwrap_or_default();
            if zlib.compress_vec(rest, out, FlushCompress::Sync).is_err() {
                // zlib refuses only a call without progress, after the flush is complete.
                break;
            }
            let consumed = (zlib.total_in() - start) as usize;
            if consumed == message.len() && out.len() < out.capacity() {
                break;
            }
            out.reserve(STEP);
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if self.direction.no_context_takeover {
            self.zlib = None;
        }
        true
    }
}

/// Inflates messages.
#[derive(Debug)]
pub(in super::super) struct Inflater {
    direction: Direction,
    zlib: Option<Box<Decompress>>,
}

impl Inflater {
    pub(in super::super) fn new(direction: Direction) -> Self {
        Self { direction, zlib: None }
    }

    /// Inflates a piece of a message and appends it to `out`, which is not to pass `ceiling`.
    pub(in super::super) fn inflate(
        &mut self,
        mut piece: &[u8],
        out: &mut Vec<u8>,
        ceiling: usize,
    ) -> Result<(), ProtocolError> {
        let zlib = self.zlib.get_or_insert_with(|| {
            Box::new(Decompress::new_with_window_bits(false, self.direction.window_bits.clamp(MIN_BITS, 15)))
        });
        let mut step = [0; STEP];
        loop {
            let (before_in, before_out) = (zlib.total_in(), zlib.total_out());
            let status =
                zlib.decompress(piece, &mut step, FlushDecompress::None).map_err(|_| ProtocolError::InvalidDeflate)?;
            let consumed = (zlib.total_in() - before_in) as usize;
            let produced = (zlib.total_out() - before_out) as usize;
            piece = piece.get(consumed..).unwrap_or_default();
            if produced > ceiling.saturating_sub(out.len()) {
                return Err(ProtocolError::MessageTooBig);
            }
            out.extend_from_slice(step.get(..produced).unwrap_or_default());
            match status {
                // A block with BFINAL (§7.2.3.4): what follows begins a new stream.
                Status::StreamEnd => zlib.reset(false),
                Status::Ok | Status::BufError => {}
            }
            // A full step may have left output inside zlib, even with the input used up.
            if piece.is_empty() && produced < STEP {
                return Ok(());
            }
            if consumed == 0 && produced == 0 {
                return Err(ProtocolError::InvalidDeflate);
            }
        }
    }

    /// The message ends: puts its tail back.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>, ceiling: usize) -> Result<(), ProtocolError> {
        let result = self.inflate(&TAIL, out, ceiling);
        if self.direction.no_context_takeover {
            self.zlib = None;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: Direction = Direction { no_context_takeover: false, window_bits: 15 };
    const ALONE: Direction = Direction { no_context_takeover: true, window_bits: 15 };

    fn inflate(inflater: &mut Inflater, message: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut out = Vec::new();
        inflater.inflate(message, &mut out, 1 << 20)?;
        inflater.finish(&mut out, 1 << 20)?;
        Ok(out)
    }

    fn hello() -> Result<Vec<u8>, ProtocolError> {
        Ok(b"Hello".to_vec())
    }

    #[test]
    fn rfc7692_7_2_3_1_one_block() {
        let compressed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&mut Inflater::new(SHARED), &compressed), hello());
        let mut out = Vec::new();
        assert!(Deflater::new(SHARED, 6).deflate(b"Hello", &mut out));
        assert_eq!(out, compressed);
    }

    #[test]
    fn rfc7692_7_2_3_2_sharing_the_window() {
        let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
        let mut deflater = Deflater::new(SHARED, 6);
        let mut inflater = Inflater::new(SHARED);
        let mut first = Vec::new();
        assert!(deflater.deflate(b"Hello", &mut first));
        assert_eq!(inflate(&mut inflater, &first), hello());
        let mut again = Vec::new();
        assert!(deflater.deflate(b"Hello", &mut again));
        assert_eq!(again, second);
        assert_eq!(inflate(&mut inflater, &again), hello());
    }

    #[test]
    fn no_context_takeover_repeats_itself() {
        let mut deflater = Deflater::new(ALONE, 6);
        let mut inflater = Inflater::new(ALONE);
        for _ in 0..3 {
            let mut out = Vec::new();
            assert!(deflater.deflate(b"Hello", &mut out));
            assert_eq!(out, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
            assert_eq!(inflate(&mut inflater, &out), hello());
            assert!(deflater.zlib.is_none() && inflater.zlib.is_none());
        }
    }

    #[test]
    fn rfc7692_7_2_3_3_no_compression() {
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(inflate(&mut Inflater::new(SHARED), &stored), hello());
    }

    #[test]
    fn rfc7692_7_2_3_4_final_block() {
        let compressed = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut inflater = Inflater::new(SHARED);
        assert_eq!(inflate(&mut inflater, &compressed), hello());
        assert_eq!(inflate(&mut inflater, &compressed), hello());
    }

    #[test]
    fn rfc7692_7_2_3_5_two_blocks() {
        let compressed = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&mut Inflater::new(SHARED), &compressed), hello());
    }

    #[test]
    fn rfc7692_7_2_3_6_empty_message() {
        assert_eq!(inflate(&mut Inflater::new(SHARED), &[0x00]), Ok(Vec::new()));
    }

    #[test]
    fn any_piece_size_any_window_any_takeover() {
        let message: Vec<u8> = (0..30_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x3f).collect();
        for window_bits in 9..=15 {
            for no_context_takeover in [false, true] {
                let direction = Direction { no_context_takeover, window_bits };
                let mut deflater = Deflater::new(direction, 6);
                let mut inflater = Inflater::new(direction);
                for piece in [1, 7, 4096, 1 << 20] {
                    let mut compressed = Vec::new();
                    assert!(deflater.deflate(&message, &mut compressed));
                    let mut out = Vec::new();
                    for part in compressed.chunks(piece) {
                        inflater.inflate(part, &mut out, 1 << 20).expect("valid");
                    }
                    inflater.finish(&mut out, 1 << 20).expect("valid");
                    assert_eq!(out, message, "window {window_bits}, piece {piece}");
                }
            }
        }
    }

    #[test]
    fn output_of_exactly_one_step_is_whole() {
        for length in [STEP - 1, STEP, STEP + 1, 2 * STEP, 16 * STEP] {
            let message = vec![b'x'; length];
            let mut compressed = Vec::new();
            Deflater::new(SHARED, 6).deflate(&message, &mut compressed);
            assert_eq!(inflate(&mut Inflater::new(SHARED), &compressed), Ok(message));
        }
    }

    #[test]
    fn output_does_not_wait_for_the_tail() {
        for length in STEP..STEP + 300 {
            let mut compressed = Vec::new();
            Deflater::new(SHARED, 6).deflate(&vec![b'x'; length], &mut compressed);
            let mut out = Vec::new();
            Inflater::new(SHARED).inflate(&compressed, &mut out, 1 << 20).expect("valid");
            assert_eq!(out.len(), length);
        }
    }

    #[test]
    fn window_of_eight_bits_is_answered_uncompressed() {
        let direction = Direction { no_context_takeover: false, window_bits: 8 };
        let mut out = Vec::new();
        assert!(!Deflater::new(direction, 6).deflate(b"Hello", &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn bomb_stops_at_the_ceiling() {
        let mut bomb = Vec::new();
        Deflater::new(SHARED, 9).deflate(&vec![0; 8 << 20], &mut bomb);
        assert!(bomb.len() < 16 << 10);
        let mut out = Vec::new();
        let result = Inflater::new(SHARED).inflate(&bomb, &mut out, 64 << 10);
        assert_eq!(result, Err(ProtocolError::MessageTooBig));
        assert!(out.len() <= 64 << 10);
        assert!(out.capacity() <= 128 << 10);
    }

    #[test]
    fn ceiling_itself_is_allowed() {
        let message = vec![b'y'; 10_000];
        let mut compressed = Vec::new();
        Deflater::new(SHARED, 6).deflate(&message, &mut compressed);
        let mut out = Vec::new();
        let mut inflater = Inflater::new(SHARED);
        assert_eq!(inflater.inflate(&compressed, &mut out, 10_000), Ok(()));
        assert_eq!(inflater.finish(&mut out, 10_000), Ok(()));
        assert_eq!(out, message);
    }

    #[test]
    fn garbage_does_not_inflate() {
        assert_eq!(inflate(&mut Inflater::new(SHARED), &[0xff; 16]), Err(ProtocolError::InvalidDeflate));
    }
}
