/* operations.h - what can be done to a store, one thing at a time, for tests that make each of it
 * fail.
 *
 * They work on one store, made by operations_prepare() and copied as often as it takes; a program
 * that does so has nothing of it open.  A call that must not fail and does ends the process with a
 * sentence (MUST). */
#ifndef CRASH_OPERATIONS_H
#define CRASH_OPERATIONS_H

#include "store/version.h"

enum {
	OPENS = 1,   /* it opens the store itself, which is closed before it */
	STEPS = 2,   /* it is many changes: when it fails, those that were done stay */
	/* Before() damages what it repairs: a store that it failed on verifies once it went
	 * through. */
	REPAIRS = 4,
};

struct operation {
	const char *name;
	int (*run)(struct error *e);
	unsigned is;
	void (*before)(void); /* may be NULL; with the store open */
};

extern const struct operation operations[];
extern const size_t operation_count;

/* The store that operations work on, NULL while it is closed. */
extern struct store *operations_store;

/* Makes the store in directory path and ends it as a kill does: its log is to be replayed, and it
 * has unsaved bytes. To be called in a process of its own. */
void operations_prepare(const char *path);
/* Where the store is from now on, and a directory that is the operations' own. */
void operations_at(const char *path, const char *scratch);
int operations_open(struct error *e);
void operations_close(void);

/* Saves as the daemon does: a journal, a version, the journal's end. */
int operations_save(const char *name, const char *text, struct error *e);

/* What must be true whatever failed: the store verifies; what was synced before is there, and
 * unsaved bytes are. */
void operations_check(const char *when);
/* Version number of the file is that text, and its newest when no other is asked for. */
void operations_check_text(const char *name, uint64_t number, const char *text);
bool operations_has(const char *name);

/* A hash of all that the store says, but for chunks, which may be there without being named. */
uint64_t operations_fingerprint(void);

void operations_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define MUST(call) \
	do { \
		struct error e_ = { 0 }, *e = &e_; \
		int rc_ = (call); \
		if (rc_ < 0) \
			operations_fail("%s: %d %s", #call, rc_, e_.text); \
	} while (0)

#endif
