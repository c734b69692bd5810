/* directory.c - see directory.h. */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int directory_each(int directory_fd, const char *path, const char *shown, directory_visitor each,
		   void *arg, struct error *e)
{
	int fd = openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!directory) {
		rc = error_system(e, "%s", shown);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (errno = 0; rc >= 0 && (entry = readdir(directory)); errno = 0) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = each(arg, entry->d_name, e);
	}
	if (rc >= 0)
		rc = errno ? error_system(e, "%s", shown) : 0;
	closedir(directory);
	return rc;
}
