/* wire.c - see wire.h. */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>

#include "clock.h"

static int malformed(struct error *e, const char *what)
{
	return error_set(
		e, -E_PROTOCOL,
		"the other side sent a malformed %s: are daybook and daybookd of one version?",
		what);
}

void request_add(struct request *request, const char *name, struct view value)
{
	assert(request->count < REQUEST_ARGUMENTS_MAX && strlen(name) < REQUEST_WORD_MAX);
	strcpy(request->arguments[request->count].name, name);
	request->arguments[request->count++].value = value;
}

struct view request_get(const struct request *request, const char *name)
{
	for (size_t i = 0; i < request->count; i++) {
		if (strcmp(request->arguments[i].name, name) == 0)
			return request->arguments[i].value;
	}
	return (struct view){ 0 };
}

void request_encode(struct buf *out, const struct request *request)
{
	buf_u8(out, WIRE_PROTOCOL);
	buf_string(out, view_str(request->command));
	buf_varint(out, request->count);
	for (size_t i = 0; i < request->count; i++) {
		buf_string(out, view_str(request->arguments[i].name));
		buf_string(out, request->arguments[i].value);
	}
}

/* A word of the protocol: 1 to 31 bytes, none of them NUL. */
static bool read_word(struct reader *in, char out[REQUEST_WORD_MAX])
{
	struct view word = reader_string(in);

	if (in->failed || word.len == 0 || word.len >= REQUEST_WORD_MAX ||
	    view_has(word, '\0'))
		return false;
	view_copy(out, word);
	out[word.len] = '\0';
	return true;
}

int request_decode(struct request *r, struct view payload, struct error *e)
{
	struct reader in = reader_of(payload);
	uint8_t protocol = reader_u8(&in);
	uint64_t count;

	*r = (struct request){ 0 };
	if (!in.failed && protocol != WIRE_PROTOCOL)
		return error_set(
			e, -E_PROTOCOL,
			"daybook speaks protocol %u and daybookd %d: restart daybookd after "
			"an upgrade",
			protocol, WIRE_PROTOCOL);
	if (!read_word(&in, r->command))
		return malformed(e, "request");
	count = reader_varint(&in);
	if (in.failed || count > REQUEST_ARGUMENTS_MAX)
		return malformed(e, "request");
	for (; r->count < count; r->count++) {
		if (!read_word(&in, r->arguments[r->count].name))
			return malformed(e, "request");
		r->arguments[r->count].value = reader_string(&in);
	}
	return reader_done(&in) ? 0 : malformed(e, "request");
}

void row_encode(struct buf *out, const struct cell *cells, size_t count)
{
	buf_varint(out, count);
	for (size_t i = 0; i < count; i++) {
		buf_string(out, view_str(cells[i].name));
		buf_u8(out, (uint8_t)cells[i].kind);
		if (cells[i].kind == CELL_TEXT)
			buf_string(out, cells[i].text);
		else
			buf_u64(out, (uint64_t)cells[i].number);
	}
}

/* Reads one cell; its name is kept as an offset into names until all are there. */
static bool read_cell(struct reader *in, struct cell *cell, size_t *ret_name, struct buf *names)
{
	struct view name = reader_string(in);
	uint8_t kind = reader_u8(in);

	if (in->failed || kind > CELL_NONE || name.len == 0 || view_has(name, '\0'))
		return false;
	*cell = (struct cell){ .kind = kind };
	if (kind == CELL_TEXT)
		cell->text = reader_string(in);
	else
		cell->number = (int64_t)reader_u64(in);
	*ret_name = names->len;
	buf_append(names, name.data, name.len);
	buf_u8(names, '\0');
	return !in->failed;
}

int row_decode(struct cell *cells, size_t max, struct view payload, struct buf *names,
	       struct error *e)
{
	struct reader in = reader_of(payload);
	uint64_t count = reader_varint(&in);
	size_t at[ROW_CELLS_MAX];

	buf_clear(names);
	if (in.failed || count > max || count > ROW_CELLS_MAX)
		return malformed(e, "row");
	for (size_t i = 0; i < count; i++) {
		if (!read_cell(&in, &cells[i], &at[i], names))
			return malformed(e, "row");
	}
	if (!reader_done(&in))
		return malformed(e, "row");
	if (buf_check(names, e) < 0)
		return -E_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		cells[i].name = (const char *)names->data + at[i];
	return (int)count;
}

void progress_encode(struct buf *out, uint64_t done, uint64_t total)
{
	buf_varint(out, done);
	buf_varint(out, total);
}

int progress_decode(uint64_t *ret_done, uint64_t *ret_total, struct view payload, struct error *e)
{
	struct reader in = reader_of(payload);

	*ret_done = reader_varint(&in);
	*ret_total = reader_varint(&in);
	return reader_done(&in) ? 0 : malformed(e, "progress");
}

void failure_encode(struct buf *out, const struct error *failure)
{
	buf_varint(out, (uint64_t)-failure->code);
	buf_string(out, view_str(failure->text));
}

int failure_decode(struct error *ret_failure, struct view payload, struct error *e)
{
	struct reader in = reader_of(payload);
	uint64_t code = reader_varint(&in);
	struct view text = reader_string(&in);

	if (!reader_done(&in) || code == 0 || code > 100000 ||
	    text.len >= sizeof(ret_failure->text))
		return malformed(e, "error");
	*ret_failure = (struct error){ .code = -(int)code };
	view_copy(ret_failure->text, text);
	return 0;
}

/* Until when a message must have gone through whole: one byte now and then is not enough. */
struct deadline {
	int64_t at; /* monotonic */
	int timeout_ms;
};

static struct deadline deadline_in(int timeout_ms)
{
	int64_t at = timeout_ms < 0 ? INT64_MAX
				    : clock_monotonic() + timeout_ms * (NS_PER_SECOND / 1000);

	return (struct deadline){ at, timeout_ms };
}

/* Waits until the socket is ready for events. */
static int wait_ready(int fd, short events, const struct deadline *deadline, struct error *e)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		int64_t left_ms = (deadline->at - clock_monotonic()) / (NS_PER_SECOND / 1000);

		n = poll(&p, 1, deadline->timeout_ms < 0 ? -1 : left_ms > 0 ? (int)left_ms : 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_system(e, "cannot wait for the other side");
	return n > 0 ? 0
		     : error_set(e, -E_TIMEOUT,
				 "no answer within %d seconds: is the other side stuck?",
				 deadline->timeout_ms / 1000);
}

/* After a transfer that gave -1: 0 when it is to be tried again, having waited if need be. */
static int retry(int fd, short events, const struct deadline *deadline, const char *what,
		 struct error *e)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN)
		return wait_ready(fd, events, deadline, e);
	return error_system(e, "%s", what);
}

static int send_all(int fd, const uint8_t *at, size_t left, int timeout_ms, struct error *e)
{
	struct deadline deadline = deadline_in(timeout_ms);

	while (left > 0) {
		ssize_t n = send(fd, at, left, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			int r = retry(fd, POLLOUT, &deadline, "the other side is gone", e);

			if (r < 0)
				return r;
			continue;
		}
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int message_send(int fd, enum message_type type, struct view payload, int timeout_ms,
		 struct error *e)
{
	CLEANUP(buf_release) struct buf message = { 0 };

	if (payload.len > WIRE_MESSAGE_MAX - 1)
		return error_set(e, -E_PROTOCOL, "a message of %zu bytes is too long", payload.len);
	buf_u32(&message, (uint32_t)payload.len + 1);
	buf_u8(&message, (uint8_t)type);
	buf_append(&message, payload.data, payload.len);
	if (buf_check(&message, e) < 0)
		return -E_NO_MEMORY;
	return send_all(fd, message.data, message.len, timeout_ms, e);
}

/* Reads exactly n bytes: 1, or 0 when the other side closed before the first. */
static int receive_all(int fd, uint8_t *at, size_t n, const struct deadline *deadline,
		       struct error *e)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = recv(fd, at + have, n - have, MSG_DONTWAIT);

		if (got < 0) {
			int r = retry(fd, POLLIN, deadline, "the other side is gone", e);

			if (r < 0)
				return r;
			continue;
		}
		if (got == 0)
			return have ? malformed(e, "message: it ended early") : 0;
		have += (size_t)got;
	}
	return 1;
}

int message_receive(int fd, enum message_type *ret_type, struct buf *payload, int timeout_ms,
		    struct error *e)
{
	struct deadline deadline = deadline_in(timeout_ms);
	uint8_t head[5];
	struct reader in = reader_of(view_of(head, sizeof(head)));
	int r = receive_all(fd, head, sizeof(head), &deadline, e);
	uint32_t length = reader_u32(&in);
	uint8_t *to;

	buf_clear(payload);
	if (r <= 0)
		return r;
	*ret_type = (enum message_type)reader_u8(&in);
	if (length == 0 || length > WIRE_MESSAGE_MAX)
		return malformed(e, "message");
	if (length == 1)
		return 1;
	to = buf_grow(payload, length - 1);
	if (!to)
		return buf_check(payload, e);
	r = receive_all(fd, to, length - 1, &deadline, e);
	return r == 0 ? malformed(e, "message: it ended early") : r;
}

void wire_path(char out[WIRE_PATH_MAX], const char *store_path)
{
	uint8_t digest[16];
	char hex[2 * sizeof(digest) + 1];

	crypto_generichash(digest, sizeof(digest), (const uint8_t *)store_path, strlen(store_path),
			   NULL, 0);
	hex_encode(hex, digest, sizeof(digest));
	snprintf(out, WIRE_PATH_MAX, WIRE_DIRECTORY "/%s.sock", hex);
}
