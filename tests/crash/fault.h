/* fault.h - which call of those that touch the store's directory is to fail; for programs that run
 * under record.c. */
#ifndef CRASH_FAULT_H
#define CRASH_FAULT_H

#include <stdbool.h>

enum fault_call {
	FAULT_OPEN = 1,
	FAULT_WRITE = 2, /* write, truncate, fallocate */
	FAULT_SYNC = 4,
	FAULT_NAME = 8,  /* rename, link, unlink, mkdir, rmdir */
	FAULT_READ = 16,
	FAULT_MAP = 32,
	FAULT_STAT = 64, /* of a file or of the file system */
	FAULT_ANY = 127,
};

struct fault {
	unsigned nth;     /* 0: none any more */
	unsigned calls;   /* enum fault_call */
	int code;         /* errno; 0: a write of half the bytes */
	bool lasting;     /* and so do all that follow */
	const char *path; /* only calls on files whose path has this in it; NULL: all */
};

/* Sets the fault that is to come, or with nth 0 takes it back. */
void fault_set(const struct fault *wanted) __attribute__((weak));
/* Whether it has come since it was set. */
bool fault_came(void) __attribute__((weak));

#endif
