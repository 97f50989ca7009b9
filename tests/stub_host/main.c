/* Opens the module as Asterisk's loader does, and drives it. Usage: stub_host MODULE.so SCENARIO */
#include "stub.h"

#include "res_rust_webrtc.h"

/* The loader's handle, opaque to modules. */
struct ast_module {
	int unused;
};

static struct ast_module handle;
static const char *path;

/* 16 and later, for a module of GLOBAL_SYMBOLS: opened, closed, opened again. */
static void *open_module(void)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	expect(library, "dlopen: %s", dlerror());
	dlclose(library);
	expect(!registered_module, "the destructor left the module registered");
	expect(!dlopen(path, RTLD_NOW | RTLD_NOLOAD), "dlclose did not unmap the module: a thread-local destructor is pending");
	library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	expect(library, "dlopen: %s", dlerror());
	return library;
}

static void close_module(void *library)
{
	dlclose(library);
	expect(!registered_module, "the destructor left the module registered");
	expect(!dlopen(path, RTLD_NOW | RTLD_NOLOAD), "the module stays mapped after its unload");
}

static void load(void)
{
	expect(registered_module, "the module did not register itself");
	/* The loader writes the handle, though the constructor's argument is const. */
	*(struct ast_module **) &registered_module->self = &handle;
	expect(registered_module->load() == AST_MODULE_LOAD_SUCCESS, "load was declined");
}

static void unload(void)
{
	expect(counts.module_references == 0, "%d references to the module are left", counts.module_references);
	expect(registered_module->unload() == 0, "unload was refused");
}

/* Threads that were joined may be in the kernel's list for an instant longer. */
static void compare(const struct counts *before, const char *after)
{
	struct counts now = count_all();
	int tries;

	for (tries = 0; now.threads != before->threads && tries < 100; tries++) {
		usleep(10000);
		now = count_all();
	}
#define same(what) expect(now.what == before->what, "%s: %d " #what " before, %d after", after, before->what, now.what)
	same(objects);
	same(locks);
	same(blocks);
	same(module_references);
	same(configs);
	same(commands);
	same(uris);
	same(optional_functions);
	same(engines);
	same(srtp_providers);
	same(threads);
	same(descriptors);
#undef same
}

static char out[16384];

static void console(void)
{
	char *word;

	expect(console_run("webrtc show version", out, sizeof(out)) == CLI_SUCCESS, "show version failed");
	expect(strstr(out, ast_get_version()), "show version names another Asterisk: %s", out);
	expect(console_run("webrtc show version now", out, sizeof(out)) == CLI_SHOWUSAGE, "an argument too many passed");
	expect(console_run("webrtc show settings all", out, sizeof(out)) == CLI_SUCCESS, "show settings failed");
	expect(strstr(out, "rtpstart                   7000 *"), "rtp.conf was not read: %s", out);
	expect(strstr(out, "max_message_size           65536\n"), "a bad value was used: %s", out);
	expect(console_usage("webrtc show settings"), "webrtc show settings has no help");

	word = console_complete("webrtc show settings ", "", 0);
	expect(word && !strcmp(word, "all"), "completion gives %s", word ? word : "nothing");
	__ast_free(word, __FILE__, __LINE__, __func__);
	expect(!console_complete("webrtc show settings ", "", 1), "completion does not end");
	expect(!console_complete("webrtc show settings ", "x", 0), "completion ignores the word");
}

static void settings(void)
{
	log_clear();
	config_set("rtp.conf", "[general]\nrtpstart = 7000\nrtpend = 9000\n");
	config_set("webrtc.conf", "[websocket]\nmax_message_size = big\n");
}

/* What include/res_rust_webrtc.h promises, found as it says. */
static void c_face(void)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
	__typeof__(rust_webrtc_version) *version = dlsym(library, "rust_webrtc_version");

	expect(version, "rust_webrtc_version is not exported");
	console_run("webrtc show version", out, sizeof(out));
	expect(strstr(out, version()), "two versions: %s and %s", version(), out);
	dlclose(library);
}

/* A file that cannot be parsed leaves the settings; one that vanished gives the defaults. */
static void reload(void)
{
	expect(log_count("webrtc.conf line 2: max_message_size = big") == 1, "the bad value was not reported once");
	config_set("rtp.conf", "invalid");
	registered_module->reload();
	console_run("webrtc show settings", out, sizeof(out));
	expect(strstr(out, "7000"), "a file that cannot be read changed the settings");
	config_set("rtp.conf", NULL);
	registered_module->reload();
	console_run("webrtc show settings", out, sizeof(out));
	expect(!strstr(out, "7000"), "a reload did not read the files again");
}

/* Each time in one process, as "module unload" and "module load" do. */
static void cycles(int number)
{
	int i;

	for (i = 0; i < number; i++) {
		struct counts before = count_all();
		void *library = open_module();

		settings();
		load();
		console();
		c_face();
		reload();
		unload();
		close_module(library);
		compare(&before, "after unload");
	}
}

/* Panics in a handler and in a completion: logged, answered as failures, and nothing else. */
static void panic(void)
{
	struct counts before = count_all();
	void *library = open_module();
	int i;

	settings();
	load();
	for (i = 0; i < 3; i++) {
		log_clear();
		expect(console_run("_webrtc panic", out, sizeof(out)) == CLI_FAILURE, "a panic did not end as a failure");
		expect(log_count("asked for on the console") > 0, "the panic was not logged");
		expect(!console_complete("_webrtc panic ", "", 0), "a panic in completion gave a word");
		expect(counts.locks == 0, "a panic left a lock held");
	}
	console();
	unload();
	close_module(library);
	compare(&before, "after a panic");
}

/* Built for another Asterisk: the constructor says so and registers nothing. */
static void other_version(void)
{
	void *library;

	setenv("STUB_VERSION", "14.7.8", 1);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	expect(library, "dlopen: %s", dlerror());
	expect(!registered_module, "a module for another Asterisk registered itself");
	expect(log_count("this is Asterisk 14.7.8: it is not loaded") == 1, "no sentence says why");
	dlclose(library);
}

/* Every engine, through a whole call; twice, for what the first leaves behind. */
static void calls(void)
{
	static const char *const names[] = { "webrtc", "asterisk" };
	struct counts before = count_all();
	void *library = open_module();
	size_t name;
	int i;

	settings();
	load();
	for (name = 0; name < ARRAY_LEN(names); name++) {
		struct ast_rtp_engine *engine = engine_find(names[name]);
		struct counts idle = count_all();

		expect(engine, "no engine '%s' is registered", names[name]);
		for (i = 0; i < 3; i++) {
			engine_call(engine);
		}
		compare(&idle, "after calls");
	}
	unload();
	close_module(library);
	compare(&before, "after calls and unload");
}

static void websocket(void)
{
	struct counts before = count_all();
	void *library = open_module();
	int i;

	settings();
	load();
	for (i = 0; i < 3; i++) {
		websocket_sessions();
		expect(counts.locks == 0, "a session left a lock held");
	}
	/* The last of a session is given back by the thread that serves it. */
	for (i = 0; counts.module_references && i < 500; i++) {
		usleep(10000);
	}
	unload();
	close_module(library);
	compare(&before, "after sessions and unload");
}

static void sdes(void)
{
	struct counts before = count_all(), idle;
	void *library = open_module();
	int i;

	settings();
	load();
	idle = count_all();
	for (i = 0; i < 3; i++) {
		crypto_attributes();
		compare(&idle, "after crypto attributes");
	}
	unload();
	close_module(library);
	compare(&before, "after crypto attributes and unload");
}

int main(int argc, char **argv)
{
	expect(argc == 3, "usage: stub_host MODULE.so SCENARIO");
	path = argv[1];
	/* What the C library keeps open for good is opened before anything is counted. */
	count_all();
	formats_make();
	if (!strcmp(argv[2], "cycles")) {
		cycles(20);
	} else if (!strcmp(argv[2], "panic")) {
		panic();
	} else if (!strcmp(argv[2], "other-version")) {
		other_version();
	} else if (!strcmp(argv[2], "calls")) {
		calls();
	} else if (!strcmp(argv[2], "sdes")) {
		sdes();
	} else if (!strcmp(argv[2], "websocket")) {
		websocket();
	} else {
		fail("no scenario '%s'", argv[2]);
	}
	formats_free();
	puts("stub host: well");
	return 0;
}
