//! Typed configuration: what `webrtc.conf`, `rtp.conf` and `http.conf` say, checked once.
