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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_of_all_sizes_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
