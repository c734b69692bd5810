/* file_parts.h - the inside of file.h's table, for file.c and file_read.c. */
#ifndef DAYBOOK_FS_FILE_PARTS_H
#define DAYBOOK_FS_FILE_PARTS_H

#include "drain.h"
#include "file.h"
#include "orphans.h"

#define FILE_BUCKETS 4096

struct files {
	struct store *store;
	struct bases *bases;
	struct lock lock; /* FS_TABLE */
	struct file *buckets[FILE_BUCKETS];
	struct orphans orphans;
	struct drain *drain;
};

#endif
