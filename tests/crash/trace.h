/* trace.h - the trace that crash tests work on: what a store's directory was told to do, in order,
 * and what programs were told in return.
 *
 * record.c, preloaded into a program, writes a record for every system call that changes the
 * directory CRASH_ROOT, once it has succeeded; trace_ack() writes what somebody was promised.
 * Records are appended whole, to the file CRASH_TRACE. Each is a trace_head and behind it path,
 * path2 and data. */
#ifndef CRASH_TRACE_H
#define CRASH_TRACE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define TRACE_MAGIC 0x44635431

enum trace_op {
	TRACE_FOUND_DIR, /* was there, and durable, when recording began */
	TRACE_FOUND,     /* the same of a file; data: its bytes */
	TRACE_OPEN,      /* path by open(2) with flags; handle: what the records below call it */
	TRACE_WRITE,     /* data at offset */
	TRACE_SIZE,      /* the size became offset */
	TRACE_GROW,      /* the size became offset when it was less (fallocate) */
	TRACE_RENAME,    /* path to path2 */
	TRACE_LINK,
	TRACE_UNLINK,
	TRACE_MKDIR,
	TRACE_RMDIR,
	TRACE_SYNC,      /* fsync or fdatasync of handle begins; offset: its number */
	TRACE_SYNCED,    /* the one of that number returned 0 */
	TRACE_ACK,       /* data: a line of words, see check.c */
};

struct trace_head {
	uint32_t magic, size; /* size: of all of the record */
	uint16_t op, path_len, path2_len, flags_unused;
	uint32_t flags, data_len;
	uint64_t handle, offset;
};

static inline int trace_open(void)
{
	const char *path = getenv("CRASH_TRACE");

	return path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
}

/* Writes the words into the trace; nothing when no trace is kept.  They stand behind all that
 * happened before. */
static inline void __attribute__((format(printf, 1, 2))) trace_ack(const char *format, ...)
{
	static int fd = -2;
	char text[1024];
	va_list args;

	if (fd == -2)
		fd = trace_open();
	if (fd < 0)
		return;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct trace_head head = { .magic = TRACE_MAGIC,
				   .size = (uint32_t)(sizeof(head) + (size_t)n),
				   .op = TRACE_ACK,
				   .data_len = (uint32_t)n };
	struct iovec v[2] = { { &head, sizeof(head) }, { text, (size_t)n } };
	if (writev(fd, v, 2) != (ssize_t)head.size)
		abort();
}

#endif
