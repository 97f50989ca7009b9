/* SRTP as the core keeps it: the provider, the crypto attributes, and the keys of instances. */
#include "stub.h"

#include "asterisk/sdp_srtp.h"

static struct ast_srtp_res *srtp;
static struct ast_srtp_policy_res *policies;
static struct ast_sdp_crypto_api *crypto;

int ast_rtp_engine_register_srtp(struct ast_srtp_res *res, struct ast_srtp_policy_res *policy)
{
	expect(res && policy, "an SRTP provider lacks a table");
	if (srtp) {
		return -1;
	}
	srtp = res;
	policies = policy;
	counts.srtp_providers++;
	return 0;
}

void ast_rtp_engine_unregister_srtp(void)
{
	srtp = NULL;
	policies = NULL;
	counts.srtp_providers--;
}

int ast_rtp_engine_srtp_is_registered(void)
{
	return srtp != NULL;
}

int ast_sdp_crypto_register(struct ast_sdp_crypto_api *api)
{
	expect(srtp, "crypto attributes without a provider that takes their keys");
	if (crypto) {
		return -1;
	}
	crypto = api;
	counts.srtp_providers++;
	return 0;
}

void ast_sdp_crypto_unregister(struct ast_sdp_crypto_api *api)
{
	expect(api == crypto, "another's crypto attributes are withdrawn");
	crypto = NULL;
	counts.srtp_providers--;
}

struct ast_sdp_srtp *ast_sdp_srtp_alloc(void)
{
	counts.objects++;
	return calloc(1, sizeof(struct ast_sdp_srtp));
}

void ast_sdp_srtp_destroy(struct ast_sdp_srtp *list)
{
	struct ast_sdp_srtp *next;

	for (; list; list = next) {
		next = AST_LIST_NEXT(list, sdp_srtp_list);
		crypto->dtor(list->crypto);
		free(list);
		counts.objects--;
	}
}

/* --- instances: two that no engine of the module's made, so that the provider protects --- */

static struct {
	char instance;
	struct ast_srtp *session;
	int changes;
} ends[2];

#define CALLER ((struct ast_rtp_instance *) &ends[0].instance)
#define CALLEE ((struct ast_rtp_instance *) &ends[1].instance)

static int end_of(struct ast_rtp_instance *instance)
{
	return instance == CALLER ? 0 : instance == CALLEE ? 1 : -1;
}

int ast_rtp_instance_add_srtp_policy(struct ast_rtp_instance *instance, struct ast_srtp_policy *remote_policy,
	struct ast_srtp_policy *local_policy, int rtcp)
{
	int end = end_of(instance);
	int failed;

	expect(end >= 0 && remote_policy && local_policy && !rtcp, "the keys are for nobody");
	ends[end].changes++;
	failed = ends[end].session ? srtp->replace(&ends[end].session, instance, remote_policy)
		: srtp->create(&ends[end].session, instance, remote_policy);
	return failed ? failed : srtp->add_stream(ends[end].session, local_policy);
}

struct ast_srtp *ast_rtp_instance_get_srtp(struct ast_rtp_instance *instance, int rtcp)
{
	int end = end_of(instance);

	return end < 0 ? NULL : ends[end].session;
}

/* One packet there; `arrives` says whether the other end can open it. */
static void packet(int from, int to, unsigned char sequence, int arrives)
{
	unsigned char plain[32] = { 0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1 + from };
	unsigned char wire[64];
	void *protected = plain;
	int size = sizeof(plain), failed;

	expect(!srtp->protect(ends[from].session, &protected, &size, 0), "a packet is not protected");
	expect(size == sizeof(plain) + 10, "protection adds %d octets", size - (int) sizeof(plain));
	expect(memcmp((char *) protected + 12, plain + 12, 20), "the payload is in the clear");
	memcpy(wire, protected, size);
	failed = srtp->unprotect(ends[to].session, wire, &size, 0);
	expect((failed == 0) == arrives, "%d -> %d: %s", from, to, failed ? "not opened" : "opened, by whom it should not be");
	expect(failed || (size == sizeof(plain) && !memcmp(wire, plain, size)), "the packet is another");
}

#define KEY "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
#define OTHER "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
#define SUITE "AES_CM_128_HMAC_SHA1_80"

void crypto_attributes(void)
{
	static const char *const bad[] = { "", " ", "1", "1 " SUITE, "1 " SUITE " inline:", "1 " SUITE " inline:" KEY "x", "1 " SUITE " other:" KEY,
		"x " SUITE " inline:" KEY, "1 NONE inline:" KEY, "1 " SUITE " inline:" KEY " KDR=1", "1 " SUITE " inline:" KEY "|2^3",
		"1 AEAD_AES_128_GCM inline:" KEY, "\xff\xfe \x80", NULL };
	struct ast_sdp_srtp *caller = ast_sdp_srtp_alloc(), *callee = ast_sdp_srtp_alloc(), *third;
	struct ast_srtp *session;
	char offer[256], answer[256];
	const char *text;
	int i, changes;

	expect(crypto && crypto->dtor && crypto->alloc && crypto->build_offer && crypto->parse_offer && crypto->get_attr,
		"there are no crypto attributes");
	crypto->dtor(NULL);
	expect(!crypto->get_attr(NULL, 0, 0) && !crypto->get_attr(caller, 1, 0), "an attribute for nobody");
	expect(!caller->crypto, "DTLS needs no key");

	text = crypto->get_attr(caller, 0, 0);
	expect(text && !strncmp(text, "1 " SUITE " inline:", strlen("1 " SUITE " inline:")), "the offer is %s", text ? text : "none");
	expect(crypto->get_attr(caller, 0, 1) == text, "the offer changes when it is asked for again");
	expect(!AST_LIST_NEXT(caller, sdp_srtp_list), "more is offered than stock would");
	snprintf(offer, sizeof(offer), "%s", text);

	expect(crypto->parse_offer(CALLEE, callee, offer), "an attribute without object is taken");
	callee->crypto = crypto->alloc();
	expect(callee->crypto && !crypto->parse_offer(CALLEE, callee, offer), "the offer is refused");
	expect(callee->flags & AST_SRTP_CRYPTO_OFFER_OK, "the offer is not marked as good");
	snprintf(answer, sizeof(answer), "%s", crypto->get_attr(callee, 0, 0));
	expect(strcmp(offer, answer), "both ends have the same key");
	expect(!crypto->parse_offer(CALLER, caller, answer), "the answer is refused");
	for (i = 0; i < 20; i++) {
		packet(0, 1, i, 1);
		packet(1, 0, i, 1);
	}

	session = ends[1].session;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		expect(crypto->parse_offer(CALLEE, callee, bad[i]), "'%s' is taken", bad[i]);
	}
	expect(!crypto->parse_offer(CALLEE, callee, offer), "the same offer again is refused");
	expect(ends[1].session == session && ends[1].changes == 1, "the same key again makes another session");
	packet(0, 1, 30, 1);

	/* The callee's key stays, the caller's is another's now. */
	expect(!crypto->parse_offer(CALLEE, callee, "2 " SUITE " inline:" KEY), "another key is refused");
	expect(ends[1].changes == 2, "another key makes no other session");
	packet(0, 1, 31, 0);
	packet(1, 0, 31, 1);
	text = crypto->get_attr(callee, 0, 1);
	expect(!strncmp(text, "2 " SUITE " ", strlen("2 " SUITE " ")), "the answer is %s", text);
	expect(!strcmp(text + 1, answer + 1), "the callee's own key has changed");

	/* Of two lines the answer names the second, which is the only one afterwards. */
	third = ast_sdp_srtp_alloc();
	third->crypto = crypto->alloc();
	expect(!crypto->parse_offer(CALLEE, third, "5 " SUITE " inline:" KEY), "a third end is refused");
	AST_LIST_NEXT(callee, sdp_srtp_list) = third;
	snprintf(answer, sizeof(answer), "%s", crypto->get_attr(third, 0, 0));
	changes = counts.objects;
	expect(!crypto->parse_offer(CALLEE, callee, "5 " SUITE " inline:" OTHER), "the line that was named is refused");
	expect(!strcmp(crypto->get_attr(callee, 0, 0), answer), "it is not the line that was named");
	expect(!AST_LIST_NEXT(callee, sdp_srtp_list) && counts.objects == changes - 1, "the others are still there");

	third = ast_sdp_srtp_alloc();
	third->crypto = crypto->alloc();
	expect(!crypto->build_offer(third->crypto, 32), "no line with a short tag");
	expect(strstr(crypto->get_attr(third, 0, 0), " AES_CM_128_HMAC_SHA1_32 inline:"), "the short tag is forgotten");
	expect(crypto->build_offer(third->crypto, 0x210) && crypto->build_offer(third->crypto, 7), "a suite of another length");
	expect(crypto->build_offer(NULL, 80) == -1, "a line of nobody");

	ast_sdp_srtp_destroy(third);
	ast_sdp_srtp_destroy(caller);
	ast_sdp_srtp_destroy(callee);
	for (i = 0; i < ARRAY_LEN(ends); i++) {
		srtp->destroy(ends[i].session);
		ends[i].session = NULL;
		ends[i].changes = 0;
	}
}
