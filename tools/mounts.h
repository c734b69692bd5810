/* mounts.h - the mount table, as far as it tells where shares are mounted. */
#ifndef DAYBOOK_MOUNTS_H
#define DAYBOOK_MOUNTS_H

#include <stdio.h>

#include "store/error.h"

#define MOUNT_TYPE "fuse.daybookd"

struct mount_entry {
	char *point, *root, *type, *source; /* as /proc/self/mountinfo has them, escapes undone */
};

void mount_entry_release(struct mount_entry *m);

/* The mount that shows the absolute path without symlinks: the deepest, and of several at one point
 * the last. In a chroot whose root is no mount: "/" of type "none".  Reads only the table, never
 * the mount: it works when a daemon hangs. */
int mount_find(const char *path, struct mount_entry *ret, struct error *e);
/* The same in that table. */
int mount_find_in(FILE *table, const char *path, struct mount_entry *ret, struct error *e);

/* Undoes the table's \ooo escapes in place. */
void mount_unescape(char *text);

#endif
