/* commands.c - requests at the control socket, on a store: store/control.h.
 * Input: who asks (and whether the mount is read-only), then the request as it is on the wire. */
#include "share.h"
#include "store/control.h"
#include "store/wire.h"

struct heard {
	size_t rows;
	bool bored; /* stops to listen after some rows */
};

static bool hear_row(void *arg, const struct cell *cells, size_t count)
{
	CLEANUP(buf_release) struct buf payload = { 0 }, names = { 0 };
	struct cell again[ROW_CELLS_MAX];
	struct heard *heard = arg;

	row_encode(&payload, cells, count);
	must(row_decode(again, ROW_CELLS_MAX, buf_view(&payload), &names, NULL) == (int)count);
	return ++heard->rows < 3 || !heard->bored;
}

static void note_change(void *arg, uint64_t ino, uint64_t parent, struct view name)
{
	(void)arg;
	must(ino && parent && name.len <= NAME_LEN_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_u8(&in);
	struct credentials who = share_person(how);
	struct heard heard = { .bored = how & 0x40 };
	struct answer answer = { .row = hear_row, .arg = &heard };
	struct request request;
	struct error e = { 0 };

	if (share_worn()) {
		share_close();
		share_begin();
	}
	if (request_decode(&request, take(&in, in.left), NULL) < 0)
		return 0;
	struct control_context context = {
		.store = share,
		.who = &who,
		.read_only = how & 0x80,
		.changed = note_change,
		.actor = { .uid = who.uid, .gid = who.gid, .name = view_str("somebody") }
	};
	uint64_t before, after;
	int64_t time;
	store_head(share, &before, &time);
	int rc = control_run(&context, &request, &answer, &e);
	store_head(share, &after, &time);
	must(rc >= 0 || (rc == e.code && error_errno(rc) > 0));
	must(rc != -E_CORRUPT && rc != -E_KV && rc != -E_FAILED_VERIFY);
	must(before == after || (!context.read_only && strcmp(request.command, "restore") == 0));
	return 0;
}
