/* kv_words.c - see kv_words.h. */
#include "kv_words.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The name (below the store, "db/000012.sst") of the database file that message speaks of, or
 * "db". */
static void file_in_message(const char *path, const char *message, char *name, size_t size)
{
	static const char *const endings[] = { ".sst",    ".ldb",     ".log",    "MANIFEST-",
					       "CURRENT", "OPTIONS-", "IDENTITY" };
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		const char *end = strstr(message, endings[i]), *start = end;

		if (!end)
			continue;
		while (start > message && start[-1] != '/' && start[-1] != ' ')
			start--;
		int length = (int)strcspn(start, " :,;");
		/* A table that is missing is told by the ending that LevelDB gave tables. */
		bool table = strcmp(endings[i], ".ldb") == 0 && end + 4 == start + length;
		snprintf(name, size, "%s/%.*s%s", base, table ? length - 4 : length, start,
			 table ? ".sst" : "");
		return;
	}
	snprintf(name, size, "%s", base);
}

static int code_of_message(const char *message)
{
	if (strstr(message, "No space left") || strstr(message, "NoSpace") ||
	    strstr(message, "Disk quota"))
		return -E_NO_SPACE;
	if (strstr(message, "LOCK:") &&
	    (strstr(message, "temporarily unavailable") || strstr(message, "No locks available")))
		return -E_LOCKED;
	if (strncmp(message, "Corruption", 10) == 0 || strstr(message, "Corruption:") ||
	    (strstr(message, "No such file") &&
	     (strstr(message, ".sst") || strstr(message, "MANIFEST"))))
		return -E_CORRUPT;
	if (strstr(message, "Column families not opened") ||
	    strstr(message, "nknown footer version") ||
	    strstr(message, "nsupported format version") ||
	    strstr(message, "nrecognized checksum type"))
		return -E_FORMAT_NEWER;
	return -E_KV;
}

int kv_words(const char *path, const char *message, struct error *e)
{
	int code = code_of_message(message);
	char file[80];

	file_in_message(path, message, file, sizeof(file));
	switch (code) {
	case -E_NO_SPACE:
		error_set(e, code,
			  "the disk that holds the store is full: free space on it and go on (%s)",
			  file);
		break;
	case -E_LOCKED:
		error_set(e, code,
			  "another process has the store open: stop it, or ask it (%.100s)", path);
		break;
	case -E_CORRUPT:
		error_set(
			e, code,
			"%s is %s: keep a copy of the store, then restore that file from a backup; "
			"RocksDB says: %.110s",
			file, strstr(message, "No such file") ? "missing" : "damaged", message);
		break;
	case -E_FORMAT_NEWER:
		error_set(e, code, "%s was written by a newer Daybook: upgrade this one (%.110s)",
			  file, message);
		break;
	default:
		error_set(e, code, "%s: the key-value store failed: %.170s", file, message);
	}
	return code;
}
