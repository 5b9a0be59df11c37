/*
 * The files that `tls` of a listener names: what is kept of them, how their changes are seen, what is said of wrong ones, and that nothing is left when memory
 * runs out in the middle.
 */
#include "config_fixture.h"

#include <unistd.h>

#include "../../support/certificates.h"

static char directory[] = "/tmp/guise-config-XXXXXX";
static struct certificate made, other;

static const char *path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	assert_non_null(mkdtemp(directory));
	made = certificate_make((struct certificate_wish){.names = "DNS:a.test"});
	other = certificate_make((struct certificate_wish){.names = "DNS:b.test"});
	put("c", made.pem);
	put("k", made.key_pem);
	put("other", other.key_pem);
	put("text", "hello\n");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"c", "k", "other", "text"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		unlink(path_of(names[i]));
	rmdir(directory);
	certificate_free(&made);
	certificate_free(&other);
	return 0;
}

static void load_tls(struct loaded *loaded, const char *base, uint64_t fail_every, const char *tls)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "reverse:\n  - listen: 127.0.0.1:1\n    tls: %s\n    routes: [{respond: {}}]\n", tls);
	loaded_init(loaded, "c");
	memory_fail_every(&loaded->memory, fail_every);
	loaded->snapshot = snapshot_from_yaml(span_of(text), base, &loaded->memory, &loaded->diagnostics);
	memory_fail_every(&loaded->memory, 0);
	loaded_report(loaded);
}

#define GOOD                                                                                                 \
	"{certificates: [{certificate: c, key: k}], clients: {verify: optional, ca: c}, hsts: {max_age: 1d, subdomains: true}}"

static void test_what_is_kept(void **state)
{
	struct loaded loaded;

	load_tls(&loaded, directory, 0, GOOD);
	assert_string_equal(loaded.report, "");
	const struct listener_tls *tls = loaded.snapshot->listeners[0].tls;
	assert_non_null(tls);
	assert_int_equal(tls->count, 1);
	assert_non_null(tls->store);
	assert_true(span_equal(tls->hsts, SPAN("max-age=86400; includeSubDomains")));
	assert_true(span_equal(tls->clients_ca, span_of(made.pem)));
	unload(&loaded);
}

static void say(void *owner, bool fault, const char *text)
{
	*(const char **)owner = strstr(text, "not the one") ? "mismatch" : "else";
	assert_true(fault);
}

static void test_changes_are_seen(void **state)
{
	struct loaded loaded;
	const char *said = NULL;

	load_tls(&loaded, directory, 0, "{certificates: [{certificate: c, key: k}]}");
	const struct listener_tls *tls = loaded.snapshot->listeners[0].tls;
	assert_int_equal(listener_tls_signature(tls), tls->signature);
	put("k", other.key_pem);
	uint64_t changed = listener_tls_signature(tls);
	assert_int_not_equal(changed, tls->signature);
	assert_null(listener_tls_read(tls, &loaded.memory, say, &said));
	assert_string_equal(said, "mismatch");
	unlink(path_of("k"));
	assert_int_not_equal(listener_tls_signature(tls), changed);
	assert_null(listener_tls_read(tls, &loaded.memory, say, &said));
	assert_string_equal(said, "else");
	put("k", made.key_pem);
	struct tls_store *store = listener_tls_read(tls, &loaded.memory, say, &said);
	assert_non_null(store);
	tls_store_release(store);
	unload(&loaded);
}

static void check_mistake(const char *base, const char *tls, const char *text)
{
	struct loaded loaded;

	load_tls(&loaded, base, 0, tls);
	if (!strstr(loaded.report, text))
		fail_msg("%s: no \"%s\" in: %s", tls, text, loaded.report);
	unload(&loaded);
}

static void test_mistakes(void **state)
{
	check_mistake(directory, "{certificates: [{certificate: none}]}",
		      "c:3:40: cannot read the certificate");
	check_mistake(directory, "{certificates: [{certificate: c, key: none}]}",
		      "c:3:48: cannot read the private key");
	check_mistake(directory, "{certificates: [{certificate: c, key: k, ocsp: none}]}",
		      "c:3:57: cannot read the OCSP");
	check_mistake(directory, "{certificates: [{certificate: c, key: other}]}", "c:3:40: ");
	check_mistake(directory, "{certificates: [{certificate: text}]}", "c:3:40: ");
	check_mistake(directory, "{certificates: [{certificate: c}]}", "c:3:40: ");
	check_mistake(directory, "{certificates: []}", "c:3:25: \"tls\" has no certificate");
	check_mistake(NULL, "{certificates: [{certificate: c, key: k}]}", "files are not read here");
}

static void test_out_of_memory(void **state)
{
	bool failed = true;

	for (uint64_t every = 1; failed; every++) {
		struct loaded loaded;
		assert_true(every < 2000);
		load_tls(&loaded, directory, every, GOOD);
		failed = !loaded.snapshot;
		if (failed)
			assert_non_null(strstr(loaded.report, "out of memory"));
		unload(&loaded);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_changes_are_seen),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
