/*
 * What Rust cannot say to Asterisk by itself: macros, variadic functions and inline functions,
 * each behind a plain function. No logic here.
 */
#ifndef RES_RUST_WEBRTC_SHIM_H
#define RES_RUST_WEBRTC_SHIM_H

#include <stddef.h>
#include <stdint.h>

struct ao2_container;
struct ast_cli_entry;
struct ast_config;
struct ast_format;
struct ast_format_cap;
struct ast_frame;
struct ast_module;
struct ast_rtp_engine;
struct ast_sockaddr;
struct ast_tcptls_session_instance;

extern const char rw_gpl_key[];
extern const char rw_buildopt_sum[];

void rw_log(int level, const char *file, int line, const char *function, const char *message);
void rw_verbose(int level, const char *message);
int rw_debug_at_least(int level);
int rw_verbose_at_least(int level);

void *rw_malloc(size_t size);
char *rw_strdup(const char *text);
char *rw_strndup(const char *text, size_t size);
void rw_free(void *memory);

void *rw_ao2_alloc(size_t size, void (*destructor)(void *object));
int rw_ao2_ref(void *object, int delta);
void rw_ao2_lock(void *object);
void rw_ao2_unlock(void *object);
/* A reference to the object of that key, and to the only object that there is; or NULL. */
void *rw_ao2_find_key(struct ao2_container *container, const char *key);
void *rw_ao2_only_one(struct ao2_container *container);

int rw_cli_register(struct ast_cli_entry *entry, struct ast_module *module);
int rw_cli_unregister(struct ast_cli_entry *entry);
void rw_cli_print(int fd, const char *text);

enum rw_config_status {
	RW_CONFIG_LOADED,
	RW_CONFIG_MISSING,
	RW_CONFIG_INVALID,
	RW_CONFIG_UNCHANGED,
};

/* Asterisk tells these apart by pointers that are none. *config is set only with RW_CONFIG_LOADED. */
enum rw_config_status rw_config_load(const char *file, int only_if_changed, struct ast_config **config);

void rw_module_ref(struct ast_module *module);
void rw_module_unref(struct ast_module *module);

/* Optional functions (12+): name without underscores. Both do nothing where the registry is absent. */
void rw_optional_provide(const char *name, void (*function)(void));
void rw_optional_unprovide(const char *name, void (*function)(void));

/* A response without a body; `headers` are whole lines. */
void rw_http_respond(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *headers);

int rw_uuid(char *text, size_t size);

struct ast_frame *rw_null_frame(void);
void rw_frame_free(struct ast_frame *frame);

/* A container without order, and a further reference to each object that goes into it. */
struct ao2_container *rw_ao2_list_alloc(void);
int rw_ao2_link(struct ao2_container *container, void *object);

int rw_format_cap_append(struct ast_format_cap *cap, struct ast_format *format, unsigned int framing);

#endif
