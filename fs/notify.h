/* notify.h - the thread that tells the kernel what changed behind its back (a restore by the tools, `mv` out of
 * .history).  It holds no lock while it does, because the kernel may call back. */
#ifndef DAYBOOK_FS_NOTIFY_H
#define DAYBOOK_FS_NOTIFY_H

#include "store/bytes.h"

struct fuse_session;
struct notifier;

int notifier_start(struct fuse_session *session, struct notifier **ret, struct error *e);
void notifier_stop(struct notifier *notifier); /* accepts NULL */

/* The inode's attributes and cached bytes are old; the name in parent is old. */
void notifier_inode(struct notifier *notifier, uint64_t ino);
void notifier_entry(struct notifier *notifier, uint64_t parent, struct view name);

#endif
