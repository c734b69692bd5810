/* commands.h - one table of what `daybook` can do: commands, their arguments and options.
 *
 * The table makes the parser, the help and (by a test) the manual page agree. */
#ifndef DAYBOOK_COMMANDS_H
#define DAYBOOK_COMMANDS_H

#include <stddef.h>

#include "store/error.h"

/* X(name, "arguments", least, most, "one line") - in the order in which help shows them; a _ in a
 * name is typed as a hyphen. */
#define COMMANDS(X) \
	X(init,      "STORE",            1, 1, "makes a new, empty store") \
	X(mount,     "STORE MOUNTPOINT", 2, 2, "mounts a store: starts daybookd") \
	X(log,       "[PATH]",           0, 1, "lists what happened in and below a directory, or to a file") \
	X(history,   "FILE",             1, 1, "lists the versions of a file, also of a deleted one") \
	X(restore,   "FILE",             1, 1, "puts an old version back, as a new version; or a whole folder") \
	X(status,    "[PATH]",           0, 1, "shows what a share holds, and what its history costs") \
	X(restart,   "[PATH]",           0, 1, "restarts a share's daemon; programs notice nothing") \
	X(verify,    "[PATH]",           0, 1, "checks everything in a store against everything else") \
	X(repair,    "STORE",            1, 1, "makes lost indexes of a store again, and says what is lost") \
	X(backup,    "DIR [PATH]",       1, 2, "copies a share's store, while it is used, to a directory of backups") \
	X(restore_store, "DIR STORE",    2, 2, "makes a new store from a backup") \
	X(export,    "PATH TARGET",      2, 2, "writes a directory as it was to plain files, or to a .tar (- is standard output)") \
	X(pack,      "[PATH]",           0, 1, "packs older versions closer together") \
	X(tags,      "[PATH]",           0, 1, "lists the tags of a directory and below") \
	X(conflicts, "[PATH]",           0, 1, "lists saves over what their author had not read")

/* What every listing takes. */
#define ROW_OPTIONS(X, command) \
	X(command, json,  '\0', NULL,    "one JSON object a row, one row a line") \
	X(command, csv,   '\0', NULL,    "comma-separated values, with a header line") \
	X(command, store, '\0', "STORE", "ask about this store; PATH is then relative to its root")

/* X(command, long name, short letter or '\0', "VALUE" or NULL, "what it does") */
#define OPTIONS(X) \
	X(init,    mode,    '\0', "MODE",          "mode of the share's root directory, octal (0755)") \
	X(init,    owner,   '\0', "USER[:GROUP]",  "owner of the share's root directory (you)") \
	X(init,    json,    '\0', NULL,            "tell of the new store as a JSON object") \
	X(mount,   options, 'o',  "OPTION,...",    "options of daybookd(8), as mount(8) has them") \
	X(mount,   foreground, 'f', NULL,          "stay in the foreground") \
	X(log,     by,      '\0', "USER",          "only what this user did (a name or a number)") \
	X(log,     since,   '\0', "TIME",          "only from the beginning of this time on") \
	X(log,     until,   '\0', "TIME",          "only up to the end of this time") \
	X(log,     limit,   'n',  "N",             "at most N changes") \
	X(log,     reverse, '\0', NULL,            "oldest first") \
	ROW_OPTIONS(X, log) \
	X(history, all,     '\0', NULL,            "also versions of programs' temporary files") \
	ROW_OPTIONS(X, history) \
	X(restore, version, '\0', "N",             "the version's number, or DOCUMENT@N, as history lists them") \
	X(restore, at,      '\0', "TIME",          "what was there at the end of this time; also of a folder") \
	X(restore, to,      '\0', "NAME",          "put it there and leave FILE alone") \
	ROW_OPTIONS(X, restore) \
	ROW_OPTIONS(X, status) \
	X(restart, kill,    '\0', NULL,            "when the process that serves does not answer, end it") \
	ROW_OPTIONS(X, restart) \
	X(verify,  quick,   '\0', NULL,            "of the contents of files, read only what is new") \
	X(verify,  resume,  '\0', NULL,            "go on where the last one was stopped") \
	X(verify,  rate,    '\0', "MIB",           "read at most this many MiB a second; 0: no limit (100 while it is mounted)") \
	ROW_OPTIONS(X, verify) \
	X(repair,  check,   '\0', NULL,            "only say what would be done") \
	X(repair,  json,    '\0', NULL,            "one JSON object a row, one row a line") \
	X(repair,  csv,     '\0', NULL,            "comma-separated values, with a header line") \
	X(backup,  list,    'l',  NULL,            "list the backups that are in DIR") \
	X(backup,  check,   '\0', NULL,            "the same, reading all of their files") \
	X(backup,  keep,    '\0', "N",             "then remove all but the newest N") \
	ROW_OPTIONS(X, backup) \
	X(restore_store, backup, '\0', "N",        "this one; the newest when it is not given") \
	X(restore_store, json, '\0', NULL,         "one JSON object") \
	X(restore_store, csv,  '\0', NULL,         "comma-separated values, with a header line") \
	X(export,  at,      '\0', "TIME",          "as it was at the end of this time; now when it is not given") \
	X(export,  history, '\0', NULL,            "with it every version of every file, and the log: a whole share") \
	X(export,  store,   '\0', "STORE",         "of this store; PATH is then relative to its root") \
	X(pack,    now,     '\0', NULL,            "all but the newest versions, however young, in all documents") \
	X(pack,    try,     '\0', NULL,            "only tell what it would do") \
	ROW_OPTIONS(X, pack) \
	ROW_OPTIONS(X, tags) \
	ROW_OPTIONS(X, conflicts)

#define COMMAND_ARGUMENTS_MAX 2
#define COMMAND_OPTIONS_MAX 16

/* What was given on the command line. */
struct invocation {
	const char *name;
	const char *arguments[COMMAND_ARGUMENTS_MAX]; /* NULL: not given */
	struct {
		const char *name, *value; /* value "1" for an option that takes none */
	} options[COMMAND_OPTIONS_MAX];
	size_t option_count;
};

/* The value of an option, NULL when it was not given. */
const char *option(const struct invocation *in, const char *name);

/* Each runs one command: 0, or a code with its sentence in *e. */
#define X(name, arguments, least, most, what)                                                      \
	int cmd_##name(const struct invocation *in, struct error *e);
COMMANDS(X)
#undef X

#endif
