/* Resumed sessions of clients: keys that all workers derive alike and forget in time, and whose session may be resumed where. */
#include "tls_fixture.h"

#include "tls/store_internal.h"
#include "tls/ticket_internal.h"

#include <pthread.h>

#include <sys/syscall.h>

static uint64_t clock_ms = 1000 * 1000; /* of all workers */

/* Instead of the system's: hours pass when a test says so. */
int clock_gettime(clockid_t id, struct timespec *time)
{
	if (id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, time);
	time->tv_sec = (time_t)(clock_ms / 1000);
	time->tv_nsec = (long)(clock_ms % 1000) * 1000000;
	return 0;
}

enum { HOUR_MS = 3600 * 1000 };

struct scene {
	struct fixture *fixture;
	struct fixture *other; /* a second worker */
	struct certificate certificate, wild;
	struct tls_store *store;
	struct tls_ticket_seed seed;
	SSL_CTX *clients;
	SSL_SESSION *session; /* the client's newest */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct scene *scene = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(scene->session);
	scene->session = session;
	return 1;
}

static void scene_start(struct scene *scene, void **state)
{
	struct certificate all[2];

	*scene = (struct scene){.fixture = *state, .seed.start_ms = clock_ms};
	memset(scene->seed.bytes, 7, sizeof(scene->seed.bytes));
	set_up((void **)&scene->other);
	scene->certificate = all[0] = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	scene->wild = all[1] = certificate_make((struct certificate_wish){.names = "DNS:*.wild.example"});
	scene->store = store_of(all, 2);
	scene->clients = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_app_data(scene->clients, scene);
	SSL_CTX_set_session_cache_mode(scene->clients, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(scene->clients, on_session);
}

static struct tls_server *listener(struct scene *scene, struct fixture *worker,
				   struct tls_server_options options)
{
	options.seed = &scene->seed;
	return server_of(worker, options, scene->store);
}

static void scene_stop(struct scene *scene)
{
	SSL_SESSION_free(scene->session);
	SSL_CTX_free(scene->clients);
	tls_store_release(scene->store);
	certificate_free(&scene->certificate);
	certificate_free(&scene->wild);
	tear_down((void **)&scene->other);
}

static void pass(struct scene *scene, uint64_t ms)
{
	clock_ms += ms;
	loop_turn(&scene->fixture->worker.loop, 0);
	loop_turn(&scene->other->worker.loop, 0);
}

/* One connection, a request and its response. Whether the session was resumed, as both sides see it. */
static bool visit_as(struct scene *scene, struct fixture *worker, struct tls_server *server, const char *name,
		     const struct certificate *me)
{
	struct side side = {0};
	struct peer peer;
	const struct tls_info *info;
	bool resumed;

	pair_open(worker, &side, &peer, scene->clients);
	SSL_set_connect_state(peer.ssl);
	SSL_set_tlsext_host_name(peer.ssl, name);
	if (me) {
		SSL_use_certificate(peer.ssl, me->x509);
		SSL_use_PrivateKey(peer.ssl, me->key);
	}
	if (scene->session)
		assert_int_equal(SSL_set_session(peer.ssl, scene->session), 1);
	assert_true(tls_accept(side.conn, server, span_make(NULL, 0), 10000));
	TURN_UNTIL(worker, &peer, side.connects == 1 && SSL_is_init_finished(peer.ssl));
	peer_say(&peer, "request");
	TURN_UNTIL(worker, &peer, side.len == 7);
	side_write(&side, SPAN("response"));
	TURN_UNTIL(worker, &peer, peer.got_len == 8);
	info = tls_conn_info(side.conn);
	resumed = info->resumed;
	assert_int_equal(SSL_session_reused(peer.ssl), resumed);
	assert_true(span_equal(info->sni, span_of(name)));
	assert_non_null(info->identity);
	assert_int_equal(info->client_certificate.len > 0, me != NULL);
	SSL_shutdown(peer.ssl);
	if (SSL_version(peer.ssl) == TLS1_2_VERSION) { /* of a ticket that was renewed OpenSSL does not tell */
		SSL_SESSION_free(scene->session);
		scene->session = SSL_get1_session(peer.ssl);
	}
	side_close(worker, &side);
	peer_free(&peer);
	return resumed;
}

static bool visit(struct scene *scene, struct fixture *worker, struct tls_server *server)
{
	return visit_as(scene, worker, server, "a.example", NULL);
}

static void sessions_are_resumed_on_any_worker(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		scene_start(&scene, state);
		SSL_CTX_set_max_proto_version(scene.clients, versions[i]);
		struct tls_server *one = listener(&scene, scene.fixture, (struct tls_server_options){0});
		pass(&scene, 90 * 60 * 1000); /* the second begins later, and is on time */
		struct tls_server *two = listener(&scene, scene.other, (struct tls_server_options){0});
		assert_false(visit(&scene, scene.fixture, one));
		assert_non_null(scene.session);
		assert_true(visit(&scene, scene.fixture, one));
		assert_true(visit(&scene, scene.other, two));
		assert_true(visit(&scene, scene.fixture, one));
		/* Nothing is kept on our side. */
		tls_server_free(one);
		one = listener(&scene, scene.fixture, (struct tls_server_options){0});
		assert_true(visit(&scene, scene.fixture, one));
		tls_server_free(one);
		tls_server_free(two);
		scene_stop(&scene);
	}
}

static void no_tickets_without_a_seed(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		scene_start(&scene, state);
		SSL_CTX_set_max_proto_version(scene.clients, versions[i]);
		struct tls_server *server =
			server_of(scene.fixture, (struct tls_server_options){0}, scene.store);
		assert_false(visit(&scene, scene.fixture, server));
		assert_true(!scene.session || !SSL_SESSION_has_ticket(scene.session));
		assert_false(visit(&scene, scene.fixture, server));
		tls_server_free(server);
		scene_stop(&scene);
	}
}

static void keys_change_and_old_ones_are_forgotten(void **state)
{
	struct scene scene;
	struct tls_server *server;

	scene_start(&scene, state);
	SSL_CTX_set_max_proto_version(scene.clients, TLS1_2_VERSION);
	SSL_CTX_set_timeout(scene.clients, 100 * 3600);
	server = listener(&scene, scene.fixture, (struct tls_server_options){0});
	assert_false(visit(&scene, scene.fixture, server));
	SSL_SESSION *first = scene.session;
	SSL_SESSION_up_ref(first);
	pass(&scene, 3 * HOUR_MS);
	/* An old key still opens it, and it is renewed under the current one. */
	assert_true(visit(&scene, scene.fixture, server));
	assert_ptr_not_equal(scene.session, first);
	pass(&scene, 10 * HOUR_MS);
	assert_true(visit(&scene, scene.fixture, server));
	SSL_SESSION_free(scene.session);
	scene.session = first;
	assert_false(visit(&scene, scene.fixture, server));
	tls_server_free(server);
	scene_stop(&scene);
}

static bool holds(const void *memory, size_t size, const void *secret, size_t len)
{
	return memmem(memory, size, secret, len) != NULL;
}

static void secrets_do_not_stay_in_memory(void **state)
{
	struct tls_ticket_seed seed = {.start_ms = 1000};
	struct tls_tickets tickets, late;
	struct tls_ticket_key first;

	memset(seed.bytes, 0x5a, sizeof(seed.bytes));
	assert_true(tls_tickets_init(&tickets, &seed, 1000));
	first = tickets.keys[0];
	assert_int_equal(tls_tickets_next(&tickets, 1000), HOUR_MS);
	assert_true(tls_tickets_advance(&tickets, 1000 + HOUR_MS - 1));
	assert_int_equal(tickets.epoch, 0);
	assert_true(tls_tickets_advance(&tickets, 1000 + HOUR_MS));
	assert_int_equal(tickets.epoch, 1);
	assert_false(holds(&tickets, sizeof(tickets), seed.bytes, sizeof(seed.bytes)));
	assert_true(holds(&tickets, sizeof(tickets), first.cipher, sizeof(first.cipher)));
	assert_true(tls_tickets_advance(&tickets, 1000 + 12 * (uint64_t)HOUR_MS));
	assert_true(holds(&tickets, sizeof(tickets), first.cipher, sizeof(first.cipher)));
	assert_true(tls_tickets_advance(&tickets, 1000 + 13 * (uint64_t)HOUR_MS));
	assert_false(holds(&tickets, sizeof(tickets), first.cipher, sizeof(first.cipher)));
	assert_false(holds(&tickets, sizeof(tickets), first.mac, sizeof(first.mac)));
	/* Who comes late has the same keys. */
	assert_true(tls_tickets_init(&late, &seed, 1000 + 13 * (uint64_t)HOUR_MS));
	assert_memory_equal(late.keys, tickets.keys, sizeof(late.keys));
	assert_memory_equal(late.secret, tickets.secret, sizeof(late.secret));
	tls_tickets_fini(&tickets);
	assert_false(holds(&tickets, sizeof(tickets), late.secret, sizeof(late.secret)));
	tls_tickets_fini(&late);
}

/* Not under another name, of another listener, or where clients are asked for something else. */
static void sessions_stay_where_they_belong(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct certificate root = certificate_make((struct certificate_wish){.authority = true});
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		scene_start(&scene, state);
		SSL_CTX_set_max_proto_version(scene.clients, versions[i]);
		struct tls_server *one = listener(&scene, scene.fixture, (struct tls_server_options){0});
		struct tls_server *other =
			listener(&scene, scene.fixture, (struct tls_server_options){.name = SPAN("other")});
		struct tls_server *asking =
			listener(&scene, scene.fixture,
				 (struct tls_server_options){.clients = TLS_CLIENT_OPTIONAL,
							     .clients_ca = span_of(root.pem)});
		assert_false(visit(&scene, scene.fixture, one));
		assert_false(visit(&scene, scene.fixture, other));
		assert_false(visit(&scene, scene.fixture, asking));
		assert_false(visit(&scene, scene.fixture, one));
		assert_true(visit(&scene, scene.fixture, one));
		assert_false(visit_as(&scene, scene.fixture, one, "x.wild.example", NULL));
		assert_true(visit_as(&scene, scene.fixture, one, "x.wild.example", NULL));
		assert_false(visit_as(&scene, scene.fixture, one, "y.wild.example", NULL));
		tls_server_free(one);
		tls_server_free(other);
		tls_server_free(asking);
		scene_stop(&scene);
	}
	certificate_free(&root);
}

/* A resumed session still says whose it is. */
static void client_certificates_are_remembered(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct certificate root = certificate_make((struct certificate_wish){.authority = true});
	struct certificate me = certificate_make(
		(struct certificate_wish){.common_name = "me", .signer = &root, .client = true});
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		scene_start(&scene, state);
		SSL_CTX_set_max_proto_version(scene.clients, versions[i]);
		struct tls_server *server =
			listener(&scene, scene.fixture,
				 (struct tls_server_options){.clients = TLS_CLIENT_REQUIRED,
							     .clients_ca = span_of(root.pem)});
		assert_false(visit_as(&scene, scene.fixture, server, "a.example", &me));
		assert_true(visit_as(&scene, scene.fixture, server, "a.example", &me));
		tls_server_free(server);
		scene_stop(&scene);
	}
	certificate_free(&root);
	certificate_free(&me);
}

/* One thread's worker: handshakes, each with the store that is shared. */
static void *work(void *argument)
{
	struct tls_store *store = argument;
	struct fixture *fixture;
	struct tls_ticket_seed seed = {.start_ms = clock_ms};
	SSL_CTX *clients = SSL_CTX_new(TLS_client_method());

	set_up((void **)&fixture);
	struct tls_server *server = server_of(fixture, (struct tls_server_options){.seed = &seed}, store);
	for (unsigned i = 0; i < 20; i++) {
		struct side side = {0};
		struct peer peer;
		pair_open(fixture, &side, &peer, clients);
		SSL_set_connect_state(peer.ssl);
		const char *name = i % 2 ? "a.example" : "x.wild.example";
		SSL_set_tlsext_host_name(peer.ssl, name);
		ENSURE(tls_accept(side.conn, server, span_make(NULL, 0), 10000));
		for (unsigned t = 0; side.connects == 0; t++) {
			ENSURE(t < 1000);
			turn(fixture, &peer);
		}
		ENSURE(tls_identity_serves(tls_conn_info(side.conn)->identity, tls_conn_info(side.conn)->sni));
		ENSURE(tls_server_set_store(server, store));
		side_close(fixture, &side);
		peer_free(&peer);
	}
	tls_server_free(server);
	SSL_CTX_free(clients);
	tear_down((void **)&fixture);
	tls_store_release(store);
	return NULL;
}

static void store_is_shared_by_threads(void **state)
{
	struct scene scene;
	pthread_t threads[3];

	scene_start(&scene, state);
	for (unsigned i = 0; i < ARRAY_LENGTH(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, tls_store_retain(scene.store)), 0);
	for (unsigned i = 0; i < ARRAY_LENGTH(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&scene.store->references), 1);
	scene_stop(&scene);
}

static void changed_store_keeps_sessions(void **state)
{
	struct scene scene;

	scene_start(&scene, state);
	struct tls_server *server = listener(&scene, scene.fixture, (struct tls_server_options){0});
	assert_false(visit(&scene, scene.fixture, server));
	assert_true(tls_server_set_store(server, scene.store));
	assert_true(visit(&scene, scene.fixture, server));
	tls_server_free(server);
	scene_stop(&scene);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_are_resumed_on_any_worker),
		TEST(no_tickets_without_a_seed),
		TEST(keys_change_and_old_ones_are_forgotten),
		TEST(secrets_do_not_stay_in_memory),
		TEST(sessions_stay_where_they_belong),
		TEST(client_certificates_are_remembered),
		TEST(store_is_shared_by_threads),
		TEST(changed_store_keeps_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
