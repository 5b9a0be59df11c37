/* How many system calls it takes: recv(2) and send(2) are ours, and count those on the descriptor of the connection. */
#include "tls_fixture.h"

#include <sys/syscall.h>

static int counted = -1;
static unsigned receives, sends, vain; /* vain: a receive that was told EAGAIN */

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
	ssize_t got = syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);

	if (fd == counted) {
		receives++;
		vain += got < 0;
	}
	return got;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	if (fd == counted)
		sends++;
	return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

static void expect(unsigned expected_receives, unsigned expected_sends)
{
	assert_int_equal(receives, expected_receives);
	assert_int_equal(sends, expected_sends);
	assert_int_equal(vain, 0);
	receives = sends = 0;
}

struct scene {
	struct fixture *fixture;
	struct certificate certificate;
	struct side side;
	struct peer peer;
};

static void open_pair(struct scene *scene, SSL_CTX *context)
{
	pair_open(scene->fixture, &scene->side, &scene->peer, context);
	loop_turn(&scene->fixture->worker.loop, 0); /* the first edge */
	counted = scene->side.conn->source.fd;
	receives = sends = vain = 0;
}

/* What the peer has to say now goes out in one segment. */
static void peer_speaks(struct scene *scene)
{
	peer_step(&scene->peer);
	loop_turn(&scene->fixture->worker.loop, 0);
	loop_turn(&scene->fixture->worker.loop, 0);
}

static void close_pair(struct scene *scene)
{
	counted = -1;
	side_close(scene->fixture, &scene->side);
	peer_free(&scene->peer);
	scene->side = (struct side){0};
}

static void requests(struct scene *scene, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		SSL_write(scene->peer.ssl, "request", 7);
		peer_speaks(scene);
		side_write(&scene->side, SPAN("head "));
		side_write(&scene->side, SPAN("body"));
		loop_turn(&scene->fixture->worker.loop, 0);
		peer_step(&scene->peer);
		expect(1, 1);
	}
	assert_int_equal(scene->side.len % 7, 0);
	assert_int_equal(scene->peer.got_len % 9, 0);
}

static void as_a_server(void **state)
{
	struct scene scene = {.fixture = *state};
	struct tls_ticket_seed seed = {.start_ms = scene.fixture->worker.loop.now};
	SSL_CTX *clients = SSL_CTX_new(TLS_client_method());

	scene.certificate = certificate_make((struct certificate_wish){.names = "DNS:a.example", .rsa = true});
	struct tls_store *store = store_of(&scene.certificate, 1);
	struct tls_server *server = server_of(scene.fixture, (struct tls_server_options){.seed = &seed}, store);
	open_pair(&scene, clients);
	SSL_set_connect_state(scene.peer.ssl);
	assert_true(tls_accept(scene.side.conn, server, span_make(NULL, 0), 10000));
	peer_speaks(&scene);
	expect(1, 1); /* a whole flight */
	peer_take(&scene.peer);
	assert_int_equal(SSL_do_handshake(scene.peer.ssl), 1);
	SSL_write(scene.peer.ssl, "request", 7);
	peer_speaks(&scene);
	assert_int_equal(scene.side.connects, 1);
	assert_int_equal(scene.side.len, 7);
	expect(1, 0); /* Finished and request; the ticket waits for the response */
	side_write(&scene.side, SPAN("response!"));
	loop_turn(&scene.fixture->worker.loop, 0);
	expect(0, 1);
	peer_step(&scene.peer);
	assert_int_equal(scene.peer.got_len, 9);
	assert_true(SSL_SESSION_has_ticket(SSL_get_session(scene.peer.ssl)));
	requests(&scene, 5);
	close_pair(&scene);
	tls_server_free(server);
	tls_store_release(store);
	SSL_CTX_free(clients);
	certificate_free(&scene.certificate);
}

static void as_a_client(void **state)
{
	struct scene scene = {.fixture = *state};
	SSL_CTX *servers = SSL_CTX_new(TLS_server_method());
	struct tls_client_options options = {0};
	struct tls_peer peer;
	const char *why;

	scene.certificate = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	SSL_CTX_use_certificate(servers, scene.certificate.x509);
	SSL_CTX_use_PrivateKey(servers, scene.certificate.key);
	struct tls_client *client = tls_client_new(&scene.fixture->worker, &options, &why);
	assert_non_null(client);
	tls_peer_init(&peer, SPAN("a.example"));
	scene.side.say = "request";
	open_pair(&scene, servers);
	SSL_set_accept_state(scene.peer.ssl);
	assert_true(tls_connect(scene.side.conn, client, &peer, 10000));
	loop_turn(&scene.fixture->worker.loop, 0);
	expect(0, 1);
	peer_speaks(&scene);
	assert_int_equal(scene.side.connects, 1);
	expect(1, 1); /* its flight; ours, and the request with it */
	peer_speaks(&scene);
	assert_int_equal(scene.peer.got_len, 7);
	assert_non_null(peer.session);
	expect(1, 0); /* its tickets */
	scene.peer.got_len = 0;
	requests(&scene, 5);
	close_pair(&scene);
	tls_peer_fini(&peer);
	tls_client_free(client);
	SSL_CTX_free(servers);
	certificate_free(&scene.certificate);
}

/* Four records leave in one send. */
static void many_records_together(void **state)
{
	struct scene scene = {.fixture = *state};
	SSL_CTX *clients = SSL_CTX_new(TLS_client_method());
	uint8_t *bytes = calloc(1, 128 * 1024);
	int large = 1 << 20;

	scene.certificate = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct tls_store *store = store_of(&scene.certificate, 1);
	struct tls_server *server = server_of(scene.fixture, (struct tls_server_options){0}, store);
	open_pair(&scene, clients);
	setsockopt(scene.side.conn->source.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	SSL_set_connect_state(scene.peer.ssl);
	assert_true(tls_accept(scene.side.conn, server, span_make(NULL, 0), 10000));
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.connects == 1);
	sends = receives = 0;
	side_write(&scene.side, span_make(bytes, 128 * 1024));
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.got_len == 128 * 1024);
	expect(0, 2);
	close_pair(&scene);
	free(bytes);
	tls_server_free(server);
	tls_store_release(store);
	SSL_CTX_free(clients);
	certificate_free(&scene.certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_a_server),
		TEST(as_a_client),
		TEST(many_records_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
