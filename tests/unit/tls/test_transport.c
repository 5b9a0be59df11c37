/* Bytes through TLS, both ways: in every segmentation, with a slow peer, and how a connection ends. */
#include "tls_fixture.h"

struct scene {
	struct fixture *fixture;
	struct certificate certificate;
	struct tls_store *store;
	struct tls_server *server;
	SSL_CTX *clients;
	struct side side;
	struct peer peer;
};

static void scene_start(struct scene *scene, void **state, int version)
{
	*scene = (struct scene){.fixture = *state, .peer.fd = -1};
	scene->certificate = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	scene->store = store_of(&scene->certificate, 1);
	scene->server = server_of(scene->fixture, (struct tls_server_options){0}, scene->store);
	scene->clients = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(scene->clients, version);
	SSL_CTX_set_max_proto_version(scene->clients, version);
}

/* A connection whose handshake is not done. */
static void scene_open(struct scene *scene)
{
	pair_open(scene->fixture, &scene->side, &scene->peer, scene->clients);
	SSL_set_connect_state(scene->peer.ssl);
	assert_true(tls_accept(scene->side.conn, scene->server, span_make(NULL, 0), 10000));
}

static void scene_connect(struct scene *scene)
{
	scene_open(scene);
	TURN_UNTIL(scene->fixture, &scene->peer,
		   scene->side.connects == 1 && SSL_is_init_finished(scene->peer.ssl));
}

static void scene_close(struct scene *scene)
{
	side_close(scene->fixture, &scene->side);
	peer_free(&scene->peer);
	scene->side = (struct side){0};
}

static void scene_stop(struct scene *scene)
{
	tls_server_free(scene->server);
	tls_store_release(scene->store);
	SSL_CTX_free(scene->clients);
	certificate_free(&scene->certificate);
}

static uint8_t *pattern(size_t len)
{
	uint8_t *bytes = malloc(len + 1);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return bytes;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void data_of_all_sizes_both_ways(void **state)
{
	static const size_t sizes[] = {1,     2,     100,   1000,  16371, 16372,  16373,  16383,
				       16384, 16385, 32768, 50000, 65536, 100000, 300000, 1000003};
	struct scene scene;

	for (unsigned v = 0; v < ARRAY_LENGTH(versions); v++) {
		scene_start(&scene, state, versions[v]);
		scene_connect(&scene);
		for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
			size_t len = sizes[i];
			uint8_t *bytes = pattern(len);
			scene.side.len = scene.peer.got_len = 0;
			peer_write(&scene.peer, span_make(bytes, len));
			TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len >= len);
			assert_int_equal(scene.side.len, len);
			assert_memory_equal(scene.side.bytes, bytes, len);
			size_t sent = scene.side.sent;
			side_write(&scene.side, span_make(bytes, len));
			TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.got_len >= len);
			assert_int_equal(scene.peer.got_len, len);
			assert_memory_equal(scene.peer.got, bytes, len);
			assert_int_equal(scene.side.sent - sent, len);
			assert_int_equal(conn_unsent(scene.side.conn), 0);
			free(bytes);
		}
		scene_close(&scene);
		scene_stop(&scene);
	}
}

static void byte_by_byte(void **state)
{
	struct scene scene;

	for (unsigned v = 0; v < ARRAY_LENGTH(versions); v++) {
		for (size_t segment = 1; segment <= 7; segment += 3) {
			size_t len = 40000;
			uint8_t *bytes = pattern(len);
			scene_start(&scene, state, versions[v]);
			scene_open(&scene);
			scene.peer.segment = segment;
			TURN_UNTIL(scene.fixture, &scene.peer, scene.side.connects == 1);
			TURN_UNTIL(scene.fixture, &scene.peer, SSL_is_init_finished(scene.peer.ssl));
			peer_write(&scene.peer, span_make(bytes, len));
			side_write(&scene.side, span_make(bytes, len));
			TURN_UNTIL(scene.fixture, &scene.peer,
				   scene.side.len == len && scene.peer.got_len == len);
			assert_memory_equal(scene.side.bytes, bytes, len);
			assert_memory_equal(scene.peer.got, bytes, len);
			assert_int_equal(scene.side.fails, 0);
			free(bytes);
			scene_close(&scene);
			scene_stop(&scene);
		}
	}
}

static void request_right_behind_the_handshake(void **state)
{
	struct scene scene;

	for (unsigned v = 0; v < ARRAY_LENGTH(versions); v++) {
		scene_start(&scene, state, versions[v]);
		scene.side.say = "hello from on_connect";
		scene_open(&scene);
		for (unsigned i = 0; !SSL_is_init_finished(scene.peer.ssl); i++) {
			assert_true(i < 10);
			peer_take(&scene.peer);
			SSL_do_handshake(scene.peer.ssl);
			if (!SSL_is_init_finished(scene.peer.ssl)) {
				peer_give(&scene.peer);
				loop_turn(&scene.fixture->worker.loop, 0);
			}
		}
		/* The client's last flight and its request in one segment. */
		peer_say(&scene.peer, "request");
		TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == 7 && scene.peer.got_len == 21);
		assert_string_equal((char *)scene.side.bytes, "request");
		assert_string_equal(scene.peer.got, "hello from on_connect");
		scene_close(&scene);
		scene_stop(&scene);
	}
}

static void early_bytes_come_first(void **state)
{
	struct scene scene;
	uint8_t early[4096];

	scene_start(&scene, state, TLS1_3_VERSION);
	pair_open(scene.fixture, &scene.side, &scene.peer, scene.clients);
	SSL_set_connect_state(scene.peer.ssl);
	SSL_do_handshake(scene.peer.ssl);
	int len = BIO_read(scene.peer.out, early, sizeof(early));
	assert_true(len > 100);
	assert_true(tls_accept(scene.side.conn, scene.server, span_make(early, 60), 10000));
	memset(early, 0, 60); /* they were copied */
	for (unsigned i = 0; i < 3; i++)
		loop_turn(&scene.fixture->worker.loop, 0);
	assert_int_equal(send(scene.peer.fd, early + 60, (size_t)len - 60, 0), len - 60);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.connects == 1);
	scene_close(&scene);
	scene_stop(&scene);
}

static void slow_peer_is_waited_for(void **state)
{
	struct scene scene;
	size_t len = 1000000;
	uint8_t *bytes = pattern(len);
	int small = 4096;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	assert_int_equal(setsockopt(scene.side.conn->source.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
			 0);
	scene.peer.paused = true;
	side_write(&scene.side, span_make(bytes, len));
	for (unsigned i = 0; i < 50; i++)
		turn(scene.fixture, &scene.peer);
	/* Held is at most a batch; the rest is still in the queue as plaintext. */
	assert_true(scene.side.conn->held > 0);
	assert_true(scene.side.conn->held <= 66 * 1024);
	assert_true(conn_unsent(scene.side.conn) > len - 150000);
	assert_int_equal(conn_unsent(scene.side.conn), scene.side.conn->unsent.bytes + scene.side.conn->held);
	conn_finish(scene.side.conn);
	scene.peer.paused = false;
	scene.peer.segment = 1000;
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.closed);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.ended);
	assert_int_equal(scene.peer.got_len, len);
	assert_memory_equal(scene.peer.got, bytes, len);
	assert_int_equal(scene.side.sent, len);
	assert_int_equal(conn_unsent(scene.side.conn), 0);
	free(bytes);
	scene_close(&scene);
	scene_stop(&scene);
}

static void stopped_reading_remembers(void **state)
{
	struct scene scene;
	size_t len = 200000;
	uint8_t *bytes = pattern(len);

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	scene.side.stop_after_read = true;
	peer_write(&scene.peer, span_make(bytes, len));
	while (scene.side.len < len) {
		unsigned reads = scene.side.reads;
		TURN_UNTIL(scene.fixture, &scene.peer, scene.side.reads > reads);
		for (unsigned i = 0; i < 3; i++)
			turn(scene.fixture, &scene.peer);
		assert_int_equal(scene.side.reads, reads + 1);
		conn_read_start(scene.side.conn);
	}
	assert_memory_equal(scene.side.bytes, bytes, len);
	free(bytes);
	scene_close(&scene);
	scene_stop(&scene);
}

static void long_input_goes_bulk(void **state)
{
	struct scene scene;
	size_t len = 4000000;
	uint8_t *bytes = pattern(len);
	int large = 1 << 20;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	setsockopt(scene.peer.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	peer_write(&scene.peer, span_make(bytes, len));
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == len);
	assert_memory_equal(scene.side.bytes, bytes, len);
	assert_true(scene.side.reads < len / 30000);
	free(bytes);
	scene_close(&scene);
	scene_stop(&scene);
}

static void close_notify_is_an_end(void **state)
{
	struct scene scene;

	for (unsigned v = 0; v < ARRAY_LENGTH(versions); v++) {
		scene_start(&scene, state, versions[v]);
		scene_connect(&scene);
		peer_say(&scene.peer, "last");
		SSL_shutdown(scene.peer.ssl);
		peer_give(&scene.peer);
		peer_close(&scene.peer);
		TURN_UNTIL(scene.fixture, NULL, scene.side.ends == 1);
		assert_string_equal((char *)scene.side.bytes, "last");
		for (unsigned i = 0; i < 3; i++)
			turn(scene.fixture, NULL);
		assert_int_equal(scene.side.ends, 1);
		assert_int_equal(scene.side.fails, 0);
		scene_close(&scene);
		scene_stop(&scene);
	}
}

static void end_without_close_notify_is_a_failure(void **state)
{
	struct scene scene;

	for (unsigned v = 0; v < ARRAY_LENGTH(versions); v++) {
		scene_start(&scene, state, versions[v]);
		scene_connect(&scene);
		peer_say(&scene.peer, "not the last");
		peer_close(&scene.peer);
		TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
		assert_string_equal((char *)scene.side.bytes, "not the last");
		assert_int_equal(scene.side.ends, 0);
		assert_int_equal(scene.side.error.code, ERROR_UPSTREAM_RESET);
		assert_int_equal(scene.side.error.system, ECONNRESET);
		assert_non_null(strstr(error_text(&scene.side.error), "close_notify"));
		assert_false(scene.side.error.unprocessed);
		scene_close(&scene);
		scene_stop(&scene);
	}
}

static void half_closed_goes_on_writing(void **state)
{
	struct scene scene;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	SSL_shutdown(scene.peer.ssl);
	peer_give(&scene.peer);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.ends == 1);
	side_write(&scene.side, SPAN("answer"));
	conn_finish(scene.side.conn);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.closed && scene.peer.ended);
	assert_string_equal(scene.peer.got, "answer");
	scene_close(&scene);
	scene_stop(&scene);
}

/* What was written last, close_notify, FIN: in this order. A connection that was reset, or could not send everything, claims no end. */
static void who_closes_says_so(void **state)
{
	struct scene scene;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	side_write(&scene.side, SPAN("bye"));
	side_end(&scene.side, conn_close);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.ended);
	peer_step(&scene.peer);
	assert_true(scene.peer.closed);
	assert_string_equal(scene.peer.got, "bye");
	scene_close(&scene);

	scene_connect(&scene);
	side_end(&scene.side, conn_reset);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.ended);
	peer_step(&scene.peer);
	assert_false(scene.peer.closed);
	scene_close(&scene);

	size_t len = 3000000;
	uint8_t *bytes = pattern(len);
	scene_connect(&scene);
	scene.peer.paused = true;
	side_write(&scene.side, span_make(bytes, len));
	for (unsigned i = 0; i < 5; i++)
		turn(scene.fixture, &scene.peer);
	side_end(&scene.side, conn_close);
	scene.peer.paused = false;
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.ended);
	assert_true(scene.peer.got_len < len);
	assert_false(scene.peer.closed);
	free(bytes);
	scene_close(&scene);
	scene_stop(&scene);
}

static void lingering_ends_in_order(void **state)
{
	struct scene scene;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	side_write(&scene.side, SPAN("the last response"));
	side_end(&scene.side, conn_linger);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.closed && scene.peer.ended);
	assert_string_equal(scene.peer.got, "the last response");
	peer_close(&scene.peer);
	TURN_UNTIL(scene.fixture, NULL, conn_count(&scene.fixture->worker) == 0);
	scene_close(&scene);
	scene_stop(&scene);
}

static void damaged_record_is_a_failure(void **state)
{
	struct scene scene;
	char *data;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	peer_say(&scene.peer, "good");
	SSL_write(scene.peer.ssl, "bad", 3);
	long len = BIO_get_mem_data(scene.peer.out, &data);
	data[len - 1] ^= 1;
	peer_give(&scene.peer);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.fails == 1);
	assert_string_equal((char *)scene.side.bytes, "good");
	assert_non_null(strstr(error_text(&scene.side.error), "bad record mac"));
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.failed); /* it got our alert */
	assert_int_equal(scene.peer.reason, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
	scene_close(&scene);

	/* And nothing of it is left for the next one. */
	scene_connect(&scene);
	peer_say(&scene.peer, "fine");
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == 4);
	scene_close(&scene);
	scene_stop(&scene);
}

static void key_updates_are_followed_but_not_for_ever(void **state)
{
	struct scene scene;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	for (unsigned i = 0; i < 10; i++) {
		scene.side.len = scene.peer.got_len = 0;
		assert_int_equal(SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		peer_say(&scene.peer, "new key");
		TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == 7);
		side_write(&scene.side, SPAN("mine too"));
		TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.got_len == 8);
	}
	assert_int_equal(scene.side.fails, 0);
	for (unsigned i = 0; i < 100 && scene.side.fails == 0; i++) {
		SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(scene.peer.ssl);
		turn(scene.fixture, &scene.peer);
	}
	assert_int_equal(scene.side.fails, 1);
	assert_int_equal(scene.side.error.code, ERROR_ABUSE);
	scene_close(&scene);
	scene_stop(&scene);
}

/* What brings nothing for the reader, a message of the handshake or a part of a record, is not the last that came. */
static void answer_survives_a_failed_send(void **state)
{
	const struct linger hard = {.l_onoff = 1};
	const size_t len = 40000;
	uint8_t *bytes = pattern(len);
	struct scene scene;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_connect(&scene);
	for (unsigned i = 1; i < 6; i++) {
		assert_int_equal(SSL_key_update(scene.peer.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		peer_write(&scene.peer, span_make(bytes, i));
	}
	peer_write(&scene.peer, span_make(bytes, len));
	setsockopt(scene.peer.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	peer_close(&scene.peer);
	usleep(1000);
	side_write(&scene.side, SPAN("a body that nobody wants"));
	/* As if the write came before the event: the last phase first. */
	struct loop_task *flush = &scene.side.conn->flush;
	flush->run(flush);
	assert_int_equal(scene.side.fails, 0);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.fails == 1);
	assert_int_equal(scene.side.len, 15 + len);
	assert_memory_equal(scene.side.bytes + 15, bytes, len);
	free(bytes);
	scene_close(&scene);
	scene_stop(&scene);
}

/* A turn with very many tasks ends before all have run: then there are events between the end of a handshake and the word of it. */
static void bytes_between_the_handshake_and_its_end(void **state)
{
	struct scene scene;
	struct loop_source *source;

	scene_start(&scene, state, TLS1_3_VERSION);
	scene_open(&scene);
	source = &scene.side.conn->source;
	for (unsigned i = 0; !SSL_is_init_finished(scene.peer.ssl); i++) {
		assert_true(i < 10);
		peer_take(&scene.peer);
		SSL_do_handshake(scene.peer.ssl);
		if (!SSL_is_init_finished(scene.peer.ssl)) {
			peer_give(&scene.peer);
			loop_turn(&scene.fixture->worker.loop, 0);
		}
	}
	peer_say(&scene.peer, "first ");
	source->on_event(source, EPOLLIN);
	peer_say(&scene.peer, "second");
	source->on_event(source, EPOLLIN);
	assert_int_equal(scene.side.connects, 0);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == 12 || scene.side.fails > 0);
	assert_int_equal(scene.side.fails, 0);
	assert_string_equal((const char *)scene.side.bytes, "first second");
	scene_close(&scene);
	scene_stop(&scene);
}

static void memory_is_counted_and_may_run_out(void **state)
{
	struct scene scene;
	struct memory *memory = &((struct fixture *)*state)->memory;

	scene_start(&scene, state, TLS1_3_VERSION);
	size_t before = atomic_load(&memory->used);
	scene_connect(&scene);
	size_t idle = atomic_load(&memory->used) - before;
	assert_true(idle > 12 * 1024);
	assert_true(idle < 18 * 1024);
	/* A part of a record, and nothing more: its buffer is counted for as long as it waits. */
	SSL_write(scene.peer.ssl, "request", 7);
	scene.peer.segment = 20;
	peer_give(&scene.peer);
	loop_turn(&scene.fixture->worker.loop, 0);
	assert_true(atomic_load(&memory->used) - before > idle + 16 * 1024);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.len == 7);
	assert_true(atomic_load(&memory->used) - before < 18 * 1024);
	/* So is what a handshake needs. */
	scene_close(&scene);
	before = atomic_load(&memory->used);
	scene_open(&scene);
	assert_true(atomic_load(&memory->used) - before > 40 * 1024);
	scene_close(&scene);
	for (uint64_t every = 1; every < 40; every++) {
		pair_open(scene.fixture, &scene.side, &scene.peer, scene.clients);
		SSL_set_connect_state(scene.peer.ssl);
		memory_fail_every(memory, every);
		if (tls_accept(scene.side.conn, scene.server, SPAN("\x16\x03\x01"), 10000)) {
			SSL_do_handshake(scene.peer.ssl);
			BIO_read(scene.peer.out, (char[3]){0}, 3);
			for (unsigned i = 0; i < 20; i++)
				turn(scene.fixture, &scene.peer);
			assert_int_equal(scene.side.connects + scene.side.fails, 1);
		}
		memory_fail_every(memory, 0);
		scene_close(&scene);
	}
	/* The limit counts what OpenSSL needs. */
	memory->limit = atomic_load(&memory->used) + 10 * 1024;
	pair_open(scene.fixture, &scene.side, &scene.peer, scene.clients);
	assert_false(tls_accept(scene.side.conn, scene.server, span_make(NULL, 0), 10000));
	memory->limit = 0;
	scene_close(&scene);
	scene_stop(&scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_of_all_sizes_both_ways),
		TEST(byte_by_byte),
		TEST(request_right_behind_the_handshake),
		TEST(early_bytes_come_first),
		TEST(slow_peer_is_waited_for),
		TEST(stopped_reading_remembers),
		TEST(long_input_goes_bulk),
		TEST(close_notify_is_an_end),
		TEST(end_without_close_notify_is_a_failure),
		TEST(half_closed_goes_on_writing),
		TEST(who_closes_says_so),
		TEST(lingering_ends_in_order),
		TEST(damaged_record_is_a_failure),
		TEST(key_updates_are_followed_but_not_for_ever),
		TEST(answer_survives_a_failed_send),
		TEST(bytes_between_the_handshake_and_its_end),
		TEST(memory_is_counted_and_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
