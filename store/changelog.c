/* changelog.c - see changelog.h. */
#include "changelog.h"

#include <sodium.h>
#include <stdio.h>

#include "internal.h"

/* One index that leads to changes: its keys are a prefix followed by the change number. */
struct index {
	struct kv_iter *it;
	struct key prefix;
};

static void index_release(struct index *index)
{
	kv_iter_close(index->it);
}

static void index_open(struct index *index, struct store *store, enum family family, struct key prefix, bool reverse)
{
	index->prefix = prefix;
	index->it = kv_iter_open(store->kv, NULL, family, key_view(&prefix), reverse);
}

static void index_position(struct index *index, uint64_t at)
{
	struct key key = index->prefix, tail = key_number(at);

	memcpy(key.bytes + key.len, tail.bytes, tail.len);
	key.len += tail.len;
	kv_iter_seek(index->it, key_view(&key));
}

/* The next change in the index: 1 and *ret, or 0. */
static int index_next(struct index *index, uint64_t *ret, struct view *ret_value, struct error *e)
{
	struct view found;
	int rc = kv_iter_next(index->it, &found, ret_value, e);

	if (rc <= 0)
		return rc;
	struct reader r = reader_of(found);
	reader_bytes(&r, index->prefix.len);
	*ret = reader_u64(&r);
	return reader_done(&r) ? 1 : error_set(e, -E_CORRUPT, "an index key of the log is damaged");
}

/* The first change at or after (reversed: at or before) `at`: 1 and *ret, or 0. */
static int index_seek(struct index *index, uint64_t at, uint64_t *ret, struct error *e)
{
	index_position(index, at);
	return index_next(index, ret, NULL, e);
}

int changelog_get(struct store *store, uint64_t change, struct log_record *ret, struct buf *memory,
		  struct error *e)
{
	struct key key = key_number(change);
	int rc = kv_get(store->kv, NULL, FAMILY_LOG, key_view(&key), memory, e);

	if (rc == 0)
		return error_set(e, -E_TIME_RANGE, "there is no change %llu", (unsigned long long)change);
	rc = rc < 0 ? rc : log_decode(ret, buf_view(memory), e);
	return rc < 0 ? error_prefix(e, rc, "change %llu", (unsigned long long)change) : 0;
}

/* Opens the indexes that the query needs: their count. */
static size_t open_indexes(struct store *store, const struct log_query *query, struct index indexes[2])
{
	bool reverse = !query->oldest_first;
	size_t n = 0;

	if (query->under)
		index_open(&indexes[n++], store, FAMILY_UNDER, key_number(query->under), reverse);
	if (query->by_uid) {
		struct key prefix = key_by_user(query->uid, 0);

		prefix.len -= 8;
		index_open(&indexes[n++], store, FAMILY_BY_USER, prefix, reverse);
	}
	if (n == 0)
		index_open(&indexes[n++], store, FAMILY_LOG, (struct key){ .len = 0 }, reverse);
	return n;
}

/* The next change at or beyond `at` that all indexes have: each in turn leaps to where another stands. */
static int next_common(struct index *indexes, size_t n, uint64_t at, uint64_t *ret, struct error *e)
{
	for (size_t i = 0, agreed = 0; agreed < n; i = (i + 1) % n) {
		uint64_t found;
		int rc = index_seek(&indexes[i], at, &found, e);

		if (rc <= 0)
			return rc;
		agreed = found == at || agreed == 0 ? agreed + 1 : 1;
		at = found;
	}
	*ret = at;
	return 1;
}

/* A walk of one index needs no seeks; that of the log itself no gets either. */
static int each_in_order(struct store *store, const struct log_query *query, struct index *index, uint64_t first,
			 uint64_t last, log_visitor each, void *arg, struct error *e)
{
	CLEANUP(buf_release) struct buf memory = { 0 };
	bool whole = !query->under && !query->by_uid;
	uint64_t change;
	int rc = 0;

	index_position(index, query->oldest_first ? first : last);
	for (uint64_t count = 0; !query->limit || count < query->limit; count++) {
		struct log_record record;
		struct view value;

		rc = index_next(index, &change, &value, e);
		if (rc <= 0 || change < first || change > last)
			break;
		if (whole)
			rc = log_decode(&record, value, e);
		else
			rc = changelog_get(store, change, &record, &memory, e);
		if (rc < 0 && whole)
			error_prefix(e, rc, "change %llu", (unsigned long long)change);
		if (rc < 0 || !each(arg, &record))
			break;
	}
	return rc < 0 ? rc : 0;
}

int changelog_each(struct store *store, const struct log_query *query, log_visitor each, void *arg,
		   struct error *e)
{
	uint64_t first = query->first ? query->first : 1, last = query->last ? query->last : UINT64_MAX - 1;
	CLEANUP(index_release) struct index a = { 0 };
	CLEANUP(index_release) struct index b = { 0 };
	struct index indexes[2] = { { 0 } };
	size_t n = open_indexes(store, query, indexes);
	uint64_t at = query->oldest_first ? first : last, change;
	int rc = 0;

	a = indexes[0];
	b = indexes[1];
	if (n == 1)
		return each_in_order(store, query, &indexes[0], first, last, each, arg, e);
	for (uint64_t count = 0; (!query->limit || count < query->limit) && at >= first && at <= last; count++) {
		CLEANUP(buf_release) struct buf memory = { 0 };
		struct log_record record;

		rc = next_common(indexes, n, at, &change, e);
		if (rc <= 0 || change < first || change > last)
			break;
		rc = changelog_get(store, change, &record, &memory, e);
		if (rc < 0 || !each(arg, &record))
			break;
		at = query->oldest_first ? change + 1 : change - 1;
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

int changelog_head(struct store *store, uint64_t *ret_change, struct digest *ret_digest, struct error *e)
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

	snprintf(name, sizeof(name), "%llu-%llu", (unsigned long long)gap->first, (unsigned long long)gap->last);
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

/* What the record after change-1 must name as its predecessor; when it is missing the walk begins without. */
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
	return error_set(e, -E_FAILED_VERIFY, "change %llu is missing from the log", (unsigned long long)change);
}

/* A gap waits for the record that names it. */
static int note_gap(struct chain *chain, const struct log_record *record, struct error *e)
{
	if (chain->gap_count == GAPS_MAX)
		return missing(chain->number + 1, e);
	chain->gaps[chain->gap_count++] = (struct log_gap){ .first = chain->number + 1, .last = record->change - 1,
							    .before = chain->digest, .after = record->prev };
	return 0;
}

static int check_record(struct chain *chain, struct view key, struct view value, struct error *e)
{
	struct reader r = reader_of(key);
	struct log_record record;
	uint64_t number = reader_u64(&r);
	int rc = 0;

	if (!reader_done(&r) || log_decode(&record, value, NULL) < 0 || record.change != number)
		return error_set(e, -E_FAILED_VERIFY, "change %llu: the record is damaged", (unsigned long long)number);
	if (chain->begun && number != chain->number + 1)
		rc = note_gap(chain, &record, e);
	else if (chain->begun && memcmp(record.prev.bytes, chain->digest.bytes, DIGEST_LEN) != 0)
		rc = error_set(e, -E_FAILED_VERIFY, "change %llu does not chain to the one before it: one of the two was edited",
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
