/* Listeners: what binding says, what accepted sockets look like, and how accepting pauses. */
#include "net/listener.h"
#include "net_fixture.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { MOST = 256 };

struct accepted {
	int fds[MOST];
	unsigned count;
	struct address peer;
	bool pause;
};

static void on_accept(struct acceptor *acceptor, int fd, const struct address *peer)
{
	struct accepted *accepted = acceptor->owner;
	assert_true(accepted->count < MOST);
	accepted->fds[accepted->count++] = fd;
	accepted->peer = *peer;
	if (accepted->pause)
		acceptor_pause(acceptor);
}

static const struct acceptor_ops ops = {.on_accept = on_accept};

static void forget(struct accepted *accepted)
{
	for (unsigned i = 0; i < accepted->count; i++)
		close(accepted->fds[i]);
	accepted->count = 0;
}

static int client_of(const struct address *address)
{
	union socket_address raw;
	socklen_t len = address_to_socket(address, &raw);
	int fd = socket(raw.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &raw.any, len), 0);
	return fd;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void accepts_ready_sockets(void **state)
{
	struct fixture *fixture = *state;
	struct accepted accepted = {0};
	struct acceptor acceptor;
	struct address address;
	const char *text;

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	int fd = listener_bind(&address, false, &text);
	assert_true(fd >= 0);
	assert_int_not_equal(address.port, 0);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	int client = client_of(&address);
	TURN_UNTIL(fixture, accepted.count == 1);
	assert_int_equal(option(accepted.fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
	assert_true(fcntl(accepted.fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(accepted.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(accepted.peer.family, ADDRESS_V4);
	assert_int_not_equal(accepted.peer.port, 0);
	forget(&accepted);
	acceptor_stop(&acceptor);
	acceptor_stop(&acceptor);
	loop_turn(&fixture->worker.loop, 0);
	close(client);
	close(fd);
}

static void more_than_a_turns_share(void **state)
{
	struct fixture *fixture = *state;
	struct accepted accepted = {0};
	struct acceptor acceptor;
	struct address address;
	const char *text;
	int clients[200];

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	int fd = listener_bind(&address, false, &text);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	for (unsigned i = 0; i < ARRAY_LENGTH(clients); i++)
		clients[i] = client_of(&address);
	TURN_UNTIL(fixture, accepted.count == ARRAY_LENGTH(clients));
	for (unsigned i = 0; i < ARRAY_LENGTH(clients); i++)
		close(clients[i]);
	forget(&accepted);
	acceptor_stop(&acceptor);
	close(fd);
}

static void pauses_and_resumes(void **state)
{
	struct fixture *fixture = *state;
	struct accepted accepted = {.pause = true};
	struct acceptor acceptor;
	struct address address;
	const char *text;
	int clients[3];

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	int fd = listener_bind(&address, false, &text);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	for (unsigned i = 0; i < 3; i++)
		clients[i] = client_of(&address);
	for (unsigned i = 0; i < 5; i++)
		loop_turn(&fixture->worker.loop, 2);
	assert_int_equal(accepted.count, 1);
	accepted.pause = false;
	acceptor_resume(&acceptor);
	TURN_UNTIL(fixture, accepted.count == 3);
	for (unsigned i = 0; i < 3; i++)
		close(clients[i]);
	forget(&accepted);
	acceptor_stop(&acceptor);
	close(fd);
}

static void out_of_descriptors_waits_a_little(void **state)
{
	struct fixture *fixture = *state;
	struct accepted accepted = {0};
	struct acceptor acceptor;
	struct address address;
	struct rlimit before, tight;
	const char *text;

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	int fd = listener_bind(&address, false, &text);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	int client = client_of(&address);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)client + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	TURN_UNTIL(fixture, timer_active(&acceptor.resume));
	assert_int_equal(accepted.count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	TURN_UNTIL(fixture, accepted.count == 1);
	forget(&accepted);
	acceptor_stop(&acceptor);
	close(client);
	close(fd);
}

static void dual_stack_shows_ipv4_plainly(void **state)
{
	struct fixture *fixture = *state;
	struct accepted accepted = {0};
	struct acceptor acceptor;
	struct address address, plain;
	const char *text;

	assert_true(address_parse(SPAN("[::]:0"), &address));
	int fd = listener_bind(&address, true, &text);
	if (fd < 0)
		skip();
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	assert_true(address_parse_ip(SPAN("127.0.0.1"), &plain));
	plain.port = address.port;
	int client = client_of(&plain);
	TURN_UNTIL(fixture, accepted.count == 1);
	assert_int_equal(accepted.peer.family, ADDRESS_V4);
	assert_true(address_equal_ip(&accepted.peer, &plain));
	forget(&accepted);
	acceptor_stop(&acceptor);
	close(client);
	close(fd);
	address.port = 0;
	fd = listener_bind(&address, false, &text);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void shares_a_port_and_tells_strangers(void **state)
{
	struct address address, taken;
	const char *text = NULL;

	assert_true(address_parse(SPAN("127.0.0.1:0"), &address));
	int first = listener_bind(&address, false, &text);
	assert_true(listener_in_use(&address, false));
	int second = listener_bind(&address, false, &text);
	assert_true(second >= 0);
	close(first);
	close(second);
	assert_false(listener_in_use(&address, false));
	int stranger = listen_on_loopback(&taken);
	assert_true(listener_in_use(&taken, false));
	assert_int_equal(listener_bind(&taken, false, &text), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_string_equal(text, "the address is in use");
	close(stranger);
	assert_true(address_parse(SPAN("203.0.113.7:0"), &address));
	assert_int_equal(listener_bind(&address, false, &text), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_string_equal(text, "this machine does not have the address");
}

static void unix_paths(void **state)
{
	struct fixture *fixture = *state;
	char directory[] = "/tmp/guise-test-XXXXXX", path[64], long_path[200];
	struct address address = {.family = ADDRESS_UNIX, .path = path};
	struct accepted accepted = {0};
	struct acceptor acceptor;
	struct stat status;
	const char *text = NULL;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	int fd = listener_bind(&address, false, &text);
	assert_true(fd >= 0);
	assert_int_equal(listener_bind(&address, false, &text), -1); /* somebody answers: left alone */
	assert_int_equal(errno, EADDRINUSE);
	assert_true(acceptor_start(&acceptor, &fixture->worker, fd, &address, &ops, &accepted));
	int client = client_of(&address);
	TURN_UNTIL(fixture, accepted.count >= 1);
	assert_int_equal(accepted.peer.family, ADDRESS_UNIX);
	forget(&accepted);
	acceptor_stop(&acceptor);
	close(client);
	close(fd);
	fd = listener_bind(&address, false, &text); /* nobody answers: replaced */
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(listener_bind(&address, false, &text), -1); /* not a socket: never removed */
	assert_int_equal(lstat(path, &status), 0);
	close(file);
	unlink(path);
	rmdir(directory);
	assert_int_equal(listener_bind(&address, false, &text), -1);
	assert_string_equal(text, "the directory of the socket does not exist");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = 0;
	address.path = long_path;
	assert_int_equal(listener_bind(&address, false, &text), -1);
	assert_string_equal(text, "the path of the socket is too long");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accepts_ready_sockets),
		TEST(more_than_a_turns_share),
		TEST(pauses_and_resumes),
		TEST(out_of_descriptors_waits_a_little),
		TEST(dual_stack_shows_ipv4_plainly),
		TEST(shares_a_port_and_tells_strangers),
		TEST(unix_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
