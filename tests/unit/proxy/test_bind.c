/* BIND on a stage: each way that it can end, at each moment, leaves nothing behind. */
#include "http/target.h"
#include "socks_fixture.h"

static const char yaml[] = "limits: {memory: 64 MiB}\n"
			   "timeouts: {bind: 30s, total: 0s, tunnel: 20s}\n"
			   "forward:\n"
			   "  - listen: 127.0.0.1:1080\n"
			   "    rules:\n"
			   "      - allow: {methods: [BIND], addresses: [127.0.0.0/8]}\n"
			   "      - allow: {methods: [BIND], domains: [unknown.test]}\n"
			   "      - allow: {}\n";

static int group_set_up(void **state)
{
	stage_configure(&stage, yaml);
	return 0;
}

static int group_tear_down(void **state)
{
	stage_discard(&stage);
	return 0;
}

static int set_up(void **state)
{
	stage_start(&stage);
	stage.datagrams = true;
	return 0;
}

static int tear_down(void **state)
{
	stage_stop(&stage);
	return 0;
}

/* The client: an asker whose connection is one end of a pair; `fd` is the other. */
struct scene {
	struct asker asker;
	int fd;
};

static void bind_for(struct scene *scene, const char *target)
{
	int pair[2];

	memset(scene, 0, sizeof(*scene));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	scene->fd = pair[1];
	scene->asker.conn =
		conn_open(&stage.worker, pair[0], &(struct address){.family = ADDRESS_UNIX}, NULL, NULL);
	assert_non_null(scene->asker.conn);
	ask(&scene->asker, "BIND", target);
}

/* The client has gone, or been told; what is left of it goes. */
static void leave(struct scene *scene)
{
	if (!scene->asker.aborted && !scene->asker.detached)
		exchange_abort(scene->asker.exchange, &(struct error){.code = ERROR_CLIENT_GONE});
	if (!scene->asker.raw)
		conn_close(scene->asker.conn);
	close(scene->fd);
	stage_turns(&stage, 2);
	assert_int_equal(exchange_count(&stage.worker), 0);
	assert_int_equal(conn_count(&stage.worker), 0);
}

/* Somebody on 127.0.0.`last` connects to what was bound. -1: nobody listens. */
static int come_from(uint8_t last, const struct address *to)
{
	struct address from = loopback(last, 0);
	union socket_address raw;
	socklen_t len = address_to_socket(&from, &raw);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &raw.any, len), 0);
	len = address_to_socket(to, &raw);
	if (syscall(SYS_connect, fd, &raw.any, len) != 0) { /* connect(2) is the stage's */
		close(fd);
		return -1;
	}
	stage_turns(&stage, 3);
	return fd;
}

static bool was_closed(int fd)
{
	char byte;
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_a_peer_comes(void **state)
{
	struct scene scene;
	char bytes[8];

	bind_for(&scene, "127.0.0.2:21");
	assert_int_equal(scene.asker.heads, 1);
	assert_int_equal(scene.asker.statuses[0], 102);
	struct address bound = scene.asker.bound[0];
	assert_int_not_equal(bound.port, 0);
	int stranger = come_from(3, &bound);
	assert_true(was_closed(stranger));
	assert_int_equal(scene.asker.heads, 1);
	int peer = come_from(2, &bound);
	assert_int_equal(scene.asker.heads, 2);
	assert_int_equal(scene.asker.statuses[1], 200);
	assert_memory_equal(scene.asker.bound[1].ip, ((uint8_t[]){127, 0, 0, 2}), 4);
	assert_int_equal(come_from(2, &bound), -1);
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	stage_turns(&stage, 3);
	assert_int_equal(recv(scene.fd, bytes, sizeof(bytes), 0), 5);
	close(stranger);
	close(peer);
	close(scene.fd);
	stage_turns(&stage, 5);
	scene.fd = open("/dev/null", O_RDONLY);
	assert_int_equal(exchange_count(&stage.worker), 0);
	close(scene.fd);
}

static void test_nobody_comes(void **state)
{
	struct scene scene;

	bind_for(&scene, "127.0.0.2:21");
	stage_pass(&stage, 29 * 1000);
	assert_int_equal(scene.asker.heads, 1);
	stage_pass(&stage, 2 * 1000);
	stage_turns(&stage, 2);
	assert_int_equal(scene.asker.heads, 2);
	assert_int_equal(scene.asker.statuses[1], 504);
	assert_int_equal(come_from(2, &scene.asker.bound[0]), -1);
	leave(&scene);
}

static void test_the_client_leaves(void **state)
{
	struct scene scene;

	bind_for(&scene, "127.0.0.2:21");
	struct address bound = scene.asker.bound[0];
	leave(&scene);
	assert_int_equal(come_from(2, &bound), -1);
	bind_for(&scene, "unknown.test:21"); /* its name is being asked for */
	assert_int_equal(scene.asker.heads, 0);
	leave(&scene);
}

static void test_names(void **state)
{
	struct scene scene;

	bind_for(&scene, "inside.test:21"); /* 127.0.0.1 */
	assert_int_equal(scene.asker.statuses[0], 102);
	int stranger = come_from(2, &scene.asker.bound[0]);
	assert_true(was_closed(stranger));
	close(stranger);
	leave(&scene);
	bind_for(&scene, "unknown.test:21");
	for (unsigned i = 0; i < 50 && !scene.asker.heads; i++)
		stage_pass(&stage, 100);
	assert_true(scene.asker.statuses[0] == 502 || scene.asker.statuses[0] == 504);
	leave(&scene);
	bind_for(&scene, "a.test:21"); /* no rule that names BIND has it */
	stage_turns(&stage, 2);
	assert_int_equal(scene.asker.statuses[0], 403);
	leave(&scene);
}

static void test_refusals(void **state)
{
	static const char *const targets[] = {"192.0.2.1:21", "93.184.216.34:21", "0.0.0.0:21", "[::]:21",
					      "0.0.0.0"};
	struct scene scene;

	for (unsigned i = 0; i < ARRAY_LENGTH(targets); i++) {
		bind_for(&scene, targets[i]);
		stage_turns(&stage, 2);
		assert_int_equal(scene.asker.statuses[0], 403);
		leave(&scene);
	}
}

static void test_memory(void **state)
{
	for (unsigned every = 1; every < 30; every++) {
		struct scene scene;
		bind_for(&scene, "127.0.0.2:21");
		memory_fail_every(&stage.memory, every);
		int peer = come_from(2, &scene.asker.bound[0]);
		stage_turns(&stage, 3);
		memory_fail_every(&stage.memory, 0);
		close(peer);
		stage_turns(&stage, 3);
		if (scene.asker.raw) {
			close(scene.fd);
			stage_turns(&stage, 5);
		} else {
			leave(&scene);
		}
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_peer_comes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_comes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_client_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
