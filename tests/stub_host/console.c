/* Console commands and configuration files. */
#include "stub.h"

/* --- commands --- */

static struct ast_cli_entry *commands[64];
static char *output;
static size_t output_size;

int __ast_cli_register(struct ast_cli_entry *entry, struct ast_module *module)
{
	struct ast_cli_args none = { .fd = -1 };
	const char **word = (const char **) entry->cmda;
	char *at;
	int i;

	expect(module, "a command is registered without its module");
	entry->module = module;
	entry->handler(entry, CLI_INIT, &none);
	expect(entry->command && entry->usage && entry->summary, "a command lacks words, usage or summary");
	expect(strlen(entry->summary) < 60, "'%s' is long for a summary", entry->summary);
	expect(!strncmp(entry->usage, "Usage: ", 7), "the usage of '%s' does not begin so", entry->command);
	expect(entry->usage[strlen(entry->usage) - 1] == '\n', "the usage of '%s' lacks its newline", entry->command);

	entry->_full_cmd = strdup(entry->command);
	at = entry->command = strdup(entry->command);
	while ((*word = strsep(&at, " "))) {
		word++;
		entry->args++;
	}
	for (i = 0; commands[i]; i++) {
		expect(strcmp(commands[i]->_full_cmd, entry->_full_cmd), "'%s' is registered twice", entry->_full_cmd);
		expect(i < 60, "more commands than the stub host can hold");
	}
	commands[i] = entry;
	counts.commands++;
	return 0;
}

int ast_cli_unregister(struct ast_cli_entry *entry)
{
	int i, last;

	for (last = 0; commands[last]; last++) {
	}
	for (i = 0; commands[i] && commands[i] != entry; i++) {
	}
	expect(commands[i], "a command is withdrawn that is not there");
	if (entry->inuse) {
		return 0;
	}
	commands[i] = commands[last - 1];
	commands[last - 1] = NULL;
	free(entry->_full_cmd);
	free(entry->command);
	memset((void *) entry->cmda, 0, sizeof(entry->cmda));
	entry->_full_cmd = entry->command = NULL;
	entry->usage = NULL;
	counts.commands--;
	return 0;
}

void ast_cli(int fd, const char *format, ...)
{
	size_t used = strlen(output);
	va_list args;

	expect(fd == 42, "ast_cli: descriptor %d is not the console's", fd);
	va_start(args, format);
	vsnprintf(output + used, output_size - used, format, args);
	va_end(args);
}

char *ast_cli_complete(const char *word, const char * const choices[], int state)
{
	int i;

	for (i = 0; choices[i]; i++) {
		if (!strncasecmp(word, choices[i], strlen(word)) && state-- == 0) {
			return __ast_strdup(choices[i], __FILE__, __LINE__, __func__);
		}
	}
	return NULL;
}

static int split(char *line, const char **words)
{
	int number = 0;

	while (number < AST_MAX_ARGS && (words[number] = strsep(&line, " "))) {
		number += words[number][0] != '\0';
	}
	words[number] = NULL;
	return number;
}

static struct ast_cli_entry *command_of(const char **words, int number)
{
	int i, matching;

	for (i = 0; commands[i]; i++) {
		for (matching = 0; matching < number && commands[i]->cmda[matching]; matching++) {
			if (strcasecmp(words[matching], commands[i]->cmda[matching])) {
				break;
			}
		}
		if (!commands[i]->cmda[matching]) {
			return commands[i];
		}
	}
	return NULL;
}

char *console_run(const char *line, char *out, size_t size)
{
	char copy[256];
	const char *words[AST_MAX_ARGS + 1];
	struct ast_cli_entry *entry;
	char *result;
	int number;

	snprintf(copy, sizeof(copy), "%s", line);
	number = split(copy, words);
	entry = command_of(words, number);
	expect(entry, "no command '%s'", line);

	struct ast_cli_args args = { .fd = 42, .argc = number, .argv = words };

	output = out;
	output_size = size;
	out[0] = '\0';
	entry->inuse++;
	result = entry->handler(entry, CLI_HANDLER, &args);
	entry->inuse--;
	return result;
}

char *console_complete(const char *line, const char *word, int n)
{
	char copy[256];
	const char *words[AST_MAX_ARGS + 1];
	struct ast_cli_entry *entry;
	int number;

	snprintf(copy, sizeof(copy), "%s", line);
	number = split(copy, words);
	entry = command_of(words, number);
	expect(entry, "no command '%s'", line);

	struct ast_cli_args args = {
		.fd = -1, .argc = number, .argv = words, .line = line, .word = word, .pos = number - (*word != '\0'), .n = n,
	};

	return entry->handler(entry, CLI_GENERATE, &args);
}

const char *console_usage(const char *words)
{
	int i;

	for (i = 0; commands[i]; i++) {
		if (!strcmp(commands[i]->_full_cmd, words)) {
			return commands[i]->usage;
		}
	}
	return NULL;
}

/* --- configuration --- */

struct ast_config {
	struct category {
		char *name;
		struct ast_variable *first, **end;
		struct category *next;
	} *first, **end;
};

static struct {
	const char *file, *text;
} files[8];

void config_set(const char *file, const char *text)
{
	int i;

	for (i = 0; i < 8; i++) {
		if (!files[i].file || !strcmp(files[i].file, file)) {
			files[i].file = file;
			files[i].text = text;
			return;
		}
	}
	fail("more files than the stub host can hold");
}

static const char *text_of(const char *file)
{
	int i;

	for (i = 0; i < 8 && files[i].file; i++) {
		if (!strcmp(files[i].file, file)) {
			return files[i].text;
		}
	}
	return NULL;
}

struct ast_config *ast_config_load2(const char *file, const char *who, struct ast_flags flags)
{
	const char *text = text_of(file);
	struct ast_config *config;
	struct category *category = NULL;
	char *copy, *rest, *line;
	int number = 0;

	if (!text) {
		return CONFIG_STATUS_FILEMISSING;
	}
	if (!strcmp(text, "invalid")) {
		return CONFIG_STATUS_FILEINVALID;
	}
	config = calloc(1, sizeof(*config));
	config->end = &config->first;
	rest = copy = strdup(text);
	while ((line = strsep(&rest, "\n"))) {
		char *value = strstr(line, " = ");

		number++;
		if (line[0] == '[') {
			category = calloc(1, sizeof(*category));
			category->name = strndup(line + 1, strcspn(line + 1, "]"));
			category->end = &category->first;
			*config->end = category;
			config->end = &category->next;
		} else if (value && category) {
			struct ast_variable *variable = calloc(1, sizeof(*variable));

			*value = '\0';
			/* These members are const pointers in some versions and arrays' ends in none. */
			*(char **) &variable->name = strdup(line);
			*(char **) &variable->value = strdup(value + 3);
			*(char **) &variable->file = strdup("");
			variable->lineno = number;
			*category->end = variable;
			category->end = &variable->next;
		}
	}
	free(copy);
	counts.configs++;
	return config;
}

void ast_config_destroy(struct ast_config *config)
{
	struct category *category;
	struct ast_variable *variable;

	while ((category = config->first)) {
		config->first = category->next;
		while ((variable = category->first)) {
			category->first = variable->next;
			free(*(char **) &variable->name);
			free(*(char **) &variable->value);
			free(*(char **) &variable->file);
			free(variable);
		}
		free(category->name);
		free(category);
	}
	free(config);
	counts.configs--;
}

char *ast_category_browse(struct ast_config *config, const char *previous)
{
	struct category *category = config->first;

	if (previous) {
		while (category && category->name != previous) {
			category = category->next;
		}
		expect(category, "ast_category_browse: a category that is not of this config");
		category = category->next;
	}
	return category ? category->name : NULL;
}

struct ast_variable *ast_variable_browse(const struct ast_config *config, const char *name)
{
	struct category *category;

	for (category = config->first; category; category = category->next) {
		if (category->name == name || !strcmp(category->name, name)) {
			return category->first;
		}
	}
	return NULL;
}
