/* kv.c - store/kv.h in memory: a sorted array of keys, each with all the values that it ever had. */
#include "kv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/kv_batch.h"

/* What a key became at a moment. */
struct value {
	uint64_t moment;
	bool put; /* else deleted */
	struct view bytes;
};

struct entry {
	enum family family;
	struct view key;
	struct value *values; /* oldest first */
	size_t count, room;
};

struct kv {
	bool read_only;
};

struct kv_snapshot {
	uint64_t moment;
};

struct kv_iter {
	enum family family;
	struct buf prefix, at; /* at: the key that was last returned, or is sought */
	uint64_t moment;
	bool reverse, started, sought;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct entry **entries;
static size_t entry_count, entry_room;
static uint64_t now;
static bool exists;

/* ---- keys and values ---- */

static void *sure(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

static struct view copy(struct view v)
{
	uint8_t *bytes = sure(malloc(v.len + 1));

	if (v.len)
		memcpy(bytes, v.data, v.len);
	return view_of(bytes, v.len);
}

static int compare(enum family family, struct view key, const struct entry *entry)
{
	size_t n = key.len < entry->key.len ? key.len : entry->key.len;
	int order = family == entry->family ? 0 : family < entry->family ? -1 : 1;

	if (order == 0 && n)
		order = memcmp(key.data, entry->key.data, n);
	return order ? order : (key.len > entry->key.len) - (key.len < entry->key.len);
}

/* The index of the first entry at or above the key. */
static size_t place(enum family family, struct view key)
{
	size_t low = 0, high = entry_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(family, key, entries[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What an entry was at a moment; NULL: nothing. */
static const struct value *value_at(const struct entry *entry, uint64_t moment)
{
	for (size_t i = entry->count; i-- > 0;) {
		if (entry->values[i].moment <= moment)
			return entry->values[i].put ? &entry->values[i] : NULL;
	}
	return NULL;
}

static struct entry *entry_for(enum family family, struct view key)
{
	size_t i = place(family, key);

	if (i < entry_count && compare(family, key, entries[i]) == 0)
		return entries[i];
	if (entry_count == entry_room) {
		entry_room = entry_room ? entry_room * 2 : 1024;
		entries = sure(realloc(entries, entry_room * sizeof(struct entry *)));
	}
	struct entry *entry = sure(calloc(1, sizeof(*entry)));
	entry->family = family;
	entry->key = copy(key);
	memmove(&entries[i + 1], &entries[i], (entry_count++ - i) * sizeof(struct entry *));
	return entries[i] = entry;
}

static void apply(enum family family, struct view key, const struct view *put)
{
	struct entry *entry = entry_for(family, key);

	if (entry->count == entry->room) {
		entry->room = entry->room ? entry->room * 2 : 2;
		entry->values = sure(realloc(entry->values, entry->room * sizeof(struct value)));
	}
	entry->values[entry->count++] = (struct value){ now, put != NULL, put ? copy(*put) : (struct view){ 0 } };
}

/* Takes the values away that are younger than moment; false when none is left. */
static bool entry_back(struct entry *entry, uint64_t moment)
{
	while (entry->count && entry->values[entry->count - 1].moment > moment)
		free((void *)(uintptr_t)entry->values[--entry->count].bytes.data);
	if (entry->count)
		return true;
	free(entry->values);
	free((void *)(uintptr_t)entry->key.data);
	free(entry);
	return false;
}

uint64_t memory_kv_now(void)
{
	return now;
}

void memory_kv_back(uint64_t moment)
{
	size_t kept = 0;

	for (size_t i = 0; i < entry_count; i++) {
		if (entry_back(entries[i], moment))
			entries[kept++] = entries[i];
	}
	entry_count = kept;
	now = moment;
	exists &= moment > 0;
	if (moment)
		return;
	free(entries);
	entries = NULL;
	entry_room = 0;
}

size_t memory_kv_count(void)
{
	return entry_count;
}

void memory_kv_key(size_t n, enum family *ret_family, struct view *ret_key)
{
	*ret_family = entries[n]->family;
	*ret_key = entries[n]->key;
}

/* ---- store/kv.h ---- */

int kv_open(const char *path, const struct kv_options *options, struct kv **ret_kv, struct error *e)
{
	if (!exists && !options->create)
		return error_set(e, -E_NOT_STORE, "%s: no database is here", path);
	exists = true;
	*ret_kv = sure(calloc(1, sizeof(struct kv)));
	(*ret_kv)->read_only = options->read_only;
	return 0;
}

const char *kv_opening_note(const struct kv *kv)
{
	(void)kv;
	return "";
}

void kv_close(struct kv *kv)
{
	free(kv);
}

static uint64_t moment_of(const struct kv_snapshot *snapshot)
{
	return snapshot ? snapshot->moment : UINT64_MAX;
}

int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, struct view key, struct buf *value,
	   struct error *e)
{
	const struct value *found = NULL;

	(void)kv;
	buf_clear(value);
	pthread_mutex_lock(&lock);
	size_t i = place(family, key);
	if (i < entry_count && compare(family, key, entries[i]) == 0)
		found = value_at(entries[i], moment_of(snapshot));
	if (found)
		buf_append(value, found->bytes.data, found->bytes.len);
	pthread_mutex_unlock(&lock);
	int r = buf_check(value, e);
	return r < 0 ? r : found != NULL;
}

int kv_get_many(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, size_t n,
		const struct view *keys, kv_visitor each, void *arg, struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf value = { 0 };
		int r = kv_get(kv, snapshot, family, keys[i], &value, e);
		struct view found = buf_view(&value);

		if (r >= 0)
			r = each(arg, i, r ? &found : NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int kv_snapshot_take(struct kv *kv, struct kv_snapshot **ret, struct error *e)
{
	(void)kv, (void)e;
	*ret = sure(malloc(sizeof(**ret)));
	pthread_mutex_lock(&lock);
	(*ret)->moment = now;
	pthread_mutex_unlock(&lock);
	return 0;
}

void kv_snapshot_release(struct kv *kv, struct kv_snapshot *snapshot)
{
	(void)kv;
	free(snapshot);
}

struct kv_iter *kv_iter_open(struct kv *kv, const struct kv_snapshot *snapshot, enum family family, struct view prefix,
			     bool reverse)
{
	struct kv_iter *it = sure(calloc(1, sizeof(*it)));

	(void)kv;
	it->family = family;
	it->reverse = reverse;
	pthread_mutex_lock(&lock);
	it->moment = snapshot ? snapshot->moment : now;
	pthread_mutex_unlock(&lock);
	buf_append(&it->prefix, prefix.data, prefix.len);
	return it;
}

void kv_iter_seek(struct kv_iter *it, struct view key)
{
	buf_clear(&it->at);
	buf_append(&it->at, key.data, key.len);
	it->sought = true;
}

static bool has_prefix(const struct kv_iter *it, const struct entry *entry)
{
	return entry->family == it->family && entry->key.len >= it->prefix.len &&
	       (it->prefix.len == 0 || memcmp(entry->key.data, it->prefix.data, it->prefix.len) == 0);
}

/* The index of the first entry above all that have the prefix. */
static size_t behind_prefix(const struct kv_iter *it)
{
	size_t i = place(it->family, buf_view(&it->prefix));

	while (i < entry_count && has_prefix(it, entries[i]))
		i++;
	return i;
}

/* Where the walk goes on: of entries, the index, or one above it when it goes backwards. */
static size_t next_place(const struct kv_iter *it)
{
	size_t first = place(it->family, buf_view(&it->prefix)), end, i;

	if (!it->started && !it->sought)
		return it->reverse ? behind_prefix(it) : first;
	i = place(it->family, buf_view(&it->at));
	bool there = i < entry_count && compare(it->family, buf_view(&it->at), entries[i]) == 0;
	/* What was returned already is passed over, what is sought is not. */
	if (there && it->sought == it->reverse)
		i++;
	if (!it->reverse)
		return i > first ? i : first;
	end = behind_prefix(it);
	return i < end ? i : end;
}

static const struct value *step(struct kv_iter *it, struct view *ret_key)
{
	size_t i = next_place(it);

	for (; it->reverse ? i-- > 0 : i < entry_count; i += !it->reverse) {
		const struct value *value = has_prefix(it, entries[i]) ? value_at(entries[i], it->moment) : NULL;

		if (!has_prefix(it, entries[i]))
			return NULL;
		if (value) {
			*ret_key = entries[i]->key;
			return value;
		}
	}
	return NULL;
}

int kv_iter_next(struct kv_iter *it, struct view *ret_key, struct view *ret_value, struct error *e)
{
	(void)e;
	pthread_mutex_lock(&lock);
	const struct value *value = step(it, ret_key);
	pthread_mutex_unlock(&lock);
	it->started = true;
	it->sought = false;
	if (!value)
		return 0;
	buf_clear(&it->at);
	buf_append(&it->at, ret_key->data, ret_key->len);
	if (ret_value)
		*ret_value = value->bytes;
	return 1;
}

void kv_iter_close(struct kv_iter *it)
{
	if (!it)
		return;
	buf_release(&it->prefix);
	buf_release(&it->at);
	free(it);
}

/* Applies the next operation of a batch. */
static void apply_next(struct reader *batch)
{
	uint8_t type = reader_u8(batch);
	bool put = type == KV_BATCH_PUT || type == KV_BATCH_COLUMN_PUT;
	enum family family = 0;

	if (type == KV_BATCH_COLUMN_PUT || type == KV_BATCH_COLUMN_DELETE)
		reader_varint(batch);
	struct view key = reader_string(batch), value = put ? reader_string(batch) : view_of("", 0);
	if (batch->failed || key.len == 0)
		abort();
	while (kv_family_letters[family] != *(const char *)key.data)
		family++;
	apply(family, view_of((const char *)key.data + 1, key.len - 1), put ? &value : NULL);
}

int kv_write(struct kv *kv, struct kv_batch *batch, struct error *e)
{
	struct reader rest = reader_of(buf_view(&batch->operations));
	int r = buf_check(&batch->operations, e);

	if (kv->read_only)
		return error_set(e, -EROFS, "the store is open for reading only");
	if (r < 0 || batch->count == 0)
		return r;
	pthread_mutex_lock(&lock);
	now++;
	reader_bytes(&rest, KV_BATCH_HEAD);
	while (reader_left(&rest) > 0)
		apply_next(&rest);
	pthread_mutex_unlock(&lock);
	return 0;
}

int kv_sync(struct kv *kv, struct error *e)
{
	return kv->read_only ? error_set(e, -EROFS, "the store is open for reading only") : 0;
}

bool kv_has_stopped(struct kv *kv)
{
	(void)kv;
	return false;
}

int kv_write_unlogged(struct kv *kv, struct kv_batch *batch, struct error *e)
{
	return kv_write(kv, batch, e);
}

int kv_flush_content(struct kv *kv, struct error *e)
{
	return kv_sync(kv, e);
}

int kv_flush(struct kv *kv, struct error *e)
{
	return kv_sync(kv, e);
}

int kv_checkpoint(struct kv *kv, const char *path, struct error *e)
{
	(void)kv;
	return mkdir(path, 0700) < 0 ? error_system(e, "%s", path) : 0;
}

uint64_t kv_approximate_bytes(struct kv *kv, enum family family)
{
	uint64_t bytes = 0;

	(void)kv;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < entry_count; i++) {
		if (entries[i]->family == family)
			bytes += entries[i]->key.len + entries[i]->values[entries[i]->count - 1].bytes.len;
	}
	pthread_mutex_unlock(&lock);
	return bytes;
}

int kv_check(struct kv *kv, int (*read)(void *arg, uint64_t bytes, struct error *e), void *arg, struct error *e)
{
	return read ? read(arg, kv_approximate_bytes(kv, FAMILY_CHUNK), e) : 0;
}

int kv_rewrite_chunks(struct kv *kv, kv_table_is_worth worth, bool (*go_on)(void *arg), void *arg, struct error *e)
{
	(void)kv, (void)worth, (void)go_on, (void)arg, (void)e;
	return 0;
}
