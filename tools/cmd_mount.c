/* cmd_mount.c - daybook mount: becomes daybookd. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

/* daybookd beside this program, in ../sbin, or wherever PATH or the usual places have it; returns
 * when there is none. */
static void become_daybookd(char *const *arguments)
{
	static const char *const places[] = { "%s/daybookd", "%s/../sbin/daybookd" };
	char self[PATH_MAX], path[PATH_MAX + 32], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(path, sizeof(path), places[i], self);
			execv(path, arguments);
		}
	}
	execvp("daybookd", arguments);
	execv("/usr/local/sbin/daybookd", arguments);
	execv("/usr/sbin/daybookd", arguments);
}

int cmd_mount(const struct invocation *in, struct error *e)
{
	const char *arguments[8] = { "daybookd", in->arguments[0], in->arguments[1] };
	size_t n = 3;

	if (option(in, "options")) {
		arguments[n++] = "-o";
		arguments[n++] = option(in, "options");
	}
	if (option(in, "foreground"))
		arguments[n++] = "-f";
	become_daybookd((char *const *)arguments);
	return error_set(e, -ENOENT,
			 "cannot start daybookd: is it installed beside daybook or in PATH?");
}
