#include "asterisk.h"

#include "asterisk/astobj2.h"
#include "asterisk/cli.h"
#include "asterisk/config.h"
#include "asterisk/format.h"
#include "asterisk/format_cap.h"
#include "asterisk/frame.h"
#include "asterisk/http.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/optional_api.h"
#include "asterisk/options.h"
#include "asterisk/strings.h"
#include "asterisk/utils.h"
#if __has_include("asterisk/uuid.h")
#include "asterisk/uuid.h"
#endif

#include "shim.h"

/* bindgen drops both: the key is continued over several lines, the sum is pasted into a struct. */
const char rw_gpl_key[] = ASTERISK_GPL_KEY;
const char rw_buildopt_sum[] = AST_BUILDOPT_SUM;

void rw_log(int level, const char *file, int line, const char *function, const char *message)
{
	ast_log(level, file, line, function, "%s", message);
}

/* ast_verb() logs the place it stands at; this file would tell an administrator nothing. */
#line 1 "res_rust_webrtc"
void rw_verbose(int level, const char *message)
{
	ast_verb(level, "%s\n", message);
}

int rw_debug_at_least(int level)
{
	return option_debug >= level;
}

int rw_verbose_at_least(int level)
{
	return VERBOSITY_ATLEAST(level);
}

void *rw_malloc(size_t size)
{
	return ast_malloc(size);
}

char *rw_strdup(const char *text)
{
	return ast_strdup(text);
}

void rw_free(void *memory)
{
	ast_free(memory);
}

void *rw_ao2_alloc(size_t size, void (*destructor)(void *object))
{
	return ao2_alloc(size, destructor);
}

int rw_ao2_ref(void *object, int delta)
{
	return ao2_ref(object, delta);
}

void rw_ao2_lock(void *object)
{
	ao2_lock(object);
}

void rw_ao2_unlock(void *object)
{
	ao2_unlock(object);
}

int rw_cli_register(struct ast_cli_entry *entry, struct ast_module *module)
{
#ifdef AST_HAS_CLI_REGISTER_WITH_MODULE
	return __ast_cli_register(entry, module);
#else
	return ast_cli_register(entry);
#endif
}

int rw_cli_unregister(struct ast_cli_entry *entry)
{
	return ast_cli_unregister(entry);
}

void rw_cli_print(int fd, const char *text)
{
	ast_cli(fd, "%s", text);
}

enum rw_config_status rw_config_load(const char *file, int only_if_changed, struct ast_config **config)
{
	struct ast_flags flags = { only_if_changed ? CONFIG_FLAG_FILEUNCHANGED : 0 };
	struct ast_config *loaded = ast_config_load(file, flags);

	if (loaded == CONFIG_STATUS_FILEMISSING) {
		return RW_CONFIG_MISSING;
	}
	if (loaded == CONFIG_STATUS_FILEINVALID) {
		return RW_CONFIG_INVALID;
	}
	if (loaded == CONFIG_STATUS_FILEUNCHANGED) {
		return RW_CONFIG_UNCHANGED;
	}
	*config = loaded;
	return RW_CONFIG_LOADED;
}

void rw_module_ref(struct ast_module *module)
{
	ast_module_ref(module);
}

void rw_module_unref(struct ast_module *module)
{
	ast_module_unref(module);
}

void rw_optional_provide(const char *name, void (*function)(void))
{
#if defined(OPTIONAL_API) && defined(AST_HAS_OPTIONAL_API_PROVIDE)
	ast_optional_api_provide(name, (ast_optional_fn) function);
#endif
}

void rw_optional_unprovide(const char *name, void (*function)(void))
{
#if defined(OPTIONAL_API) && defined(AST_HAS_OPTIONAL_API_PROVIDE)
	ast_optional_api_unprovide(name, (ast_optional_fn) function);
#endif
}

struct ast_frame *rw_null_frame(void)
{
	return &ast_null_frame;
}

void rw_frame_free(struct ast_frame *frame)
{
	ast_frfree(frame);
}

struct ao2_container *rw_ao2_list_alloc(void)
{
#ifdef AST_HAS_AO2_CONTAINER_ALLOC_LIST
	return ao2_container_alloc_list(AO2_ALLOC_OPT_LOCK_MUTEX, 0, NULL, NULL);
#else
	return ao2_container_alloc(1, NULL, NULL);
#endif
}

int rw_ao2_link(struct ao2_container *container, void *object)
{
	return ao2_link(container, object) ? 0 : -1;
}

int rw_format_cap_append(struct ast_format_cap *cap, struct ast_format *format, unsigned int framing)
{
#ifdef AST_HAS_FORMAT_OBJECTS
	return ast_format_cap_append(cap, format, framing);
#else
	ast_format_cap_add(cap, format);
	return 0;
#endif
}

void *rw_ao2_find_key(struct ao2_container *container, const char *key)
{
	return ao2_find(container, key, OBJ_KEY);
}

void *rw_ao2_only_one(struct ao2_container *container)
{
	void *object = NULL;

	ao2_lock(container);
	if (ao2_container_count(container) == 1) {
		object = ao2_callback(container, OBJ_NOLOCK, NULL, NULL);
	}
	ao2_unlock(container);
	return object;
}

void rw_http_respond(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *headers)
{
	struct ast_str *lines = ast_str_create(256);

	if (lines) {
		ast_str_set(&lines, 0, "%s", headers);
	}
	ast_http_send(ser, AST_HTTP_UNKNOWN, status, title, lines, NULL, 0, 0);
}

#if __has_include("asterisk/uuid.h")
int rw_uuid(char *text, size_t size)
{
	return ast_uuid_generate_str(text, size) ? 0 : -1;
}
#endif

char *rw_strndup(const char *text, size_t size)
{
	return ast_strndup(text, size);
}
