/* Dialling: order of tries, stagger, the winner, and that losers are closed. */
#include "net/dial.h"
#include "net_fixture.h"

struct outcome {
	struct conn *conn;
	struct error error;
	unsigned calls;
};

static void on_done(void *owner, struct conn *conn, const struct error *error)
{
	struct outcome *outcome = owner;
	outcome->calls++;
	outcome->conn = conn;
	outcome->error = *error;
}

/* A listening socket whose queue is full: connects neither succeed nor fail. */
static int deaf_listener(struct address *address, int fillers[8])
{
	int fd = listen_on_loopback(address);
	union socket_address raw;
	socklen_t len = address_to_socket(address, &raw);
	listen(fd, 0);
	for (int i = 0; i < 8; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fillers[i], &raw.any, len);
	}
	return fd;
}

static struct address refusing(void)
{
	struct address address;
	close(listen_on_loopback(&address));
	return address;
}

static void close_all(int listener, const int fillers[8])
{
	for (int i = 0; i < 8; i++)
		close(fillers[i]);
	close(listener);
}

static void single_address(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address address;
	int listener = listen_on_loopback(&address);

	assert_non_null(dial_start(&fixture->worker, &address, 1, NULL, 1000, on_done, &outcome));
	assert_int_equal(outcome.calls, 0);
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_non_null(outcome.conn);
	assert_true(address_equal(&outcome.conn->peer, &address));
	assert_int_equal(conn_count(&fixture->worker), 1);
	assert_int_equal(fixture->worker.loop.timers.active, 0);
	conn_close(outcome.conn);
	close(listener);
}

static void next_at_once_when_one_fails(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address addresses[3] = {refusing(), refusing()};
	int listener = listen_on_loopback(&addresses[2]);
	uint64_t start = fixture->worker.loop.now;

	assert_non_null(dial_start(&fixture->worker, addresses, 3, NULL, 5000, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_true(fixture->worker.loop.now - start < 200);
	assert_true(address_equal(&outcome.conn->peer, &addresses[2]));
	assert_int_equal(conn_count(&fixture->worker), 1);
	conn_close(outcome.conn);
	close(listener);
}

static void the_last_error_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address addresses[2] = {refusing(), refusing()};

	assert_non_null(dial_start(&fixture->worker, addresses, 2, NULL, 5000, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_null(outcome.conn);
	assert_int_equal(outcome.error.code, ERROR_CONNECT_REFUSED);
	assert_true(outcome.error.unprocessed);
	loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(outcome.calls, 1);
}

static void stagger_passes_a_deaf_one(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address addresses[2];
	int fillers[8], deaf = deaf_listener(&addresses[0], fillers),
			listener = listen_on_loopback(&addresses[1]);
	uint64_t start = fixture->worker.loop.now;

	assert_non_null(dial_start(&fixture->worker, addresses, 2, NULL, 5000, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_in_range(fixture->worker.loop.now - start, 240, 700);
	assert_non_null(outcome.conn);
	assert_true(address_equal(&outcome.conn->peer, &addresses[1]));
	assert_int_equal(conn_count(&fixture->worker), 1); /* the deaf one was let go */
	conn_close(outcome.conn);
	close_all(deaf, fillers);
	close(listener);
}

static void deadline(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address address;
	int fillers[8], deaf = deaf_listener(&address, fillers);

	assert_non_null(dial_start(&fixture->worker, &address, 1, NULL, 100, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_null(outcome.conn);
	assert_int_equal(outcome.error.code, ERROR_CONNECT_TIMEOUT);
	assert_true(outcome.error.unprocessed);
	close_all(deaf, fillers);
}

static void cancelled(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address addresses[2];
	int first = listen_on_loopback(&addresses[0]), second = listen_on_loopback(&addresses[1]);
	struct dial *dial = dial_start(&fixture->worker, addresses, 2, NULL, 1000, on_done, &outcome);

	assert_non_null(dial);
	dial_cancel(dial);
	dial_cancel(dial); /* harmless within the turn */
	for (int i = 0; i < 5; i++)
		loop_turn(&fixture->worker.loop, 2);
	assert_int_equal(outcome.calls, 0);
	close(first);
	close(second);
}

static void nothing_to_dial(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address hopeless = {.family = ADDRESS_UNIX};

	assert_non_null(dial_start(&fixture->worker, NULL, 0, NULL, 1000, on_done, &outcome));
	assert_non_null(dial_start(&fixture->worker, &hopeless, 1, NULL, 1000, on_done, &outcome));
	assert_int_equal(outcome.calls, 0);
	TURN_UNTIL(fixture, outcome.calls == 2);
	assert_null(outcome.conn);
	assert_int_equal(outcome.error.code, ERROR_UNREACHABLE);
	assert_true(outcome.error.unprocessed);
}

/* Unreachable IPv6 in front: families take turns, so that the IPv4 one is second and not last. */
static void families_take_turns(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = {0};
	struct address addresses[4];
	int fillers[8], deaf = deaf_listener(&addresses[0], fillers);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union socket_address raw;

	addresses[1] = addresses[2] = addresses[0];
	assert_true(address_parse(SPAN("[::1]:0"), &addresses[3]));
	socklen_t len = address_to_socket(&addresses[3], &raw);
	if (listener < 0 || bind(listener, &raw.any, len) != 0 || listen(listener, 8) != 0) {
		close_all(deaf, fillers);
		skip();
	}
	getsockname(listener, &raw.any, &len);
	addresses[3] = address_from_socket(&raw, len);
	uint64_t start = fixture->worker.loop.now;
	assert_non_null(dial_start(&fixture->worker, addresses, 4, NULL, 5000, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_in_range(fixture->worker.loop.now - start, 240, 480);
	assert_true(address_equal(&outcome.conn->peer, &addresses[3]));
	conn_close(outcome.conn);
	close_all(deaf, fillers);
	close(listener);
}

/* The family that the way has no source for is not tried; with no other there is an end, and it is said why. */
static void families_without_a_way_are_not_tried(void **state)
{
	struct fixture *fixture = *state;
	struct net_way way = {.bound = true, .source_v4 = {.family = ADDRESS_V4, .ip = {127, 0, 0, 2}}};
	struct outcome outcome = {0};
	struct address addresses[2] = {{.family = ADDRESS_V6, .ip = {[15] = 1}, .port = 9}};
	union socket_address raw;
	socklen_t len = sizeof(raw);
	int listener = listen_on_loopback(&addresses[1]);

	assert_non_null(dial_start(&fixture->worker, addresses, 2, &way, 1000, on_done, &outcome));
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_true(address_equal(&outcome.conn->peer, &addresses[1]));
	assert_int_equal(getsockname(outcome.conn->source.fd, &raw.any, &len), 0);
	assert_int_equal(address_from_socket(&raw, len).ip[3], 2);
	conn_close(outcome.conn);
	outcome.calls = 0;
	assert_non_null(dial_start(&fixture->worker, addresses, 1, &way, 1000, on_done, &outcome));
	assert_int_equal(outcome.calls, 0);
	TURN_UNTIL(fixture, outcome.calls > 0);
	assert_null(outcome.conn);
	assert_int_equal(outcome.error.code, ERROR_NO_EXIT);
	assert_true(outcome.error.unprocessed);
	assert_string_equal(error_text(&outcome.error), "the exit has no address of the target's family");
	close(listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(single_address),
		TEST(next_at_once_when_one_fails),
		TEST(the_last_error_is_told),
		TEST(stagger_passes_a_deaf_one),
		TEST(deadline),
		TEST(cancelled),
		TEST(nothing_to_dial),
		TEST(families_take_turns),
		TEST(families_without_a_way_are_not_tried),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
