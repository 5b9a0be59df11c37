/* Handshakes with servers: what is verified and what is said when it fails, what is offered, and sessions that are used again. */
#include "tls_fixture.h"

struct scene {
	struct fixture *fixture;
	struct certificate root, site;
	struct tls_trust *trust;
	SSL_CTX *servers;
	struct side side;
	struct peer peer;
};

static void scene_start(struct scene *scene, void **state)
{
	const char *why;

	*scene = (struct scene){.fixture = *state};
	scene->root = certificate_make((struct certificate_wish){.authority = true, .common_name = "root"});
	scene->site = certificate_make((struct certificate_wish){
		.names = "DNS:a.example,DNS:*.wild.example,IP:10.0.0.1,IP:2001:db8::1",
		.common_name = "cn.example",
		.signer = &scene->root});
	scene->trust = tls_trust_new(span_of(scene->root.pem), &why);
	assert_non_null(scene->trust);
	scene->servers = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_session_id_context(scene->servers, (const uint8_t *)"test", 4);
	SSL_CTX_use_certificate(scene->servers, scene->site.x509);
	SSL_CTX_use_PrivateKey(scene->servers, scene->site.key);
}

static void scene_stop(struct scene *scene)
{
	SSL_CTX_free(scene->servers);
	tls_trust_release(scene->trust);
	certificate_free(&scene->root);
	certificate_free(&scene->site);
}

static struct tls_client *client_of(struct scene *scene, struct tls_client_options options)
{
	const char *why = NULL;
	struct tls_client *client = tls_client_new(&scene->fixture->worker, &options, &why);

	if (!client)
		fail_msg("%s", why);
	return client;
}

static void scene_open(struct scene *scene, struct tls_client *client, struct tls_peer *peer)
{
	pair_open(scene->fixture, &scene->side, &scene->peer, scene->servers);
	SSL_set_accept_state(scene->peer.ssl);
	assert_true(tls_connect(scene->side.conn, client, peer, 10000));
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

/* One handshake with a server of this name; NULL: it is fine, else what is said. */
static void verdict(struct scene *scene, struct tls_client *client, const char *name, enum error_code code,
		    const char *text)
{
	struct tls_peer peer;

	tls_peer_init(&peer, span_of(name));
	scene_open(scene, client, &peer);
	const struct tls_info *info = scene_shake(scene);
	if (!text) {
		if (!info)
			fail_msg("%s: %s", name, error_text(&scene->side.error));
		side_write(&scene->side, SPAN("request"));
		TURN_UNTIL(scene->fixture, &scene->peer, scene->peer.got_len == 7);
	} else {
		assert_null(info);
		assert_int_equal(scene->side.connects, 0);
		assert_int_equal(scene->side.error.code, code);
		assert_string_equal(error_text(&scene->side.error), text);
		assert_true(scene->side.error.unprocessed);
	}
	scene_close(scene);
	tls_peer_fini(&peer);
}

static void names_are_verified(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{"a.example", NULL},
		{"A.Example", NULL},
		{"x.wild.example", NULL},
		{"10.0.0.1", NULL},
		{"2001:db8::1", NULL},
		{"[2001:db8::1]", NULL},
		{"b.example", "hostname mismatch"},
		{"x.y.wild.example", "hostname mismatch"},
		{"wild.example", "hostname mismatch"},
		{"cn.example", "hostname mismatch"}, /* RFC 9110 4.3.4: never by the subject */
		{"10.0.0.2", "IP address mismatch"},
	};
	struct scene scene;

	scene_start(&scene, state);
	struct tls_client *client = client_of(&scene, (struct tls_client_options){.trust = scene.trust});
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++)
		verdict(&scene, client, cases[i].name, ERROR_TLS_CERTIFICATE, cases[i].text);
	tls_client_free(client);
	/* Who does not verify takes anything. */
	client = client_of(&scene, (struct tls_client_options){0});
	verdict(&scene, client, "b.example", 0, NULL);
	tls_client_free(client);
	scene_stop(&scene);
}

static void certificates_are_verified(void **state)
{
	struct scene scene;

	scene_start(&scene, state);
	struct certificate bad[] = {
		certificate_make((struct certificate_wish){
			.names = "DNS:a.example", .signer = &scene.root, .from = -2 * DAY_S, .until = -60}),
		certificate_make((struct certificate_wish){
			.names = "DNS:a.example", .signer = &scene.root, .from = 600, .until = DAY_S}),
		certificate_make((struct certificate_wish){.names = "DNS:a.example"}),
		certificate_make((struct certificate_wish){
			.names = "DNS:a.example", .signer = &scene.root, .client = true}),
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .signer = &scene.site}),
	};
	static const char *const texts[] = {
		"certificate has expired",
		"certificate is not yet valid",
		"self-signed certificate",
		"unsuitable certificate purpose",
		"unable to get local issuer certificate",
	};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_client *client = client_of(&scene, (struct tls_client_options){.trust = scene.trust});

	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(bad); i++) {
		SSL_CTX_set_max_proto_version(scene.servers, versions[i % 2]);
		assert_int_equal(
			SSL_CTX_use_cert_and_key(scene.servers, bad[i / 2].x509, bad[i / 2].key, NULL, 1), 1);
		verdict(&scene, client, "a.example", ERROR_TLS_CERTIFICATE, texts[i / 2]);
	}
	tls_client_free(client);
	for (unsigned i = 0; i < ARRAY_LENGTH(bad); i++)
		certificate_free(&bad[i]);
	scene_stop(&scene);
}

static void servers_that_refuse(void **state)
{
	struct scene scene;
	struct tls_peer peer;

	scene_start(&scene, state);
	struct tls_client *client =
		client_of(&scene, (struct tls_client_options){.trust = scene.trust, .minimum = TLS_VERSION_13});
	SSL_CTX_set_max_proto_version(scene.servers, TLS1_2_VERSION);
	verdict(&scene, client, "a.example", ERROR_TLS_ALERT, "tlsv1 alert protocol version");
	tls_peer_init(&peer, SPAN("a.example"));
	scene_open(&scene, client, &peer);
	assert_int_equal(send(scene.peer.fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
	TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
	assert_int_equal(scene.side.error.code, ERROR_TLS_PROTOCOL);
	assert_string_equal(error_text(&scene.side.error), "wrong version number");
	assert_true(scene.side.error.unprocessed);
	scene_close(&scene);
	scene_open(&scene, client, &peer);
	peer_close(&scene.peer);
	TURN_UNTIL(scene.fixture, NULL, scene.side.fails == 1);
	assert_int_equal(scene.side.error.code, ERROR_TLS_PROTOCOL);
	assert_true(scene.side.error.unprocessed);
	scene_close(&scene);
	pair_open(scene.fixture, &scene.side, &scene.peer, scene.servers);
	assert_true(tls_connect(scene.side.conn, client, &peer, 30));
	for (unsigned i = 0; scene.side.fails == 0; i++) {
		assert_true(i < 1000);
		loop_turn(&scene.fixture->worker.loop, 20);
	}
	assert_int_equal(scene.side.error.code, ERROR_CONNECT_TIMEOUT);
	assert_string_equal(error_text(&scene.side.error), "the TLS handshake took too long");
	assert_true(scene.side.error.unprocessed);
	scene_close(&scene);
	tls_peer_fini(&peer);
	tls_client_free(client);
	scene_stop(&scene);
}

static void name_is_sent_unless_it_is_an_address(void **state)
{
	static const struct {
		const char *name;
		bool sni;
		const char *sent;
	} cases[] = {
		{"a.example", true, "a.example"}, {"a.example.", true, "a.example"},
		{"a.example", false, NULL},       {"10.0.0.1", true, NULL},
		{"[2001:db8::1]", true, NULL},
	};
	struct scene scene;

	scene_start(&scene, state);
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct tls_client *client = client_of(
			&scene, (struct tls_client_options){.trust = scene.trust, .sni = cases[i].sni});
		struct tls_peer peer;
		tls_peer_init(&peer, span_of(cases[i].name));
		scene_open(&scene, client, &peer);
		assert_non_null(scene_shake(&scene));
		const char *sent = SSL_get_servername(scene.peer.ssl, TLSEXT_NAMETYPE_host_name);
		if (cases[i].sent)
			assert_string_equal(sent, cases[i].sent);
		else
			assert_null(sent);
		scene_close(&scene);
		tls_peer_fini(&peer);
		tls_client_free(client);
	}
	scene_stop(&scene);
}

static int choose_first(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len,
			void *argument)
{
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void offers_protocols(void **state)
{
	static const char *const expected[] = {
		[TLS_ALPN_HTTP1] = "http/1.1", [TLS_ALPN_BOTH] = "h2", [TLS_ALPN_HTTP2] = "h2", [TLS_ALPN_NONE] = ""};
	struct scene scene;

	scene_start(&scene, state);
	SSL_CTX_set_alpn_select_cb(scene.servers, choose_first, NULL);
	for (unsigned i = 0; i < ARRAY_LENGTH(expected); i++) {
		struct tls_client *client = client_of(
			&scene, (struct tls_client_options){.trust = scene.trust, .alpn = (enum tls_alpn)i});
		struct tls_peer peer;
		tls_peer_init(&peer, SPAN("a.example"));
		scene_open(&scene, client, &peer);
		const struct tls_info *info = scene_shake(&scene);
		assert_non_null(info);
		assert_true(span_equal(info->alpn, span_of(expected[i])));
		assert_string_equal(info->version, "TLSv1.3");
		scene_close(&scene);
		tls_peer_fini(&peer);
		tls_client_free(client);
	}
	scene_stop(&scene);
}

static void shows_its_own_certificate(void **state)
{
	struct scene scene;
	const char *why = NULL;

	scene_start(&scene, state);
	struct certificate me = certificate_make(
		(struct certificate_wish){.common_name = "me", .signer = &scene.root, .client = true});
	struct certificate other = certificate_make((struct certificate_wish){.client = true});
	struct tls_client_options options = {
		.trust = scene.trust, .certificate = span_of(me.pem), .key = span_of(other.key_pem)};
	assert_null(tls_client_new(&scene.fixture->worker, &options, &why));
	assert_string_equal(why, "private key mismatch");
	options.key = span_of(me.key_pem);
	struct tls_client *client = client_of(&scene, options);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(scene.servers), scene.root.x509);
	SSL_CTX_set_verify(scene.servers, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	struct tls_peer peer;
	tls_peer_init(&peer, SPAN("a.example"));
	scene_open(&scene, client, &peer);
	assert_non_null(scene_shake(&scene));
	assert_int_equal(X509_cmp(SSL_get0_peer_certificate(scene.peer.ssl), me.x509), 0);
	scene_close(&scene);
	tls_client_free(client);
	/* Without one: in TLS 1.2 the handshake fails, in TLS 1.3 it is done when the refusal comes. */
	options.certificate = options.key = (struct span){0};
	client = client_of(&scene, options);
	tls_peer_fini(&peer);
	scene_open(&scene, client, &peer);
	TURN_UNTIL(scene.fixture, &scene.peer, scene.side.fails == 1);
	assert_int_equal(scene.side.error.code, ERROR_TLS_ALERT);
	assert_string_equal(error_text(&scene.side.error), "tlsv13 alert certificate required");
	scene_close(&scene);
	tls_peer_fini(&peer);
	tls_client_free(client);
	certificate_free(&me);
	certificate_free(&other);
	scene_stop(&scene);
}

static bool visit(struct scene *scene, struct tls_client *client, struct tls_peer *peer)
{
	scene_open(scene, client, peer);
	const struct tls_info *info = scene_shake(scene);
	if (!info)
		fail_msg("%s", error_text(&scene->side.error));
	bool resumed = info->resumed;
	side_write(&scene->side, SPAN("request"));
	TURN_UNTIL(scene->fixture, &scene->peer, scene->peer.got_len == 7);
	peer_say(&scene->peer, "response");
	TURN_UNTIL(scene->fixture, &scene->peer, scene->side.len == 8);
	SSL_shutdown(scene->peer.ssl);
	scene_close(scene);
	return resumed;
}

static void sessions_are_used_again(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct scene scene;

	for (unsigned i = 0; i < 2; i++) {
		scene_start(&scene, state);
		SSL_CTX_set_max_proto_version(scene.servers, versions[i]);
		struct tls_client *client =
			client_of(&scene, (struct tls_client_options){.trust = scene.trust});
		struct tls_client *changed =
			client_of(&scene, (struct tls_client_options){.trust = scene.trust});
		struct tls_peer peer;
		tls_peer_init(&peer, SPAN("a.example"));
		assert_false(visit(&scene, client, &peer));
		assert_non_null(peer.session);
		assert_true(visit(&scene, client, &peer));
		assert_true(visit(&scene, client, &peer));
		/* What was verified under other settings is verified again. */
		assert_false(visit(&scene, changed, &peer));
		assert_true(visit(&scene, changed, &peer));
		tls_peer_fini(&peer);
		assert_false(visit(&scene, changed, &peer));
		tls_peer_fini(&peer);
		tls_client_free(client);
		tls_client_free(changed);
		scene_stop(&scene);
	}
}

static void trust_is_read(void **state)
{
	const char *why = NULL;
	struct tls_trust *system;

	assert_null(tls_trust_new(SPAN("nothing"), &why));
	assert_string_equal(why, "there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
	struct certificate root = certificate_make((struct certificate_wish){.authority = true});
	char path[] = "/tmp/guise-trust-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, root.pem, strlen(root.pem)), strlen(root.pem));
	close(fd);
	setenv("SSL_CERT_FILE", path, 1);
	unsetenv("SSL_CERT_DIR");
	system = tls_trust_system(&why);
	assert_non_null(system);
	tls_trust_release(tls_trust_retain(system));
	tls_trust_release(system);
	unlink(path);
	assert_null(tls_trust_system(&why));
	assert_string_equal(why, "the system has no store of certificates (package ca-certificates)");
	unsetenv("SSL_CERT_FILE");
	certificate_free(&root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_verified),      TEST(certificates_are_verified),
		TEST(servers_that_refuse),     TEST(name_is_sent_unless_it_is_an_address),
		TEST(offers_protocols),        TEST(shows_its_own_certificate),
		TEST(sessions_are_used_again), cmocka_unit_test(trust_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
