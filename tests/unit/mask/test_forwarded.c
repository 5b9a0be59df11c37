/*
 * Forwarded and X-Forwarded-*: who is believed, what is understood, what servers are told.
 */
#include "mask_fixture.h"

#include "mask/forwarded.h"

/* One request of a peer, with fields "Name: value\n...". */
struct scene {
	struct fixture fixture;
	struct forwarded_policy policy;
	struct http_head head;
	struct address peer;
	struct forwarded_origin origin;
};

static void add_fields(struct scene *scene, const char *fields)
{
	struct span rest = arena_copy(&scene->fixture.arena, span_of(fields)), line;

	while (rest.len > 0) {
		struct span name, value;

		span_cut(rest, '\n', &line, &rest);
		assert_true(span_cut(line, ':', &name, &value));
		assert_true(http_fields_add(&scene->head.fields, http_field_identify(name), name,
					    span_trim(value)));
	}
}

static void scene_start(struct scene *scene, const char *trusted, enum forwarded_style style,
			const char *peer, const char *fields)
{
	struct setting_strings networks;

	fixture_start(&scene->fixture);
	networks = strings_of(&scene->fixture, trusted);
	assert_true(forwarded_compile(&networks, (int)style, &scene->fixture.arena,
				      &scene->fixture.diagnostics, &scene->policy));
	head_make(&scene->fixture, &scene->head, "GET", "a.test:81", "/");
	add_fields(scene, fields);
	scene->peer = ip(peer);
	assert_true(forwarded_read(&scene->policy, &scene->peer, &scene->head, &scene->fixture.arena,
				   &scene->origin));
}

static void scene_write(struct scene *scene, const char *expected)
{
	assert_true(forwarded_write(&scene->policy, &scene->peer, &scene->origin, &scene->head,
				    &scene->fixture.arena));
	assert_fields(&scene->head.fields, expected);
}

static void scene_end(struct scene *scene)
{
	fixture_end(&scene->fixture);
}

/* client and its text, "address text"; scheme; host */
static void check_read(const char *trusted, const char *peer, const char *fields, const char *client,
		       const char *text, const char *scheme, const char *host)
{
	struct scene scene;
	char got[ADDRESS_TEXT + 1];

	scene_start(&scene, trusted, FORWARDED_BOTH, peer, fields);
	got[address_format_ip(&scene.origin.client, got)] = '\0';
	assert_string_equal(got, client);
	assert_span(scene.origin.client_text, text);
	assert_span(scene.origin.scheme, scheme);
	assert_span(scene.origin.host, host);
	scene_end(&scene);
}

#define SPOOFED                                                                                              \
	"X-Forwarded-For: 198.51.100.7\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil.test\n"             \
	"Forwarded: for=198.51.100.8;proto=https;host=evil.test\nX-Real-IP: 198.51.100.7\n"                  \
	"X_Forwarded_For: 198.51.100.9\nX-Forwarded-Port: 443\nx_real-ip: 1\n"

static void test_nobody_is_believed_by_default(void **state)
{
	struct scene scene;

	check_read("", "192.0.2.1", SPOOFED, "192.0.2.1", "192.0.2.1", "http", "a.test:81");
	check_read("10.0.0.0/8", "192.0.2.1", SPOOFED, "192.0.2.1", "192.0.2.1", "http", "a.test:81");
	scene_start(&scene, "10.0.0.0/8", FORWARDED_BOTH, "192.0.2.1", "A: b\n" SPOOFED "Z: z\n");
	scene_write(&scene,
		    "A: b\nZ: z\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\n"
		    "X-Forwarded-Host: a.test:81\nForwarded: for=192.0.2.1;host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
}

static void test_a_trusted_hop_is_believed(void **state)
{
	struct scene scene;

	check_read("192.0.2.0/24", "192.0.2.1", SPOOFED, "198.51.100.7", "198.51.100.7", "https", "evil.test");
	scene_start(&scene, "192.0.2.0/24", FORWARDED_BOTH, "192.0.2.1", SPOOFED);
	scene_write(&scene,
		    "X-Real-IP: 198.51.100.7\nX-Forwarded-Port: 443\nx_real-ip: 1\n"
		    "X-Forwarded-For: 198.51.100.7, 192.0.2.1\nX-Forwarded-Proto: https\n"
		    "X-Forwarded-Host: evil.test\nForwarded: for=198.51.100.7;host=evil.test;proto=https, "
		    "for=192.0.2.1;host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
}

/* Right to left, as long as the hop is trusted; what stands left of the client is nobody's word. */
static void test_chains(void **state)
{
	struct scene scene;

	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.9\n", "2.2.2.2",
		   "2.2.2.2", "http", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1\nx-forwarded-for: 2.2.2.2 ,10.0.0.9\n",
		   "2.2.2.2", "2.2.2.2", "http", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.9\n", "10.0.0.3", "10.0.0.3",
		   "http", "a.test:81");
	check_read("10.0.0.0/8 2001:db8::/32", "::ffff:10.0.0.1",
		   "X-Forwarded-For: 2600::5, [2001:db8::1]:443, 10.0.0.9:80, ::ffff:10.0.0.7\n", "2600::5",
		   "2600::5", "http", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.9\n", "10.0.0.9",
		   "unknown", "http", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1, garbage!, 10.0.0.9\n", "10.0.0.9",
		   "10.0.0.9", "http", "a.test:81");
	check_read("0.0.0.0/0", "10.0.0.1", "X-Forwarded-For: garbage!\n", "10.0.0.1", "10.0.0.1", "http",
		   "a.test:81");

	scene_start(&scene, "10.0.0.0/8", FORWARDED_BOTH, "10.0.0.1",
		    "X-Forwarded-For: 1.1.1.1, 2001:db8::2, 10.0.0.9\n");
	scene_write(&scene, "X-Forwarded-For: 2001:db8::2, 10.0.0.9, 10.0.0.1\nX-Forwarded-Proto: http\n"
			    "X-Forwarded-Host: a.test:81\n"
			    "Forwarded: for=\"[2001:db8::2]\";host=\"a.test:81\";proto=http, for=10.0.0.9, "
			    "for=10.0.0.1;host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
}

static void test_scheme_and_host_of_a_trusted_hop(void **state)
{
	check_read("10.0.0.1", "10.0.0.1", "X-Forwarded-Proto: HTTPS\n", "10.0.0.1", "10.0.0.1", "https",
		   "a.test:81");
	check_read("10.0.0.1", "10.0.0.1", "X-Forwarded-Proto: javascript\nX-Forwarded-Host: a b\n",
		   "10.0.0.1", "10.0.0.1", "http", "a.test:81");
	/* One for each hop: the client's; else what the nearest hop said. */
	check_read("10.0.0.0/8", "10.0.0.1",
		   "X-Forwarded-For: 1.1.1.1, 10.0.0.2\nX-Forwarded-Proto: https, http\nX-Forwarded-Host: x.test, y.test\n",
		   "1.1.1.1", "1.1.1.1", "https", "x.test");
	check_read("10.0.0.0/8", "10.0.0.1", "X-Forwarded-For: 1.1.1.1\nX-Forwarded-Proto: https, http\n",
		   "1.1.1.1", "1.1.1.1", "http", "a.test:81");
}

static void test_forwarded_is_read(void **state)
{
	check_read("10.0.0.0/8", "10.0.0.1",
		   "Forwarded: for=192.0.2.43, For=\"[2001:db8:cafe::17]:4711\";proto=https;host=h.test\n",
		   "2001:db8:cafe::17", "2001:db8:cafe::17", "https", "h.test");
	check_read("10.0.0.0/8", "10.0.0.1",
		   "Forwarded: for=1.1.1.1;proto=https\nforwarded: for=10.0.0.2;proto=http\n", "1.1.1.1",
		   "1.1.1.1", "https", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "Forwarded: for=_hidden;by=_me;ext=\"a,b;c\\\"\", for=10.0.0.2\n",
		   "10.0.0.2", "_hidden", "http", "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "Forwarded: for=UNKNOWN\n", "10.0.0.1", "unknown", "http",
		   "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "Forwarded: for=\"1.1.1.1:80\"\n", "1.1.1.1", "1.1.1.1", "http",
		   "a.test:81");
	check_read("10.0.0.0/8", "10.0.0.1", "Forwarded: for=\"1.1.1.1:_port\";;proto=http\n", "1.1.1.1",
		   "1.1.1.1", "http", "a.test:81");
	/* An element without `for` is a hop that says nothing of who it was. */
	check_read("10.0.0.0/8", "10.0.0.1", "Forwarded: for=1.1.1.1, proto=https\n", "10.0.0.1", "unknown",
		   "https", "a.test:81");
}

static void test_broken_forwarded_is_not_believed(void **state)
{
	static const char *const broken[] = {
		"for=1.1.1.1:80",
		"for=[::1]",
		"for=\"::1\"",
		"for=2001:db8::1",
		"for=\"1.1.1.1",
		"for",
		"=1.1.1.1",
		"for = 1.1.1.1",
		"for=1.1.1.1; proto=https",
		"for=1.1.1.1;for=2.2.2.2",
		"for=_",
		"for=\"_a b\"",
		"for=a.b",
		"for=\"[1.1.1.1]\"",
		"for=\"1.1.1.1:123456\"",
		"for=\"[::1\"",
		"for=\"\\",
		"for=;",
		"for=1.1.1.1 x",
		"for=1.1.1.1, for=[",
		"for=\"1.1.1.1\"x",
		"for=\"1.1.1.1\";\"",
	};
	char field[128];

	for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
		snprintf(field, sizeof(field), "Forwarded: %s\n", broken[i]);
		check_read("10.0.0.0/8", "10.0.0.1", field, "10.0.0.1", "10.0.0.1", "http", "a.test:81");
	}
}

/* No prefix of a good value does harm (run under ASan). */
static void test_forwarded_cut_at_every_byte(void **state)
{
	static const char good[] =
		"for=\"[2001:db8::1]:_x\";proto=https;host=\"h.test\";by=\"\\_a\", for=192.0.2.43, for=_a";

	for (size_t len = 0; len < sizeof(good); len++) {
		for (int x = 0; x < 2; x++) {
			char *exact = malloc(len + 1);
			struct scene scene;

			scene_start(&scene, "0.0.0.0/0 ::/0", FORWARDED_BOTH, "10.0.0.1", "");
			memcpy(exact, good, len);
			assert_true(http_fields_add_known(&scene.head.fields,
							  x ? HTTP_FIELD_X_FORWARDED_FOR : HTTP_FIELD_FORWARDED,
							  span_make(exact, len)));
			assert_true(forwarded_read(&scene.policy, &scene.peer, &scene.head,
						   &scene.fixture.arena, &scene.origin));
			assert_true(forwarded_write(&scene.policy, &scene.peer, &scene.origin, &scene.head,
						    &scene.fixture.arena));
			scene_end(&scene);
			free(exact);
		}
	}
}

static void test_styles(void **state)
{
	struct scene scene;

	scene_start(&scene, "10.0.0.0/8", FORWARDED_X, "10.0.0.1", "Forwarded: for=1.1.1.1;proto=https\n");
	scene_write(
		&scene,
		"X-Forwarded-For: 1.1.1.1, 10.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: a.test:81\n");
	scene_end(&scene);
	scene_start(&scene, "10.0.0.0/8", FORWARDED_RFC7239, "10.0.0.1",
		    "X-Forwarded-For: unknown\nX-Forwarded-Port: 1\n");
	scene_write(
		&scene,
		"Forwarded: for=unknown;host=\"a.test:81\";proto=http, for=10.0.0.1;host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
	scene_start(&scene, "10.0.0.0/8", FORWARDED_OFF, "10.0.0.1", SPOOFED);
	scene_write(&scene, "");
	scene_end(&scene);
	scene_start(&scene, "", FORWARDED_BOTH, "2001:db8::1", "");
	scene_write(&scene, "X-Forwarded-For: 2001:db8::1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.test:81\n"
			    "Forwarded: for=\"[2001:db8::1]\";host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
}

static void test_peers_on_a_unix_socket(void **state)
{
	struct scene scene;

	scene_start(&scene, "", FORWARDED_BOTH, "unix", SPOOFED);
	assert_span(scene.origin.client_text, "unknown");
	assert_int_equal(scene.origin.client.family, ADDRESS_UNIX);
	scene_write(&scene, "X-Forwarded-For: unknown\nX-Forwarded-Proto: http\nX-Forwarded-Host: a.test:81\n"
			    "Forwarded: for=unknown;host=\"a.test:81\";proto=http\n");
	scene_end(&scene);
	scene_start(&scene, "unix:", FORWARDED_X, "unix", "X-Forwarded-For: 1.1.1.1\n");
	assert_span(scene.origin.client_text, "1.1.1.1");
	scene_end(&scene);
}

static void test_allocation_failures(void **state)
{
	for (uint64_t every = 1; every < 6; every++) {
		struct scene scene;

		scene_start(&scene, "10.0.0.0/8", FORWARDED_BOTH, "10.0.0.1", SPOOFED);
		memory_fail_every(&scene.fixture.memory, every);
		for (int i = 0; i < 50; i++) {
			if (!forwarded_read(&scene.policy, &scene.peer, &scene.head, &scene.fixture.arena,
					    &scene.origin))
				continue;
			(void)!forwarded_write(&scene.policy, &scene.peer, &scene.origin, &scene.head,
					       &scene.fixture.arena);
		}
		memory_fail_every(&scene.fixture.memory, 0);
		scene_end(&scene);
	}
}

static void test_mistakes(void **state)
{
	struct forwarded_policy policy;
	struct setting_strings networks;
	struct fixture fixture;

	fixture_start(&fixture);
	networks = strings_of(&fixture, "10.0.0.0/8 nonsense unix:/x");
	assert_false(forwarded_compile(&networks, 0, &fixture.arena, &fixture.diagnostics, &policy));
	assert_int_equal(fixture.diagnostics.errors, 2);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_is_believed_by_default),
		cmocka_unit_test(test_a_trusted_hop_is_believed),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_scheme_and_host_of_a_trusted_hop),
		cmocka_unit_test(test_forwarded_is_read),
		cmocka_unit_test(test_broken_forwarded_is_not_believed),
		cmocka_unit_test(test_forwarded_cut_at_every_byte),
		cmocka_unit_test(test_styles),
		cmocka_unit_test(test_peers_on_a_unix_socket),
		cmocka_unit_test(test_allocation_failures),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
