/* test_control.c - what travels between tool and daemon, and what the commands answer. */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "fs/socket.h"
#include "noise.h"
#include "store/tag.h"
#include "store/wire.h"
#include "tree.h"

/* --- the wire ------------------------------------------------------------- */

static struct request sample_request(void)
{
	struct request r = { .command = "log" };

	request_add(&r, "path", view_str("dept/b\xff.txt"));
	request_add(&r, "limit", view_str("7"));
	request_add(&r, "by", view_str(""));
	return r;
}

static const struct cell sample_row[] = {
	{ .name = "change", .kind = CELL_NUMBER, .number = INT64_MAX },
	{ .name = "time", .kind = CELL_TIME, .number = -5 },
	{ .name = "path", .kind = CELL_TEXT, .text = { "a\0b", 3 } },
	{ .name = "late", .kind = CELL_FLAG, .number = 1 },
	{ .name = "none", .kind = CELL_NONE },
};
#define SAMPLE_CELLS (sizeof(sample_row) / sizeof(sample_row[0]))

START_TEST(a_request_goes_there_and_back)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct request r = sample_request(), back;

	request_encode(&out, &r);
	ck_ok(request_decode(&back, buf_view(&out), e));
	ck_assert_str_eq(back.command, "log");
	ck_assert_uint_eq(back.count, 3);
	ck_assert(view_equal(request_get(&back, "path"), view_str("dept/b\xff.txt")));
	ck_assert(view_equal(request_get(&back, "limit"), view_str("7")));
	ck_assert(request_get(&back, "by").data != NULL);
	ck_assert(request_get(&back, "by").len == 0);
	ck_assert(request_get(&back, "nothing").data == NULL);
}
END_TEST

START_TEST(a_row_goes_there_and_back)
{
	CLEANUP(buf_release) struct buf out = { 0 }, names = { 0 };
	struct cell cells[8];

	row_encode(&out, sample_row, SAMPLE_CELLS);
	ck_assert_int_eq(row_decode(cells, 8, buf_view(&out), &names, NULL), SAMPLE_CELLS);
	for (size_t i = 0; i < SAMPLE_CELLS; i++) {
		ck_assert_str_eq(cells[i].name, sample_row[i].name);
		ck_assert_int_eq(cells[i].kind, sample_row[i].kind);
		ck_assert_int_eq(cells[i].number, sample_row[i].number);
		ck_assert(view_equal(cells[i].text, sample_row[i].text));
	}
	ck_assert_int_eq(row_decode(cells, SAMPLE_CELLS - 1, buf_view(&out), &names, NULL),
			 -E_PROTOCOL);
}
END_TEST

START_TEST(every_truncation_and_every_tail_is_refused)
{
	CLEANUP(buf_release)
	struct buf request = { 0 },
		   row = { 0 }, names = { 0 }, failure = { 0 };
	struct request r = sample_request();
	struct error denied = { .code = -E_DENIED, .text = "permission denied" }, back;
	struct cell cells[8];

	request_encode(&request, &r);
	row_encode(&row, sample_row, SAMPLE_CELLS);
	failure_encode(&failure, &denied);
	for (size_t n = 0; n < request.len; n++)
		ck_assert_int_eq(request_decode(&r, view_of(request.data, n), NULL), -E_PROTOCOL);
	for (size_t n = 0; n < row.len; n++)
		ck_assert_int_eq(row_decode(cells, 8, view_of(row.data, n), &names, NULL),
				 -E_PROTOCOL);
	for (size_t n = 0; n < failure.len; n++)
		ck_assert_int_eq(failure_decode(&back, view_of(failure.data, n), NULL),
				 -E_PROTOCOL);
	ck_ok(failure_decode(&back, buf_view(&failure), e));
	ck_assert_int_eq(back.code, -E_DENIED);
	ck_assert_str_eq(back.text, "permission denied");
	buf_u8(&request, 0);
	buf_u8(&row, 0);
	ck_assert_int_eq(request_decode(&r, buf_view(&request), NULL), -E_PROTOCOL);
	ck_assert_int_eq(row_decode(cells, 8, buf_view(&row), &names, NULL), -E_PROTOCOL);
}
END_TEST

START_TEST(another_protocol_is_told_apart)
{
	CLEANUP(buf_release) struct buf out = { 0 };
	struct request r = sample_request();
	struct error e = { 0 };

	request_encode(&out, &r);
	out.data[0]++;
	ck_assert_int_eq(request_decode(&r, buf_view(&out), &e), -E_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.text, "restart daybookd"));
}
END_TEST

START_TEST(random_bytes_are_refused_or_read_but_never_harm)
{
	CLEANUP(buf_release) struct buf names = { 0 }, good = { 0 };
	struct request request = sample_request();
	uint64_t state = 7, done, total;
	struct cell cells[ROW_CELLS_MAX];
	uint8_t bytes[256];
	struct error failure;

	request_encode(&good, &request);
	for (int i = 0; i < 50000; i++) {
		size_t n = noise_below(&state, sizeof(bytes));

		noise_fill(bytes, n, noise_next(&state));
		if (i % 2) { /* a good one with one byte changed */
			n = good.len;
			memcpy(bytes, good.data, n);
			bytes[noise_below(&state, n)] = (uint8_t)noise_next(&state);
		}
		request_decode(&request, view_of(bytes, n), NULL);
		row_decode(cells, ROW_CELLS_MAX, view_of(bytes, n), &names, NULL);
		progress_decode(&done, &total, view_of(bytes, n), NULL);
		failure_decode(&failure, view_of(bytes, n), NULL);
	}
}
END_TEST

START_TEST(messages_travel_through_a_socket)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	enum message_type type;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_ok(message_send(ends[0], MESSAGE_ROW, view_str("abc"), 1000, e));
	ck_ok(message_send(ends[0], MESSAGE_END, view_of("", 0), 1000, e));
	ck_assert_int_eq(message_receive(ends[1], &type, &payload, 1000, NULL), 1);
	ck_assert_int_eq(type, MESSAGE_ROW);
	ck_assert(view_equal(buf_view(&payload), view_str("abc")));
	ck_assert_int_eq(message_receive(ends[1], &type, &payload, 1000, NULL), 1);
	ck_assert_int_eq(type, MESSAGE_END);
	ck_fails(message_receive(ends[1], &type, &payload, 10, e), E_TIMEOUT);
	ck_assert_int_eq(write(ends[0], "\0\0\0\0\1", 5), 5);
	ck_fails(message_receive(ends[1], &type, &payload, 1000, e), E_PROTOCOL);
	ck_assert_int_eq(write(ends[0], "\xff\0\0\0\1", 5), 5);
	ck_fails(message_receive(ends[1], &type, &payload, 1000, e), E_PROTOCOL);
	ck_assert_int_eq(write(ends[0], "\0\0\0\5\1ab", 7), 7);
	close(ends[0]);
	ck_fails(message_receive(ends[1], &type, &payload, 1000, e), E_PROTOCOL);
	ck_assert_int_eq(message_receive(ends[1], &type, &payload, 1000, NULL), 0);
	ck_fails(message_send(ends[1], MESSAGE_END, view_of("", 0), 1000, e), EPIPE);
	close(ends[1]);
}
END_TEST

/* --- the commands --------------------------------------------------------- */

/* Rows as lines of JSON, and how many. */
static struct buf rows;
static size_t row_count;

static bool take_row(void *arg, const struct cell *cells, size_t count)
{
	(void)arg;
	cells_json(&rows, cells, count);
	row_count++;
	return true;
}

static struct credentials root = { 0, 0, 0, NULL }, anna_who = { 4001, 4001, 0, NULL },
			  ben_who = { 4002, 4002, 0, NULL };

/* ask(who, "history", "path", "a", NULL): the code; rows and row_count tell the answer. */
static int ask(const struct credentials *who, const char *command, ...)
{
	struct control_context context = { .store = tree_store,
					   .who = who,
					   .actor = who == &ben_who ? ben : anna };
	struct answer answer = { take_row, NULL, NULL };
	struct request request = { 0 };
	struct error e = { 0 };
	const char *name;
	va_list ap;

	context.actor.uid = who->uid;
	strcpy(request.command, command);
	va_start(ap, command);
	while ((name = va_arg(ap, const char *)))
		request_add(&request, name, view_str(va_arg(ap, const char *)));
	va_end(ap);
	buf_clear(&rows);
	row_count = 0;
	int r = control_run(&context, &request, &answer, &e);
	ck_assert_msg(r >= 0 || e.text[0], "%s: %d without a sentence", command, r);
	buf_cstr(&rows);
	return r;
}

#define ck_rows(n, text) \
	do { \
		ck_assert_msg(row_count == (n), "%zu rows: %s", row_count, row_count ? (char *)rows.data : ""); \
		ck_assert_msg(strstr(row_count ? (char *)rows.data : "", text), "no %s in: %s", text, \
			      row_count ? (char *)rows.data : ""); \
	} while (0)

static uint64_t dept, file;

static void fill(void)
{
	tree_setup();
	dept = tree_make(&anna, ROOT_INODE, "dept", S_IFDIR | 0755);
	file = tree_write(&anna, dept, "budget.csv", "one");
	tree_save(&ben, file, "two!");
	tree_write(&ben, dept, "gone", "soon");
	tree_unlink(&ben, dept, "gone");
}

static void finish(void)
{
	buf_release(&rows);
	tree_teardown();
}

START_TEST(log_lists_and_filters)
{
	fill();
	ck_assert_int_eq(ask(&root, "log", NULL), 0);
	ck_rows(8, "\"operation\":\"unlink\",\"author\":\"ben\",\"path\":\"dept/gone\"");
	ck_assert_int_eq(ask(&root, "log", "limit", "2", "reverse", "1", NULL), 0);
	ck_rows(2, "\"operation\":\"mkdir\"");
	ck_assert_int_eq(ask(&root, "log", "by", "4001", NULL), 0);
	ck_rows(3, "\"author\":\"anna\"");
	if (!getpwnam("ben")) { /* who is not in passwd is found by the name in the log */
		ck_assert_int_eq(ask(&root, "log", "by", "ben", NULL), 0);
		ck_rows(4, "\"author\":\"ben\"");
	}
	ck_assert_int_eq(ask(&root, "log", "path", "dept/budget.csv", NULL), 0);
	ck_rows(3, "\"path\":\"dept/budget.csv\"");
	ck_assert_int_eq(ask(&root, "log", "path", "/dept//gone/", NULL), 0);
	ck_rows(3, "\"path\":\"dept/gone\"");
	ck_assert_int_eq(ask(&root, "log", "path", "dept", "by", "4002", NULL), 0);
	ck_rows(4, "\"author\":\"ben\"");
	ck_assert_int_eq(ask(&root, "log", "until", "2001", NULL), 0);
	ck_assert_uint_eq(row_count, 0);
	ck_assert_int_eq(ask(&root, "log", "since", "2001", "until", "now", NULL), 0);
	ck_assert_uint_eq(row_count, 8);
	ck_assert_int_eq(ask(&root, "log", "since", "2200", NULL), 0);
	ck_assert_uint_eq(row_count, 0);
	finish();
}
END_TEST

START_TEST(a_file_that_moved_keeps_its_log)
{
	uint64_t replaced, other;

	fill();
	other = tree_make(&anna, ROOT_INODE, "other", S_IFDIR | 0755);
	ck_ok(namespace_rename(tree_store, &anna, dept, view_str("budget.csv"), other,
			       view_str("b.csv"), 0, 0, &replaced, e));
	ck_assert_int_eq(ask(&root, "log", "path", "other/b.csv", NULL), 0);
	ck_rows(4, "\"path\":\"dept/budget.csv\",\"path2\":null");
	finish();
}
END_TEST

START_TEST(wrong_use_is_told)
{
	fill();
	ck_assert_int_eq(ask(&root, "nonsense", NULL), -E_USAGE);
	ck_assert_int_eq(ask(&root, "log", "colour", "red", NULL), -E_USAGE);
	ck_assert_int_eq(ask(&root, "log", "pat", "dept", NULL), -E_USAGE);
	ck_assert_int_eq(ask(&root, "log", "limit", "x", NULL), -E_USAGE);
	ck_assert_int_eq(ask(&root, "log", "limit", "99999999999999999999999", NULL), -E_USAGE);
	ck_assert_int_eq(ask(&root, "log", "since", "whenever", NULL), -E_BAD_TIME);
	ck_assert_int_eq(ask(&root, "log", "path", "dept/../dept", NULL), -E_NAME_BAD);
	ck_assert_int_eq(ask(&root, "log", "path", "dept/.history/x", NULL), -E_NAME_RESERVED);
	ck_assert_int_eq(ask(&root, "log", "path", "nowhere", NULL), -E_NO_ENTRY);
	ck_assert_int_eq(ask(&root, "log", "path", "nowhere/x", NULL), -E_NO_ENTRY);
	ck_assert_int_eq(ask(&root, "log", "path", "dept/budget.csv/x", NULL), -E_NOT_DIR);
	ck_assert_int_eq(ask(&root, "history", "path", "dept", NULL), -E_IS_DIR);
	ck_assert_int_eq(ask(&root, "history", "path", "", NULL), -E_IS_DIR);
	ck_assert_int_eq(ask(&root, "history", "path", "dept/nothing", NULL), -E_NO_ENTRY);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/budget.csv", NULL), -E_USAGE);
	ck_assert_int_eq(
		ask(&root, "restore", "path", "dept/budget.csv", "version", "1", "at", "now", NULL),
		-E_USAGE);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/budget.csv", "version", "1x", NULL),
			 -E_USAGE);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/budget.csv", "version", "9", NULL),
			 -E_NO_VERSION);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/budget.csv", "at", "2001", NULL),
			 -E_NO_VERSION);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept", "version", "1", NULL), -E_IS_DIR);
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/budget.csv", "version", "1", "to",
			     "no/x", NULL),
			 -E_NO_ENTRY);
	finish();
}
END_TEST

START_TEST(history_lists_versions_of_the_living_and_the_dead)
{
	fill();
	ck_assert_int_eq(ask(&root, "history", "path", "dept/budget.csv", NULL), 0);
	ck_rows(2, "{\"version\":2,");
	ck_assert_ptr_nonnull(strstr((char *)rows.data, "\"author\":\"ben\",\"size\":4"));
	ck_assert_int_eq(ask(&root, "history", "path", "dept/gone", "all", "1", NULL), 0);
	ck_rows(1, "\"size\":4");
	finish();
}
END_TEST

START_TEST(restore_puts_a_version_back)
{
	fill();
	ck_assert_int_eq(ask(&anna_who, "restore", "path", "dept/budget.csv", "version", "1", NULL),
			 0);
	ck_rows(1, "\"version\":3,\"from_document\":1,\"from_version\":1,\"size\":3,\"unchanged\":"
		   "false");
	ck_assert_str_eq(tree_text(tree_doc(dept, "budget.csv"), 3), "one");
	ck_assert_int_eq(ask(&anna_who, "restore", "path", "dept/budget.csv", "version", "1@2",
			     "to", "dept/copy", NULL),
			 0);
	ck_assert_str_eq(tree_text(tree_doc(dept, "copy"), 1), "two!");
	ck_assert_int_eq(ask(&anna_who, "restore", "path", "dept/gone", "at", "now", NULL), 0);
	ck_assert_str_eq(tree_text(tree_doc(dept, "gone"), tree_head(tree_doc(dept, "gone"))),
			 "soon");
	ck_assert_int_eq(ask(&root, "restore", "path", "dept/copy", "version", "1", "to", "", NULL),
			 0);
	ck_rows(1, "\"path\":\"copy\"");
	ck_assert_int_eq(ask(&anna_who, "restore", "path", "dept/copy", "version", "1", NULL), 0);
	ck_rows(1, "\"unchanged\":true");
	finish();
}
END_TEST

START_TEST(others_see_and_change_only_what_they_may)
{
	struct attributes private = { .set_mode = true, .mode = 0700 };
	struct inode *inode = NULL;

	fill();
	ck_assert_int_eq(ask(&ben_who, "restore", "path", "dept/budget.csv", "version", "1", NULL),
			 -E_DENIED);
	ck_assert_int_eq(ask(&ben_who, "restore", "path", "dept/budget.csv", "version", "1", "to",
			     "dept/x", NULL),
			 -E_DENIED);
	ck_assert_int_eq(ask(&ben_who, "verify", NULL), -E_DENIED);
	ck_ok(namespace_setattr(tree_store, &anna, dept, &private, &inode, e));
	inode_put(inode);
	ck_assert_int_eq(ask(&ben_who, "history", "path", "dept/budget.csv", NULL), -E_DENIED);
	ck_assert_int_eq(ask(&ben_who, "history", "path", "dept/nothing", NULL), -E_DENIED);
	ck_assert_int_eq(ask(&ben_who, "log", "path", "dept/gone", NULL), -E_DENIED);
	ck_assert_int_eq(ask(&ben_who, "log", NULL), 0);
	ck_assert_msg(!row_count || !strstr((char *)rows.data, "budget"), "%s", (char *)rows.data);
	ck_assert_int_eq(ask(&anna_who, "log", NULL), 0);
	ck_assert_uint_ge(row_count, 8);
	finish();
}
END_TEST

START_TEST(status_tags_conflicts_and_verify_answer)
{
	uint64_t made;

	fill();
	ck_ok(tag_set(tree_store, &anna, dept, view_str("Q1 close"), &made, e));
	tree_save_as(&anna, file, "three", 1, false); /* anna had read 1; 2 is ben's */
	ck_assert_int_eq(ask(&ben_who, "status", NULL), 0);
	ck_rows(1, "\"changes\":10,\"chain\":\"");
	ck_assert_int_eq(ask(&ben_who, "tags", "path", "", NULL), 0);
	ck_rows(1, "{\"tag\":\"Q1 close\",\"path\":\"dept\"");
	ck_assert_int_eq(ask(&ben_who, "tags", "path", "dept/budget.csv", NULL), -E_NOT_DIR);
	ck_assert_int_eq(ask(&ben_who, "conflicts", NULL), 0);
	ck_rows(1,
		"\"path\":\"dept/budget.csv\",\"document\":1,\"version\":3,\"over\":2,\"read\":1");
	ck_assert_int_eq(ask(&root, "verify", NULL), 0);
	ck_rows(1, "{\"damage\":null,\"changes\":10,");
	finish();
}
END_TEST

/* --- the daemon's socket -------------------------------------------------- */

static int connect_store(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr *address;
	char path[128];
	struct {
		sa_family_t family;
		char path[108];
	} un = { .family = AF_UNIX };

	snprintf(path, sizeof(path), "%s/" WIRE_STORE_SOCKET, tree_path);
	strcpy(un.path, path);
	address = (struct sockaddr *)&un;
	ck_assert_int_eq(connect(fd, address, sizeof(un)), 0);
	return fd;
}

/* Sends the bytes as a request's payload: the last message's type, and its payload. */
static enum message_type converse(int fd, struct view request, struct buf *payload)
{
	enum message_type type = 0;

	ck_ok(message_send(fd, MESSAGE_REQUEST, request, 1000, e));
	while (message_receive(fd, &type, payload, 5000, NULL) > 0 &&
	       (type == MESSAGE_ROW || type == MESSAGE_PROGRESS))
		;
	return type;
}

START_TEST(the_socket_answers_and_refuses)
{
	CLEANUP(buf_release) struct buf payload = { 0 }, request = { 0 };
	struct control_context context = { 0 };
	struct request r = { .command = "status" };
	struct socket_server *server = NULL;
	struct error failure;
	int fd;

	fill();
	context.store = tree_store;
	ck_ok(socket_start(&context, &server, NULL, e));
	request_encode(&request, &r);
	for (int i = 0; i < 40; i++) {
		fd = connect_store();
		ck_assert_int_eq(converse(fd, buf_view(&request), &payload), MESSAGE_END);
		close(fd);
	}
	fd = connect_store();
	ck_assert_int_eq(converse(fd, view_str("garbage"), &payload), MESSAGE_ERROR);
	ck_ok(failure_decode(&failure, buf_view(&payload), e));
	ck_assert_int_eq(failure.code, -E_PROTOCOL);
	close(fd);
	fd = connect_store();
	ck_assert_int_eq(write(fd, "\xff\xff\xff\xff\xff", 5), 5);
	ck_assert_int_eq(message_receive(fd, &(enum message_type){ 0 }, &payload, 5000, NULL), 1);
	ck_ok(failure_decode(&failure, buf_view(&payload), e));
	ck_assert_int_eq(failure.code, -E_PROTOCOL);
	close(fd);
	socket_stop(server);
	finish();
}
END_TEST

static void *send_slowly(void *arg)
{
	static const uint8_t message[] = { 0, 0, 0, 200, 1 };
	int fd = *(int *)arg;

	/* Far more slowly than the message may take, far faster than a wait. */
	for (size_t i = 0; i < 100; i++) {
		if (send(fd, &message[i < 5 ? i : 4], 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(20000);
	}
	return NULL;
}

START_TEST(one_who_sends_byte_by_byte_is_not_waited_for)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	enum message_type type;
	pthread_t thread;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_slowly, &fds[0]), 0);
	ck_assert_int_eq(message_receive(fds[1], &type, &payload, 300, NULL), -E_TIMEOUT);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
}
END_TEST

START_TEST(many_clients_are_bounded_and_stopping_ends_them)
{
	CLEANUP(buf_release) struct buf payload = { 0 };
	struct control_context context = { 0 };
	struct socket_server *server = NULL;
	int fds[SOCKET_CONNECTIONS_MAX + 1];
	enum message_type type;
	struct error failure;

	fill();
	context.store = tree_store;
	ck_ok(socket_start(&context, &server, NULL, e));
	for (size_t i = 0; i <= SOCKET_CONNECTIONS_MAX; i++)
		fds[i] = connect_store();
	ck_assert_int_eq(message_receive(fds[SOCKET_CONNECTIONS_MAX], &type, &payload, 5000, NULL),
			 1);
	ck_ok(failure_decode(&failure, buf_view(&payload), e));
	ck_assert_int_eq(failure.code, -EBUSY);
	socket_stop(server); /* with sixteen that never asked */
	for (size_t i = 0; i < SOCKET_CONNECTIONS_MAX; i++) {
		ck_assert_int_le(message_receive(fds[i], &type, &payload, 5000, NULL), 0);
		close(fds[i]);
	}
	close(fds[SOCKET_CONNECTIONS_MAX]);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *wire = tcase_create("wire"), *commands = tcase_create("commands"),
	      *sockets = tcase_create("socket");

	suite_add_tcase(suite, wire);
	tcase_add_test(wire, a_request_goes_there_and_back);
	tcase_add_test(wire, a_row_goes_there_and_back);
	tcase_add_test(wire, every_truncation_and_every_tail_is_refused);
	tcase_add_test(wire, another_protocol_is_told_apart);
	tcase_add_test(wire, random_bytes_are_refused_or_read_but_never_harm);
	tcase_add_test(wire, messages_travel_through_a_socket);
	suite_add_tcase(suite, commands);
	tcase_set_timeout(commands, 60);
	tcase_add_test(commands, log_lists_and_filters);
	tcase_add_test(commands, a_file_that_moved_keeps_its_log);
	tcase_add_test(commands, wrong_use_is_told);
	tcase_add_test(commands, history_lists_versions_of_the_living_and_the_dead);
	tcase_add_test(commands, restore_puts_a_version_back);
	tcase_add_test(commands, others_see_and_change_only_what_they_may);
	tcase_add_test(commands, status_tags_conflicts_and_verify_answer);
	suite_add_tcase(suite, sockets);
	tcase_set_timeout(sockets, 60);
	tcase_add_test(sockets, the_socket_answers_and_refuses);
	tcase_add_test(sockets, one_who_sends_byte_by_byte_is_not_waited_for);
	tcase_add_test(sockets, many_clients_are_bounded_and_stopping_ends_them);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
