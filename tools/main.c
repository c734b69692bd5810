/* main.c - daybook: finds the command in the table of commands.h, reads its options and runs it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "store/store.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct command_info {
	const char *name, *arguments;
	int least, most;
	const char *what;
	int (*run)(const struct invocation *in, struct error *e);
} commands[] = {
#define X(name, arguments, least, most, what) { #name, arguments, least, most, what, cmd_##name },
	COMMANDS(X)
#undef X
};


static const struct option_info {
	const char *command, *name;
	char letter;
	const char *value, *what;
} options[] = {
#define X(command, name, letter, value, what) { #command, #name, letter, value, what },
	OPTIONS(X)
#undef X
};

#define COMMAND_NAME_MAX 32
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *option(const struct invocation *in, const char *name)
{
	for (size_t i = 0; i < in->option_count; i++) {
		if (strcmp(in->options[i].name, name) == 0)
			return in->options[i].value;
	}
	return NULL;
}

/* The command as it is typed. */
static const char *typed_name(const struct command_info *command, char out[COMMAND_NAME_MAX])
{
	size_t i = 0;

	for (; i < COMMAND_NAME_MAX - 1 && command->name[i]; i++)
		out[i] = command->name[i] == '_' ? '-' : command->name[i];
	out[i] = '\0';
	return out;
}

/* --- help ----------------------------------------------------------------- */

static void print_usage(FILE *out)
{
	char name[COMMAND_NAME_MAX];

	fprintf(out, "usage: daybook COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(out, "  %-13s %-16s  %s\n", typed_name(&commands[i], name),
			commands[i].arguments, commands[i].what);
	fprintf(out,
		"\n`daybook COMMAND --help` shows a command's options; the manual is daybook(1).\n"
		"A PATH is one on a mounted share (the working directory when it is left out).\n");
}

static void print_help(const struct command_info *command)
{
	char left[64], name[COMMAND_NAME_MAX];

	typed_name(command, name);
	printf("usage: daybook %s [OPTION...] %s\n\n%s: %s\n\n", name, command->arguments, name,
	       command->what);
	for (size_t i = 0; i < COUNT(options); i++) {
		const struct option_info *o = &options[i];
		char letter[5] = "    ";

		if (strcmp(o->command, command->name) != 0)
			continue;
		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		printf("  %-26s %s\n", left, o->what);
	}
	printf("  %-26s %s\n", "-h, --help", "this");
}

static int usage_error(const struct command_info *command, const char *text)
{
	char name[COMMAND_NAME_MAX];

	typed_name(command, name);
	fprintf(stderr, "daybook %s: %s: see `daybook %s --help`\n", name, text, name);
	return EXIT_USAGE;
}

/* --- reading the command line --------------------------------------------- */

/* getopt's tables for one command; an option's val is its place in options[] + 256. */
struct getopt_tables {
	struct option longs[COMMAND_OPTIONS_MAX + 2];
	char letters[2 * COMMAND_OPTIONS_MAX + 4];
};

static void make_tables(const struct command_info *command, struct getopt_tables *t)
{
	size_t n = 0, letters = 0;

	memset(t, 0, sizeof(*t));
	t->letters[letters++] = 'h';
	t->longs[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	for (size_t i = 0; i < COUNT(options) && n <= COMMAND_OPTIONS_MAX; i++) {
		const struct option_info *o = &options[i];

		if (strcmp(o->command, command->name) != 0)
			continue;
		t->longs[n++] =
			(struct option){ o->name, o->value ? required_argument : no_argument, NULL,
					 (int)i + 256 };
		if (o->letter) {
			t->letters[letters++] = o->letter;
			if (o->value)
				t->letters[letters++] = ':';
		}
	}
}

/* The option that getopt found: by its place or by its letter; NULL for -h. */
static const struct option_info *found_option(const struct command_info *command, int found)
{
	if (found >= 256)
		return &options[found - 256];
	for (size_t i = 0; i < COUNT(options); i++) {
		if (strcmp(options[i].command, command->name) == 0 && options[i].letter == found)
			return &options[i];
	}
	return NULL;
}

/* -1: go on and run; else the exit status. */
static int read_options(const struct command_info *command, int argc, char **argv,
			struct invocation *in)
{
	struct getopt_tables tables;
	char name[64], typed[COMMAND_NAME_MAX];
	int found;

	make_tables(command, &tables);
	snprintf(name, sizeof(name), "daybook %s", typed_name(command, typed));
	argv[0] = name; /* what getopt's messages begin with */
	optind = 1;
	while ((found = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (found == 'h') {
			print_help(command);
			return 0;
		}
		const struct option_info *o = found == '?' ? NULL : found_option(command, found);
		if (!o)
			return usage_error(command, "wrong use");
		if (option(in, o->name))
			return usage_error(command, "an option was given twice");
		in->options[in->option_count].name = o->name;
		in->options[in->option_count++].value = o->value ? optarg : "1";
	}
	if (argc - optind < command->least)
		return usage_error(command, "an argument is missing");
	if (argc - optind > command->most)
		return usage_error(command, "too many arguments");
	for (int i = 0; i < argc - optind; i++)
		in->arguments[i] = argv[optind + i];
	return -1;
}

static int run(const struct command_info *command, int argc, char **argv)
{
	struct invocation in = { .name = command->name };
	struct error e = { 0 };
	int status = read_options(command, argc, argv, &in), r;
	char name[COMMAND_NAME_MAX];

	if (status >= 0)
		return status;
	r = command->run(&in, &e);
	if (fflush(stdout) != 0 && r >= 0)
		r = error_system(&e, "cannot write the answer");
	if (r >= 0)
		return EXIT_SUCCESS;
	typed_name(command, name);
	if (e.text[0])
		fprintf(stderr, "daybook %s: %s\n", name, e.text);
	else if (r != -E_FAILED_VERIFY)
		fprintf(stderr, "daybook %s: %s\n", name, error_sentence(r));
	return r == -E_USAGE || r == -E_BAD_TIME ? EXIT_USAGE : EXIT_FAILED;
}

static const struct command_info *find_command(const char *name)
{
	char typed[COMMAND_NAME_MAX];

	for (size_t i = 0; i < COUNT(commands); i++) {
		if (strcmp(typed_name(&commands[i], typed), name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int help(const char *name)
{
	const struct command_info *command = name ? find_command(name) : NULL;

	if (name && !command) {
		fprintf(stderr, "daybook: %s: there is no such command: see `daybook --help`\n",
			name);
		return EXIT_USAGE;
	}
	if (command)
		print_help(command);
	else
		print_usage(stdout);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct command_info *command;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return help(argv[2]);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("daybook %s\n", DAYBOOK_VERSION);
		return EXIT_SUCCESS;
	}
	command = find_command(argv[1]);
	if (!command) {
		fprintf(stderr, "daybook: %s: there is no such command: see `daybook --help`\n",
			argv[1]);
		return EXIT_USAGE;
	}
	return run(command, argc - 1, argv + 1);
}
