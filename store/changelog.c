/* changelog.c - see changelog.h. */
#include "changelog.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/* An index of the log: its keys are a prefix followed by the number of a block of changes. */
struct index {
	struct kv_iter *it;
	struct key prefix;
};

struct log_walk {
	struct store *store;
	struct log_query query;
	struct kv_iter *log;
	struct index indexes[2];
	size_t index_count;
	uint64_t at;      /* the change to go on with */
	/* The last one of the block that is being read; none is when standing is false. */
	uint64_t until;
	bool standing, ended;
};

static void add_index(struct log_walk *w, enum family family, struct key prefix)
{
	struct index *index = &w->indexes[w->index_count++];

	index->prefix = prefix;
	index->it =
		kv_iter_open(w->store->kv, NULL, family, key_view(&prefix), !w->query.oldest_first);
}

struct log_walk *changelog_walk(struct store *store, const struct log_query *query)
{
	struct log_walk *w = calloc(1, sizeof(*w));
	struct key user = key_by_user(query->uid, 0);

	if (!w)
		return NULL; /* changelog_walk_next() tells */
	w->store = store;
	w->query = *query;
	w->log = kv_iter_open(store->kv, NULL, FAMILY_LOG, view_of(NULL, 0), !query->oldest_first);
	user.len -= 8;
	if (query->under && query->under != ROOT_INODE)
		add_index(w, FAMILY_UNDER, key_number(query->under));
	if (query->by_uid)
		add_index(w, FAMILY_BY_USER, user);
	changelog_walk_seek(w, query->oldest_first ? query->first
			       : query->last       ? query->last
						   : UINT64_MAX);
	return w;
}

void changelog_walk_close(struct log_walk *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->index_count; i++)
		kv_iter_close(w->indexes[i].it);
	kv_iter_close(w->log);
	free(w);
}

void changelog_walk_seek(struct log_walk *w, uint64_t change)
{
	if (!w)
		return;
	w->at = change;
	w->standing = w->ended = false;
}

/* The first block at or beyond `block` that an index has: 1 and *ret, or 0. */
static int index_seek(struct index *index, uint64_t block, uint64_t *ret, struct error *e)
{
	struct key key = index->prefix, tail = key_number(block);
	struct view found;

	memcpy(key.bytes + key.len, tail.bytes, tail.len);
	key.len += tail.len;
	kv_iter_seek(index->it, key_view(&key));
	int rc = kv_iter_next(index->it, &found, NULL, e);
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(found);
	reader_bytes(&r, index->prefix.len);
	*ret = reader_u64(&r);
	return reader_done(&r) ? 1 : error_set(e, -E_CORRUPT, "an index key of the log is damaged");
}

/* The first block at or beyond *block that all indexes have: each in turn leaps to where another
 * stands. */
static int find_block(struct log_walk *w, uint64_t *block, struct error *e)
{
	for (size_t i = 0, agreed = 0; agreed < w->index_count; i = (i + 1) % w->index_count) {
		uint64_t found;
		int rc = index_seek(&w->indexes[i], *block, &found, e);

		if (rc <= 0)
			return rc;
		agreed = found == *block ? agreed + 1 : 1;
		*block = found;
	}
	return 1;
}

/* Goes to the next block that may have what is asked for, at or beyond w->at: 1, or 0 at the
 * end. */
static int enter_block(struct log_walk *w, struct error *e)
{
	bool up = w->query.oldest_first;
	uint64_t block = w->at / INDEX_BLOCK;
	int rc = find_block(w, &block, e);

	if (rc <= 0)
		return rc;
	if (block != w->at / INDEX_BLOCK)
		w->at = block * INDEX_BLOCK + (up ? 0 : INDEX_BLOCK - 1);
	w->until = block * INDEX_BLOCK + (up ? INDEX_BLOCK - 1 : 0);
	if (!w->index_count)
		w->until = up ? UINT64_MAX : 0;
	struct key from = key_number(w->at);
	kv_iter_seek(w->log, key_view(&from));
	w->standing = true;
	return 1;
}

static bool matches(const struct log_query *query, const struct log_record *r)
{
	return (!query->under || log_is_above(r, query->under)) &&
	       (!query->by_uid || r->uid == query->uid);
}

/* The next record of the block: 1, or 0 when it has no more. */
static int next_of_block(struct log_walk *w, struct log_record *ret, struct error *e)
{
	struct view key, value;
	int rc = kv_iter_next(w->log, &key, &value, e);

	w->ended |= rc == 0;
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(key);
	w->at = reader_u64(&r);
	if (!reader_done(&r))
		return error_set(e, -E_CORRUPT, "a key of the log is damaged");
	if (w->query.oldest_first ? w->at > w->until : w->at < w->until)
		return 0;
	rc = log_decode(ret, value, e);
	return rc < 0 ? error_prefix(e, rc, "change %llu", (unsigned long long)w->at) : 1;
}

int changelog_walk_next(struct log_walk *w, struct log_record *ret, struct error *e)
{
	if (!w)
		return error_set(e, -E_NO_MEMORY, "out of memory to walk the log");
	while (!w->ended) {
		int rc = w->standing ? 1 : enter_block(w, e);

		if (rc <= 0)
			return rc;
		rc = next_of_block(w, ret, e);
		if (rc < 0)
			return rc;
		w->standing = rc > 0;
		if (rc > 0 && matches(&w->query, ret))
			return 1;
	}
	return 0;
}

int changelog_get(struct store *store, uint64_t change, struct log_record *ret, struct buf *memory,
		  struct error *e)
{
	struct key key = key_number(change);
	int rc = kv_get(store->kv, NULL, FAMILY_LOG, key_view(&key), memory, e);

	if (rc == 0)
		return error_set(e, -E_TIME_RANGE, "there is no change %llu",
				 (unsigned long long)change);
	rc = rc < 0 ? rc : log_decode(ret, buf_view(memory), e);
	return rc < 0 ? error_prefix(e, rc, "change %llu", (unsigned long long)change) : 0;
}

int changelog_each(struct store *store, const struct log_query *query, log_visitor each, void *arg,
		   struct error *e)
{
	CLEANUP(changelog_walk_release) struct log_walk *w = changelog_walk(store, query);
	uint64_t first = query->first, last = query->last ? query->last : UINT64_MAX;
	struct log_record record;
	int rc = 0;

	for (uint64_t count = 0; !query->limit || count < query->limit; count++) {
		rc = changelog_walk_next(w, &record, e);
		if (rc <= 0 || record.change < first || record.change > last || !each(arg, &record))
			break;
	}
	return rc < 0 ? rc : 0;
}

/* The first user numbered `from` or more: 1 and *ret, or 0. */
static int next_user(struct store *store, uint32_t from, uint32_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_BY_USER, view_of(NULL, 0), false);
	struct key start = key_by_user(from, 0);
	struct view key;

	kv_iter_seek(it, key_view(&start));
	int rc = kv_iter_next(it, &key, NULL, e);
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(key);
	*ret = reader_u32(&r);
	return r.failed ? error_set(e, -E_CORRUPT, "an index key of the log is damaged") : 1;
}

struct newest_of_user {
	user_visitor each;
	void *arg;
	uint32_t uid;
	bool go_on;
};

static bool give_newest(void *arg, const struct log_record *record)
{
	struct newest_of_user *n = arg;

	n->go_on = n->each(n->arg, n->uid, record);
	return false;
}

int changelog_users(struct store *store, user_visitor each, void *arg, struct error *e)
{
	struct newest_of_user n = { each, arg, 0, true };
	uint64_t from = 0;
	int rc = 1;

	while (rc > 0 && n.go_on && from <= UINT32_MAX) {
		rc = next_user(store, (uint32_t)from, &n.uid, e);
		if (rc <= 0)
			break;
		struct log_query query = { .by_uid = true, .uid = n.uid, .limit = 1 };
		rc = changelog_each(store, &query, give_newest, &n, e);
		if (rc < 0)
			return rc;
		rc = 1;
		from = (uint64_t)n.uid + 1;
	}
	return rc < 0 ? rc : 0;
}

static void record_digest(struct view encoded, struct digest *ret)
{
	crypto_generichash(ret->bytes, DIGEST_LEN, encoded.data, encoded.len, NULL, 0);
}

int changelog_head(struct store *store, uint64_t *ret_change, struct digest *ret_digest,
		   struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_LOG, view_of(NULL, 0), true);
	struct view key, value;
	int rc = kv_iter_next(it, &key, &value, e);

	*ret_change = 0;
	*ret_digest = (struct digest){ { 0 } };
	if (rc <= 0)
		return rc;
	struct reader r = reader_of(key);
	*ret_change = reader_u64(&r);
	record_digest(value, ret_digest);
	return reader_done(&r) ? 0 : error_set(e, -E_CORRUPT, "a key of the log is damaged");
}

int changelog_first_time(struct store *store, int64_t *ret, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_LOG, view_of(NULL, 0), false);
	struct log_record record;
	struct view key, value;
	int rc = kv_iter_next(it, &key, &value, e);

	*ret = 0;
	if (rc > 0)
		rc = log_decode(&record, value, e);
	else
		record.time = 0;
	if (rc >= 0)
		*ret = record.time;
	return rc < 0 ? rc : 0;
}

bool changelog_names_gap(const struct log_record *record, const struct log_gap *gap)
{
	char name[48];

	snprintf(name, sizeof(name), "%llu-%llu", (unsigned long long)gap->first,
		 (unsigned long long)gap->last);
	return record->op == OP_REPAIR && view_equal(record->before, view_str(name)) &&
	       memcmp(record->digest_before.bytes, gap->before.bytes, DIGEST_LEN) == 0 &&
	       memcmp(record->digest_after.bytes, gap->after.bytes, DIGEST_LEN) == 0;
}

#define GAPS_MAX 64

/* A walk along the chain. */
struct chain {
	bool begun;           /* the record before is known */
	uint64_t number;      /* of the record before */
	struct digest digest; /* and what the next one must name */
	struct log_gap gaps[GAPS_MAX];
	size_t gap_count;
};

/* What the record after change-1 must name as its predecessor; when it is missing the walk begins
 * without. */
static int chain_begin(struct chain *chain, struct store *store, uint64_t change, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(change - 1);

	chain->number = change - 1;
	chain->begun = true;
	if (change <= 1)
		return 0;
	int rc = kv_get(store->kv, NULL, FAMILY_LOG, key_view(&key), &value, e);
	chain->begun = rc != 0;
	if (rc > 0)
		record_digest(buf_view(&value), &chain->digest);
	return rc < 0 ? rc : 0;
}

static int missing(uint64_t change, struct error *e)
{
	return error_set(e, -E_FAILED_VERIFY, "change %llu is missing from the log",
			 (unsigned long long)change);
}

/* A gap waits for the record that names it. */
static int note_gap(struct chain *chain, const struct log_record *record, struct error *e)
{
	if (chain->gap_count == GAPS_MAX)
		return missing(chain->number + 1, e);
	chain->gaps[chain->gap_count++] = (struct log_gap){ .first = chain->number + 1,
							    .last = record->change - 1,
							    .before = chain->digest,
							    .after = record->prev };
	return 0;
}

static int check_record(struct chain *chain, struct view key, struct view value, struct error *e)
{
	struct reader r = reader_of(key);
	struct log_record record;
	uint64_t number = reader_u64(&r);
	int rc = 0;

	if (!reader_done(&r) || log_decode(&record, value, NULL) < 0 || record.change != number)
		return error_set(e, -E_FAILED_VERIFY, "change %llu: the record is damaged",
				 (unsigned long long)number);
	if (chain->begun && number != chain->number + 1)
		rc = note_gap(chain, &record, e);
	else if (chain->begun && memcmp(record.prev.bytes, chain->digest.bytes, DIGEST_LEN) != 0)
		rc = error_set(e, -E_FAILED_VERIFY,
			       "change %llu does not chain to the one before it: one of the two "
			       "was edited",
			       (unsigned long long)number);
	for (size_t i = 0; i < chain->gap_count; i++) {
		if (changelog_names_gap(&record, &chain->gaps[i]))
			chain->gaps[i].named = record.time;
	}
	record_digest(value, &chain->digest);
	chain->number = number;
	chain->begun = true;
	return rc;
}

int changelog_check(struct store *store, uint64_t first, uint64_t last, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_LOG, view_of(NULL, 0), false);
	struct key start = key_number(first);
	struct chain chain = { 0 };
	struct view key, value;
	int rc = chain_begin(&chain, store, first, e);

	kv_iter_seek(it, key_view(&start));
	while (rc == 0 && chain.number < last) {
		rc = kv_iter_next(it, &key, &value, e);
		if (rc == 0)
			return missing(chain.number + 1, e);
		rc = rc < 0 ? rc : check_record(&chain, key, value, e);
	}
	for (size_t i = 0; i < chain.gap_count && rc == 0; i++) {
		if (!chain.gaps[i].named)
			rc = missing(chain.gaps[i].first, e);
	}
	return rc;
}
