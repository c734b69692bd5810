/* config.h - what daybookd is told on its command line: daybookd STORE MOUNTPOINT [-o options]
 * [-f]. */
#ifndef DAYBOOK_FS_CONFIG_H
#define DAYBOOK_FS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "store/error.h"

/* X(option, "=VALUE" or "", what it does) - daybookd's own options after -o, for the parser, --help
 * and daybookd(8). */
#define MOUNT_OPTIONS(X) \
	X("ro", "", "nothing can be changed through the mount") \
	X("rw", "", "the opposite, the default") \
	X("show_history", "", "directory listings show .history") \
	X("cache", "=SIZE", "memory that the daemon keeps within, all caches in it, with a suffix k, m or g; default 512m") \
	X("pack", "=SECONDS", "versions are packed when they are so old, in quiet times; off: never; default 60") \
	X("debug", "", "say more in the log") \
	X("unconfined", "", "the daemon keeps the rights that it does not need, for debuggers")

/* What a worker is started with (holder.h): file descriptors. */
struct worker_ends {
	int device, region, talk, notices;
	int lock; /* the store's (store_open_lock()); 0: none */
};

struct config {
	char *store, *mountpoint;
	unsigned long mount_flags; /* of mount(2), further ones: MS_NOEXEC and the like */
	bool foreground, read_only, show_history, debug, unconfined, help, version;
	unsigned pack_age_s; /* the default when it is not given */
	bool no_pack;
	size_t cache_bytes; /* 0 = default */
	bool is_worker;     /* started by a holder, with these */
	struct worker_ends ends;
};

/* Reads the arguments; -E_USAGE with a sentence.  Options of mount(8) that are not for file systems
 * (noauto, nofail, user, _netdev, x-*, defaults and the like) are accepted and mean nothing here;
 * those that the kernel carries out for any (noexec, which `user` brings with it, sync, dirsync)
 * become mount_flags. */
int config_parse(int argc, char **argv, struct config *ret, struct error *e);
void config_release(struct config *config);

#endif
