/* HTTP URIs, connections, optional functions; and two WebSocket sessions. */
#include "stub.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "asterisk/iostream.h"
#include "asterisk/tcptls.h"
#include "asterisk/uuid.h"

/* As for every module that uses these functions: each name is a pointer in this file. */
#include "asterisk/http_websocket.h"

static struct ast_http_uri *uris[16];
static struct {
	char *name;
	ast_optional_fn function;
} optional[64];

int ast_http_uri_link(struct ast_http_uri *uri)
{
	int i;

	expect(uri->uri && uri->callback, "a URI without name or callback");
	expect(uri->key, "a URI without key would crash ast_http_uri_unlink_all_with_key");
	for (i = 0; uris[i]; i++) {
		expect(uris[i] != uri, "/%s is linked twice", uri->uri);
		expect(i < 14, "more URIs than the stub host can hold");
	}
	uris[i] = uri;
	counts.uris++;
	return 0;
}

void ast_http_uri_unlink(struct ast_http_uri *uri)
{
	int i, last;

	for (last = 0; uris[last]; last++) {
	}
	for (i = 0; uris[i]; i++) {
		if (uris[i] == uri) {
			uris[i] = uris[last - 1];
			uris[last - 1] = NULL;
			counts.uris--;
			return;
		}
	}
}

struct ast_http_uri *uri_find(const char *uri)
{
	int i;

	for (i = 0; uris[i]; i++) {
		if (!strcmp(uris[i]->uri, uri)) {
			return uris[i];
		}
	}
	return NULL;
}

void ast_optional_api_provide(const char *name, ast_optional_fn function)
{
	int i;

	expect(name && function, "ast_optional_api_provide: NULL");
	for (i = 0; optional[i].name; i++) {
		expect(strcmp(optional[i].name, name), "%s is provided twice", name);
		expect(i < 62, "more optional functions than the stub host can hold");
	}
	optional[i].name = strdup(name);
	optional[i].function = function;
	counts.optional_functions++;
}

void ast_optional_api_unprovide(const char *name, ast_optional_fn function)
{
	int i, last;

	for (last = 0; optional[last].name; last++) {
	}
	for (i = 0; optional[i].name; i++) {
		if (!strcmp(optional[i].name, name)) {
			expect(optional[i].function == function, "%s is withdrawn with another function", name);
			free(optional[i].name);
			optional[i] = optional[last - 1];
			optional[last - 1].name = NULL;
			counts.optional_functions--;
			return;
		}
	}
	fail("%s is withdrawn and was not provided", name);
}

/* This program's own use of the functions looks them up when it calls them. */
void ast_optional_api_use(const char *name, ast_optional_fn *reference, ast_optional_fn stub, const char *module)
{
}

void ast_optional_api_unuse(const char *name, ast_optional_fn *reference, const char *module)
{
}

ast_optional_fn optional_find(const char *name)
{
	int i;

	for (i = 0; optional[i].name; i++) {
		if (!strcmp(optional[i].name, name)) {
			return optional[i].function;
		}
	}
	return NULL;
}

/* --- connections --- */

struct ast_iostream {
	int fd;
};

void ast_iostream_nonblock(struct ast_iostream *stream)
{
	fcntl(stream->fd, F_SETFL, O_NONBLOCK);
}

void ast_iostream_set_exclusive_input(struct ast_iostream *stream, int exclusive)
{
}

void ast_iostream_set_timeout_disable(struct ast_iostream *stream)
{
}

int ast_iostream_get_fd(struct ast_iostream *stream)
{
	return stream->fd;
}

SSL *ast_iostream_get_ssl(struct ast_iostream *stream)
{
	return NULL;
}

ssize_t ast_iostream_read(struct ast_iostream *stream, void *buffer, size_t size)
{
	return read(stream->fd, buffer, size);
}

int ast_iostream_close(struct ast_iostream *stream)
{
	close(stream->fd);
	free(stream);
	return 0;
}

int ast_getsockname(int fd, struct ast_sockaddr *address)
{
	return -1;
}

int ast_http_body_discard(struct ast_tcptls_session_instance *ser)
{
	return 0;
}

char *ast_uuid_generate_str(char *text, size_t size)
{
	snprintf(text, size, "%s", "01234567-89ab-cdef-0123-456789abcdef");
	return text;
}

/* --- sessions --- */

static struct ast_variable *header(const char *name, const char *value, struct ast_variable *next)
{
	struct ast_variable *made = calloc(1, sizeof(*made));

	*(const char **) &made->name = name;
	*(const char **) &made->value = value;
	made->next = next;
	return made;
}

/* One frame of a client, masked with zeros, which changes nothing of the text. */
static void send_frame(int client, int opcode, const char *text)
{
	unsigned char frame[256] = { 0x80 | opcode, 0x80 | strlen(text) };

	memcpy(frame + 6, text, strlen(text));
	expect(write(client, frame, 6 + strlen(text)) > 0, "the client cannot write");
}

/* Reads until all of `size` is there; an answer that does not come ends the program. */
static void receive(int client, char *buffer, size_t size)
{
	struct pollfd readable = { .fd = client, .events = POLLIN };

	while (size) {
		ssize_t count;

		expect(poll(&readable, 1, 5000) == 1, "the client waits in vain for %zu bytes", size);
		count = read(client, buffer, size);
		expect(count > 0, "the connection ends with %zu bytes outstanding", size);
		buffer += count;
		size -= count;
	}
}

static void receive_response(int client, const char *protocol)
{
	char response[1024] = "", expected[128];
	size_t length = 0;

	while (!strstr(response, "\r\n\r\n")) {
		expect(length < sizeof(response) - 1, "the response does not end");
		receive(client, response + length++, 1);
	}
	expect(!strncmp(response, "HTTP/1.1 101 ", 13), "the response is %s", response);
	/* The example of RFC 6455, section 1.3. */
	expect(strcasestr(response, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the key is not answered: %s", response);
	snprintf(expected, sizeof(expected), "Sec-WebSocket-Protocol: %s", protocol);
	expect(strcasestr(response, expected), "the subprotocol is not named: %s", response);
}

static void receive_frame(int client, int opcode, const char *text)
{
	char frame[128];

	receive(client, frame, 2 + strlen(text));
	expect((unsigned char) frame[0] == (0x80 | opcode), "a frame begins with %02x", (unsigned char) frame[0]);
	expect(frame[1] == (char) strlen(text) && !memcmp(frame + 2, text, strlen(text)), "another text came back");
}

/* A thread of the HTTP server's, which has the connection until the callback returns. */
struct request {
	const char *protocol;
	int server;
	pthread_t thread;
};

static void *serve(void *data)
{
	struct request *request = data;
	struct ast_http_uri *uri = uri_find("ws");
	struct ast_tcptls_session_instance *ser;
	struct ast_variable *headers = NULL, *next;

	expect(uri, "/ws is not linked");
	headers = header("Sec-WebSocket-Protocol", request->protocol, headers);
	headers = header("Sec-WebSocket-Version", "13", headers);
	headers = header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", headers);
	headers = header("Connection", "Upgrade", headers);
	headers = header("Upgrade", "websocket", headers);
	headers = header("Host", "stub", headers);
	ser = __ao2_alloc(sizeof(*ser), NULL, AO2_ALLOC_OPT_LOCK_MUTEX, NULL, __FILE__, __LINE__, __func__);
	ser->stream = malloc(sizeof(*ser->stream));
	ser->stream->fd = request->server;
	uri->callback(ser, uri, "", AST_HTTP_GET, NULL, headers);
	expect(!ser->stream, "the connection was not taken over");
	__ao2_ref(ser, -1, NULL, __FILE__, __LINE__, __func__);
	while ((next = headers)) {
		headers = next->next;
		free(next);
	}
	return NULL;
}

/* The messages are in the connection before it is upgraded. Gives the client's end. */
static int upgrade(struct request *request, const char *protocol, const char *const *sent)
{
	int ends[2];

	expect(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "no socket pair");
	for (; *sent; sent++) {
		send_frame(ends[1], AST_WEBSOCKET_OPCODE_TEXT, *sent);
	}
	request->protocol = protocol;
	request->server = ends[0];
	expect(!pthread_create(&request->thread, NULL, serve, request), "no thread");
	return ends[1];
}

static void receive_end(int client)
{
	char rest;

	send_frame(client, AST_WEBSOCKET_OPCODE_CLOSE, "\x03\xe8");
	receive_frame(client, AST_WEBSOCKET_OPCODE_CLOSE, "\x03\xe8");
	shutdown(client, SHUT_WR);
	expect(read(client, &rest, 1) == 0, "more comes after the close frame");
	close(client);
}

#define optional_function(name) ({ \
	__typeof__(name) found = (__typeof__(name)) optional_find(#name); \
	expect(found, #name " is not provided"); \
	found; \
})

/* A consumer in chan_sip's manner: polls the descriptor, reads, answers, and gives the session back. */
static void consumer(struct ast_websocket *session, struct ast_variable *parameters, struct ast_variable *headers)
{
	__typeof__(ast_websocket_read) read_message = optional_function(ast_websocket_read);
	struct pollfd readable = { .fd = optional_function(ast_websocket_fd)(session), .events = POLLIN };
	enum ast_websocket_opcode opcode;
	uint64_t length;
	char *payload;
	int fragmented;

	expect(readable.fd >= 0, "the session has no descriptor");
	do {
		expect(poll(&readable, 1, 5000) == 1, "the descriptor does not tell that a message waits");
		if (read_message(session, &payload, &length, &opcode, &fragmented)) {
			break;
		}
		if (opcode == AST_WEBSOCKET_OPCODE_TEXT) {
			expect(!optional_function(ast_websocket_write)(session, opcode, payload, length), "a message cannot be written");
		}
	} while (opcode != AST_WEBSOCKET_OPCODE_CLOSE);
	optional_function(ast_websocket_unref)(session);
}

void websocket_sessions(void)
{
	static const char *const messages[] = { "one", "two", "", "three", NULL };
	static const char *const protocols[] = { "echo", "stub" };
	size_t protocol, message;

	expect(!optional_function(ast_websocket_add_protocol)("stub", consumer), "a subprotocol is refused");
	expect(optional_function(ast_websocket_add_protocol)("stub", consumer), "a subprotocol is taken twice");
	for (protocol = 0; protocol < ARRAY_LEN(protocols); protocol++) {
		struct request request;
		int client = upgrade(&request, protocols[protocol], messages);

		receive_response(client, protocols[protocol]);
		for (message = 0; messages[message]; message++) {
			receive_frame(client, AST_WEBSOCKET_OPCODE_TEXT, messages[message]);
		}
		receive_end(client);
		pthread_join(request.thread, NULL);
	}
	expect(!optional_function(ast_websocket_remove_protocol)("stub", consumer), "the subprotocol is not removed");
}
