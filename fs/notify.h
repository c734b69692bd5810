/* notify.h - tells the kernel what changed behind its back (a restore by the tools, `mv` out of
 * .history).
 *
 * The kernel takes a notice only when it can lock what the notice is about, and somebody may
 * hold that who waits for us. A process in which a thread waits so cannot even be killed;
 * therefore the worker hands its notices to the holder, which has a thread to wait with, and
 * says of each notice when the kernel has it.  A thread of the worker does the handing over, for
 * the way may be full. */
#ifndef DAYBOOK_FS_NOTIFY_H
#define DAYBOOK_FS_NOTIFY_H

#include "store/bytes.h"

struct notifier;

/* The worker's side.  to: a socket to notices_pass(). */
int notifier_start(int to, struct notifier **ret, struct error *e);
/* Accepts NULL; what was not handed over yet is forgotten. */
void notifier_stop(struct notifier *notifier);

/* The holder's side: passes notices from the socket to the kernel's device, until the other ends
 * are closed. */
void notices_pass(int from, int device);

/* The inode's attributes and cached bytes are old; the name in parent is old. */
void notifier_inode(struct notifier *notifier, uint64_t ino);
void notifier_entry(struct notifier *notifier, uint64_t parent, struct view name);

/* Returns when the kernel has taken all notices made so far, or after a second: whoever is answered
 * then sees what they told of.  No lock may be held that a request of the kernel's could want.  A
 * name in a directory that the caller's own request has locked is known only once that is answered:
 * it is not to be waited for. */
void notifier_wait(struct notifier *notifier);

#endif
