/* Handshakes with clients: which certificate, which protocol, how long, how many, and what is said when one fails. */
#include "tls_fixture.h"

#include "tls/tls_internal.h"

struct scene {
	struct fixture *fixture;
	struct tls_server *server;
	struct tls_store *store;
	SSL_CTX *clients;
	struct side side;
	struct peer peer;
};

static void scene_start(struct scene *scene, void **state, const struct certificate *certificates,
			size_t count, struct tls_server_options options)
{
	*scene = (struct scene){.fixture = *state};
	scene->store = store_of(certificates, count);
	scene->server = server_of(scene->fixture, options, scene->store);
	scene->clients = SSL_CTX_new(TLS_client_method());
}

/* A connection whose client asks for `name` (NULL: none). */
static void scene_open(struct scene *scene, const char *name)
{
	pair_open(scene->fixture, &scene->side, &scene->peer, scene->clients);
	SSL_set_connect_state(scene->peer.ssl);
	if (name)
		assert_int_equal(SSL_set_tlsext_host_name(scene->peer.ssl, name), 1);
	assert_true(tls_accept(scene->side.conn, scene->server, span_make(NULL, 0), 10000));
}

static const struct tls_info *scene_shake(struct scene *scene)
{
	TURN_UNTIL(scene->fixture, &scene->peer,
		   (scene->side.connects == 1 && SSL_is_init_finished(scene->peer.ssl)) ||
			   scene->side.fails == 1);
	for (unsigned i = 0; i < 3; i++)
		turn(scene->fixture, &scene->peer);
	return scene->side.connects ? tls_conn_info(scene->side.conn) : NULL;
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
}

static bool shows(const struct scene *scene, const struct certificate *certificate)
{
	X509 *shown = SSL_get0_peer_certificate(scene->peer.ssl);
	return shown && X509_cmp(shown, certificate->x509) == 0;
}

static void certificate_by_name(void **state)
{
	struct certificate all[] = {
		certificate_make((struct certificate_wish){.names = "DNS:default.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:exact.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:*.wild.example"}),
	};
	static const struct {
		const char *name, *sni;
		unsigned shown;
	} cases[] = {
		{NULL, "", 0},
		{"default.example", "default.example", 0},
		{"Exact.EXAMPLE", "exact.example", 1},
		{"a.wild.example", "a.wild.example", 2},
		{"a.b.wild.example", "a.b.wild.example", 0},
		{"stranger.example", "stranger.example", 0},
	};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	scene_start(&scene, state, all, ARRAY_LENGTH(all), (struct tls_server_options){0});
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(cases); i++) {
		unsigned at = i / 2;
		SSL_CTX_set_max_proto_version(scene.clients, versions[i % 2]);
		scene_open(&scene, cases[at].name);
		assert_null(tls_conn_info(scene.side.conn)); /* not yet */
		const struct tls_info *info = scene_shake(&scene);
		assert_non_null(info);
		assert_true(shows(&scene, &all[cases[at].shown]));
		assert_true(span_equal(info->sni, span_of(cases[at].sni)));
		assert_string_equal(info->version, i % 2 ? "TLSv1.3" : "TLSv1.2");
		assert_string_equal(info->cipher, i % 2 ? "TLS_AES_128_GCM_SHA256" :
							  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
		assert_int_equal(info->alpn.len, 0);
		assert_false(info->resumed);
		assert_int_equal(info->client_certificate.len, 0);
		assert_true(tls_identity_serves(info->identity, cases[at].shown == 1 ? SPAN("exact.example") :
								cases[at].shown == 2 ? SPAN("x.wild.example") :
										       SPAN("default.example")));
		scene_close(&scene);
	}
	scene_stop(&scene);
	for (unsigned i = 0; i < ARRAY_LENGTH(all); i++)
		certificate_free(&all[i]);
}

static void no_certificate_for_strangers(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	const char *names[] = {NULL, "stranger.example"};
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){.strict_sni = true});
	for (unsigned i = 0; i < 2; i++) {
		scene_open(&scene, names[i]);
		assert_null(scene_shake(&scene));
		assert_int_equal(scene.side.error.code, ERROR_HANDSHAKE);
		assert_true(scene.peer.failed);
		assert_int_equal(scene.peer.reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
		assert_null(SSL_get0_peer_certificate(scene.peer.ssl));
		scene_close(&scene);
	}
	scene_open(&scene, "a.example");
	assert_non_null(scene_shake(&scene));
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

static void rsa_and_ecdsa_side_by_side(void **state)
{
	struct certificate all[] = {
		certificate_make((struct certificate_wish){.names = "DNS:default.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .rsa = true}),
		certificate_make((struct certificate_wish){.names = "DNS:a.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:default.example", .rsa = true}),
	};
	static const struct {
		const char *name, *signatures;
		unsigned shown;
	} cases[] = {
		{"a.example", "ECDSA+SHA256:rsa_pss_rsae_sha256:RSA+SHA256", 2}, /* both: the cheaper one */
		{"a.example", "rsa_pss_rsae_sha256:RSA+SHA256", 1},
		{"a.example", "ECDSA+SHA256", 2},
		{NULL, "rsa_pss_rsae_sha256:RSA+SHA256", 3},
		{NULL, "ECDSA+SHA256:rsa_pss_rsae_sha256", 0},
	};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	scene_start(&scene, state, all, ARRAY_LENGTH(all), (struct tls_server_options){0});
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(cases); i++) {
		SSL_CTX_set_max_proto_version(scene.clients, versions[i % 2]);
		assert_int_equal(SSL_CTX_set1_sigalgs_list(scene.clients, cases[i / 2].signatures), 1);
		scene_open(&scene, cases[i / 2].name);
		const struct tls_info *info = scene_shake(&scene);
		assert_non_null(info);
		assert_true(shows(&scene, &all[cases[i / 2].shown]));
		assert_true(tls_identity_serves(info->identity, cases[i / 2].name ? SPAN("a.example") :
										    SPAN("default.example")));
		scene_close(&scene);
	}
	scene_stop(&scene);
	for (unsigned i = 0; i < ARRAY_LENGTH(all); i++)
		certificate_free(&all[i]);
}

static void protocol_by_alpn(void **state)
{
	static const struct {
		bool http2;
		const char *offer, *chosen; /* NULL: refused */
	} cases[] = {
		{true, "", ""},
		{true, "\x08http/1.1\x02h2", "h2"},
		{true, "\x08http/1.1", "http/1.1"},
		{false, "\x02h2\x08http/1.1", "http/1.1"},
		{false, "\x02h2", NULL},
		{true, "\x06spdy/3", NULL},
	};
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		scene_start(&scene, state, &one, 1, (struct tls_server_options){.http2 = cases[i].http2});
		scene_open(&scene, NULL);
		SSL_set_alpn_protos(scene.peer.ssl, (const uint8_t *)cases[i].offer,
				    (unsigned)strlen(cases[i].offer));
		const struct tls_info *info = scene_shake(&scene);
		if (cases[i].chosen) {
			assert_non_null(info);
			assert_true(span_equal(info->alpn, span_of(cases[i].chosen)));
		} else {
			assert_null(info);
			assert_int_equal(scene.peer.reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
		}
		scene_close(&scene);
		scene_stop(&scene);
	}
	certificate_free(&one);
}

static void versions_and_ciphers(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){.minimum = TLS_VERSION_13});
	SSL_CTX_set_max_proto_version(scene.clients, TLS1_2_VERSION);
	scene_open(&scene, NULL);
	assert_null(scene_shake(&scene));
	assert_string_equal(error_text(&scene.side.error), "unsupported protocol");
	assert_int_equal(scene.peer.reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	scene_close(&scene);
	scene_stop(&scene);

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	SSL_CTX_set_max_proto_version(scene.clients, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(scene.clients, "ECDHE-ECDSA-AES128-SHA256:DHE-RSA-AES128-GCM-SHA256");
	scene_open(&scene, NULL);
	assert_null(scene_shake(&scene));
	assert_string_equal(error_text(&scene.side.error), "no shared cipher");
	scene_close(&scene);
	/* Whose machine is better at ChaCha says so by putting it first. */
	SSL_CTX_set_cipher_list(scene.clients, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256");
	scene_open(&scene, NULL);
	assert_string_equal(scene_shake(&scene)->cipher, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
	scene_close(&scene);
	/* No renegotiation: it is refused by a warning, which this client takes for the end. */
	scene_open(&scene, NULL);
	assert_non_null(scene_shake(&scene));
	assert_int_equal(SSL_renegotiate(scene.peer.ssl), 1);
	SSL_do_handshake(scene.peer.ssl);
	for (unsigned i = 0; i < 5; i++)
		turn(scene.fixture, &scene.peer);
	assert_true(scene.peer.failed);
	assert_int_equal(scene.peer.reason, SSL_R_NO_RENEGOTIATION);
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

/* A client that guessed the wrong group is asked once more (RFC 8446 4.1.4): its hello is looked at twice. */
static void hello_may_come_twice(void **state)
{
	struct certificate all[] = {
		certificate_make((struct certificate_wish){.names = "DNS:default.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:a.example"}),
	};
	struct scene scene;

	scene_start(&scene, state, all, ARRAY_LENGTH(all), (struct tls_server_options){.http2 = true});
	assert_int_equal(SSL_CTX_set1_groups_list(scene.clients, "P-521:P-384"), 1);
	scene_open(&scene, "a.example");
	SSL_set_alpn_protos(scene.peer.ssl, (const uint8_t *)"\x02h2", 3);
	const struct tls_info *info = scene_shake(&scene);
	assert_non_null(info);
	assert_true(shows(&scene, &all[1]));
	assert_true(span_equal(info->sni, SPAN("a.example")));
	assert_true(span_equal(info->alpn, SPAN("h2")));
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&all[0]);
	certificate_free(&all[1]);
}

static void garbage_fails_with_a_reason(void **state)
{
	static const struct {
		const char *bytes, *reason;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http request"},
		{"\x05\x01\x00 this is not TLS at all", "wrong version number"},
		{"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "unexpected message"},
		{"\x16\x03\x01\xff\xff................................",
		 "length too long"}, /* of a packet, or of data: the library's version says it so or so */
	};
	static const size_t lengths[] = {25, 25, 9, 37};
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		scene_open(&scene, NULL);
		assert_int_equal(send(scene.peer.fd, cases[i].bytes, lengths[i], 0), lengths[i]);
		TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
		assert_int_equal(scene.side.error.code, ERROR_HANDSHAKE);
		assert_non_null(strstr(error_text(&scene.side.error), cases[i].reason));
		assert_int_equal(ERR_peek_error(), 0);
		scene_close(&scene);
	}
	scene_stop(&scene);
	certificate_free(&one);
}

static void client_that_goes_away(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	scene_open(&scene, NULL);
	peer_close(&scene.peer);
	TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
	assert_int_equal(scene.side.error.code, ERROR_HANDSHAKE);
	assert_string_equal(error_text(&scene.side.error),
			    "the client closed the connection during the TLS handshake");
	scene_close(&scene);
	scene_open(&scene, NULL);
	scene.side.close_on_fail = true;
	SSL_do_handshake(scene.peer.ssl);
	peer_give(&scene.peer);
	peer_close(&scene.peer);
	TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

static void handshake_has_its_time(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	pair_open(scene.fixture, &scene.side, &scene.peer, scene.clients);
	assert_true(tls_accept(scene.side.conn, scene.server, SPAN("\x16\x03"), 30));
	for (unsigned i = 0; scene.side.fails == 0; i++) {
		assert_true(i < 1000);
		loop_turn(&scene.fixture->worker.loop, 20);
	}
	assert_int_equal(scene.side.error.code, ERROR_HANDSHAKE);
	assert_string_equal(error_text(&scene.side.error), "the TLS handshake took too long");
	scene_close(&scene);
	/* And one that was in time has no timer any more. */
	pair_open(scene.fixture, &scene.side, &scene.peer, scene.clients);
	SSL_set_connect_state(scene.peer.ssl);
	assert_true(tls_accept(scene.side.conn, scene.server, span_make(NULL, 0), 60000));
	size_t timers = scene.fixture->worker.loop.timers.active;
	assert_non_null(scene_shake(&scene));
	assert_int_equal(scene.fixture->worker.loop.timers.active, timers - 1);
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

static int set_up_for_three(void **state)
{
	return set_up_with(state, 3);
}

static void oldest_gives_way(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;
	struct side sides[5] = {0};
	struct peer peers[5];

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	/* One that is done does not count. */
	scene_open(&scene, NULL);
	assert_non_null(scene_shake(&scene));
	for (unsigned i = 0; i < 5; i++) {
		pair_open(scene.fixture, &sides[i], &peers[i], scene.clients);
		SSL_set_connect_state(peers[i].ssl);
		assert_true(tls_accept(sides[i].conn, scene.server, span_make(NULL, 0), 10000));
		assert_int_equal(sides[i < 3 ? 0 : i - 3].fails, 0); /* not before tls_accept has returned */
		turn(scene.fixture, NULL);
		assert_int_equal(sides[0].fails, i >= 3);
		assert_int_equal(sides[1].fails, i >= 4);
	}
	assert_string_equal(error_text(&sides[0].error), "too many TLS handshakes are in progress");
	assert_int_equal(sides[0].error.code, ERROR_HANDSHAKE);
	for (unsigned i = 2; i < 5; i++) {
		TURN_UNTIL(scene.fixture, &peers[i], sides[i].connects == 1);
		assert_int_equal(sides[i].fails, 0);
	}
	for (unsigned i = 0; i < 5; i++) {
		side_close(scene.fixture, &sides[i]);
		peer_free(&peers[i]);
	}
	assert_int_equal(tls_room(&scene.fixture->worker)->handshake_count, 0);
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

static void closing_is_legal_at_any_time(void **state)
{
	struct certificate one = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct scene scene;

	scene_start(&scene, state, &one, 1, (struct tls_server_options){0});
	scene_open(&scene, NULL);
	scene_close(&scene); /* before anything came */
	scene_open(&scene, NULL);
	SSL_do_handshake(scene.peer.ssl);
	peer_give(&scene.peer);
	turn(scene.fixture, NULL);
	scene_close(&scene); /* in the middle */
	scene_open(&scene, NULL);
	scene.side.close_on_connect = true;
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.connects == 1);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.peer.closed);
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&one);
}

static void staples_an_ocsp_response(void **state)
{
	struct certificate root = certificate_make((struct certificate_wish){.authority = true});
	struct certificate leaf =
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .signer = &root});
	struct tls_material item = material_of(&leaf);
	static const long valid[] = {3600, -3600};
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		struct complaints complaints = {0};
		uint8_t *der;
		const uint8_t *got;
		item.ocsp_path = "site.ocsp";
		item.ocsp.len = certificate_ocsp(&leaf, &root, valid[i], &der);
		item.ocsp.at = der;
		scene = (struct scene){.fixture = *state, .clients = SSL_CTX_new(TLS_client_method())};
		scene.store = tls_store_new(&item, 1, note_complaint, &complaints);
		scene.server = server_of(scene.fixture, (struct tls_server_options){0}, scene.store);
		scene_open(&scene, "a.example");
		SSL_set_tlsext_status_type(scene.peer.ssl, TLSEXT_STATUSTYPE_ocsp);
		assert_non_null(scene_shake(&scene));
		long len = SSL_get_tlsext_status_ocsp_resp(scene.peer.ssl, &got);
		if (valid[i] > 0) {
			assert_int_equal(len, item.ocsp.len);
			assert_memory_equal(got, der, item.ocsp.len);
		} else {
			assert_true(len <= 0); /* a stale one is worse than none */
		}
		scene_close(&scene);
		scene_stop(&scene);
		OPENSSL_free(der);
	}
	certificate_free(&root);
	certificate_free(&leaf);
}

static void store_is_changed_in_operation(void **state)
{
	struct certificate old = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct certificate new =
		certificate_make((struct certificate_wish){.names = "DNS:b.example", .rsa = true});
	struct scene scene;
	struct side pending = {0};
	struct peer late;

	scene_start(&scene, state, &old, 1, (struct tls_server_options){0});
	scene_open(&scene, NULL);
	const struct tls_info *info = scene_shake(&scene);
	pair_open(scene.fixture, &pending, &late, scene.clients);
	SSL_set_connect_state(late.ssl);
	assert_true(tls_accept(pending.conn, scene.server, span_make(NULL, 0), 10000));
	struct tls_store *store = store_of(&new, 1);
	assert_true(tls_server_set_store(scene.server, store));
	tls_store_release(store);
	tls_store_release(scene.store);
	scene.store = NULL;
	/* What was begun goes on with what it was begun with. */
	assert_true(tls_identity_serves(info->identity, SPAN("a.example")));
	TURN_UNTIL(scene.fixture, &late, pending.connects == 1);
	assert_int_equal(X509_cmp(SSL_get0_peer_certificate(late.ssl), old.x509), 0);
	assert_true(tls_identity_serves(tls_conn_info(pending.conn)->identity, SPAN("a.example")));
	side_close(scene.fixture, &pending);
	peer_free(&late);
	scene_close(&scene);
	scene_open(&scene, NULL);
	info = scene_shake(&scene);
	assert_true(shows(&scene, &new));
	assert_true(tls_identity_serves(info->identity, SPAN("b.example")));
	scene_close(&scene);
	scene_stop(&scene);
	certificate_free(&old);
	certificate_free(&new);
}

/* What one handshake with, or without, a client's certificate comes to. */
static void mutual(struct scene *scene, const struct certificate *client, bool fine, const char *reason)
{
	scene_open(scene, NULL);
	if (client) {
		SSL_use_certificate(scene->peer.ssl, client->x509);
		SSL_use_PrivateKey(scene->peer.ssl, client->key);
	}
	const struct tls_info *info = scene_shake(scene);
	assert_int_equal(info != NULL, fine);
	if (info && client) {
		uint8_t *der = NULL;
		int len = i2d_X509(client->x509, &der);
		assert_true(span_equal(info->client_certificate, span_make(der, (size_t)len)));
		OPENSSL_free(der);
	} else if (info) {
		assert_int_equal(info->client_certificate.len, 0);
	} else {
		assert_int_equal(scene->side.error.code, ERROR_HANDSHAKE);
		assert_string_equal(error_text(&scene->side.error), reason);
	}
	scene_close(scene);
}

static void certificates_of_clients(void **state)
{
	struct certificate site = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct certificate root =
		certificate_make((struct certificate_wish){.authority = true, .common_name = "ca"});
	struct certificate good = certificate_make(
		(struct certificate_wish){.common_name = "me", .signer = &root, .client = true});
	struct certificate old = certificate_make((struct certificate_wish){
		.common_name = "old", .signer = &root, .client = true, .from = -3600, .until = -60});
	struct certificate stranger =
		certificate_make((struct certificate_wish){.common_name = "who", .client = true});
	struct tls_server_options options = {.clients_ca = span_of(root.pem)};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	for (unsigned i = 0; i < 6; i++) {
		options.clients = (enum tls_client_verify)(i / 2);
		scene_start(&scene, state, &site, 1, options);
		SSL_CTX_set_max_proto_version(scene.clients, versions[i % 2]);
		if (options.clients == TLS_CLIENT_NONE) {
			mutual(&scene, NULL, true, NULL);
		} else {
			mutual(&scene, &good, true, NULL);
			mutual(&scene, NULL, options.clients == TLS_CLIENT_OPTIONAL,
			       "peer did not return a certificate");
			mutual(&scene, &old, false, "certificate has expired");
			mutual(&scene, &stranger, false, "self-signed certificate");
			mutual(&scene, &good, true, NULL);
		}
		scene_stop(&scene);
	}
	options.clients_ca = SPAN("nothing");
	const char *why = NULL;
	options.store = store_of(&site, 1);
	assert_null(tls_server_new(&((struct fixture *)*state)->worker, &options, &why));
	assert_string_equal(why, "there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
	tls_store_release(options.store);
	certificate_free(&site);
	certificate_free(&root);
	certificate_free(&good);
	certificate_free(&old);
	certificate_free(&stranger);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(certificate_by_name),
		TEST(no_certificate_for_strangers),
		TEST(rsa_and_ecdsa_side_by_side),
		TEST(protocol_by_alpn),
		TEST(versions_and_ciphers),
		TEST(hello_may_come_twice),
		TEST(garbage_fails_with_a_reason),
		TEST(client_that_goes_away),
		TEST(handshake_has_its_time),
		cmocka_unit_test_setup_teardown(oldest_gives_way, set_up_for_three, tear_down),
		TEST(closing_is_legal_at_any_time),
		TEST(staples_an_ocsp_response),
		TEST(store_is_changed_in_operation),
		TEST(certificates_of_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
