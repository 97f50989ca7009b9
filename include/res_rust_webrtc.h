/*
 * What C code may call in res_rust_webrtc.so. Written by tests/rig/header from
 * src/host/c_face.rs: change it there.
 *
 * A module of Asterisk's finds these functions with dlsym() on a handle from
 * dlopen("res_rust_webrtc.so", RTLD_NOW | RTLD_NOLOAD), and closes the handle when it is done.
 * dlsym(RTLD_DEFAULT, ...) would keep this module mapped after its unload.
 *
 * The module also provides the functions that asterisk/http_websocket.h declares, in the place of
 * res_http_websocket: use them through that header, as with Asterisk's own module.
 */

#ifndef RES_RUST_WEBRTC_H
#define RES_RUST_WEBRTC_H

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of res_rust_webrtc, such as "0.1.0". Never NULL. The string belongs to the module
 * and is gone when the module is unloaded.
 */
const char *rust_webrtc_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RES_RUST_WEBRTC_H */
