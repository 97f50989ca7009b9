//! `allow` and `disallow`: whether anything is left that Chrome speaks.

use super::Line;

const AUDIO: [&str; 4] = ["opus", "ulaw", "alaw", "g722"];

/// Whether the lines, in their order, leave audio that Chrome speaks. `left`: of [`AUDIO`], what is
/// allowed before them.
pub(super) fn has_audio<'a>(lines: impl Iterator<Item = &'a Line>, before: &[&'static str]) -> bool {
    let mut left: Vec<&str> = before.to_vec();
    for line in lines {
        let allow = line.name.eq_ignore_ascii_case("allow");
        if !allow && !line.name.eq_ignore_ascii_case("disallow") {
            continue;
        }
        for word in line.value.split([',', '|']).map(str::trim) {
            // "!" turns the sense around; ":20" is a length of packets.
            let (allow, word) = word.strip_prefix('!').map_or((allow, word), |word| (!allow, word));
            let word = word.split(':').next().unwrap_or(word);
            for codec in
                AUDIO.iter().filter(|codec| word.eq_ignore_ascii_case("all") || word.eq_ignore_ascii_case(codec))
            {
                left.retain(|known| known != codec);
                if allow {
                    left.push(codec);
                }
            }
        }
    }
    !left.is_empty()
}
