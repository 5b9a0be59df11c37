/* Relays: bytes both ways unchanged, ends and resets passed on, pipes held only while there is something in them. */
#include "net/relay.h"

#include "net/room_internal.h"
#include "net_fixture.h"

#include <dirent.h>

struct outcome {
	uint64_t there, back;
	unsigned done;
	struct error error;
	bool stop_when_moved;
};

static void on_moved(struct relay *relay, uint64_t there, uint64_t back)
{
	struct outcome *outcome = relay_owner(relay);
	assert_true(there > 0 || back > 0);
	outcome->there += there;
	outcome->back += back;
	if (outcome->stop_when_moved)
		relay_stop(relay);
}

static void on_done(struct relay *relay, const struct error *error)
{
	struct outcome *outcome = relay_owner(relay);
	outcome->done++;
	outcome->error = *error;
	relay_stop(relay); /* harmless */
}

static const struct relay_ops ops = {.on_moved = on_moved, .on_done = on_done};

static void no_read(struct conn *conn, struct block *lent, struct span bytes)
{
	fail_msg("read while it is relayed");
}

static void no_end(struct conn *conn)
{
	fail_msg("end told while it is relayed");
}

static void no_fail(struct conn *conn, const struct error *error)
{
	fail_msg("failure told while it is relayed");
}

static const struct conn_ops protocol = {.on_read = no_read, .on_end = no_end, .on_fail = no_fail};

struct tunnel {
	struct conn *a, *b;
	int client, server; /* the far ends */
	struct relay *relay;
	struct outcome outcome;
};

static void open_conns(struct fixture *fixture, struct tunnel *tunnel)
{
	struct address peer;
	int ours;
	*tunnel = (struct tunnel){0};
	tcp_pair(&ours, &tunnel->client, &peer);
	tunnel->a = conn_open(&fixture->worker, ours, &peer, &protocol, tunnel);
	tcp_pair(&ours, &tunnel->server, &peer);
	tunnel->b = conn_open(&fixture->worker, ours, &peer, &protocol, tunnel);
	assert_true(tunnel->a && tunnel->b);
	loop_turn(&fixture->worker.loop, 0);
}

static void start(struct tunnel *tunnel)
{
	tunnel->relay = relay_start(tunnel->a, tunnel->b, false, false, &ops, &tunnel->outcome);
	assert_non_null(tunnel->relay);
}

static void close_conns(struct fixture *fixture, struct tunnel *tunnel)
{
	conn_close(tunnel->a);
	conn_close(tunnel->b);
	loop_turn(&fixture->worker.loop, 0);
	if (tunnel->client >= 0)
		close(tunnel->client);
	if (tunnel->server >= 0)
		close(tunnel->server);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void moves_both_ways(void **state)
{
	struct fixture *fixture = *state;
	enum { TOTAL = 6 * 1024 * 1024 };
	static uint8_t data[2][TOTAL], got[2][TOTAL];
	size_t sent[2] = {0}, have[2] = {0};
	struct tunnel tunnel;
	bool ended[2] = {false, false};

	for (size_t i = 0; i < TOTAL; i++) {
		data[0][i] = (uint8_t)(i * 2654435761u >> 9);
		data[1][i] = (uint8_t)(i * 2246822519u >> 11);
	}
	open_conns(fixture, &tunnel);
	start(&tunnel);
	int ends[2] = {tunnel.client, tunnel.server};
	for (unsigned rounds = 0; !tunnel.outcome.done; rounds++) {
		assert_true(rounds < 100000);
		for (unsigned i = 0; i < 2; i++) {
			/* In pieces of odd sizes, so that pipes fill up with small pages too. */
			size_t piece = size_min(TOTAL - sent[i], rounds % 7 ? 1 + rounds * 37 % 5000 : 300000);
			ssize_t some =
				piece ? send(ends[i], data[i] + sent[i], piece, MSG_DONTWAIT | MSG_NOSIGNAL) :
					0;
			sent[i] += some > 0 ? (size_t)some : 0;
			if (sent[i] == TOTAL && !ended[i]) {
				shutdown(ends[i], SHUT_WR);
				ended[i] = true;
			}
			some = recv(ends[!i], got[i] + have[i], TOTAL - have[i], MSG_DONTWAIT);
			have[i] += some > 0 ? (size_t)some : 0;
		}
		loop_turn(&fixture->worker.loop, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		while (have[i] < TOTAL) {
			ssize_t some = recv(ends[!i], got[i] + have[i], TOTAL - have[i], 0);
			assert_true(some > 0);
			have[i] += (size_t)some;
		}
		assert_memory_equal(data[i], got[i], TOTAL);
	}
	assert_int_equal(tunnel.outcome.error.code, ERROR_NONE);
	assert_int_equal(tunnel.outcome.there, TOTAL);
	assert_int_equal(tunnel.outcome.back, TOTAL);
	assert_int_equal(tunnel.a->bytes_in, TOTAL);
	assert_int_equal(tunnel.a->bytes_out, TOTAL);
	assert_int_equal(tunnel.outcome.done, 1);
	tunnel.client = tunnel.server = -1;
	close_conns(fixture, &tunnel);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(recv(ends[i], got[i], 1, 0), 0);
		close(ends[i]);
	}
}

static void half_close_goes_on_the_other_way(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;
	char text[16] = {0};

	open_conns(fixture, &tunnel);
	send_text(tunnel.client, "early"); /* remembered by the connection, which does not read */
	loop_turn(&fixture->worker.loop, 5);
	start(&tunnel);
	TURN_UNTIL(fixture, tunnel.outcome.there == 5);
	assert_int_equal(recv(tunnel.server, text, sizeof(text), 0), 5);
	shutdown(tunnel.client, SHUT_WR);
	TURN_UNTIL(fixture, tunnel.b->shutdown_done);
	assert_int_equal(recv(tunnel.server, text, sizeof(text), 0), 0);
	for (unsigned i = 1; i <= 3; i++) {
		send_text(tunnel.server, "late");
		TURN_UNTIL(fixture, tunnel.outcome.back == i * 4);
	}
	assert_int_equal(recv(tunnel.client, text, sizeof(text), 0), 12);
	assert_int_equal(tunnel.outcome.done, 0);
	close(tunnel.server);
	tunnel.server = -1;
	TURN_UNTIL(fixture, tunnel.outcome.done == 1);
	assert_int_equal(tunnel.outcome.error.code, ERROR_NONE);
	int client = tunnel.client;
	tunnel.client = -1;
	close_conns(fixture, &tunnel);
	assert_int_equal(recv(client, text, sizeof(text), 0), 0);
	close(client);
}

static void a_side_that_had_ended_before(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;
	char text[8];

	open_conns(fixture, &tunnel);
	shutdown(tunnel.client, SHUT_WR);
	tunnel.relay = relay_start(tunnel.a, tunnel.b, true, false, &ops, &tunnel.outcome);
	TURN_UNTIL(fixture, tunnel.b->shutdown_done);
	assert_int_equal(recv(tunnel.server, text, sizeof(text), 0), 0);
	shutdown(tunnel.server, SHUT_WR);
	TURN_UNTIL(fixture, tunnel.outcome.done == 1);
	assert_int_equal(tunnel.outcome.error.code, ERROR_NONE);
	close_conns(fixture, &tunnel);
}

static void reset_ends_it(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;

	open_conns(fixture, &tunnel);
	start(&tunnel);
	send_text(tunnel.client, "x");
	TURN_UNTIL(fixture, tunnel.outcome.there == 1);
	reset_peer(tunnel.client);
	tunnel.client = -1;
	TURN_UNTIL(fixture, tunnel.outcome.done == 1);
	assert_int_equal(tunnel.outcome.error.system, ECONNRESET);
	assert_false(tunnel.b->shutdown_done); /* the server must not take it for a good end */
	close_conns(fixture, &tunnel);
}

static void reset_after_its_end_is_seen(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;

	open_conns(fixture, &tunnel);
	start(&tunnel);
	shutdown(tunnel.client, SHUT_WR);
	TURN_UNTIL(fixture, tunnel.b->shutdown_done);
	reset_peer(tunnel.client);
	tunnel.client = -1;
	TURN_UNTIL(fixture, tunnel.outcome.done == 1);
	assert_true(error_is(&tunnel.outcome.error));
	close_conns(fixture, &tunnel);
}

/* The server says its last and is gone; the client's bytes that meet a reset must not cost it those last words. */
static void last_words_of_a_broken_sink(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;
	char text[16] = {0};

	open_conns(fixture, &tunnel);
	start(&tunnel);
	loop_turn(&fixture->worker.loop, 0);
	send_text(tunnel.client, "close notify");
	send_text(tunnel.server, "last words");
	reset_peer(tunnel.server);
	tunnel.server = -1;
	TURN_UNTIL(fixture, tunnel.outcome.done == 1);
	assert_true(error_is(&tunnel.outcome.error));
	assert_int_equal(recv(tunnel.client, text, sizeof(text), 0), 10);
	assert_string_equal(text, "last words");
	assert_false(tunnel.a->shutdown_done);
	close_conns(fixture, &tunnel);
}

static void stops_without_callbacks(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;

	open_conns(fixture, &tunnel);
	start(&tunnel);
	relay_stop(tunnel.relay);
	relay_stop(tunnel.relay);
	close_conns(fixture, &tunnel);
	assert_int_equal(tunnel.outcome.done, 0);
	open_conns(fixture, &tunnel);
	tunnel.outcome.stop_when_moved = true;
	start(&tunnel);
	send_text(tunnel.client, "x");
	TURN_UNTIL(fixture, tunnel.outcome.there == 1);
	shutdown(tunnel.client, SHUT_WR);
	shutdown(tunnel.server, SHUT_WR);
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&fixture->worker.loop, 2);
	assert_int_equal(tunnel.outcome.done, 0);
	close_conns(fixture, &tunnel);
}

static void a_stuck_sink_holds_its_direction_only(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;
	static char junk[256 * 1024];
	size_t sent = 0;
	unsigned quiet = 0;

	open_conns(fixture, &tunnel);
	start(&tunnel);
	while (quiet < 50) { /* until the server's side takes no more */
		ssize_t some = send(tunnel.client, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += some > 0 ? (size_t)some : 0;
		quiet = some > 0 ? 0 : quiet + 1;
		loop_turn(&fixture->worker.loop, 1);
	}
	send_text(tunnel.server, "other way");
	TURN_UNTIL(fixture, tunnel.outcome.back == 9);
	uint64_t turns = fixture->worker.loop.turns;
	loop_turn(&fixture->worker.loop, 20); /* nothing spins meanwhile */
	assert_true(fixture->worker.loop.turns == turns + 1);
	size_t have = 0;
	shutdown(tunnel.client, SHUT_WR);
	while (have < sent) {
		ssize_t some = recv(tunnel.server, junk, sizeof(junk), MSG_DONTWAIT);
		have += some > 0 ? (size_t)some : 0;
		loop_turn(&fixture->worker.loop, 1);
	}
	assert_int_equal(tunnel.outcome.there, sent);
	close(tunnel.server);
	tunnel.server = -1;
	TURN_UNTIL(fixture, tunnel.outcome.done);
	close_conns(fixture, &tunnel);
}

/* Sends `total` bytes from the client on, as many as go; returns how many. The server takes them when `take`. */
static size_t pour(struct fixture *fixture, struct tunnel *tunnel, size_t total, bool take)
{
	static uint8_t junk[256 * 1024];
	size_t sent = 0, have = 0;

	for (unsigned quiet = 0; quiet < 50 && (sent < total || (take && have < sent));) {
		ssize_t some = sent < total ? send(tunnel->client, junk, size_min(sizeof(junk), total - sent),
						   MSG_DONTWAIT | MSG_NOSIGNAL) :
					      0;
		ssize_t got = take ? recv(tunnel->server, junk, sizeof(junk), MSG_DONTWAIT) : 0;
		sent += some > 0 ? (size_t)some : 0;
		have += got > 0 ? (size_t)got : 0;
		quiet = some > 0 || got > 0 ? 0 : quiet + 1;
		loop_turn(&fixture->worker.loop, 1);
	}
	return sent;
}

/* Much goes through a pipe, which goes back when it is empty, and is used by the next one. */
static void pipes_are_used_again(void **state)
{
	struct fixture *fixture = *state;
	struct net_room *room = net_room(&fixture->worker);
	struct tunnel tunnel;
	unsigned before = 0;

	for (unsigned i = 0; i < 5; i++) {
		open_conns(fixture, &tunnel);
		start(&tunnel);
		assert_int_equal(pour(fixture, &tunnel, 4 << 20, true), 4 << 20);
		assert_int_equal(room->pipes_open, 1);
		assert_int_equal(room->pipes_kept, 1);
		close(tunnel.client);
		close(tunnel.server);
		tunnel.client = tunnel.server = -1;
		TURN_UNTIL(fixture, tunnel.outcome.done);
		close_conns(fixture, &tunnel);
		if (i == 0)
			before = open_descriptors();
	}
	assert_int_equal(open_descriptors(), before);
}

/* A tunnel that is silent holds neither pipe nor block; little is copied, and never sees a pipe. */
static void silence_holds_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct net_room *room = net_room(&fixture->worker);
	struct tunnel tunnel;
	char text[16];

	open_conns(fixture, &tunnel);
	uint64_t idle = fixture->memory.used;
	start(&tunnel);
	loop_turn(&fixture->worker.loop, 0);
	assert_in_range(fixture->memory.used, idle, idle + 256 + BLOCK_MEDIUM);
	send_text(tunnel.client, "hello");
	TURN_UNTIL(fixture, tunnel.outcome.there == 5);
	assert_int_equal(recv(tunnel.server, text, sizeof(text), 0), 5);
	assert_int_equal(room->pipes_open, 0);
	assert_true(relay_is_empty(tunnel.relay));
	relay_stop(tunnel.relay);
	close_conns(fixture, &tunnel);
}

/* More stuck sinks than there are pipes: the others' bytes are copied, and what is stuck is bounded. */
static void without_a_pipe_it_copies(void **state)
{
	struct fixture *fixture = *state;
	struct net_room *room = net_room(&fixture->worker);
	struct tunnel tunnel;

	room->pipes_open = 1000; /* as if they were all in use */
	open_conns(fixture, &tunnel);
	start(&tunnel);
	assert_int_equal(pour(fixture, &tunnel, 4 << 20, true), 4 << 20);
	uint64_t used = fixture->memory.used;
	assert_true(pour(fixture, &tunnel, 64 << 20, false) > 0);
	assert_false(relay_is_empty(tunnel.relay));
	assert_in_range(fixture->memory.used, used, used + BLOCK_LARGE);
	room->pipes_open = 0;
	relay_stop(tunnel.relay);
	close_conns(fixture, &tunnel);
}

static void without_memory_there_is_none(void **state)
{
	struct fixture *fixture = *state;
	struct tunnel tunnel;

	open_conns(fixture, &tunnel);
	memory_fail_every(&fixture->memory, 1);
	assert_null(relay_start(tunnel.a, tunnel.b, false, false, &ops, &tunnel.outcome));
	memory_fail_every(&fixture->memory, 0);
	assert_true(conn_is_plain(tunnel.a) && conn_is_plain(tunnel.b));
	close_conns(fixture, &tunnel);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(moves_both_ways),
		TEST(half_close_goes_on_the_other_way),
		TEST(a_side_that_had_ended_before),
		TEST(reset_ends_it),
		TEST(reset_after_its_end_is_seen),
		TEST(last_words_of_a_broken_sink),
		TEST(stops_without_callbacks),
		TEST(a_stuck_sink_holds_its_direction_only),
		TEST(pipes_are_used_again),
		TEST(silence_holds_nothing),
		TEST(without_a_pipe_it_copies),
		TEST(without_memory_there_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
