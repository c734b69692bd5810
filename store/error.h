/* error.h - what went wrong, and why.
 *
 * Every function that can fail returns an int: 0 or a count on success, otherwise a negative number
 * that is either one of the codes below (one per cause, -1001 downwards) or plain -errno.  The
 * sentence that goes with it is left in the caller's struct error, which is fixed in size, never
 * allocated, and may be NULL. Codes become an errno in one place only, error_errno(), at the edge
 * of the program. */
#ifndef DAYBOOK_ERROR_H
#define DAYBOOK_ERROR_H

#include <stdbool.h>

/* X(code, number, errno at the edge, what it means) - numbers are an interface: never reused, never
 * changed. */
#define ERROR_CODES(X) \
	X(E_CORRUPT,       1001, EIO,          "stored bytes are damaged") \
	X(E_KV,            1002, EIO,          "the key-value store failed") \
	X(E_NO_SPACE,      1003, ENOSPC,       "the disk that holds the store is full") \
	X(E_NOT_STORE,     1004, EINVAL,       "the directory is not a Daybook store") \
	X(E_FORMAT_NEWER,  1005, EPROTO,       "the store or record was made by a newer Daybook") \
	X(E_LOCKED,        1006, EBUSY,        "another process has the store open") \
	X(E_STORE_EXISTS,  1007, EEXIST,       "the directory already holds something") \
	X(E_NO_ENTRY,      1008, ENOENT,       "there is no such name") \
	X(E_EXISTS,        1009, EEXIST,       "the name is taken") \
	X(E_NOT_DIR,       1010, ENOTDIR,      "not a directory") \
	X(E_IS_DIR,        1011, EISDIR,       "is a directory") \
	X(E_NOT_EMPTY,     1012, ENOTEMPTY,    "the directory is not empty") \
	X(E_LOOP_MOVE,     1013, EINVAL,       "a directory cannot move below itself") \
	X(E_NAME_LONG,     1014, ENAMETOOLONG, "the name is longer than 255 bytes") \
	X(E_NAME_RESERVED, 1015, EINVAL,       "the name .history is reserved for the past") \
	X(E_NAME_BAD,      1016, EINVAL,       "the name is empty or holds a slash or a NUL") \
	X(E_TOO_MANY_LINKS,1017, EMLINK,       "the inode has as many links as it can have") \
	X(E_TOO_BIG,       1018, EFBIG,        "past the largest file size") \
	X(E_XATTR_SPACE,   1019, ENOSPC,       "extended attributes of one inode take at most 60 KiB") \
	X(E_NO_XATTR,      1020, ENODATA,      "there is no such extended attribute") \
	X(E_XATTR_EXISTS,  1021, EEXIST,       "the extended attribute exists") \
	X(E_READ_ONLY,     1022, EROFS,        "the past is read-only") \
	X(E_DENIED,        1023, EACCES,       "permission denied") \
	X(E_NOT_PERMITTED, 1024, EPERM,        "operation not permitted") \
	X(E_NO_VERSION,    1025, ENOENT,       "there is no such version") \
	X(E_BAD_TIME,      1026, EINVAL,       "not a time that Daybook understands") \
	X(E_TIME_RANGE,    1027, ENOENT,       "no instant of this store at that time") \
	X(E_NO_MEMORY,     1028, ENOMEM,       "out of memory") \
	X(E_PROTOCOL,      1029, EPROTO,       "malformed message") \
	X(E_NO_DAEMON,     1030, ECONNREFUSED, "no daemon serves this share") \
	X(E_USAGE,         1031, EINVAL,       "wrong use of a command") \
	X(E_STALE,         1032, ESTALE,       "the file is gone") \
	X(E_TIMEOUT,       1033, ETIMEDOUT,    "no answer in time") \
	X(E_INVALID,       1034, EINVAL,       "invalid argument") \
	X(E_FAILED_VERIFY, 1035, EIO,          "verification found damage") \
	X(E_TOO_MANY_OPEN, 1036, ENFILE,       "too many files are open") \
	X(E_TOO_DEEP,      1037, ENAMETOOLONG, "directories can be that deep below one another and no deeper") \
	X(E_NUMBERS_END,   1038, ENOSPC,       "all numbers of this kind have been given")

enum error_code {
#define X(code, number, err, text) code = number,
	ERROR_CODES(X)
#undef X
};

struct error {
	int code;       /* what the function returned, negative */
	/* One sentence for a person, no newline; bytes of names are shown as they are. */
	char text[240];
};

/* Records code and a printf-style sentence in *e (when e is not NULL) and returns code, so that one
 * line can do both: `return error_set(e, -E_NO_ENTRY, "%s: no such file", path);`.  An empty
 * sentence takes the table's. */
int error_set(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Like error_set for a failed system call: code is -errno as it stood at the call, ENOSPC and
 * EDQUOT becoming -E_NO_SPACE and ENOMEM -E_NO_MEMORY, and the sentence ends with strerror's words.
 * */
int error_system(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the sentence in *e; returns e->code.  No-op for a NULL e. */
int error_prefix(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The positive errno that stands for code (a negative code or -errno). */
int error_errno(int code);

/* The code's name ("E_CORRUPT", or strerrorname_np's for an errno) and its sentence in the
 * table. */
const char *error_name(int code);
const char *error_sentence(int code);

#endif
