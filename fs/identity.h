/* identity.h - who asks: the person and process behind a request of the kernel.
 *
 * The kernel names a uid, a gid and a *thread*; /proc gives the process (Tgid), its command and its
 * supplementary groups, and the password database the user's name as it is now.  Processes are
 * remembered, for reading /proc/PID/status costs as much as a change; groups, which only the past
 * asks for, are read anew for every request. */
#ifndef DAYBOOK_FS_IDENTITY_H
#define DAYBOOK_FS_IDENTITY_H

#include <sys/types.h>

#include "store/access.h"

#define IDENTITY_GROUPS_MAX 1024 /* further groups grant nothing */

struct identity {
	uint32_t uid, gid, tgid;
	char name[64], command[32], client[64];
};

struct caller {
	struct identity who;
	pid_t pid; /* the thread; 0 when the kernel itself asks */
	bool groups_known; /* the two below */
	size_t group_count;
	uint32_t groups[IDENTITY_GROUPS_MAX];
};

/* Fills in what can be known but for the groups; a process that is gone leaves tgid = pid and no
 * groups. */
void identity_of_caller(uint32_t uid, uint32_t gid, pid_t pid, struct caller *ret);

/* The kernel's number of the request that this thread answers, 0 on other threads: it goes with
 * what the request changes, so that the next worker can tell what was done when it is sent again
 * (resent.h). */
extern __thread uint64_t request_number;

/* Both borrow from their argument; credentials fill in its groups. */
struct actor identity_actor(const struct identity *who);
struct credentials identity_credentials(struct caller *caller);

/* L8: is the process dying of a signal (PF_SIGNALED)? */
bool identity_is_killed(pid_t pid);

#endif
