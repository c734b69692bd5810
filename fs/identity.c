/* identity.c - see identity.h. */
#include "identity.h"

__thread uint64_t request_number;

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"
#include "store/lock.h"

#define NAMES_CACHED 256
#define NAME_SECONDS 60 /* a renamed user is known by the new name within a minute */
#define PF_SIGNALED 0x400 /* include/linux/sched.h: killed by a signal */

static struct {
	struct lock lock;
	struct {
		uint32_t uid;
		time_t until;
		char name[64];
	} at[NAMES_CACHED];
} names = { .lock = LOCK_INITIALIZER(LOCK_IDENTITY) };

static void look_up_name(uint32_t uid, char name[64])
{
	struct passwd entry, *found = NULL;
	char memory[4096];

	if (getpwuid_r(uid, &entry, memory, sizeof(memory), &found) == 0 && found)
		snprintf(name, 64, "%s", found->pw_name);
	else
		snprintf(name, 64, "%u", uid);
}

static void user_name(uint32_t uid, char name[64])
{
	size_t slot = uid % NAMES_CACHED;
	time_t now = time(NULL);

	lock_take(&names.lock);
	bool known = names.at[slot].until > now && names.at[slot].uid == uid;
	if (known)
		memcpy(name, names.at[slot].name, 64);
	lock_drop(&names.lock);
	if (known)
		return;
	look_up_name(uid, name); /* may ask a directory server: not under the lock */
	lock_take(&names.lock);
	names.at[slot].uid = uid;
	names.at[slot].until = now + NAME_SECONDS;
	memcpy(names.at[slot].name, name, 64);
	lock_drop(&names.lock);
}

/* ---- processes ---- */

/* A process as it was met: files of /proc that stay its own.  Reading one fails when the process is
 * gone, so that a number which another process got since is not taken for it; and a read costs a
 * tenth of opening and reading. */
#define PROCESSES 64

struct process {
	pid_t pid; /* the thread; 0: free */
	uint32_t tgid;
	int comm_fd, stat_fd; /* stat_fd: -1 until somebody asks */
};

static struct {
	struct lock lock;
	struct process at[PROCESSES];
} processes = { .lock = LOCK_INITIALIZER(LOCK_IDENTITY) };

/* Reads a file of /proc from its begin into text; its length, 0 when the process is gone. */
static size_t read_open(int fd, char *text, size_t room)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, room - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static size_t read_proc(pid_t pid, const char *what, char *text, size_t room)
{
	int fd = proc_open(pid, what);
	size_t n = read_open(fd, text, room);

	if (fd >= 0)
		close(fd);
	return n;
}

static void process_forget(struct process *p)
{
	if (!p->pid)
		return;
	close(p->comm_fd);
	if (p->stat_fd >= 0)
		close(p->stat_fd);
	*p = (struct process){ 0 };
}

/* The process when it is known and still there, with its command's name; else NULL.  With the lock
 * held. */
static struct process *process_find(pid_t pid, char command[32])
{
	struct process *p = &processes.at[(unsigned)pid % PROCESSES];

	if (p->pid != pid)
		return NULL;
	if (!read_open(p->comm_fd, command, 32)) {
		process_forget(p);
		return NULL;
	}
	command[strcspn(command, "\n")] = '\0';
	return p;
}

static void read_groups(const char *at, struct caller *ret)
{
	char *end;

	while (ret->group_count < IDENTITY_GROUPS_MAX) {
		unsigned long group = strtoul(at, &end, 10);

		if (end == at)
			return;
		ret->groups[ret->group_count++] = (uint32_t)group;
		at = end;
		if (*at == '\n')
			return;
	}
}

/* The number that stands in /proc/PID/status behind "\nTgid:\t"; pid when the process is gone. */
static uint32_t read_tgid(pid_t pid)
{
	char status[16384], *at;

	at = read_proc(pid, "status", status, sizeof(status)) ? strstr(status, "\nTgid:\t") : NULL;
	return (uint32_t)(at ? strtoul(at + 7, NULL, 10) : (unsigned long)pid);
}

static void meet_process(pid_t pid, struct identity *who)
{
	struct process *p = &processes.at[(unsigned)pid % PROCESSES];
	struct process met = { .pid = pid, .stat_fd = -1, .comm_fd = proc_open(pid, "comm") };

	if (met.comm_fd < 0)
		return;
	met.tgid = who->tgid = read_tgid(pid);
	lock_take(&processes.lock);
	process_forget(p);
	*p = met;
	/* Last: what was read before is of the process that comm_fd is of. */
	process_find(pid, who->command);
	lock_drop(&processes.lock);
}

void identity_of_caller(uint32_t uid, uint32_t gid, pid_t pid, struct caller *ret)
{
	struct identity *who = &ret->who;

	memset(who, 0, sizeof(*who));
	who->uid = uid;
	who->gid = gid;
	who->tgid = (uint32_t)pid;
	ret->pid = pid;
	ret->group_count = 0;
	ret->groups_known = false;
	user_name(uid, who->name);
	if (pid <= 0)
		return;
	lock_take(&processes.lock);
	struct process *p = process_find(pid, who->command);
	if (p)
		who->tgid = p->tgid;
	lock_drop(&processes.lock);
	if (!p)
		meet_process(pid, who);
	if (strcmp(who->command, "smbd") == 0)
		snprintf(who->client, sizeof(who->client), "smb");
}

struct actor identity_actor(const struct identity *who)
{
	return (struct actor){ .uid = who->uid,
			       .gid = who->gid,
			       .tgid = who->tgid,
			       .name = view_str(who->name),
			       .command = view_str(who->command),
			       .client = view_str(who->client),
			       .request = request_number };
}

struct credentials identity_credentials(struct caller *caller)
{
	char status[16384], *at;

	if (!caller->groups_known && caller->pid > 0 &&
	    read_proc(caller->pid, "status", status, sizeof(status))) {
		at = strstr(status, "\nGroups:\t");
		if (at)
			read_groups(at + 9, caller);
	}
	caller->groups_known = true;
	return (struct credentials){ .uid = caller->who.uid, .gid = caller->who.gid,
				     .group_count = caller->group_count, .groups = caller->groups };
}

/* What of a process that is known; its files are its own, so that they say whether it is there. */
static size_t read_stat(pid_t pid, char *text, size_t room)
{
	struct process *p = &processes.at[(unsigned)pid % PROCESSES];
	size_t n = 0;

	lock_take(&processes.lock);
	if (p->pid == pid && p->stat_fd < 0) {
		char command[32];

		p->stat_fd = proc_open(pid, "stat");
		process_find(pid, command); /* else it is of another that has the number now */
	}
	if (p->pid == pid)
		n = read_open(p->stat_fd, text, room);
	lock_drop(&processes.lock);
	return n ? n : read_proc(pid, "stat", text, room);
}

#define FLAGS_FIELD 7 /* of /proc/PID/stat, behind the command */

bool identity_is_killed(pid_t pid)
{
	char text[1024], *at;

	if (pid <= 0 || !read_stat(pid, text, sizeof(text)))
		return false;
	at = strrchr(text, ')'); /* the command may hold anything */
	for (int i = 0; at && i < FLAGS_FIELD; i++)
		at = strchr(at + 1, ' ');
	return at && (strtoul(at, NULL, 10) & PF_SIGNALED) != 0;
}
