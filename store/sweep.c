/* sweep.c - see sweep.h. */
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "key.h"
#include "manifest.h"

#define WINDOW_IDS ((uint64_t)1 << 26) /* chunks marked at a time: 8 MiB */
#define DOOMED_MAX ((size_t)1 << 18)
#define KEYS_BETWEEN 4096
#define REMOVE_MANY 64
#define WAIT_NS 5000000
#define REWRITE_WORTH 3 /* living chunks that are written anew for a dead one */

struct sweep {
	struct content_store *cs;
	struct kv_snapshot *snapshot;
	sweep_pause pause;
	void *arg;
	uint64_t first, end; /* the ids that are looked at */
	uint8_t *marks;
	struct doomed *doomed;
	size_t count;
	uint64_t removed;
};

static void sweep_release(struct sweep *s)
{
	chunks_doom(&s->cs->chunks, NULL, 0);
	kv_snapshot_release(s->cs->kv, s->snapshot);
	free(s->marks);
	free(s->doomed);
}

static int go_on(struct sweep *s, struct error *e)
{
	return s->pause(s->arg) ? 0 : error_set(e, -ECANCELED, "stopped");
}

static int wait_a_little(struct sweep *s, struct error *e)
{
	nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
	return go_on(s, e);
}

/* Returns when all holds that began before the call have ended. */
static int wait_for_holds(struct sweep *s, struct error *e)
{
	struct content_store *cs = s->cs;
	int r = 0;

	/* Twice: a hold may have been counted under either. */
	for (int i = 0; i < 2 && r == 0; i++) {
		unsigned old = atomic_fetch_add(&cs->epoch, 1);

		while (r == 0 && atomic_load(&cs->holds[old & 1]))
			r = wait_a_little(s, e);
	}
	return r;
}

/* ---- marking ---- */

typedef void (*marker)(struct sweep *s, uint64_t chunk);

static void mark_bit(struct sweep *s, uint64_t chunk)
{
	if (chunk >= s->first && chunk < s->end)
		s->marks[(chunk - s->first) / 8] |= (uint8_t)(1 << ((chunk - s->first) & 7));
}

static void mark_rescued(struct sweep *s, uint64_t chunk)
{
	chunks_rescue(&s->cs->chunks, chunk);
}

static int mark_segment(struct sweep *s, struct view value, marker mark, struct error *e)
{
	struct segment_record record;
	int r = segment_decode(&record, value, e);
	struct reader in = reader_of(record.chunks);

	while (r == 0 && reader_left(&in) > 0) {
		uint64_t id = reader_varint(&in);

		reader_varint(&in);
		if (in.failed)
			return error_set(
				e, -E_CORRUPT,
				"a segment's list of chunks is damaged: nothing is removed");
		mark(s, id);
	}
	return r;
}

/* Marks what the segments from `from` on name. */
static int mark_segments(struct sweep *s, const struct kv_snapshot *snapshot, uint64_t from,
			 marker mark, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(s->cs->kv, snapshot, FAMILY_SEGMENT, view_of(NULL, 0), false);
	struct key start = key_number(from);
	struct view key, value;
	unsigned n = 0;
	int r;

	kv_iter_seek(it, key_view(&start));
	while ((r = kv_iter_next(it, &key, &value, e)) == 1) {
		r = mark_segment(s, value, mark, e);
		if (r == 0 && ++n % KEYS_BETWEEN == 0)
			r = go_on(s, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- finding and removing ---- */

static bool is_marked(const struct sweep *s, uint64_t chunk)
{
	return s->marks[(chunk - s->first) / 8] & 1 << ((chunk - s->first) & 7);
}

static int find_doomed(struct sweep *s, struct error *e)
{
	CLEANUP(kv_iter_release) struct kv_iter *it =
		kv_iter_open(s->cs->kv, s->snapshot, FAMILY_CHUNK_NAME, view_of(NULL, 0), false);
	struct view key, value;
	unsigned n = 0;
	int r;

	s->count = 0;
	while (s->count < DOOMED_MAX && (r = kv_iter_next(it, &key, &value, e)) != 0) {
		if (r == 1 && ++n % KEYS_BETWEEN == 0)
			r = go_on(s, e);
		if (r < 0)
			return r;
		struct reader in = reader_of(value);
		uint64_t id = reader_varint(&in);
		if (!reader_done(&in) || key.len != CHUNK_NAME_LEN || id < s->first ||
		    id >= s->end || is_marked(s, id))
			continue;
		s->doomed[s->count] = (struct doomed){ .id = id };
		memcpy(s->doomed[s->count++].name, key.data, CHUNK_NAME_LEN);
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct doomed *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int remove_doomed(struct sweep *s, struct error *e)
{
	/* What took the chunks' place must not be lost by a power cut that keeps their removal. */
	int r = kv_sync(s->cs->kv, e);

	for (size_t i = 0; r >= 0 && i < s->count;) {
		size_t n = s->count - i < REMOVE_MANY ? s->count - i : REMOVE_MANY, removed = 0;

		r = chunks_remove(&s->cs->chunks, i, n, &removed, e);
		s->removed += removed;
		i += r == 1 ? n : 0;
		if (r >= 0)
			r = r == 1 ? go_on(s, e) : wait_a_little(s, e);
	}
	return r < 0 ? r : 0;
}

/* ---- the room that was theirs ---- */

static uint64_t count_marked(const struct sweep *s, uint64_t first, uint64_t last)
{
	uint64_t n = 0;

	for (uint64_t id = first; id <= last;) {
		bool whole = (id - s->first) % 8 == 0 && last - id >= 8;

		n += whole ? (unsigned)__builtin_popcount(s->marks[(id - s->first) / 8])
			   : is_marked(s, id);
		id += whole ? 8 : 1;
	}
	return n;
}

static uint64_t count_doomed(const struct sweep *s, uint64_t first, uint64_t last)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->doomed[i].id >= first && s->doomed[i].id <= last;
	return n;
}

/* Whether as much of a table is dead as is worth writing the rest anew. */
static bool is_worth_rewriting(void *arg, const struct kv_table *table)
{
	const struct sweep *s = arg;
	struct reader in = reader_of(table->first), end = reader_of(table->last);
	uint64_t first = reader_u64(&in), last = reader_u64(&end);

	if (!reader_done(&in) || !reader_done(&end) || first < s->first || last >= s->end)
		return false;
	uint64_t living = count_marked(s, first, last), dead = count_doomed(s, first, last);
	if (table->keys > living + dead)
		dead = table->keys - living; /* earlier sweeps left some */
	return dead > 0 && dead >= living / REWRITE_WORTH;
}

static bool go_on_rewriting(void *arg)
{
	return go_on(arg, NULL) == 0;
}

/* One window of ids.  Segments from s0 on may not be on the snapshot. */
static int sweep_window(struct sweep *s, uint64_t s0, struct error *e)
{
	memset(s->marks, 0, WINDOW_IDS / 8);
	int r = mark_segments(s, s->snapshot, 0, mark_bit, e);
	if (r == 0)
		r = find_doomed(s, e);
	if (r < 0 || s->count == 0)
		return r;
	qsort(s->doomed, s->count, sizeof(*s->doomed), by_id);
	chunks_doom(&s->cs->chunks, s->doomed, s->count);
	r = wait_for_holds(s, e);
	if (r == 0)
		r = mark_segments(s, NULL, s0, mark_rescued, e);
	if (r == 0)
		r = remove_doomed(s, e);
	if (r == 0)
		r = kv_rewrite_chunks(s->cs->kv, is_worth_rewriting, go_on_rewriting, s, e);
	chunks_doom(&s->cs->chunks, NULL, 0);
	return r;
}

static int sweep_windows(struct sweep *s, struct error *e)
{
	uint64_t s0 = atomic_load(&s->cs->next_segment), end = atomic_load(&s->cs->chunks.next_id);
	/* All segments before s0 are written then, or never will be. */
	int r = wait_for_holds(s, e);

	if (r == 0)
		r = kv_snapshot_take(s->cs->kv, &s->snapshot, e);
	for (s->first = 0; r == 0 && s->first < end;) {
		uint64_t before = s->removed;

		s->end = end - s->first < WINDOW_IDS ? end : s->first + WINDOW_IDS;
		r = sweep_window(s, s0, e);
		if (s->count < DOOMED_MAX || s->removed == before)
			s->first = s->end;
		else { /* the same window again: those that are gone are not to be found again */
			kv_snapshot_release(s->cs->kv, s->snapshot);
			s->snapshot = NULL;
			if (r == 0)
				r = kv_snapshot_take(s->cs->kv, &s->snapshot, e);
		}
	}
	return r;
}

int sweep_run(struct content_store *cs, sweep_pause pause, void *arg, uint64_t *ret_removed,
	      struct error *e)
{
	CLEANUP(sweep_release) struct sweep s = { .cs = cs, .pause = pause, .arg = arg };

	s.marks = malloc(WINDOW_IDS / 8);
	s.doomed = calloc(DOOMED_MAX, sizeof(*s.doomed));
	if (!s.marks || !s.doomed)
		return error_set(e, -E_NO_MEMORY, "out of memory");
	int r = sweep_windows(&s, e);
	*ret_removed = s.removed;
	return r;
}
