/* proc.c - see proc.h. */
#include "proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#define SYSTEM "/proc/"

static int own = -1;

int proc_mount(void)
{
	int system = fsopen("proc", FSOPEN_CLOEXEC);

	if (system < 0)
		return -1;
	if (fsconfig(system, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		own = fsmount(system, FSMOUNT_CLOEXEC,
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	close(system);
	return own;
}

int proc_open(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), SYSTEM "%d/%s", (int)pid, file);
	return openat(own, own < 0 ? path : path + sizeof(SYSTEM) - 1, O_RDONLY | O_CLOEXEC);
}
