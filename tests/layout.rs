//! That the build did hold bindgen's layouts against the measured tables, and not against nothing.
//! The assertions themselves are evaluated by the compiler: with a wrong layout this file, like the
//! module, does not compile.
#![cfg(feature = "module")]

/// As in `src/host/sys`.
#[allow(warnings, unsafe_op_in_unsafe_fn, clippy::all, clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]
mod sys {
    pub struct Layout {
        pub group: &'static str,
        pub whole: usize,
        pub partial: &'static [&'static str],
        pub fields: usize,
        pub constants: usize,
    }
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

const ASSERTIONS: &str = include_str!(concat!(env!("OUT_DIR"), "/layout.rs"));

#[test]
fn most_structs_are_compared_from_end_to_end() {
    let sys::Layout { group, whole, partial, fields, constants } = sys::LAYOUT;
    println!("Asterisk {group}: {whole} structs, {fields} fields, {constants} constants; in part: {partial:?}");
    assert!(whole >= 30, "{whole} structs");
    assert!(fields >= 250, "{fields} fields");
    assert!(constants >= 150, "{constants} constants");
    // Built with TEST_FRAMEWORK, as Debian's, the engine has a field that the tables have not.
    assert!(partial.iter().all(|name| *name == "ast_rtp_engine"), "{partial:?}");
}

#[test]
fn what_the_module_hands_to_asterisk_is_among_them() {
    for name in [
        "ast_module_info",
        "ast_rtp_engine_ice",
        "ast_rtp_engine_dtls",
        "ast_rtp_engine_ice_candidate",
        "ast_rtp_dtls_cfg",
        "ast_srtp_res",
        "ast_srtp_policy_res",
        "ast_frame",
        "ast_http_uri",
        "ast_cli_entry",
        "ast_sockaddr",
        "ast_variable",
    ] {
        assert!(ASSERTIONS.contains(&format!("size_of::<{name}>() ==")), "{name}");
    }
    for field in ["name", "new", "destroy", "write", "read", "fd", "ice", "dtls"] {
        assert!(ASSERTIONS.contains(&format!("offset_of!(ast_rtp_engine, {field}) ==")), "{field}");
    }
    assert!(ASSERTIONS.contains("assert!(ast_frame_type_AST_FRAME_VOICE as i64 == 2"));
}
