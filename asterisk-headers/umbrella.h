/* What bindgen reads. Order matters: asterisk.h first. */
#include "asterisk.h"

/* The WebSocket header declares each function as an optional one: a file-local pointer and a stub.
 * We provide these functions, so we want their plain declarations: the macro that makes them
 * optional is switched off for this translation unit only. */
#include "asterisk/buildopts.h"
#ifdef OPTIONAL_API
#define RW_HOST_OPTIONAL_API 1
#undef OPTIONAL_API
#endif
#include "asterisk/http_websocket.h"

#include "asterisk/astobj2.h"
#include "asterisk/channel.h"
#include "asterisk/cli.h"
#include "asterisk/config.h"
#include "asterisk/format.h"
#include "asterisk/format_cap.h"
#include "asterisk/frame.h"
#include "asterisk/http.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/options.h"
#include "asterisk/paths.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/sched.h"
#include "asterisk/tcptls.h"
#include "asterisk/test.h"
#include "asterisk/utils.h"
#include "asterisk/acl.h"
#if __has_include("asterisk/format_cache.h")
#include "asterisk/format_cache.h"
#include "asterisk/codec.h"
#endif
#if __has_include("asterisk/smoother.h")
#include "asterisk/smoother.h"
#endif
#if __has_include("asterisk/sdp_srtp.h")
#include "asterisk/sdp_srtp.h"
#endif
#if __has_include("asterisk/iostream.h")
#include "asterisk/iostream.h"
#endif
#if __has_include("asterisk/stasis.h")
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"
#endif
#if __has_include("asterisk/ast_version.h")
#include "asterisk/ast_version.h"
#endif

#include "shim.h"
