/* wire.c - what arrives at either end of the control socket: store/wire.h. Input: a type of message
 * and its payload; or, for 0, a stream of bytes that is received as messages. */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "store/wire.h"

static void try_request(struct view payload)
{
	CLEANUP(buf_release) struct buf encoded = { 0 };
	struct request a, b;
	struct error e = { 0 };
	int rc = request_decode(&a, payload, &e);

	must(rc == 0 || (rc == -E_PROTOCOL && e.code == rc));
	if (rc < 0)
		return;
	request_encode(&encoded, &a);
	must(request_decode(&b, buf_view(&encoded), NULL) == 0);
	must(strcmp(a.command, b.command) == 0 && a.count == b.count);
	for (size_t i = 0; i < a.count; i++)
		must(strcmp(a.arguments[i].name, b.arguments[i].name) == 0 &&
		     view_equal(a.arguments[i].value, b.arguments[i].value));
}

static void try_row(struct view payload)
{
	CLEANUP(buf_release)
	struct buf encoded = { 0 },
		   names = { 0 }, more_names = { 0 }, out = { 0 };
	struct cell a[ROW_CELLS_MAX], b[ROW_CELLS_MAX];
	int n = row_decode(a, ROW_CELLS_MAX, payload, &names, NULL);

	must(n == -E_PROTOCOL || (n >= 0 && n <= ROW_CELLS_MAX));
	if (n < 0)
		return;
	row_encode(&encoded, a, (size_t)n);
	must(row_decode(b, ROW_CELLS_MAX, buf_view(&encoded), &more_names, NULL) == n);
	for (int i = 0; i < n; i++)
		must(strcmp(a[i].name, b[i].name) == 0 && a[i].kind == b[i].kind &&
		     a[i].number == b[i].number && view_equal(a[i].text, b[i].text));
	cells_csv(&out, a, (size_t)n);
	cells_json(&out, a, (size_t)n);
}

static void try_progress(struct view payload)
{
	CLEANUP(buf_release) struct buf encoded = { 0 };
	uint64_t done, total, done_again, total_again;

	if (progress_decode(&done, &total, payload, NULL) < 0)
		return;
	progress_encode(&encoded, done, total);
	must(progress_decode(&done_again, &total_again, buf_view(&encoded), NULL) == 0);
	must(done == done_again && total == total_again);
}

static void try_failure(struct view payload)
{
	CLEANUP(buf_release) struct buf encoded = { 0 };
	struct error a, b;

	if (failure_decode(&a, payload, NULL) < 0)
		return;
	must(a.code < 0 && error_errno(a.code) > 0 && error_sentence(a.code));
	failure_encode(&encoded, &a);
	must(failure_decode(&b, buf_view(&encoded), NULL) == 0);
	must(a.code == b.code && strcmp(a.text, b.text) == 0);
}

/* The other side sends these bytes and closes: messages come until one is malformed. */
static void try_stream(struct view bytes)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	enum message_type type;
	struct error e = { 0 };
	int fds[2], rc;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	must(send(fds[0], bytes.data, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len);
	close(fds[0]);
	while ((rc = message_receive(fds[1], &type, &payload, 1000, &e)) > 0)
		;
	must(rc == 0 || rc == -E_PROTOCOL);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t type = take_u8(&in);
	struct view payload = take(&in, in.left);

	if (type == MESSAGE_REQUEST)
		try_request(payload);
	else if (type == MESSAGE_ROW)
		try_row(payload);
	else if (type == MESSAGE_PROGRESS)
		try_progress(payload);
	else if (type == MESSAGE_ERROR)
		try_failure(payload);
	else if (type == 0 && payload.len > 0)
		try_stream(payload);
	return 0;
}
