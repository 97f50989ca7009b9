//! Statistics in Asterisk's struct.

use std::ffi::c_char;

use super::types::{Spread, Stats};
use crate::host::sys;

/// Fills the whole struct.
pub(super) fn write(stats: &Stats, channel_id: &str, out: &mut sys::ast_rtp_instance_stats) {
    out.local_ssrc = stats.local_ssrc;
    out.remote_ssrc = stats.remote_ssrc;
    out.txcount = stats.tx_count;
    out.rxcount = stats.rx_count;
    out.txploss = stats.tx_lost;
    out.rxploss = stats.rx_lost;
    out.txjitter = stats.tx_jitter;
    out.rxjitter = stats.rx_jitter;
    out.rtt = stats.round_trip;

    let Spread { min, max, mean, deviation } = stats.remote_loss;
    (out.remote_minrxploss, out.remote_maxrxploss) = (min, max);
    (out.remote_normdevrxploss, out.remote_stdevrxploss) = (mean, deviation);
    let Spread { min, max, mean, deviation } = stats.local_loss;
    (out.local_minrxploss, out.local_maxrxploss) = (min, max);
    (out.local_normdevrxploss, out.local_stdevrxploss) = (mean, deviation);
    let Spread { min, max, mean, deviation } = stats.remote_jitter;
    (out.remote_minjitter, out.remote_maxjitter) = (min, max);
    (out.remote_normdevjitter, out.remote_stdevjitter) = (mean, deviation);
    let Spread { min, max, mean, deviation } = stats.local_jitter;
    (out.local_minjitter, out.local_maxjitter) = (min, max);
    (out.local_normdevjitter, out.local_stdevjitter) = (mean, deviation);
    let Spread { min, max, mean, deviation } = stats.round_trips;
    (out.minrtt, out.maxrtt, out.normdevrtt, out.stdevrtt) = (min, max, mean, deviation);

    copy(channel_id, &mut out.channel_uniqueid);
    #[cfg(ast_has_stats_octets)]
    {
        out.txoctetcount = stats.tx_octets;
        out.rxoctetcount = stats.rx_octets;
    }
    #[cfg(ast_has_stats_mes)]
    {
        (out.txmes, out.rxmes) = (stats.tx_mes, stats.rx_mes);
        let Spread { min, max, mean, deviation } = stats.remote_mes;
        (out.remote_minmes, out.remote_maxmes) = (min, max);
        (out.remote_normdevmes, out.remote_stdevmes) = (mean, deviation);
        let Spread { min, max, mean, deviation } = stats.local_mes;
        (out.local_minmes, out.local_maxmes) = (min, max);
        (out.local_normdevmes, out.local_stdevmes) = (mean, deviation);
    }
}

/// Cut where the array ends, with the terminator.
fn copy(text: &str, out: &mut [c_char]) {
    let room = out.len().saturating_sub(1);
    out.fill(0);
    for (to, from) in out.iter_mut().take(room).zip(text.bytes()) {
        *to = from as c_char;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spread_goes_to_its_own_fields() {
        let spread = |n: f64| Spread { min: n, max: n + 0.1, mean: n + 0.2, deviation: n + 0.3 };
        let stats = Stats {
            remote_loss: spread(1.0),
            local_loss: spread(2.0),
            remote_jitter: spread(3.0),
            local_jitter: spread(4.0),
            round_trips: spread(5.0),
            ..Stats::default()
        };
        // SAFETY: all-zero is a valid struct of numbers.
        let mut out: sys::ast_rtp_instance_stats = unsafe { std::mem::zeroed() };
        write(&stats, "1700000000.1", &mut out);
        let maxima =
            [out.remote_maxrxploss, out.local_maxrxploss, out.remote_maxjitter, out.local_maxjitter, out.maxrtt];
        assert_eq!(maxima, [1.1, 2.1, 3.1, 4.1, 5.1]);
        assert_eq!(out.local_stdevjitter, 4.3);
        assert_eq!(out.channel_uniqueid[..4], [b'1', b'7', b'0', b'0'].map(|b| b as c_char));
    }

    #[test]
    fn a_long_channel_id_is_cut_and_terminated() {
        let mut out = [1 as c_char; 4];
        copy("abcdef", &mut out);
        assert_eq!(out, [b'a' as c_char, b'b' as c_char, b'c' as c_char, 0]);
    }
}
