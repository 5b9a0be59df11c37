/* Connections over real sockets: how many system calls, what is told and when, and that nothing leaks. */
#include "net_fixture.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

/* What a connection's callbacks were told; `counted` transports count their calls. */
struct record {
	struct conn *conn;
	char text[4096];
	size_t read, sent;
	unsigned reads, ends, fails, connects, sents;
	unsigned receives, sends;
	struct error error;
	bool stop_after_read, close_on_read, close_on_end, keep, write_from_sent;
	struct chunk_queue kept;
	struct worker *worker;
};

static struct record *current; /* the counting transport has only the conn, whose owner may be a lingering */

static ssize_t counted_receive(struct conn *conn, void *into, size_t room)
{
	current->receives++;
	return transport_socket.receive(conn, into, room);
}

static ssize_t counted_send(struct conn *conn, const struct iovec *vectors, unsigned count)
{
	current->sends++;
	return transport_socket.send(conn, vectors, count);
}

static int counted_shutdown(struct conn *conn)
{
	return transport_socket.shutdown(conn);
}

static void counted_close(struct conn *conn)
{
}

static const struct transport_ops counted = {
	.receive = counted_receive,
	.send = counted_send,
	.shutdown = counted_shutdown,
	.close = counted_close,
};

static void on_read(struct conn *conn, struct block *lent, struct span bytes)
{
	struct record *record = conn->owner;
	assert_true(bytes.len > 0);
	assert_ptr_equal(bytes.at, lent->bytes);
	assert_int_equal(lent->used, bytes.len);
	size_t room = sizeof(record->text) - 1 - size_min(record->read, sizeof(record->text) - 1);
	memcpy(record->text + size_min(record->read, sizeof(record->text) - 1), bytes.at,
	       size_min(bytes.len, room));
	record->read += bytes.len;
	record->reads++;
	if (record->keep)
		assert_true(chunk_queue_add(&conn->worker->buffers, &record->kept, lent, bytes));
	if (record->stop_after_read)
		conn_read_stop(conn);
	if (record->close_on_read)
		conn_close(conn);
}

static void on_end(struct conn *conn)
{
	struct record *record = conn->owner;
	record->ends++;
	if (record->close_on_end)
		conn_close(conn);
}

static void put(struct record *record, const char *text)
{
	struct chunk_queue queue = {0};
	assert_true(chunk_queue_static(&record->worker->buffers, &queue, span_of(text)));
	conn_write(record->conn, &queue);
	assert_int_equal(queue.bytes, 0);
}

static void on_sent(struct conn *conn, size_t bytes)
{
	struct record *record = conn->owner;
	record->sent += bytes;
	record->sents++;
	if (record->write_from_sent) {
		record->write_from_sent = false;
		put(record, "second");
	}
}

static void on_fail(struct conn *conn, const struct error *error)
{
	struct record *record = conn->owner;
	record->fails++;
	record->error = *error;
}

static void on_connect(struct conn *conn)
{
	struct record *record = conn->owner;
	record->connects++;
}

static const struct conn_ops ops = {
	.on_read = on_read,
	.on_end = on_end,
	.on_sent = on_sent,
	.on_fail = on_fail,
	.on_connect = on_connect,
};

static int open_pair(struct fixture *fixture, struct record *record)
{
	struct address peer;
	int ours, theirs;
	*record = (struct record){.worker = &fixture->worker};
	current = record;
	tcp_pair(&ours, &theirs, &peer);
	record->conn = conn_open(&fixture->worker, ours, &peer, &ops, record);
	assert_non_null(record->conn);
	record->conn->transport = &counted;
	loop_turn(&fixture->worker.loop, 0);
	return theirs;
}

static void finish(struct fixture *fixture, struct record *record, int theirs)
{
	conn_close(record->conn);
	chunk_queue_clear(&fixture->worker.buffers, &record->kept);
	loop_turn(&fixture->worker.loop, 0);
	if (theirs >= 0)
		close(theirs);
}

static void reads_once_and_sends_once(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[32] = {0};
	int theirs = open_pair(fixture, &record);

	conn_read_start(record.conn);
	for (unsigned i = 1; i <= 5; i++) {
		send_text(theirs, "request");
		TURN_UNTIL(fixture, record.reads == i);
		put(&record, "head ");
		put(&record, "body");
		loop_turn(&fixture->worker.loop, 0);
		assert_int_equal(recv(theirs, text, sizeof(text), 0), 9);
		assert_string_equal(text, "head body");
	}
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(record.receives, 5);
	assert_int_equal(record.sends, 5);
	assert_int_equal(record.sent, 45);
	assert_int_equal(record.conn->bytes_in, 35);
	assert_int_equal(record.conn->bytes_out, 45);
	finish(fixture, &record, theirs);
}

static void end_is_told_once_after_the_bytes(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	send_text(theirs, "last");
	shutdown(theirs, SHUT_WR);
	conn_read_start(record.conn);
	TURN_UNTIL(fixture, record.ends > 0);
	assert_string_equal(record.text, "last");
	assert_int_equal(record.receives, 2);
	conn_read_stop(record.conn);
	conn_read_start(record.conn);
	loop_turn(&fixture->worker.loop, 10);
	assert_int_equal(record.ends, 1);
	put(&record, "answer"); /* half-closed: writing goes on */
	loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(record.sent, 6);
	finish(fixture, &record, theirs);
}

static void stopped_reading_remembers(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	send_text(theirs, "early");
	close(theirs);
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(record.reads + record.ends + record.fails + record.receives, 0);
	record.stop_after_read = true;
	conn_read_start(record.conn);
	assert_int_equal(record.reads, 0); /* never from inside */
	loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(record.reads, 1);
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(record.ends, 0);
	conn_read_start(record.conn);
	TURN_UNTIL(fixture, record.ends == 1);
	finish(fixture, &record, -1);
}

static void reset_is_told_while_stopped(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	reset_peer(theirs);
	TURN_UNTIL(fixture, record.fails == 1);
	assert_int_equal(record.error.code, ERROR_UPSTREAM_RESET);
	assert_int_equal(record.error.system, ECONNRESET);
	put(&record, "nobody"); /* dropped */
	loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(record.fails, 1);
	assert_int_equal(record.sends, 0);
	finish(fixture, &record, -1);
}

static void bytes_before_a_reset_come_first(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	send_text(theirs, "early answer");
	loop_turn(&fixture->worker.loop, 5);
	reset_peer(theirs);
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(record.fails, 0);
	conn_read_start(record.conn);
	TURN_UNTIL(fixture, record.fails == 1);
	assert_string_equal(record.text, "early answer");
	assert_int_equal(record.ends, 0);
	finish(fixture, &record, -1);
}

/* The send meets the reset first: the answer that came before it is read all the same, and the end is no FIN. */
static void failed_send_lets_the_answer_through(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	conn_read_start(record.conn);
	send_text(theirs, "413");
	reset_peer(theirs);
	put(&record, "body that nobody wants");
	TURN_UNTIL(fixture, record.fails == 1);
	assert_string_equal(record.text, "413");
	assert_int_equal(record.ends, 0);
	finish(fixture, &record, -1);
}

static void send_error_before_read_event(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	conn_read_start(record.conn);
	send_text(theirs, "413");
	reset_peer(theirs);
	usleep(1000);
	put(&record, "body that nobody wants");
	/* What the loop would do if the write came before the event: the last phase first. */
	struct loop_task *flush = &record.conn->flush;
	flush->run(flush);
	assert_int_equal(record.conn->broken, ECONNRESET);
	assert_int_equal(record.fails, 0);
	TURN_UNTIL(fixture, record.fails == 1);
	assert_string_equal(record.text, "413");
	assert_int_equal(record.ends, 0);
	assert_int_equal(record.error.system, ECONNRESET);
	finish(fixture, &record, -1);
}

static void broken_and_no_longer_read_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	conn_read_start(record.conn);
	send_text(theirs, "pipelined");
	reset_peer(theirs);
	usleep(1000);
	put(&record, "answer");
	record.stop_after_read = true;
	struct loop_task *flush = &record.conn->flush;
	flush->run(flush);
	TURN_UNTIL(fixture, record.fails == 1);
	finish(fixture, &record, -1);
}

static void partial_sends_go_on(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	enum { TOTAL = 8 * 1024 * 1024 };
	static uint8_t big[TOTAL], got[TOTAL];
	int theirs = open_pair(fixture, &record);

	for (size_t i = 0; i < TOTAL; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 13);
	struct chunk_queue queue = {0};
	for (size_t i = 0; i < TOTAL; i += TOTAL / 256)
		assert_true(chunk_queue_static(&fixture->worker.buffers, &queue,
					       span_make(big + i, TOTAL / 256)));
	conn_write(record.conn, &queue);
	conn_finish(record.conn);
	loop_turn(&fixture->worker.loop, 0);
	assert_true(conn_unsent(record.conn) > 0);
	size_t have = 0;
	while (have < TOTAL) {
		ssize_t some = recv(theirs, got + have, TOTAL - have, MSG_DONTWAIT);
		if (some > 0)
			have += (size_t)some;
		loop_turn(&fixture->worker.loop, 1);
	}
	assert_memory_equal(big, got, TOTAL);
	assert_int_equal(record.sent, TOTAL);
	assert_int_equal(conn_unsent(record.conn), 0);
	assert_int_equal(recv(theirs, got, 1, 0), 0); /* FIN behind all of it */
	finish(fixture, &record, theirs);
}

static void write_from_on_sent_leaves_in_the_same_turn(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[32] = {0};
	int theirs = open_pair(fixture, &record);

	record.write_from_sent = true;
	put(&record, "first ");
	loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(record.sents, 2);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 12);
	assert_string_equal(text, "first second");
	finish(fixture, &record, theirs);
}

static void long_input_is_shared_and_goes_bulk(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	enum { TOTAL = 3 * 1024 * 1024 };
	static uint8_t big[TOTAL], got[TOTAL];
	int theirs = open_pair(fixture, &record);
	size_t put_in = 0;
	bool bulk = false;

	for (size_t i = 0; i < TOTAL; i++)
		big[i] = (uint8_t)(i * 2654435761u >> 11);
	record.keep = true;
	conn_read_start(record.conn);
	while (record.read < TOTAL) {
		ssize_t some = send(theirs, big + put_in, TOTAL - put_in, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (some > 0)
			put_in += (size_t)some;
		unsigned before = record.receives;
		loop_turn(&fixture->worker.loop, 1);
		bulk |= record.conn->bulk;
		assert_true(record.receives - before <= 10000);
	}
	assert_true(bulk);
	chunk_queue_peek(&record.kept, got, TOTAL);
	assert_memory_equal(big, got, TOTAL);
	chunk_queue_clear(&fixture->worker.buffers, &record.kept);
	record.keep = false;
	for (unsigned i = 0; i < 3; i++) {
		unsigned reads = record.reads;
		send_text(theirs, "small");
		TURN_UNTIL(fixture, record.reads > reads);
	}
	assert_false(record.conn->bulk);
	finish(fixture, &record, theirs);
}

static void memory_out_while_receiving(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	record.keep = true;
	conn_read_start(record.conn);
	send(theirs, (char[8192]){0}, 8192, 0);
	TURN_UNTIL(fixture, record.reads == 1);
	fixture->memory.limit = atomic_load(&fixture->memory.used);
	/* Whatever the pools kept is taken first. */
	struct block *hoard = NULL, *block;
	while ((block = block_new(&fixture->worker.buffers, BLOCK_MEDIUM - BLOCK_HEADER))) {
		memcpy(block->bytes, &hoard, sizeof(hoard));
		hoard = block;
	}
	if (!fixture->worker.receive) {
		send_text(theirs, "more");
		TURN_UNTIL(fixture, record.fails == 1);
		assert_int_equal(record.error.code, ERROR_MEMORY);
	}
	while (hoard) {
		block = hoard;
		memcpy(&hoard, block->bytes, sizeof(hoard));
		block_release(&fixture->worker.buffers, block);
	}
	fixture->memory.limit = 0;
	finish(fixture, &record, theirs);
	assert_int_equal(record.fails, 1);
}

static void may_close_in_callbacks(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[8];
	int theirs = open_pair(fixture, &record);

	record.close_on_read = true;
	conn_read_start(record.conn);
	put(&record, "queued");
	send_text(theirs, "x");
	TURN_UNTIL(fixture, record.reads == 1);
	assert_int_equal(conn_count(&fixture->worker), 0);
	assert_int_equal(recv(theirs, text, 8, 0), 6);
	assert_int_equal(recv(theirs, text, 8, 0), 0);
	close(theirs);
	theirs = open_pair(fixture, &record);
	record.close_on_end = true;
	conn_read_start(record.conn);
	close(theirs);
	TURN_UNTIL(fixture, record.ends == 1);
	loop_turn(&fixture->worker.loop, 0);
}

static void close_tries_a_flush(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[8] = {0};
	int theirs = open_pair(fixture, &record);

	put(&record, "bye");
	conn_close(record.conn);
	conn_close(record.conn); /* harmless within the turn */
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 3);
	assert_string_equal(text, "bye");
	assert_int_equal(record.sents, 0);
	loop_turn(&fixture->worker.loop, 0);
	close(theirs);
}

static void reset_is_seen_as_one(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[8];
	int theirs = open_pair(fixture, &record);

	put(&record, "half");
	loop_turn(&fixture->worker.loop, 0);
	conn_reset(record.conn);
	ssize_t got = recv(theirs, text, sizeof(text), 0);
	if (got > 0)
		got = recv(theirs, text, sizeof(text), 0);
	assert_int_equal(got, -1);
	assert_int_equal(errno, ECONNRESET);
	loop_turn(&fixture->worker.loop, 0);
	close(theirs);
}

static void lingers_until_the_peer_ends(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	char text[16] = {0};
	int theirs = open_pair(fixture, &record);

	send_text(theirs, "unwanted body");
	put(&record, "413 ");
	conn_linger(record.conn);
	loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 4);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 0);
	send_text(theirs, "more of it"); /* no reset for it */
	loop_turn(&fixture->worker.loop, 5);
	assert_int_equal(conn_count(&fixture->worker), 1);
	shutdown(theirs, SHUT_WR);
	TURN_UNTIL(fixture, conn_count(&fixture->worker) == 0);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 0);
	assert_int_equal(record.reads + record.sents + record.ends + record.fails, 0);
	close(theirs);
}

static void lingering_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	static char junk[64 * 1024];
	int theirs = open_pair(fixture, &record);

	conn_linger(record.conn);
	for (unsigned i = 0; i < 2000 && conn_count(&fixture->worker) > 0; i++) {
		(void)!send(theirs, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
		loop_turn(&fixture->worker.loop, 1);
	}
	assert_int_equal(conn_count(&fixture->worker), 0);
	close(theirs);
	theirs = open_pair(fixture, &record);
	uint64_t start = fixture->worker.loop.now;
	conn_linger(record.conn);
	TURN_UNTIL(fixture, conn_count(&fixture->worker) == 0);
	assert_in_range(fixture->worker.loop.now - start, 1900, 3000);
	close(theirs);
}

/* No limit of connections counts them: the one that has lingered for longest goes. */
static void few_linger(void **state)
{
	enum { MOST = 512 };
	struct fixture *fixture = *state;
	static struct record records[MOST + 2];
	static int theirs[MOST + 2];
	struct rlimit limit;
	char byte = 0;

	/* Two sockets each: more than the 1024 that a session may open if it does not ask for more. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < 4 * MOST) {
		limit.rlim_cur = 4 * MOST < limit.rlim_max ? 4 * MOST : limit.rlim_max;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	for (unsigned i = 0; i < MOST + 2; i++) {
		theirs[i] = open_pair(fixture, &records[i]);
		conn_linger(records[i].conn);
		loop_turn(&fixture->worker.loop, 0);
	}
	assert_int_equal(conn_count(&fixture->worker), MOST);
	(void)!send(theirs[0], &byte, 1, MSG_NOSIGNAL);                /* brings a reset */
	assert_int_equal(send(theirs[0], &byte, 1, MSG_NOSIGNAL), -1); /* gone, and not only finished */
	(void)!send(theirs[2], &byte, 1, MSG_NOSIGNAL);
	assert_int_equal(send(theirs[2], &byte, 1, MSG_NOSIGNAL), 1);
	for (unsigned i = 0; i < MOST + 2; i++)
		close(theirs[i]);
	TURN_UNTIL(fixture, conn_count(&fixture->worker) == 0);
}

static void what_lingers_is_cut_at_the_end(void **state)
{
	struct fixture *fixture = *state;
	struct record record;
	int theirs = open_pair(fixture, &record);

	conn_linger(record.conn);
	loop_turn(&fixture->worker.loop, 0);
	conn_room_fini(&fixture->worker);
	loop_turn(&fixture->worker.loop, 0);
	assert_true(conn_room_init(&fixture->worker));
	close(theirs);
}

static void connects(void **state)
{
	struct fixture *fixture = *state;
	struct record record = {.worker = &fixture->worker};
	struct address address;
	struct error error;
	char text[16] = {0};
	int listener = listen_on_loopback(&address), on = 0;
	socklen_t len = sizeof(on);

	record.conn = conn_connect(&fixture->worker, &address, NULL, &ops, &record, &error);
	assert_non_null(record.conn);
	assert_false(conn_is_plain(record.conn));
	put(&record, "early bird");
	conn_read_start(record.conn);
	assert_int_equal(record.connects, 0);
	TURN_UNTIL(fixture, record.connects == 1);
	int theirs = accept(listener, NULL, NULL);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 10);
	assert_true(conn_is_plain(record.conn));
	getsockopt(record.conn->source.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	assert_int_not_equal(on, 0);
	send_text(theirs, "worm");
	TURN_UNTIL(fixture, record.reads == 1);
	finish(fixture, &record, theirs);
	close(listener);
}

static void refused_connect_is_told_later(void **state)
{
	struct fixture *fixture = *state;
	struct record record = {.worker = &fixture->worker};
	struct address address;
	struct error error;

	close(listen_on_loopback(&address));
	record.conn = conn_connect(&fixture->worker, &address, NULL, &ops, &record, &error);
	assert_non_null(record.conn);
	assert_int_equal(record.fails, 0);
	TURN_UNTIL(fixture, record.fails == 1);
	assert_int_equal(record.error.code, ERROR_CONNECT_REFUSED);
	assert_true(record.error.unprocessed);
	assert_int_equal(record.connects, 0);
	finish(fixture, &record, -1);
}

static void unix_sockets(void **state)
{
	struct fixture *fixture = *state;
	struct record record = {.worker = &fixture->worker};
	char directory[] = "/tmp/guise-test-XXXXXX", path[64], text[8] = {0};
	struct address address = {.family = ADDRESS_UNIX, .path = path};
	union socket_address raw;
	struct error error;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	record.conn = conn_connect(&fixture->worker, &address, NULL, &ops, &record, &error);
	assert_non_null(record.conn);
	TURN_UNTIL(fixture, record.fails == 1);
	assert_int_equal(record.error.code, ERROR_CONNECT_REFUSED);
	conn_close(record.conn);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = address_to_socket(&address, &raw);
	assert_int_equal(bind(listener, &raw.any, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	record = (struct record){.worker = &fixture->worker};
	record.conn = conn_connect(&fixture->worker, &address, NULL, &ops, &record, &error);
	assert_non_null(record.conn);
	conn_read_start(record.conn);
	assert_int_equal(record.connects, 0);
	TURN_UNTIL(fixture, record.connects == 1);
	int theirs = accept(listener, NULL, NULL);
	put(&record, "hello");
	loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(recv(theirs, text, sizeof(text), 0), 5);
	send_text(theirs, "x");
	TURN_UNTIL(fixture, record.reads == 1);
	finish(fixture, &record, theirs);
	close(listener);
	unlink(path);
	rmdir(directory);
}

static void is_small(void **state)
{
	assert_true(sizeof(struct conn) <= 216);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_once_and_sends_once),
		TEST(end_is_told_once_after_the_bytes),
		TEST(stopped_reading_remembers),
		TEST(reset_is_told_while_stopped),
		TEST(bytes_before_a_reset_come_first),
		TEST(failed_send_lets_the_answer_through),
		TEST(send_error_before_read_event),
		TEST(broken_and_no_longer_read_is_told),
		TEST(partial_sends_go_on),
		TEST(write_from_on_sent_leaves_in_the_same_turn),
		TEST(long_input_is_shared_and_goes_bulk),
		TEST(memory_out_while_receiving),
		TEST(may_close_in_callbacks),
		TEST(close_tries_a_flush),
		TEST(reset_is_seen_as_one),
		TEST(lingers_until_the_peer_ends),
		TEST(lingering_is_bounded),
		TEST(few_linger),
		TEST(what_lingers_is_cut_at_the_end),
		TEST(connects),
		TEST(refused_connect_is_told_later),
		TEST(unix_sockets),
		cmocka_unit_test(is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
