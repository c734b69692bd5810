/* test_waiters.c - how many of the threads that serve wait for requests. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/waiters.h"

#define THREADS 8

static struct waiters waiters;
static int device[2]; /* one byte is a request */
static int answers[2];
static pthread_barrier_t all;
static pthread_t threads[THREADS];

/* 'b' is answered when as many as there are threads are under way. */
static void *serve(void *arg)
{
	char request;

	for (;;) {
		waiters_join(&waiters);
		ssize_t n = read(device[0], &request, 1);
		waiters_leave(&waiters);
		if (n != 1)
			break;
		if (request == 'b')
			pthread_barrier_wait(&all);
		if (write(answers[1], &request, 1) != 1)
			abort();
		waiters_rest(&waiters);
	}
	waiters_end(&waiters);
	return arg;
}

static void setup(void)
{
	waiters_init(&waiters);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, device), 0);
	ck_assert_int_eq(pipe(answers), 0);
	pthread_barrier_init(&all, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, serve, NULL), 0);
}

/* The end of the connection reaches them all, parked or not. */
static void teardown(void)
{
	shutdown(device[0], SHUT_RDWR);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	waiters_destroy(&waiters);
	close(device[0]);
	close(device[1]);
	close(answers[0]);
	close(answers[1]);
	pthread_barrier_destroy(&all);
}

static void await_answer(void)
{
	char answer;

	ck_assert_int_eq(read(answers[0], &answer, 1), 1);
}

static void one_after_the_other(int count)
{
	while (count-- > 0) {
		ck_assert_int_eq(write(device[1], "a", 1), 1);
		await_answer();
	}
}

static void all_at_once(void)
{
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(write(device[1], "b", 1), 1);
	for (int i = 0; i < THREADS; i++)
		await_answer();
}

START_TEST(few_wait_when_one_program_asks)
{
	for (int i = 0; i < 100 && atomic_load(&waiters.parked) < THREADS - WAITING_FEW - 1; i++)
		one_after_the_other(CALM);
	ck_assert_uint_ge(atomic_load(&waiters.parked), THREADS - WAITING_FEW - 1);
}
END_TEST

START_TEST(all_serve_when_all_are_needed)
{
	all_at_once();
	for (int i = 0; i < 20; i++) {
		one_after_the_other(_i);
		all_at_once();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waiters");
	TCase *cases = tcase_create("waiters");

	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, few_wait_when_one_program_asks);
	tcase_add_loop_test(cases, all_serve_when_all_are_needed, 0, 8);
	suite_add_tcase(suite, cases);
	tcase_add_loop_test(cases, all_serve_when_all_are_needed, 4 * CALM, 4 * CALM + 4);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
