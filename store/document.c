/* document.c - document records: reading them (version.h), and what changes keep of them in memory
 * (internal.h). */
#include <stdlib.h>

#include "internal.h"
#include "version.h"

struct cached_document {
	struct lru_entry entry;
	size_t len;
	uint8_t encoded[];
};

void document_keep(struct store *store, uint64_t doc, struct view encoded)
{
	struct cached_document *cached = malloc(sizeof(*cached) + encoded.len);

	lru_remove(&store->documents, doc);
	if (!cached)
		return;
	cached->entry =
		(struct lru_entry){ .key = doc, .bytes = sizeof(*cached) + encoded.len + 16 };
	cached->len = encoded.len;
	view_copy(cached->encoded, encoded);
	lru_add(&store->documents, &cached->entry);
	lru_drop(&store->documents, &cached->entry);
}

/* 1: *memory is the encoded record; 0: it is not kept. */
static int find_kept(struct store *store, uint64_t doc, struct buf *memory, struct error *e)
{
	struct cached_document *cached = lru_find(&store->documents, doc);

	if (!cached)
		return 0;
	buf_clear(memory);
	buf_append(memory, cached->encoded, cached->len);
	lru_drop(&store->documents, &cached->entry);
	int rc = buf_check(memory, e);
	return rc < 0 ? rc : 1;
}

int document_get(struct store *store, uint64_t doc, struct document_record *ret, struct buf *memory,
		 struct error *e)
{
	struct key key = key_number(doc);
	int rc = find_kept(store, doc, memory, e);

	if (rc == 0)
		rc = kv_get(store->kv, NULL, FAMILY_DOCUMENT, key_view(&key), memory, e);
	if (rc == 0)
		return error_set(e, -E_NO_VERSION, "there is no document %llu",
				 (unsigned long long)doc);
	return rc < 0 ? rc : document_decode(ret, buf_view(memory), e);
}
