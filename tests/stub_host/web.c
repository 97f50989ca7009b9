/* HTTP URIs and optional functions. */
#include "stub.h"

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
