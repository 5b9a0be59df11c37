/* UDP associations: who is served, what passes, who may answer, and that nothing that strangers or clients send makes anything grow. */
#include "http/target.h"
#include "socks_fixture.h"

#include <poll.h>

enum { TARGETS = 16, HEAD = 10, OTHER_PORT = 9 };

static const char yaml[] = "limits: {memory: 64 MiB, udp_targets: 16}\n"
			   "timeouts: {udp: 90s, total: 100s}\n"
			   "forward:\n"
			   "  - listen: 127.0.0.1:1080\n"
			   "    rules:\n"
			   "      - deny: {ports: [9]}\n"
			   "      - deny: {domains: [b.test]}\n"
			   "      - allow: {domains: [a.test]}\n"
			   "      - allow: {addresses: [127.0.0.0/8]}\n"
			   "      - allow: {domains: [ends.test, new.test], ports: [53]}\n";

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

/* ---- the sockets of others ---- */

/* A socket on 127.0.0.`last`. */
static int open_socket(uint8_t last, struct address *address)
{
	*address = loopback(last, 0);
	int fd = datagram_bind(address);
	assert_true(fd >= 0);
	return fd;
}

static void send_to(int fd, const struct address *to, const void *bytes, size_t len)
{
	union socket_address raw;
	socklen_t raw_len = address_to_socket(to, &raw);

	assert_int_equal(sendto(fd, bytes, len, 0, &raw.any, raw_len), (ssize_t)len);
	stage_turns(&stage, 3);
}

/* What has come, or -1. */
static ssize_t take(int fd, void *out, size_t room, struct address *from)
{
	union socket_address raw;
	socklen_t len = sizeof(raw);
	ssize_t got = recvfrom(fd, out, room, MSG_DONTWAIT, &raw.any, &len);

	if (got >= 0 && from)
		*from = address_from_socket(&raw, len);
	return got;
}

/* "RSV FRAG ATYP DST.ADDR DST.PORT" and a text. */
static size_t wrap(uint8_t *out, const struct address *to, const char *text)
{
	struct socks_place place = {.address = *to};
	size_t head = socks_datagram_head_write(&place, out);

	memcpy(out + head, text, strlen(text));
	return head + strlen(text);
}

static size_t wrap_name(uint8_t *out, const char *name, uint16_t port, const char *text)
{
	struct socks_place place = {.address = {.port = port}, .name = span_of(name)};
	size_t head = socks_datagram_head_write(&place, out);

	memcpy(out + head, text, strlen(text));
	return head + strlen(text);
}

/* ---- an association ---- */

struct scene {
	struct asker asker;
	struct address client, target;
	int client_fd, target_fd;
	struct udp_association *association;
};

static struct udp_association *association_of(struct exchange *x)
{
	return CONTAINER_OF(x->up, struct udp_association, stream);
}

static void associate(struct scene *scene)
{
	*scene = (struct scene){0};
	scene->client_fd = open_socket(1, &scene->client);
	scene->target_fd = open_socket(2, &scene->target);
	ask(&scene->asker, "UDP", "0.0.0.0");
	assert_int_equal(scene->asker.heads, 1);
	assert_int_equal(scene->asker.statuses[0], 200);
	assert_int_not_equal(scene->asker.bound[0].port, 0);
	assert_true(address_equal_ip(&scene->asker.bound[0], &scene->asker.client.local));
	scene->association = association_of(scene->asker.exchange);
}

static void leave(struct scene *scene)
{
	if (!scene->asker.aborted && !scene->asker.detached)
		hang_up(&scene->asker);
	close(scene->client_fd);
	close(scene->target_fd);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void from_client(struct scene *scene, const void *bytes, size_t len)
{
	send_to(scene->client_fd, &scene->asker.bound[0], bytes, len);
}

static void say_to(struct scene *scene, const struct address *to, const char *text)
{
	uint8_t bytes[64];

	from_client(scene, bytes, wrap(bytes, to, text));
}

static void say_to_name(struct scene *scene, const char *name, uint16_t port, const char *text)
{
	uint8_t bytes[300];

	from_client(scene, bytes, wrap_name(bytes, name, port, text));
}

#define assert_arrives(fd, text)                                                                             \
	do {                                                                                                 \
		char bytes_[64];                                                                             \
		assert_int_equal(take(fd, bytes_, sizeof(bytes_), NULL), (ssize_t)strlen(text));             \
		assert_memory_equal(bytes_, text, strlen(text));                                             \
	} while (0)

#define assert_nothing(fd)                                                                                   \
	do {                                                                                                 \
		char bytes_[64];                                                                             \
		assert_int_equal(take(fd, bytes_, sizeof(bytes_), NULL), -1);                                \
	} while (0)

static void test_there_and_back(void **state)
{
	struct scene scene;
	struct address from;
	uint8_t bytes[64], head[HEAD + 1];

	associate(&scene);
	say_to(&scene, &scene.target, "question");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), &from), 8);
	assert_memory_equal(bytes, "question", 8);
	assert_false(address_equal(&from, &scene.asker.bound[0])); /* not from where clients send to */
	send_to(scene.target_fd, &from, "answer", 6);
	assert_int_equal(take(scene.client_fd, bytes, sizeof(bytes), &from), HEAD + 6);
	assert_true(address_equal(&from, &scene.asker.bound[0]));
	wrap(head, &scene.target, "");
	assert_memory_equal(bytes, head, HEAD);
	assert_memory_equal(bytes + HEAD, "answer", 6);
	/* An empty one is one too. */
	say_to(&scene, &scene.target, "");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), NULL), 0);
	assert_int_equal(scene.association->tally.sent, 2);
	assert_int_equal(scene.association->tally.received, 1);
	assert_int_equal(scene.association->tally.dropped, 0);
	assert_int_equal(scene.asker.exchange->request_body.total, 8);
	assert_int_equal(scene.asker.exchange->response_body.total, 6);
	leave(&scene);
	assert_true(scene.asker.detached);
}

static void test_names(void **state)
{
	struct scene scene;

	associate(&scene);
	say_to_name(&scene, "inside.test", scene.target.port, "by name"); /* 127.0.0.1 */
	struct address target = loopback(1, 0);
	int fd = datagram_bind(&target);
	say_to_name(&scene, "INSIDE.test", target.port, "by name");
	assert_arrives(fd, "by name");
	/* What is no name, and what others would read as an address. */
	static const char *const odd[] = {"127.1", "0x7f.0.0.1",   "127.0.0.1:53",
					  "[::1]", "2130706433",   "inside.test:1",
					  "a b",   "inside..test", "user@inside.test",
					  "%31",   "0177.0.0.1",   "inside.test/"};
	uint64_t dropped = scene.association->tally.dropped;
	for (unsigned i = 0; i < ARRAY_LENGTH(odd); i++)
		say_to_name(&scene, odd[i], target.port, "odd");
	assert_nothing(fd);
	assert_int_equal(scene.association->tally.dropped, dropped + ARRAY_LENGTH(odd));
	/* A strict literal is an address, whatever it was sent as, and no more than that. */
	say_to_name(&scene, "127.0.0.1", target.port, "literal");
	assert_arrives(fd, "literal");
	close(fd);
	leave(&scene);
}

/* What cannot be resolved is lost, with all that waits for it. */
static void test_names_that_fail(void **state)
{
	struct scene scene;

	associate(&scene);
	for (unsigned i = 0; i < 40; i++)
		say_to_name(&scene, "ends.test", 53, "into nothing");
	assert_in_range(scene.association->waiting, 0, UDP_WAITING);
	for (unsigned i = 0; i < 50 && scene.association->waiting; i++)
		stage_pass(&stage, 100);
	assert_int_equal(scene.association->waiting, 0);
	assert_int_equal(scene.association->waiting_bytes, 0);
	assert_int_equal(scene.association->tally.dropped, 40);
	/* One that is still asked for when the client goes. */
	say_to_name(&scene, "new.test", 53, "into nothing");
	leave(&scene);
}

static void test_only_the_client_is_served(void **state)
{
	struct scene scene;
	struct address stranger;
	uint8_t bytes[64];
	int elsewhere = open_socket(3, &stranger), beside = open_socket(1, &stranger);

	associate(&scene);
	size_t len = wrap(bytes, &scene.target, "hello");
	send_to(elsewhere, &scene.asker.bound[0], bytes, len); /* before anybody is known by its port */
	assert_nothing(scene.target_fd);
	assert_int_equal(scene.association->tally.dropped, 1);
	/* What is no datagram of SOCKS does not make its sender the client. */
	send_to(beside, &scene.asker.bound[0], "nonsense", 8);
	say_to(&scene, &scene.target, "mine");
	assert_arrives(scene.target_fd, "mine");
	/* From another port, and from another address: the kernel itself keeps them away. */
	send_to(beside, &scene.asker.bound[0], bytes, len);
	send_to(elsewhere, &scene.asker.bound[0], bytes, len);
	assert_nothing(scene.target_fd);
	assert_true(scene.association->connected);
	assert_int_equal(scene.association->tally.dropped, 2);
	close(elsewhere);
	close(beside);
	leave(&scene);
}

/* The port in the request is who will be served, from the beginning. */
static void test_the_port_of_the_request_counts(void **state)
{
	struct scene scene = {0};
	struct address other;
	char text[64];
	uint8_t bytes[64];
	int beside = open_socket(1, &other);

	scene.client_fd = open_socket(1, &scene.client);
	scene.target_fd = open_socket(2, &scene.target);
	snprintf(text, sizeof(text), "192.0.2.1:%u", scene.client.port); /* the address is what it believes */
	ask(&scene.asker, "UDP", text);
	assert_int_equal(scene.asker.statuses[0], 200);
	scene.association = association_of(scene.asker.exchange);
	send_to(beside, &scene.asker.bound[0], bytes, wrap(bytes, &scene.target, "other"));
	assert_nothing(scene.target_fd);
	say_to(&scene, &scene.target, "mine");
	assert_arrives(scene.target_fd, "mine");
	close(beside);
	leave(&scene);
}

static void test_only_who_was_sent_to_may_answer(void **state)
{
	struct scene scene;
	struct address from, stranger;
	uint8_t bytes[64];
	int same_address = open_socket(2, &stranger), other_address = open_socket(3, &stranger);

	associate(&scene);
	say_to(&scene, &scene.target, "hello");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), &from), 5);
	send_to(same_address, &from, "not me", 6);
	send_to(other_address, &from, "nor me", 6);
	assert_nothing(scene.client_fd);
	assert_int_equal(scene.association->tally.dropped, 2);
	send_to(scene.target_fd, &from, "me", 2);
	assert_int_equal(take(scene.client_fd, bytes, sizeof(bytes), NULL), HEAD + 2);
	close(same_address);
	close(other_address);
	leave(&scene);
}

static void test_fragments_and_nonsense(void **state)
{
	struct scene scene;
	uint8_t bytes[64];

	associate(&scene);
	size_t len = wrap(bytes, &scene.target, "x");
	for (size_t cut = 0; cut < HEAD; cut++)
		from_client(&scene, bytes, cut);
	bytes[2] = 1; /* FRAG */
	from_client(&scene, bytes, len);
	bytes[2] = 0x80;
	from_client(&scene, bytes, len);
	bytes[2] = 0;
	bytes[1] = 1; /* RSV */
	from_client(&scene, bytes, len);
	bytes[1] = 0;
	bytes[3] = 2; /* ATYP */
	from_client(&scene, bytes, len);
	struct address no_port = scene.target;
	no_port.port = 0;
	from_client(&scene, bytes, wrap(bytes, &no_port, "x"));
	assert_nothing(scene.target_fd);
	assert_int_equal(scene.association->tally.dropped, HEAD + 5);
	assert_int_equal(scene.association->target_count, 0);
	leave(&scene);
}

static void test_denials(void **state)
{
	struct scene scene;
	struct address denied = loopback(2, OTHER_PORT),
		       special = {.family = ADDRESS_V4, .ip = {10, 2, 0, 3}, .port = 53};

	associate(&scene);
	say_to(&scene, &denied, "x");
	assert_int_equal(scene.association->tally.denied, 1);
	struct span denial = scene.association->tally.denial;
	assert_true(span_search(denial, SPAN("127.0.0.2 port 9: ")) == 0);
	assert_true(span_search(denial, SPAN("rule 1 ")) > 0);
	say_to(&scene, &denied, "x");
	say_to_name(&scene, "b.test", 53, "x"); /* by name, which nobody hears of */
	say_to_name(&scene, "a.test", 53, "x"); /* its address is not public, and no rule names that */
	say_to(&scene, &special, "x");
	assert_int_equal(scene.association->tally.denied, 5);
	assert_ptr_equal(scene.association->tally.denial.at, denial.at); /* the first is the one that is told */
	assert_int_equal(scene.association->tally.sent, 0);
	assert_int_equal(scene.association->exit_count, 0); /* no socket was opened for any of them */
	leave(&scene);
}

/* A v4-mapped address is the v4 address to the rules that name it, and leaves as such. */
static void test_mapped(void **state)
{
	struct scene scene;
	struct address mapped = {.family = ADDRESS_V6, .ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 2}};
	struct address other = {.family = ADDRESS_V6, .ip = {[10] = 0xff, [11] = 0xff, 10, 2, 0, 3}, .port = 53};

	associate(&scene);
	mapped.port = scene.target.port;
	say_to(&scene, &mapped, "mapped");
	assert_arrives(scene.target_fd, "mapped");
	say_to(&scene, &other, "x");
	assert_int_equal(scene.association->tally.denied, 1);
	leave(&scene);
}

/* ---- floods ---- */

static size_t flood(struct scene *scene, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		char name[32];
		struct address to = loopback(2, (uint16_t)(1000 + i));
		say_to(scene, &to, "x");
		snprintf(name, sizeof(name), "n%u.test", i);
		say_to_name(scene, name, 53, "x"); /* denied */
		snprintf(name, sizeof(name), "n%u.new.test", i);
		say_to_name(scene, name, 53, "x");
	}
	return atomic_load(&stage.memory.used);
}

static void test_a_flood_makes_nothing_grow(void **state)
{
	struct scene scene;

	associate(&scene);
	size_t once = flood(&scene, 0, 200);
	size_t twice = flood(&scene, 200, 1000);
	assert_in_range(scene.association->target_count, TARGETS - 2,
			TARGETS); /* names that fail are forgotten at once */
	assert_true(scene.association->targets.count <= TARGETS);
	assert_true(scene.association->peers.count <= TARGETS);
	assert_true(scene.association->waiting <= UDP_WAITING);
	assert_true(twice <= once + (size_t)16 * TARGETS); /* longer numbers in names */
	leave(&scene);
}

/* Who has been forgotten may not answer any more; to be sent to is what keeps it. */
static void test_the_least_recent_is_forgotten(void **state)
{
	struct scene scene;
	struct address from;
	uint8_t bytes[64];

	associate(&scene);
	say_to(&scene, &scene.target, "first");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), &from), 5);
	for (unsigned i = 0; i < TARGETS - 1; i++) {
		struct address other = loopback(4, (uint16_t)(2000 + i));
		say_to(&scene, &other, "x");
	}
	send_to(scene.target_fd, &from, "still here", 10);
	assert_int_equal(take(scene.client_fd, bytes, sizeof(bytes), NULL), HEAD + 10);
	for (unsigned i = 0; i < TARGETS; i++) {
		struct address other = loopback(5, (uint16_t)(2000 + i));
		say_to(&scene, &other, "x");
	}
	send_to(scene.target_fd, &from, "forgotten", 9);
	assert_nothing(scene.client_fd);
	leave(&scene);
}

static void test_strangers_make_nothing_grow(void **state)
{
	struct scene scene;
	struct address stranger, from;
	uint8_t bytes[64];
	int fd = open_socket(3, &stranger);

	associate(&scene);
	say_to(&scene, &scene.target, "x");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), &from), 1);
	size_t before = atomic_load(&stage.memory.used);
	for (unsigned i = 0; i < 500; i++) {
		send_to(fd, &scene.asker.bound[0], bytes, wrap(bytes, &stranger, "x"));
		send_to(fd, &from, "x", 1);
	}
	assert_int_equal(atomic_load(&stage.memory.used), before);
	assert_nothing(scene.client_fd);
	/* And keep nothing alive. */
	stage_pass(&stage, 89 * 1000);
	send_to(fd, &from, "x", 1);
	stage_pass(&stage, 2 * 1000);
	assert_true(scene.asker.aborted);
	close(fd);
	leave(&scene);
}

/* ---- time ---- */

static void test_idle(void **state)
{
	struct scene scene;
	struct address from;
	uint8_t bytes[64];

	associate(&scene);
	say_to(&scene, &scene.target, "x");
	assert_int_equal(take(scene.target_fd, bytes, sizeof(bytes), &from), 1);
	for (unsigned i = 0; i < 3; i++) { /* longer than timeouts.total, too */
		stage_pass(&stage, 80 * 1000);
		assert_false(scene.asker.aborted);
		if (i & 1)
			say_to(&scene, &scene.target, "x");
		else
			send_to(scene.target_fd, &from, "x", 1);
	}
	stage_pass(&stage, 89 * 1000);
	assert_false(scene.asker.aborted);
	stage_pass(&stage, 1100);
	assert_true(scene.asker.aborted);
	assert_int_equal(scene.asker.error.code, ERROR_TUNNEL_IDLE);
	leave(&scene);
}

/* A verdict is not for ever, and nothing is lost when it is renewed. */
static void test_judged_again(void **state)
{
	struct scene scene;
	struct address denied = loopback(2, OTHER_PORT), target = loopback(1, 0);
	int fd = datagram_bind(&target);

	associate(&scene);
	for (unsigned i = 0; i < 3; i++) {
		say_to(&scene, &scene.target, "literal");
		assert_arrives(scene.target_fd, "literal");
		say_to_name(&scene, "inside.test", target.port, "name");
		assert_arrives(fd, "name");
		say_to(&scene, &denied, "x");
		assert_int_equal(scene.association->tally.denied, i + 1);
		assert_int_equal(scene.association->target_count, 3);
		stage_pass(&stage, UDP_JUDGED_MS + 1000);
	}
	assert_int_equal(scene.association->tally.dropped, 0);
	close(fd);
	leave(&scene);
}

static void test_control(void **state)
{
	static const uint8_t noise[1024];
	struct scene scene;

	associate(&scene);
	assert_int_equal(flow_push_static(&scene.asker.exchange->request_body, span_make(noise, sizeof(noise))),
			 FLOW_ROOM);
	stage_turns(&stage, 2);
	assert_false(scene.asker.aborted);
	assert_int_equal(scene.asker.exchange->request_body.total, 0);
	say_to(&scene, &scene.target, "still");
	assert_arrives(scene.target_fd, "still");
	for (unsigned i = 0; i < 4 && !scene.asker.aborted; i++) {
		(void)!flow_push_static(&scene.asker.exchange->request_body, span_make(noise, sizeof(noise)));
		stage_turns(&stage, 2);
	}
	assert_true(scene.asker.aborted);
	assert_int_equal(scene.asker.error.code, ERROR_ABUSE);
	leave(&scene);
}

/* ---- refusals ---- */

static void test_where_there_is_no_address(void **state)
{
	struct asker asker = {
		.client = {.local = {.family = ADDRESS_UNIX}, .address = {.family = ADDRESS_UNIX}}};

	ask(&asker, "UDP", "0.0.0.0");
	stage_turns(&stage, 2);
	assert_int_equal(asker.statuses[0], 500);
	/* An address that is somebody else's: what a balancer in front told (PROXY protocol). */
	asker = (struct asker){.client = {.local = {.family = ADDRESS_V4, .ip = {192, 0, 2, 1}, .port = 1080}}};
	ask(&asker, "UDP", "0.0.0.0");
	stage_turns(&stage, 2);
	assert_int_equal(asker.statuses[0], 500);
	assert_int_equal(exchange_count(&stage.worker), 0);
}

static void test_memory(void **state)
{
	for (unsigned every = 1; every < 40; every++) {
		struct scene scene = {0};
		scene.client_fd = open_socket(1, &scene.client);
		scene.target_fd = open_socket(2, &scene.target);
		memory_fail_every(&stage.memory, every);
		struct exchange *x;
		scene.asker.client.address = loopback(1, 1024);
		x = exchange_new(&stage.worker, &stage.listeners[0].service, &scene.asker.client);
		if (x) {
			exchange_abort(x, &(struct error){.code = ERROR_MEMORY});
			memory_fail_every(&stage.memory, 0);
			ask(&scene.asker, "UDP", "0.0.0.0");
			memory_fail_every(&stage.memory, every);
		}
		for (unsigned i = 0; i < 30 && scene.asker.heads && scene.asker.statuses[0] == 200; i++) {
			struct address to = loopback(2, (uint16_t)(3000 + i));
			char name[32];
			say_to(&scene, &to, "x");
			snprintf(name, sizeof(name), "n%u.new.test", i);
			say_to_name(&scene, name, 53, "x");
		}
		memory_fail_every(&stage.memory, 0);
		if (scene.asker.exchange && !scene.asker.aborted && !scene.asker.detached)
			hang_up(&scene.asker);
		close(scene.client_fd);
		close(scene.target_fd);
		stage_turns(&stage, 2);
		assert_int_equal(exchange_count(&stage.worker), 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_that_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_the_client_is_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_port_of_the_request_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_who_was_sent_to_may_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fragments_and_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_denials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mapped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_flood_makes_nothing_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_least_recent_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strangers_make_nothing_grow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_judged_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_control, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_where_there_is_no_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
