/* kv.h - what tests/fuzz/memory/kv.c has beyond store/kv.h: the whole past, to go back to.
 *
 * It stands in for RocksDB in targets that keep a store: nothing of it is on disk, all of it is seen by the sanitizers,
 * and a store is made anew by going back, which takes microseconds.  There is one database; closing and opening it
 * changes nothing in it. */
#ifndef DAYBOOK_FUZZ_MEMORY_KV_H
#define DAYBOOK_FUZZ_MEMORY_KV_H

#include "store/kv.h"

/* A moment in the database's life, and back to it; nobody has it open then.  0: before it was made. */
uint64_t memory_kv_now(void);
void memory_kv_back(uint64_t moment);

/* The keys there are now, all families together; the n-th of them in order: valid until something is written. */
size_t memory_kv_count(void);
void memory_kv_key(size_t n, enum family *ret_family, struct view *ret_key);

#endif
