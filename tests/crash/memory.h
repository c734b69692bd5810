/* memory.h - which allocation is to fail; for programs linked with memory.c and MEMORY_WRAPS of the
 * Makefile. */
#ifndef CRASH_MEMORY_H
#define CRASH_MEMORY_H

#include <stdbool.h>

/* The n-th allocation from now on fails, 0: none does.  Those of this program's own objects count,
 * Daybook's and zlib's; those that shared libraries make for themselves do not: RocksDB ends the
 * program when memory does. */
void memory_fail_nth(unsigned n);
/* Whether it has come since it was set. */
bool memory_came(void);

#endif
