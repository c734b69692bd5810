/* changelog.c - see changelog.h. */
#include "changelog.h"

#include <sodium.h>

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

/* What the record after change-1 must name as its predecessor. */
static int digest_before(struct store *store, uint64_t change, struct digest *ret, struct error *e)
{
	CLEANUP(buf_release) struct buf value = { 0 };
	struct key key = key_number(change - 1);

	*ret = (struct digest){ { 0 } };
	if (change <= 1)
		return 0;
	int rc = kv_get(store->kv, NULL, FAMILY_LOG, key_view(&key), &value, e);
	if (rc == 0)
		return error_set(e, -E_FAILED_VERIFY, "change %llu is missing from the log",
				 (unsigned long long)change - 1);
	if (rc > 0)
		record_digest(buf_view(&value), ret);
	return rc < 0 ? rc : 0;
}

static int check_record(struct view key, struct view value, uint64_t expected, struct digest *chain, struct error *e)
{
	struct reader r = reader_of(key);
	struct log_record record;
	uint64_t number = reader_u64(&r);

	if (!reader_done(&r) || number != expected)
		return error_set(e, -E_FAILED_VERIFY, "change %llu is missing from the log",
				 (unsigned long long)expected);
	if (log_decode(&record, value, NULL) < 0 || record.change != number)
		return error_set(e, -E_FAILED_VERIFY, "change %llu: the record is damaged", (unsigned long long)number);
	if (memcmp(record.prev.bytes, chain->bytes, DIGEST_LEN) != 0)
		return error_set(e, -E_FAILED_VERIFY,
				 "change %llu does not chain to the one before it: one of the two was edited",
				 (unsigned long long)number);
	record_digest(value, chain);
	return 0;
}

int changelog_check(struct store *store, uint64_t first, uint64_t last, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(store->kv, NULL, FAMILY_LOG, view_of(NULL, 0), false);
	struct key start = key_number(first);
	struct view key, value;
	struct digest chain;
	int rc = digest_before(store, first, &chain, e);

	if (rc < 0)
		return rc;
	kv_iter_seek(it, key_view(&start));
	for (uint64_t at = first; at <= last; at++) {
		rc = kv_iter_next(it, &key, &value, e);
		if (rc == 0)
			return error_set(e, -E_FAILED_VERIFY, "change %llu is missing from the log",
					 (unsigned long long)at);
		rc = rc < 0 ? rc : check_record(key, value, at, &chain, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}
