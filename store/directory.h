/* directory.h - what is in a directory of the disk, told whole or with an error. */
#ifndef DAYBOOK_DIRECTORY_H
#define DAYBOOK_DIRECTORY_H

#include "error.h"

typedef int (*directory_visitor)(void *arg, const char *name, struct error *e);

/* Calls each() for every name but . and .. in the directory that path is below directory_fd
 * (AT_FDCWD: a path); it may remove and rename what it is called for.  A negative code of each()
 * ends it and is returned, other codes are those of opening and reading; sentences begin with
 * `shown`. */
int directory_each(int directory_fd, const char *path, const char *shown, directory_visitor each,
		   void *arg, struct error *e);

#endif
