/* Log, memory, counted objects, module registration. */
#include "stub.h"

#ifndef STUB_VERSION
#error "STUB_VERSION: the version that the headers belong to, quoted"
#endif

struct counts counts;
int option_debug;
int option_verbose;
int ast_verb_sys_level;
const struct ast_module_info *registered_module;

void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("stub host: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	/* Not exit(): the leak check would bury the sentence. */
	_exit(1);
}

static int entries_in(const char *path)
{
	DIR *directory = opendir(path);
	int found = 0;

	expect(directory, "cannot read %s", path);
	while (readdir(directory)) {
		found++;
	}
	closedir(directory);
	return found;
}

struct counts count_all(void)
{
	counts.threads = entries_in("/proc/self/task");
	counts.descriptors = entries_in("/proc/self/fd");
	return counts;
}

/* --- log --- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];

static void log_line(const char *format, va_list args)
{
	char line[2048];
	size_t used;

	vsnprintf(line, sizeof(line), format, args);
	printf("  log: %s\n", line);
	pthread_mutex_lock(&log_lock);
	used = strlen(log_text);
	snprintf(log_text + used, sizeof(log_text) - used, "%s\n", line);
	pthread_mutex_unlock(&log_lock);
}

void ast_log(int level, const char *file, int line, const char *function, const char *format, ...)
{
	va_list args;

	expect(file && function && format, "ast_log: NULL where a string belongs");
	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

void __ast_verbose(const char *file, int line, const char *function, int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

int log_count(const char *text)
{
	int found = 0;
	const char *at = log_text;

	pthread_mutex_lock(&log_lock);
	while ((at = strstr(at, text))) {
		found++;
		at += strlen(text);
	}
	pthread_mutex_unlock(&log_lock);
	return found;
}

void log_clear(void)
{
	pthread_mutex_lock(&log_lock);
	log_text[0] = '\0';
	pthread_mutex_unlock(&log_lock);
}

/* --- memory --- */

void *__ast_malloc(size_t size, const char *file, int line, const char *function)
{
	__atomic_add_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	return malloc(size);
}

void *__ast_calloc(size_t number, size_t size, const char *file, int line, const char *function)
{
	__atomic_add_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	return calloc(number, size);
}

void *__ast_realloc(void *old, size_t size, const char *file, int line, const char *function)
{
	if (!old) {
		__atomic_add_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	}
	return realloc(old, size);
}

char *__ast_strdup(const char *text, const char *file, int line, const char *function)
{
	if (!text) {
		return NULL;
	}
	__atomic_add_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	return strdup(text);
}

char *__ast_strndup(const char *text, size_t size, const char *file, int line, const char *function)
{
	if (!text) {
		return NULL;
	}
	__atomic_add_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	return strndup(text, size);
}

void __ast_free(void *block, const char *file, int line, const char *function)
{
	if (block) {
		__atomic_sub_fetch(&counts.blocks, 1, __ATOMIC_SEQ_CST);
	}
	free(block);
}

/* --- counted objects --- */

#define MAGIC 0xa02b1ec7

struct object {
	ao2_destructor_fn destructor;
	pthread_mutex_t lock;
	int references;
	int held;
	unsigned int magic;
	/* Asterisk aligns the user's part as malloc does. */
	char data[] __attribute__((aligned(16)));
};

static struct object *object_of(void *data, const char *doing)
{
	struct object *object;

	expect(data, "%s: NULL is no object", doing);
	object = (struct object *) ((char *) data - offsetof(struct object, data));
	expect(object->magic == MAGIC, "%s: %p is no object", doing, data);
	return object;
}

void *__ao2_alloc(size_t size, ao2_destructor_fn destructor, unsigned int options, const char *tag, const char *file,
	int line, const char *function)
{
	struct object *object = calloc(1, sizeof(*object) + size);
	pthread_mutexattr_t recursive;

	expect(object, "out of memory");
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&object->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	object->destructor = destructor;
	object->references = 1;
	object->magic = MAGIC;
	__atomic_add_fetch(&counts.objects, 1, __ATOMIC_SEQ_CST);
	return object->data;
}

int __ao2_ref(void *data, int delta, const char *tag, const char *file, int line, const char *function)
{
	struct object *object = object_of(data, "ao2_ref");
	int before = __atomic_fetch_add(&object->references, delta, __ATOMIC_SEQ_CST);

	expect(before > 0, "ao2_ref: object %p had %d references", data, before);
	expect(before + delta >= 0, "ao2_ref: object %p has %d references after %d", data, before + delta, delta);
	if (before + delta == 0) {
		if (object->destructor) {
			object->destructor(data);
		}
		expect(object->held == 0, "object %p dies locked", data);
		object->magic = 0;
		pthread_mutex_destroy(&object->lock);
		free(object);
		__atomic_sub_fetch(&counts.objects, 1, __ATOMIC_SEQ_CST);
	}
	return before;
}

int __ao2_lock(void *data, enum ao2_lock_req how, const char *file, const char *function, int line, const char *name)
{
	struct object *object = object_of(data, "ao2_lock");

	pthread_mutex_lock(&object->lock);
	object->held++;
	__atomic_add_fetch(&counts.locks, 1, __ATOMIC_SEQ_CST);
	return 0;
}

int __ao2_unlock(void *data, const char *file, const char *function, int line, const char *name)
{
	struct object *object = object_of(data, "ao2_unlock");

	expect(object->held > 0, "ao2_unlock: object %p is not locked", data);
	object->held--;
	__atomic_sub_fetch(&counts.locks, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&object->lock);
	return 0;
}

/* A list: what an engine fills with its candidates. */
struct ao2_container {
	void *objects[64];
	int number;
};

static void empty_container(void *data)
{
	struct ao2_container *container = data;

	while (container->number) {
		__ao2_ref(container->objects[--container->number], -1, NULL, __FILE__, __LINE__, __func__);
	}
}

struct ao2_container *__ao2_container_alloc_list(unsigned int ao2_options, unsigned int options, ao2_sort_fn *sort,
	ao2_callback_fn *compare, const char *tag, const char *file, int line, const char *function)
{
	return __ao2_alloc(sizeof(struct ao2_container), empty_container, ao2_options, tag, file, line, function);
}

int __ao2_link(struct ao2_container *container, void *object, int flags, const char *tag, const char *file, int line,
	const char *function)
{
	expect(container->number < 64, "more objects than the stub host's list can hold");
	__ao2_ref(object, 1, tag, file, line, function);
	container->objects[container->number++] = object;
	return 1;
}

/* Once for each object until one stops it, as far as the module needs it: without a function, the first. */
void *__ao2_callback(struct ao2_container *container, enum search_flags flags, ao2_callback_fn *function, void *arg,
	const char *tag, const char *file, int line, const char *caller)
{
	expect(!function, "ao2_callback with a function has no stand-in");
	if (!container->number) {
		return NULL;
	}
	__ao2_ref(container->objects[0], 1, tag, file, line, caller);
	return container->objects[0];
}

int ao2_container_count(struct ao2_container *container)
{
	return container->number;
}

/* --- modules --- */

const char *ast_get_version(void)
{
	const char *other = getenv("STUB_VERSION");

	return other ? other : STUB_VERSION;
}

void ast_module_register(const struct ast_module_info *info)
{
	expect(!registered_module, "the constructor registered twice");
	expect(info->name && info->description && info->key, "module info lacks name, description or key");
	expect(strlen(info->key) == 581, "the licence key has %zu characters", strlen(info->key));
	expect(info->load && info->unload, "module info lacks load or unload");
	expect(!info->buildopt_sum[0] || !strcmp(info->buildopt_sum, AST_BUILDOPT_SUM), "another build-option sum");
	registered_module = info;
}

void ast_module_unregister(const struct ast_module_info *info)
{
	if (registered_module == info) {
		registered_module = NULL;
	}
}

int ast_module_check(const char *name)
{
	return 0;
}

struct ast_module *__ast_module_ref(struct ast_module *module, const char *file, int line, const char *function)
{
	if (module) {
		__atomic_add_fetch(&counts.module_references, 1, __ATOMIC_SEQ_CST);
	}
	return module;
}

struct ast_module *__ast_module_running_ref(struct ast_module *module, const char *file, int line, const char *function)
{
	return __ast_module_ref(module, file, line, function);
}

void __ast_module_unref(struct ast_module *module, const char *file, int line, const char *function)
{
	if (module) {
		int left = __atomic_sub_fetch(&counts.module_references, 1, __ATOMIC_SEQ_CST);

		expect(left >= 0, "the module has %d references", left);
	}
}
