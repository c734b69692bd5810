/* identity.c - see identity.h. */
#include "identity.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* Reads /proc/PID/what into text; its length, 0 when the process is gone. */
static size_t read_proc(pid_t pid, const char *what, char *text, size_t room)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, room - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
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

static void read_command(const char *at, char command[32])
{
	size_t n = strcspn(at, "\n");

	n = n < 31 ? n : 31;
	memcpy(command, at, n);
	command[n] = '\0';
}

void identity_of_caller(uint32_t uid, uint32_t gid, pid_t pid, struct caller *ret)
{
	char status[16384], *at;

	memset(&ret->who, 0, sizeof(ret->who));
	ret->who.uid = uid;
	ret->who.gid = gid;
	ret->who.tgid = (uint32_t)pid;
	ret->pid = pid;
	ret->group_count = 0;
	user_name(uid, ret->who.name);
	if (pid <= 0 || !read_proc(pid, "status", status, sizeof(status)))
		return;
	if (strncmp(status, "Name:\t", 6) == 0)
		read_command(status + 6, ret->who.command);
	at = strstr(status, "\nTgid:\t");
	if (at)
		ret->who.tgid = (uint32_t)strtoul(at + 7, NULL, 10);
	at = strstr(status, "\nGroups:\t");
	if (at)
		read_groups(at + 9, ret);
	if (strcmp(ret->who.command, "smbd") == 0)
		snprintf(ret->who.client, sizeof(ret->who.client), "smb");
}

struct actor identity_actor(const struct identity *who)
{
	return (struct actor){ .uid = who->uid, .gid = who->gid, .tgid = who->tgid, .name = view_str(who->name),
			       .command = view_str(who->command), .client = view_str(who->client) };
}

struct credentials identity_credentials(const struct caller *caller)
{
	return (struct credentials){ .uid = caller->who.uid, .gid = caller->who.gid,
				     .group_count = caller->group_count, .groups = caller->groups };
}

bool identity_is_killed(pid_t pid)
{
	char text[1024], *at;
	unsigned flags = 0;

	if (pid <= 0 || !read_proc(pid, "stat", text, sizeof(text)))
		return false;
	at = strrchr(text, ')'); /* the command may hold anything */
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return false;
	return (flags & PF_SIGNALED) != 0;
}
