//! What differs between Asterisk's versions, and how the headers show it.

/// Where a feature shows itself in what bindgen read.
pub enum Mark {
    /// A header file below `asterisk/`.
    Header(&'static str),
    /// A word in a header, for what the reading unit hides.
    Word(&'static str, &'static str),
    /// A function, type or constant of this name.
    Item(&'static str),
    /// A field of a struct.
    Field(&'static str, &'static str),
}

/// `cfg` name (behind `ast_has_`) and its mark. Each line says what the code does with it.
pub const FEATURES: &[(&str, Mark)] = &[
    // 15+: HTTP sessions carry an iostream; before, a FILE* and an SSL*.
    ("iostream", Mark::Header("iostream.h")),
    // 12+: statistics are published over Stasis.
    ("stasis", Mark::Header("stasis.h")),
    // 18+: a frame can carry a stream topology.
    ("frame_topology", Mark::Word("frame.h", "stream_topology")),
    // until 20.
    ("monitor", Mark::Header("monitor.h")),
    // 13+: formats are counted objects; in 11 they are values.
    ("format_objects", Mark::Header("format_cache.h")),
    // 12+: optional functions are provided and withdrawn at run time; in 11 by symbol only.
    ("optional_api_provide", Mark::Word("optional_api.h", "ast_optional_api_provide")),
    // 16+: module info names the modules it requires.
    ("module_requires", Mark::Field("ast_module_info", "requires")),
    ("module_support_level", Mark::Field("ast_module_info", "support_level")),
    ("module_nonoptreq", Mark::Field("ast_module_info", "nonoptreq")),
    ("module_running_ref", Mark::Item("__ast_module_running_ref")),
    // 16+: CLI registration takes the module.
    ("cli_register_with_module", Mark::Item("__ast_cli_register")),
    // Fields of the RTP engine's tables.
    ("engine_ssrc_get", Mark::Field("ast_rtp_engine", "ssrc_get")),
    ("engine_cname_get", Mark::Field("ast_rtp_engine", "cname_get")),
    ("engine_bundle", Mark::Field("ast_rtp_engine", "bundle")),
    ("engine_set_remote_ssrc", Mark::Field("ast_rtp_engine", "set_remote_ssrc")),
    ("engine_set_stream_num", Mark::Field("ast_rtp_engine", "set_stream_num")),
    ("engine_extension_enable", Mark::Field("ast_rtp_engine", "extension_enable")),
    ("engine_test", Mark::Field("ast_rtp_engine", "test")),
    ("engine_packetization_set", Mark::Field("ast_rtp_engine", "packetization_set")),
    ("engine_alt_remote_address_set", Mark::Field("ast_rtp_engine", "alt_remote_address_set")),
    ("ice_set_role", Mark::Field("ast_rtp_engine_ice", "set_role")),
    ("ice_turn_request", Mark::Field("ast_rtp_engine_ice", "turn_request")),
    ("ice_change_components", Mark::Field("ast_rtp_engine_ice", "change_components")),
    ("dtls_get_fingerprint_hash", Mark::Field("ast_rtp_engine_dtls", "get_fingerprint_hash")),
    ("dtls_cfg_ephemeral_cert", Mark::Item("set_ephemeral_cert")),
    // 13+: list containers; before, a hash of one bucket.
    ("ao2_container_alloc_list", Mark::Word("astobj2.h", "ao2_container_alloc_list")),
    // 16+: what we receive and what we send have maps of their own.
    ("codecs_payload_code_tx", Mark::Item("ast_rtp_codecs_payload_code_tx")),
    // Late 18/20 and 22: telephone events exist once per clock rate.
    ("codecs_payload_code_tx_sample_rate", Mark::Item("ast_rtp_codecs_payload_code_tx_sample_rate")),
    ("payload_type_sample_rate", Mark::Field("ast_rtp_payload_type", "sample_rate")),
    ("extmap", Mark::Item("ast_rtp_instance_extmap_get_id")),
    ("extension_transport_wide_cc", Mark::Item("ast_rtp_extension_AST_RTP_EXTENSION_TRANSPORT_WIDE_CC")),
    ("property_asymmetric_codec", Mark::Item("ast_rtp_property_AST_RTP_PROPERTY_ASYMMETRIC_CODEC")),
    ("property_retrans", Mark::Item("ast_rtp_property_AST_RTP_PROPERTY_RETRANS_SEND")),
    ("property_remb", Mark::Item("ast_rtp_property_AST_RTP_PROPERTY_REMB")),
    // Late 13+: what the SDP asked for and where packets come from are two addresses.
    ("requested_target_address", Mark::Item("ast_rtp_instance_set_requested_target_address")),
    // Late 13+: for the channel driver's timeouts.
    ("last_tx", Mark::Item("ast_rtp_instance_set_last_tx")),
    // Late 13+: octets beside packets.
    ("stats_octets", Mark::Field("ast_rtp_instance_stats", "txoctetcount")),
    // Late 18/20 and 22: media experience scores.
    ("stats_mes", Mark::Field("ast_rtp_instance_stats", "txmes")),
    // 16+: the suites of RFC 6188 and 7714; before, their numbers mean others.
    ("srtp_suite_gcm", Mark::Item("ast_srtp_suite_AST_AES_GCM_128")),
    // 14+: who makes the crypto attributes of SDP is registered with the core.
    ("sdp_crypto_register", Mark::Item("ast_sdp_crypto_register")),
    ("rtcp_mux", Mark::Item("ast_rtp_instance_rtcp")),
    ("frame_stream_num", Mark::Field("ast_frame", "stream_num")),
    ("frame_rtcp", Mark::Item("ast_frame_type_AST_FRAME_RTCP")),
    ("rtcp_feedback", Mark::Item("ast_rtp_rtcp_feedback")),
    // Functions of the WebSocket header that came after 11.0.
    ("websocket_server", Mark::Item("ast_websocket_server_create")),
    ("websocket_protocol2", Mark::Item("ast_websocket_add_protocol2")),
    ("websocket_client", Mark::Item("ast_websocket_client_create")),
    ("websocket_client_options", Mark::Item("ast_websocket_client_create_with_options")),
    ("websocket_strings", Mark::Item("ast_websocket_read_string")),
    ("websocket_set_timeout", Mark::Item("ast_websocket_set_timeout")),
    ("websocket_local_address", Mark::Item("ast_websocket_local_address")),
    ("websocket_session_id", Mark::Item("ast_websocket_session_id")),
    ("websocket_wait_for_input", Mark::Item("ast_websocket_wait_for_input")),
    ("websocket_result_to_str", Mark::Item("ast_websocket_result_to_str")),
    ("websocket_type_to_str", Mark::Item("ast_websocket_type_to_str")),
    ("websocket_status_to_str", Mark::Item("ast_websocket_status_to_str")),
];
