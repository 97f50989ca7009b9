//! Random bytes from the library's generator.

use super::Error;
use super::error;

/// Fills `buf` with bytes fit for keys.
pub fn fill(buf: &mut [u8]) -> Result<(), Error> {
    error::clear();
    for part in buf.chunks_mut(1 << 20) {
        // A chunk is far shorter than `c_int::MAX`.
        let length = part.len() as std::ffi::c_int;
        // SAFETY: `part` is writable for `length` bytes.
        if unsafe { openssl_sys::RAND_bytes(part.as_mut_ptr(), length) } != 1 {
            return Err(Error::take("generate random bytes"));
        }
    }
    Ok(())
}

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn differs_from_call_to_call() {
        let a: [u8; 32] = super::bytes().unwrap();
        let b: [u8; 32] = super::bytes().unwrap();
        assert_ne!(a, b);
        super::fill(&mut []).unwrap();
    }
}
