/*
 * The RTP engine's side of the core: instances, formats, payload types, and the order in which a
 * SIP channel calls an engine for one call.
 */
#include "stub.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "asterisk/codec.h"
#include "asterisk/format.h"
#include "asterisk/format_cache.h"
#include "asterisk/frame.h"

#define ULAW 0
#define TELEPHONE_EVENT 101

static struct ast_rtp_engine *engines[8];
struct ast_frame ast_null_frame = { .frametype = AST_FRAME_NULL };

/* --- registration --- */

int ast_rtp_engine_register2(struct ast_rtp_engine *engine, struct ast_module *module)
{
	int i;

	expect(engine->name && engine->new && engine->destroy && engine->write && engine->read,
		"an engine lacks name, new, destroy, write or read");
	expect(module, "the engine '%s' is registered without its module", engine->name);
	for (i = 0; engines[i]; i++) {
		if (!strcmp(engines[i]->name, engine->name)) {
			return -1;
		}
		expect(i < 6, "more engines than the stub host can hold");
	}
	engine->mod = module;
	engines[i] = engine;
	counts.engines++;
	return 0;
}

int ast_rtp_engine_unregister(struct ast_rtp_engine *engine)
{
	int i, last;

	for (last = 0; engines[last]; last++) {
	}
	for (i = 0; engines[i]; i++) {
		if (engines[i] == engine) {
			engines[i] = engines[last - 1];
			engines[last - 1] = NULL;
			counts.engines--;
			return 0;
		}
	}
	return -1;
}

struct ast_rtp_engine *engine_find(const char *name)
{
	int i;

	for (i = 0; engines[i]; i++) {
		if (!strcmp(engines[i]->name, name)) {
			return engines[i];
		}
	}
	return NULL;
}

/* --- formats: one that can be spoken, and one that only has to exist --- */

struct ast_format {
	const char *name;
};

struct ast_format *ast_format_ulaw;
struct ast_format *ast_format_g722;

static struct ast_format *format(const char *name)
{
	struct ast_format *made = __ao2_alloc(sizeof(*made), NULL, AO2_ALLOC_OPT_LOCK_NOLOCK, NULL, __FILE__, __LINE__, __func__);

	made->name = name;
	return made;
}

void formats_make(void)
{
	ast_format_ulaw = format("ulaw");
	ast_format_g722 = format("g722");
}

void formats_free(void)
{
	/* One reference each is left, or the engine kept some or gave too many back. */
	expect(__ao2_ref(ast_format_ulaw, -1, NULL, __FILE__, __LINE__, __func__) == 1, "references to ulaw are left");
	expect(__ao2_ref(ast_format_g722, -1, NULL, __FILE__, __LINE__, __func__) == 1, "references to g722 are left");
}

const char *ast_format_get_name(const struct ast_format *format)
{
	return format->name;
}

const char *ast_format_get_codec_name(const struct ast_format *format)
{
	return format->name;
}

enum ast_media_type ast_format_get_type(const struct ast_format *format)
{
	return AST_MEDIA_TYPE_AUDIO;
}

unsigned int ast_format_get_sample_rate(const struct ast_format *format)
{
	return 8000;
}

unsigned int ast_format_get_default_ms(const struct ast_format *format)
{
	return 20;
}

unsigned int ast_format_get_minimum_ms(const struct ast_format *format)
{
	return 10;
}

unsigned int ast_format_get_minimum_bytes(const struct ast_format *format)
{
	return 80;
}

/* No: the frames that the stub host writes have the length of a packet. */
int ast_format_can_be_smoothed(const struct ast_format *format)
{
	return 0;
}

int ast_format_get_smoother_flags(const struct ast_format *format)
{
	return 0;
}

int ast_format_cache_is_slinear(struct ast_format *format)
{
	return 0;
}

enum ast_format_cmp_res ast_format_cmp(const struct ast_format *one, const struct ast_format *other)
{
	return one == other ? AST_FORMAT_CMP_EQUAL : AST_FORMAT_CMP_NOT_EQUAL;
}

unsigned int ast_codec_samples_count(struct ast_frame *frame)
{
	return frame->datalen;
}

/* --- frames --- */

void ast_frame_free(struct ast_frame *frame, int cache)
{
	expect(!frame || !frame->mallocd, "a frame of the engine's claims to own its memory");
}

/* --- instances --- */

struct ast_rtp_instance {
	struct ast_rtp_engine *engine;
	void *data;
	int properties[AST_RTP_PROPERTY_MAX];
	struct ast_rtp_codecs codecs;
	struct ast_sockaddr local, incoming, requested;
	time_t last_tx, last_rx;
};

void *ast_rtp_instance_get_data(struct ast_rtp_instance *instance)
{
	return instance->data;
}

void ast_rtp_instance_set_data(struct ast_rtp_instance *instance, void *data)
{
	instance->data = data;
}

struct ast_rtp_engine *ast_rtp_instance_get_engine(struct ast_rtp_instance *instance)
{
	return instance->engine;
}

struct ast_rtp_codecs *ast_rtp_instance_get_codecs(struct ast_rtp_instance *instance)
{
	return &instance->codecs;
}

int ast_rtp_instance_get_prop(struct ast_rtp_instance *instance, enum ast_rtp_property property)
{
	return instance->properties[property];
}

const char *ast_rtp_instance_get_channel_id(struct ast_rtp_instance *instance)
{
	return "SIP/stub-00000001";
}

struct ast_rtp_instance *ast_rtp_instance_get_bridged(struct ast_rtp_instance *instance)
{
	return NULL;
}

int ast_rtp_instance_get_timeout(struct ast_rtp_instance *instance)
{
	return 0;
}

int ast_rtp_instance_get_hold_timeout(struct ast_rtp_instance *instance)
{
	return 0;
}

int ast_rtp_instance_extmap_get_id(struct ast_rtp_instance *instance, enum ast_rtp_extension extension)
{
	return -1;
}

void ast_rtp_instance_set_last_tx(struct ast_rtp_instance *instance, time_t time)
{
	instance->last_tx = time;
}

void ast_rtp_instance_set_last_rx(struct ast_rtp_instance *instance, time_t time)
{
	instance->last_rx = time;
}

/* Both set functions say whether the address was new, as the core's do. */
static int store(struct ast_sockaddr *place, const struct ast_sockaddr *address)
{
	int changed = place->len != address->len || memcmp(&place->ss, &address->ss, address->len);

	*place = *address;
	return changed;
}

int ast_rtp_instance_set_local_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address)
{
	store(&instance->local, address);
	return 0;
}

void ast_rtp_instance_get_local_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address)
{
	*address = instance->local;
}

int ast_rtp_instance_set_incoming_source_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address)
{
	store(&instance->incoming, address);
	if (instance->engine->remote_address_set) {
		instance->engine->remote_address_set(instance, &instance->incoming);
	}
	return 0;
}

int ast_rtp_instance_set_requested_target_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address)
{
	store(&instance->requested, address);
	return ast_rtp_instance_set_incoming_source_address(instance, address);
}

void ast_rtp_instance_get_incoming_source_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address)
{
	*address = instance->incoming;
}

void ast_rtp_instance_get_requested_target_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address)
{
	*address = instance->requested;
}

unsigned int ast_rtp_codecs_get_framing(struct ast_rtp_codecs *codecs)
{
	return 0;
}

struct ast_rtp_payload_type *ast_rtp_codecs_get_payload(struct ast_rtp_codecs *codecs, int payload)
{
	struct ast_rtp_payload_type *type;

	if (payload != ULAW && payload != TELEPHONE_EVENT) {
		return NULL;
	}
	type = __ao2_alloc(sizeof(*type), NULL, AO2_ALLOC_OPT_LOCK_NOLOCK, NULL, __FILE__, __LINE__, __func__);
	type->asterisk_format = payload == ULAW;
	type->format = payload == ULAW ? ast_format_ulaw : NULL;
	type->rtp_code = payload == ULAW ? 0 : AST_RTP_DTMF;
	type->payload = payload;
	return type;
}

static int code_of(int asterisk_format, const struct ast_format *format, int code)
{
	if (asterisk_format) {
		return format == ast_format_ulaw ? ULAW : -1;
	}
	return code == AST_RTP_DTMF ? TELEPHONE_EVENT : -1;
}

int ast_rtp_codecs_payload_code(struct ast_rtp_codecs *codecs, int asterisk_format, struct ast_format *format, int code)
{
	return code_of(asterisk_format, format, code);
}

int ast_rtp_codecs_payload_code_tx(struct ast_rtp_codecs *codecs, int asterisk_format, const struct ast_format *format,
	int code)
{
	return code_of(asterisk_format, format, code);
}

int ast_rtp_codecs_payload_code_tx_sample_rate(struct ast_rtp_codecs *codecs, int asterisk_format,
	const struct ast_format *format, int code, unsigned int rate)
{
	return code_of(asterisk_format, format, code);
}

/* --- a call --- */

static void lock(struct ast_rtp_instance *instance)
{
	__ao2_lock(instance, AO2_LOCK_REQ_MUTEX, __FILE__, __func__, __LINE__, "instance");
}

static void unlock(struct ast_rtp_instance *instance)
{
	__ao2_unlock(instance, __FILE__, __func__, __LINE__, "instance");
}

static void destroy_instance(void *data)
{
	struct ast_rtp_instance *instance = data;

	if (instance->data) {
		lock(instance);
		instance->engine->destroy(instance);
		unlock(instance);
	}
	__ast_module_unref(instance->engine->mod, __FILE__, __LINE__, __func__);
}

/* As 13 and later do: every callback is called with the instance locked. */
#define call(function, ...) ({ \
	expect(engine->function, "the engine has no " #function); \
	lock(instance); \
	__auto_type result = engine->function(instance, ##__VA_ARGS__); \
	unlock(instance); \
	result; \
})
#define call_void(function, ...) do { \
	expect(engine->function, "the engine has no " #function); \
	lock(instance); \
	engine->function(instance, ##__VA_ARGS__); \
	unlock(instance); \
} while (0)

/* A peer that is offered as a candidate and never answers. */
static int silent_peer(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	expect(peer >= 0 && !bind(peer, (struct sockaddr *) address, length), "no socket for the peer");
	getsockname(peer, (struct sockaddr *) address, &length);
	return peer;
}

/* Before DTLS is up it gets connectivity checks and perhaps a ClientHello, and no media. */
static void expect_no_media(int peer)
{
	unsigned char packet[2048];
	ssize_t length;
	int checks = 0;

	while ((length = recv(peer, packet, sizeof(packet), 0)) > 0) {
		expect(packet[0] < 64, "a packet that begins with %d was sent before there were keys", packet[0]);
		checks += packet[0] < 4;
	}
	expect(checks, "no connectivity check was sent");
}

static void offer(struct ast_rtp_engine *engine, struct ast_rtp_instance *instance, const struct sockaddr_in *peer)
{
	struct ast_rtp_engine_ice_candidate candidate = {
		.foundation = "1", .id = AST_RTP_ICE_COMPONENT_RTP, .transport = "udp", .priority = 2130706431,
		.type = AST_RTP_ICE_CANDIDATE_TYPE_HOST,
	};

	memcpy(&candidate.address.ss, peer, sizeof(*peer));
	candidate.address.len = sizeof(*peer);

	call_void(ice->set_authentication, "peer", NULL);
	call_void(ice->set_authentication, NULL, "peerpasswordpeerpassword");
	call_void(ice->add_remote_candidate, &candidate);
	call_void(dtls->set_setup, AST_RTP_DTLS_SETUP_ACTPASS);
	call_void(dtls->set_fingerprint, AST_RTP_DTLS_HASH_SHA256,
		"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF");
	call_void(ice->change_components, 1);
	call_void(payload_set, ULAW, 1, ast_format_ulaw, 0);
	call_void(payload_set, TELEPHONE_EVENT, 0, NULL, AST_RTP_DTMF);
	instance->properties[AST_RTP_PROPERTY_RTCP] = AST_RTP_INSTANCE_RTCP_MUX;
	call_void(prop_set, AST_RTP_PROPERTY_RTCP, AST_RTP_INSTANCE_RTCP_MUX);
	lock(instance);
	ast_rtp_instance_set_requested_target_address(instance, &candidate.address);
	unlock(instance);
}

static void answer(struct ast_rtp_engine *engine, struct ast_rtp_instance *instance)
{
	struct ao2_container *candidates = call(ice->get_local_candidates);
	const char *ufrag = call(ice->get_ufrag);
	const char *password = call(ice->get_password);
	const char *fingerprint;

	expect(candidates, "ICE is in use and gives no list of candidates");
	__ao2_ref(candidates, -1, NULL, __FILE__, __LINE__, __func__);
	expect(ufrag && strlen(ufrag) >= 4, "the ufrag is '%s'", ufrag ? ufrag : "(null)");
	expect(password && strlen(password) >= 22, "the ICE password is too short");
	call_void(ice->set_role, AST_RTP_ICE_ROLE_CONTROLLED);
	call_void(ice->start);
	expect(call(dtls->active), "DTLS is configured and not active");
	expect(call(dtls->get_setup) != AST_RTP_DTLS_SETUP_ACTPASS, "an answer says actpass");
	call(dtls->get_connection);
	expect(call(dtls->get_fingerprint_hash) == AST_RTP_DTLS_HASH_SHA256, "the fingerprint's hash is not SHA-256");
	fingerprint = call(dtls->get_fingerprint);
	expect(fingerprint && strlen(fingerprint) == 95, "the fingerprint is '%s'", fingerprint ? fingerprint : "(null)");
	call(activate);
}

/* What a stranger may send: nothing of it may do anything. */
static void disturb(const struct ast_sockaddr *local)
{
	static const unsigned char packets[][20] = {
		{ 0x80, 0, 0, 1 }, { 0x80, 200, 0, 1 }, { 22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 },
		{ 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 }, { 0xff, 0xff }, { 0 },
	};
	struct sockaddr_storage to = local->ss;
	int sender = socket(to.ss_family, SOCK_DGRAM, 0);
	size_t i;

	expect(sender >= 0, "no socket");
	if (to.ss_family == AF_INET) {
		((struct sockaddr_in *) &to)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		((struct sockaddr_in6 *) &to)->sin6_addr = in6addr_loopback;
	}
	for (i = 0; i < 200; i++) {
		sendto(sender, packets[i % 6], 1 + i % 20, 0, (struct sockaddr *) &to, local->len);
	}
	close(sender);
}

static void media(struct ast_rtp_engine *engine, struct ast_rtp_instance *instance)
{
	static unsigned char silence[AST_FRIENDLY_OFFSET + 160];
	struct ast_frame voice = {
		.frametype = AST_FRAME_VOICE, .datalen = 160, .samples = 160, .offset = AST_FRIENDLY_OFFSET, .src = "stub",
		.subclass.format = ast_format_ulaw, .data.ptr = silence + AST_FRIENDLY_OFFSET,
	};
	struct pollfd readable = { .fd = call(fd, 0), .events = POLLIN };
	struct ast_frame *frame;
	int i;

	expect(readable.fd >= 0, "there is no descriptor to poll");
	call(fd, 1);
	disturb(&instance->local);
	for (i = 0; i < 25; i++) {
		call(write, &voice);
		if (poll(&readable, 1, 20) > 0) {
			frame = call(read, 0);
			expect(frame, "read hangs up because of what a stranger sent");
			expect(frame->frametype == AST_FRAME_NULL, "a stranger's packet became a frame of type %d",
				(int) frame->frametype);
		}
	}
	call(dtmf_begin, '5');
	call(dtmf_end_with_duration, '5', 800);
	call_void(update_source);
	call_void(change_source);
	call(write, &voice);
}

void engine_call(struct ast_rtp_engine *engine)
{
	struct ast_rtp_dtls_cfg dtls = {
		.enabled = 1, .default_setup = AST_RTP_DTLS_SETUP_ACTPASS, .hash = AST_RTP_DTLS_HASH_SHA256,
		.verify = AST_RTP_DTLS_VERIFY_FINGERPRINT, .ephemeral_cert = 1,
	};
	struct ast_rtp_instance_stats stats = { 0 };
	struct ast_sockaddr local = { .len = sizeof(struct sockaddr_in) };
	struct ast_rtp_instance *instance;
	struct sockaddr_in address;
	int peer = silent_peer(&address);

	local.ss.ss_family = AF_INET;
	((struct sockaddr_in *) &local.ss)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	instance = __ao2_alloc(sizeof(*instance), destroy_instance, AO2_ALLOC_OPT_LOCK_MUTEX, NULL, __FILE__, __LINE__, __func__);
	instance->engine = engine;
	__ast_module_ref(engine->mod, __FILE__, __LINE__, __func__);
	lock(instance);
	expect(engine->new(instance, NULL, &local, NULL) == 0, "the engine refuses an instance");
	unlock(instance);
	expect(instance->data, "new set no data");
	expect(((struct sockaddr_in *) &instance->local.ss)->sin_port, "new set no local port");

	expect(call(dtls->set_configuration, &dtls) == 0, "the DTLS configuration is refused");
	instance->properties[AST_RTP_PROPERTY_DTMF] = 1;
	call_void(prop_set, AST_RTP_PROPERTY_DTMF, 1);
	offer(engine, instance, &address);
	call(dtmf_mode_set, AST_RTP_DTMF_MODE_RFC2833);
	answer(engine, instance);
	media(engine, instance);
	call(get_stat, &stats, AST_RTP_INSTANCE_STAT_ALL);
	expect(stats.rxcount == 0, "%u packets of a stranger were counted as received", stats.rxcount);
	expect(stats.txcount == 0, "%u packets were sent before there were keys", stats.txcount);
	/* Hold: chan_sip calls stop for it, and a re-INVITE goes on with the same. */
	call_void(stop);
	offer(engine, instance, &address);
	answer(engine, instance);
	call_void(stop);
	call_void(dtls->stop);
	expect_no_media(peer);
	close(peer);
	__ao2_ref(instance, -1, NULL, __FILE__, __LINE__, __func__);
}
