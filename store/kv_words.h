/* kv_words.h - what RocksDB's messages mean: a code, and a sentence that says which file and what
 * to do. */
#ifndef DAYBOOK_KV_WORDS_H
#define DAYBOOK_KV_WORDS_H

#include "error.h"

/* Records the meaning of RocksDB's message about the database in directory path; returns the
 * code. */
int kv_words(const char *path, const char *message, struct error *e);

#endif
