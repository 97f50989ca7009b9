/*
 * A program that stands in for Asterisk: it exports the functions which the module calls, opens
 * the module as Asterisk's loader does, and drives it. It is compiled with Asterisk's own headers,
 * so that every stand-in has the right type, and with AddressSanitizer, whose allocator the module
 * then uses as well.
 *
 * What counts is counted: objects, references, locks, blocks of memory, registrations. After an
 * unload every count must be where it was before the load.
 */
#ifndef STUB_H
#define STUB_H

/* Asterisk's headers ban malloc and bare pthread calls; this is not Asterisk. */
#define ASTMM_LIBC ASTMM_IGNORE
#include "asterisk.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asterisk/ast_version.h"
#include "asterisk/astobj2.h"
#include "asterisk/cli.h"
#include "asterisk/config.h"
#include "asterisk/http.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/optional_api.h"
#include "asterisk/options.h"
#include "asterisk/rtp_engine.h"

#undef pthread_mutex_t
#undef pthread_mutex_lock
#undef pthread_mutex_unlock
#undef pthread_mutex_init
#undef pthread_mutex_destroy
#undef pthread_create

/* Ends the program with a sentence; the test shows it. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define expect(condition, ...) do { if (!(condition)) fail(__VA_ARGS__); } while (0)

struct counts {
	int objects;		/* ao2 objects alive */
	int locks;		/* ao2 locks held */
	int blocks;		/* ast_malloc'ed and not freed */
	int module_references;
	int configs;
	int commands;
	int uris;
	int optional_functions;
	int engines;
	int srtp_providers;
	int threads;
	int descriptors;
};
extern struct counts counts;
/* Fills in what the kernel counts, and gives all. */
struct counts count_all(void);

/* core.c: the log. Lines since the last call of log_clear() that contain `text`. */
int log_count(const char *text);
void log_clear(void);

/* core.c: modules. What the constructor registered, or NULL. */
extern const struct ast_module_info *registered_module;

/* console.c */
/* Runs a command line; output goes into `out`. Gives what the handler returned. */
char *console_run(const char *line, char *out, size_t size);
/* The n-th completion of the word at the end of the line, to be freed, or NULL. */
char *console_complete(const char *line, const char *word, int n);
/* What core show help would print for an exact command. */
const char *console_usage(const char *words);
/* The text of a configuration file, "[category]\nname = value\n"; NULL removes it. */
void config_set(const char *file, const char *text);

/* media.c */
void formats_make(void);
void formats_free(void);
struct ast_rtp_engine *engine_find(const char *name);
/* A whole call through the tables of one engine. */
void engine_call(struct ast_rtp_engine *engine);

/* sdp.c */
/* Keys for two ends, by offer and answer. */
void crypto_attributes(void);

/* web.c */
struct ast_http_uri *uri_find(const char *uri);
ast_optional_fn optional_find(const char *name);
/* Sessions of the built-in echo and of a consumer in C. */
void websocket_sessions(void);

#endif
