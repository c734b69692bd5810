/* control.h - what the tools can ask: one table of commands, run by the daemon for its clients and
 * by the tool itself on a store that no daemon serves.  How it travels in between is wire.h.
 *
 * A *request* is a command's name and a list of named string arguments.  An *answer* is a stream of
 * rows; each row is a list of (name, kind, value) cells in the stable order that daybook(1)
 * documents.  Identity comes from the transport (SO_PEERCRED), rights are checked per command and
 * row with access.h. */
#ifndef DAYBOOK_CONTROL_H
#define DAYBOOK_CONTROL_H

#include "access.h"
#include "cell.h"

#define REQUEST_WORD_MAX 32
#define REQUEST_ARGUMENTS_MAX 16

struct request {
	char command[REQUEST_WORD_MAX];
	size_t count; /* <= REQUEST_ARGUMENTS_MAX */
	struct {
		char name[REQUEST_WORD_MAX];
		struct view value; /* borrowed */
	} arguments[REQUEST_ARGUMENTS_MAX];
};

/* Adds an argument; name is shorter than REQUEST_WORD_MAX and there is room (both asserted: it is
 * our own). */
void request_add(struct request *request, const char *name, struct view value);
/* The argument of that name; value.data is NULL when there is none. */
struct view request_get(const struct request *request, const char *name);

/* The receiver of an answer.  Both return false when nobody listens any more: the command then
 * stops.  progress() (may be NULL) comes now and then; total 0 = not known. */
#define ROW_CELLS_MAX 32
struct answer {
	bool (*row)(void *arg, const struct cell *cells, size_t count);
	bool (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct control_context {
	struct store *store;
	const struct credentials *who;
	struct actor actor;       /* signs what the command changes */
	const char *mountpoint;   /* NULL without a daemon */
	bool read_only;           /* the mount is: nothing may be changed */
	/* Called after a command changed live files, so that the mount can tell the kernel; may be
	 * NULL. */
	void (*changed)(void *arg, uint64_t ino, uint64_t parent, struct view name);
	/* Called when a command is done, before it is answered: returns when the kernel knows of
	 * it; may be NULL. */
	void (*await_kernel)(void *arg);
	/* Ends this daemon's process, for another one to go on with the mount, which the kernel
	 * must be able to. */
	bool (*can_restart)(void *arg);
	void (*restart)(void *arg);
	/* The process that keeps the mount; how many have served it (0: no daemon). */
	uint32_t holder, workers;
	int64_t mounted_ns, started_ns;  /* when; when this one began */
	/* Saves what is unsaved of the file before it is looked at or replaced; may be NULL. */
	int (*settle)(void *arg, uint64_t ino, struct error *e);
	void *arg;
};

/* The commands, and what they take.  Paths are relative to the share's root; users are names or
 * numbers; times are what clock_parse() reads; a flag is "1".  X(command, "arguments", what it
 * answers) */
#define CONTROL_COMMANDS(X) \
	X(log,       "path by since until limit reverse", "changes: the columns of logtext.h") \
	X(history,   "path all",                          "versions of what stands at path, newest first") \
	X(restore,   "path version at to",                "puts a version back (\"12\", \"DOCUMENT@12\"); one row") \
	X(verify,    "quick resume rate",                 "a row per damage, then one with the counts") \
	X(pack,      "now try",                           "packs older versions; one row: what it did") \
	X(status,    "",                                  "one row about the store") \
	X(restart,   "",                                  "another process takes over the mount; one row") \
	X(checkpoint, "",                                 "makes a checkpoint (checkpoint.h); one row") \
	X(uncheckpoint, "name",                           "removes it") \
	X(tags,      "path",                              "tags of the directory at path and below") \
	X(conflicts, "path",                              "saves over what their author had not read")

/* Runs one request; rows go to answer.  Rights are those of context->who; verify is for uid 0 and
 * the user that this process runs as.  -E_USAGE: an unknown command or argument, or one missing;
 * -E_FAILED_VERIFY: verify's rows say what; -ECANCELED: the receiver had enough. */
int control_run(const struct control_context *context, const struct request *request,
		const struct answer *answer, struct error *e);

#endif
