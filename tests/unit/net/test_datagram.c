/* UDP sockets: what comes in one batch goes in one, nothing is queued, nobody is served without end, and errors of the path stop nothing. */
#include "net/datagram.h"
#include "net_fixture.h"

#include <stdio.h>

enum { MOST = 1024, LARGEST = 65507 /* RFC 768, RFC 791: 65535 less both headers */ };

struct heard {
	struct datagram_socket socket;
	unsigned count, calls, largest_batch, close_at;
	size_t len;
	struct address peer;
	bool echo;
	uint8_t first;
};

static void on_receive(struct datagram_socket *socket, struct datagram *datagrams, unsigned count)
{
	struct heard *heard = CONTAINER_OF(socket, struct heard, socket);

	heard->calls++;
	heard->largest_batch = count > heard->largest_batch ? count : heard->largest_batch;
	for (unsigned i = 0; i < count; i++) {
		heard->count++;
		heard->len += datagrams[i].len;
		heard->peer = datagrams[i].peer;
		heard->first = datagrams[i].len ? datagrams[i].at[0] : 0;
		/* The headroom is the receiver's. */
		memset(datagrams[i].at - DATAGRAM_HEADROOM, 'h', DATAGRAM_HEADROOM);
		if (heard->echo) {
			datagrams[i].at[-1] = '<';
			datagrams[i].at--;
			datagrams[i].len++;
		}
	}
	if (heard->echo)
		assert_int_equal(datagram_send(socket, datagrams, count), count);
	if (heard->close_at && heard->count >= heard->close_at)
		datagram_close(socket);
}

/* A socket of ours on a loopback address, and one of somebody else's. */
static struct address open_ours(struct fixture *fixture, struct heard *heard, const char *text)
{
	struct address local;

	assert_true(address_parse(span_of(text), &local));
	int fd = datagram_bind(&local);
	assert_true(fd >= 0);
	assert_int_not_equal(local.port, 0);
	*heard = (struct heard){0};
	datagram_socket_init(&heard->socket);
	assert_false(datagram_is_open(&heard->socket));
	assert_true(datagram_open(&heard->socket, &fixture->worker, fd, on_receive));
	return local;
}

static int open_theirs(struct address *address)
{
	struct timeval patience = {.tv_sec = 5};

	assert_true(address_parse(SPAN("127.0.0.1:0"), address));
	int fd = datagram_bind(address);
	assert_true(fd >= 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_to(int fd, const struct address *to, const void *bytes, size_t len)
{
	union socket_address raw;
	socklen_t raw_len = address_to_socket(to, &raw);

	assert_int_equal(sendto(fd, bytes, len, 0, &raw.any, raw_len), (ssize_t)len);
}

static void batches_come_and_go(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), theirs;
	int fd = open_theirs(&theirs);
	char text[16];

	heard.echo = true;
	for (unsigned i = 0; i < 20; i++)
		send_to(fd, &ours, text, (size_t)snprintf(text, sizeof(text), "number %u", i));
	TURN_UNTIL(fixture, heard.count == 20);
	assert_int_equal(heard.largest_batch, DATAGRAM_BATCH);
	assert_int_equal(heard.calls, 3);
	assert_true(address_equal(&heard.peer, &theirs));
	for (unsigned i = 0; i < 20; i++) {
		char wanted[17];
		snprintf(wanted, sizeof(wanted), "<number %u", i);
		assert_int_equal(recv(fd, text, sizeof(text), 0), strlen(wanted));
		assert_memory_equal(text, wanted, strlen(wanted));
	}
	datagram_close(&heard.socket);
	datagram_close(&heard.socket); /* once more is harmless */
	close(fd);
}

static void the_largest_and_the_smallest_pass(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), theirs;
	static uint8_t large[LARGEST + 1];
	int fd = open_theirs(&theirs);

	large[0] = 'L';
	send_to(fd, &ours, large, LARGEST);
	send_to(fd, &ours, "", 0);
	TURN_UNTIL(fixture, heard.count == 2);
	assert_int_equal(heard.len, LARGEST);
	struct datagram out[3] = {{large, LARGEST, theirs}, {large, LARGEST + 1, theirs}, {large, 5, theirs}};
	/* One that no network takes is lost, and what is behind it goes. */
	assert_int_equal(datagram_send(&heard.socket, out, 3), 2);
	assert_int_equal(recv(fd, large, sizeof(large), 0), LARGEST);
	assert_int_equal(recv(fd, large, sizeof(large), 0), 5);
	datagram_close(&heard.socket);
	close(fd);
}

/* Whoever sends more than fits a turn waits, others have their turn, and nothing is forgotten although no other edge comes. */
static void a_flood_has_its_share_of_a_turn(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), theirs;
	int fd = open_theirs(&theirs);

	for (unsigned i = 0; i < 200; i++)
		send_to(fd, &ours, "x", 1);
	loop_turn(&fixture->worker.loop, 0);
	assert_in_range(heard.count, DATAGRAMS_AT_A_TIME, 2 * DATAGRAMS_AT_A_TIME);
	TURN_UNTIL(fixture, heard.count == 200);
	datagram_close(&heard.socket);
	close(fd);
}

static void strangers_are_kept_away_by_the_kernel(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), friend, stranger;
	int fd = open_theirs(&friend), other = open_theirs(&stranger);

	assert_true(datagram_connect(&heard.socket, &friend));
	send_to(other, &ours, "s", 1);
	send_to(fd, &ours, "f", 1);
	TURN_UNTIL(fixture, heard.count > 0);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.first, 'f');
	/* To whom it is connected. */
	struct datagram out = {(uint8_t[]){'!'}, 1, {.family = ADDRESS_NONE}};
	uint8_t byte = 0;
	assert_int_equal(datagram_send(&heard.socket, &out, 1), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '!');
	datagram_close(&heard.socket);
	close(fd);
	close(other);
}

/* "Connection refused" of an earlier datagram stops neither what is sent nor what comes. */
static void errors_of_the_path_are_passed_over(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), theirs;
	int fd = open_theirs(&theirs);
	uint8_t bytes[3] = {'a', 'b', 'c'};
	struct datagram out[3];

	assert_true(datagram_connect(&heard.socket, &theirs));
	close(fd);
	for (unsigned i = 0; i < 3; i++)
		out[i] = (struct datagram){&bytes[i], 1, {.family = ADDRESS_NONE}};
	assert_true(datagram_send(&heard.socket, out, 3) >= 1);
	for (unsigned i = 0; i < 5; i++)
		loop_turn(&fixture->worker.loop, 1);
	assert_int_equal(heard.count, 0);
	assert_true(datagram_is_open(&heard.socket));
	fd = datagram_bind(&theirs); /* the same port: somebody is there again */
	assert_true(fd >= 0);
	send_to(fd, &ours, "x", 1);
	TURN_UNTIL(fixture, heard.count == 1);
	datagram_close(&heard.socket);
	close(fd);
}

static void a_receiver_may_close(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct address ours = open_ours(fixture, &heard, "127.0.0.1:0"), theirs;
	int fd = open_theirs(&theirs);

	heard.close_at = 8;
	for (unsigned i = 0; i < 30; i++)
		send_to(fd, &ours, "x", 1);
	TURN_UNTIL(fixture, heard.count > 0);
	assert_int_equal(heard.count, 8);
	assert_false(datagram_is_open(&heard.socket));
	loop_turn(&fixture->worker.loop, 0);
	assert_int_equal(heard.count, 8);
	assert_null(fixture->worker.slots[WORKER_SLOT_DATAGRAM]); /* the room went with the last socket */
	close(fd);
}

static void memory_may_run_out(void **state)
{
	struct fixture *fixture = *state;
	struct datagram_socket socket;
	struct address local;

	assert_true(address_parse(SPAN("[::1]:0"), &local));
	int fd = datagram_bind(&local);
	if (fd < 0)
		skip(); /* no IPv6 here */
	memory_fail_every(&fixture->memory, 1);
	assert_false(datagram_open(&socket, &fixture->worker, fd, on_receive));
	memory_fail_every(&fixture->memory, 0);
	assert_true(datagram_open(&socket, &fixture->worker, fd, on_receive));
	datagram_close(&socket);
}

static void wrong_addresses_are_told(void **state)
{
	struct address local;

	assert_true(address_parse(SPAN("203.0.113.1:0"), &local));
	if (datagram_bind(&local) >= 0)
		skip(); /* every address is local here */
	assert_int_equal(errno, EADDRNOTAVAIL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(batches_come_and_go, fixture_set_up, fixture_tear_down),
		cmocka_unit_test_setup_teardown(the_largest_and_the_smallest_pass, fixture_set_up,
						fixture_tear_down),
		cmocka_unit_test_setup_teardown(a_flood_has_its_share_of_a_turn, fixture_set_up,
						fixture_tear_down),
		cmocka_unit_test_setup_teardown(strangers_are_kept_away_by_the_kernel, fixture_set_up,
						fixture_tear_down),
		cmocka_unit_test_setup_teardown(errors_of_the_path_are_passed_over, fixture_set_up,
						fixture_tear_down),
		cmocka_unit_test_setup_teardown(a_receiver_may_close, fixture_set_up, fixture_tear_down),
		cmocka_unit_test_setup_teardown(memory_may_run_out, fixture_set_up, fixture_tear_down),
		cmocka_unit_test(wrong_addresses_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
