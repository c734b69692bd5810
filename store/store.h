/* store.h - the front door: makes, opens and closes a store, and what the layers above need to
 * share.
 *
 * A *store* is one directory: FORMAT (text: format version, share id, chunk-name secret), db/
 * (kv.h), staging/ (staging.h), LOCK.  One process has it open at a time. An *actor* is who does
 * something: the person (uid, name as it was then), the process, and what the front end tells of
 * the client.  A *session* is (uid, tgid): over Samba that is one client connection. */
#ifndef DAYBOOK_STORE_H
#define DAYBOOK_STORE_H

#include <pthread.h>
#include <time.h>

#include "content.h"
#include "format.h"
#include "kv.h"
#include "staging.h"

/* Of the programs; what stores look like has numbers of its own (format.h). */
#define DAYBOOK_VERSION "0.2"
#define STORE_FORMAT_NAME "FORMAT"

struct store;

struct actor {
	uint32_t uid, gid;
	uint32_t tgid;       /* thread-group id of the process, 0 unknown */
	struct view name;    /* user's name; borrowed for the call */
	struct view command; /* comm of the process */
	struct view client;  /* e.g. "smb 192.0.2.7 LAPTOP-4", empty when local */
	/* The front end's number of what it answers, 0 none: log_record.request. */
	uint64_t request;
};

struct store_options {
	bool read_only;      /* looks without changing: no recovery, no writes */
	size_t cache_bytes;  /* what the process keeps within, caches and all; 0 = 512 MiB */
	bool take_over;      /* unsaved bytes and orphans stay as they are for store_take_over() */
	int lock;            /* of store_open_lock(), the store's from now on; 0: one of its own */
};

/* Makes a store in directory path, which must be absent or empty (-E_STORE_EXISTS).  The root
 * directory gets root_mode & 07777 and the given owner.  Nothing is left behind when it fails. */
int store_init(const char *path, uint32_t root_mode, uint32_t uid, uint32_t gid, struct error *e);

/* Opens a store: checks FORMAT (-E_NOT_STORE, -E_FORMAT_NEWER), takes the lock (-E_LOCKED names the
 * holder's pid; one that was ended and is not quite gone yet is waited for, 10 s at most), opens
 * db/, checks that the newest log records chain, drops orphans, and turns leftover unsaved bytes
 * into versions of their authors, flagged incomplete and recovered (P1).  What recovery did is told
 * line by line to store_recovery_report().  *ret is the caller's, for store_close(). */
int store_open(const char *path, const struct store_options *options, struct store **ret,
	       struct error *e);
void store_close(struct store *store); /* accepts NULL */

/* Opens the file that a store is locked with, and does not lock it: the descriptor, or a code.  A
 * process that has it open, and starts those that open the store with it (by fork), keeps everybody
 * else out as long as it lives, whichever of them has the store. */
int store_open_lock(const char *path, struct error *e);

/* What opening did beyond opening, one sentence a line, "" when nothing; valid until
 * store_close(). */
const char *store_recovery_report(const struct store *store);

/* For a daemon that goes on with a mount on which another died: recovery, with a word in it from
 * the front end. adopt() is called for each journal of unsaved bytes: true when it goes on (the
 * staging is the front end's then; dirty tells whether anything in it is unsaved), else it becomes
 * an incomplete version as at any start.  orphan() is called for each inode without a name, which
 * stays. */
struct take_over {
	bool (*adopt)(void *arg, const struct staging_origin *origin, struct staging *staging,
		      bool dirty);
	void (*orphan)(void *arg, uint64_t ino);
	void *arg;
};
int store_take_over(struct store *store, const struct take_over *by, struct error *e);

/* Everything acknowledged before the call is on stable storage when it returns 0. */
int store_sync(struct store *store, struct error *e);

/* Whether this process can change the store no more though its disk takes writes again:
 * kv_has_stopped(). */
bool store_has_stopped(struct store *store);

/* The newest change and its time: what "now" is in the log. */
void store_head(struct store *store, uint64_t *ret_change, int64_t *ret_time);

struct store_facts {
	char id[33];           /* the share's id, hexadecimal */
	const char *path;
	uint64_t changes, documents_next, inodes_next;
	int64_t first_time, last_time;
	/* Names and bytes of the present; counted, kept with every change. */
	uint64_t live_files, live_bytes;
	/* The same for saves of all times: version_counts(). */
	uint64_t versions, version_bytes;
	uint64_t content_bytes, index_bytes; /* on disk, about */
};
int store_facts(struct store *store, struct store_facts *ret, struct error *e);

/* Parts, for the other modules of store/ and for fs/ (reads of contents, the staging directory). */
struct kv *store_kv(struct store *store);
struct content_store *store_contents(struct store *store);
int store_staging_fd(struct store *store);
struct journals *store_journals(struct store *store);
/* Puts into the origin of unsaved bytes when they began to be written, for recovery; under the
 * inode's lock. */
void store_date_origin(struct store *store, struct staging_origin *origin);
const char *store_path(const struct store *store);
bool store_is_read_only(const struct store *store);

/* The directory cookie of a name: 62 bits keyed with the store's secret, stable for the
 * store's life.  Smaller numbers are for "." and the like. */
#define STORE_COOKIE_MIN 4
uint64_t store_cookie(const struct store *store, struct view name);

#endif
