/*
 * Good configurations: what arrives in the snapshot.
 */
#include "config_fixture.h"

#include "config/deviation.h"
#include "config/files.h"
#include "core/log.h"
#include "net/resolver.h"

#include <sys/stat.h>
#include <unistd.h>

#define LISTENER "forward: [{listen: 127.0.0.1:0}]\n"

static void good(struct loaded *loaded, const char *text)
{
	load(loaded, text);
	if (!loaded->snapshot || *loaded->report)
		fail_msg("%s%s", loaded->report, text);
}

static void test_defaults(void **state)
{
	struct loaded loaded;
	const struct settings *settings;

	good(&loaded, LISTENER);
	settings = &loaded.snapshot->settings;
	assert_string_equal(settings->name.text, "guise");
	assert_int_equal(settings->name.place.line, 0);
	assert_int_equal(settings->workers, 0);
	assert_int_equal(settings->limits.memory, 0);
	assert_int_equal(settings->limits.connections, 32768);
	assert_int_equal(settings->limits.connections_per_address, 1024);
	assert_int_equal(settings->limits.requests_per_connection, 10000);
	assert_int_equal(settings->limits.request_line, 8192);
	assert_int_equal(settings->limits.field_line, 8192);
	assert_int_equal(settings->limits.fields, 100);
	assert_int_equal(settings->limits.head, 32768);
	assert_true(settings->limits.body == LIMIT_NONE);
	assert_int_equal(settings->limits.flow, 65536);
	assert_int_equal(settings->timeouts.header, 15000);
	assert_int_equal(settings->timeouts.idle, 60000);
	assert_int_equal(settings->timeouts.body, 30000);
	assert_int_equal(settings->timeouts.total, 0);
	assert_int_equal(settings->timeouts.connect, 5000);
	assert_int_equal(settings->timeouts.response, 60000);
	assert_int_equal(settings->timeouts.tunnel, 600000);
	assert_int_equal(settings->timeouts.pool, 50000);
	assert_int_equal(settings->timeouts.drain, 30000);
	assert_int_equal(settings->resolver.servers.count, 0);
	assert_true(settings->resolver.hosts);
	assert_int_equal(settings->resolver.family, RESOLVER_ANY);
	assert_int_equal(settings->resolver.timeout, 2000);
	assert_int_equal(settings->resolver.attempts, 3);
	assert_string_equal(settings->log.access.text, "stdout");
	assert_string_equal(settings->log.error.text, "stderr");
	assert_int_equal(settings->log.format, LOG_FORMAT_JSON);
	assert_int_equal(settings->log.level, LOG_INFO);
	assert_int_equal(settings->log.addresses, LOG_ADDRESSES_AUTO);
	unload(&loaded);
}

static void test_globals(void **state)
{
	struct loaded loaded;
	const struct settings *settings;

	good(&loaded,
	     "name: edge-1\n"
	     "workers: 3\n"
	     "limits: {memory: 1 GiB, connections: 7, body: 10MB, head: 4096, field_line: \"1 KiB\", fields: 5}\n"
	     "timeouts: {header: 250ms, idle: 2 m, total: 1h, tunnel: 2d, connect: 1s, drain: 0}\n"
	     "resolver: {servers: [192.0.2.1, \"[::1]:5353\"], hosts: off, family: ipv6, timeout: 1s, attempts: 1}\n"
	     "log: {access: ./a.log, error: off, format: combined, level: debug, addresses: none}\n" LISTENER);
	settings = &loaded.snapshot->settings;
	assert_string_equal(settings->name.text, "edge-1");
	assert_int_equal(settings->name.place.line, 1);
	assert_int_equal(settings->name.place.column, 7);
	assert_int_equal(settings->workers, 3);
	assert_int_equal(settings->limits.memory, 1 << 30);
	assert_int_equal(settings->limits.connections, 7);
	assert_int_equal(settings->limits.body, 10000000);
	assert_int_equal(settings->limits.head, 4096);
	assert_int_equal(settings->limits.field_line, 1024);
	assert_int_equal(settings->limits.fields, 5);
	assert_int_equal(settings->limits.flow, 65536);
	assert_int_equal(settings->timeouts.header, 250);
	assert_int_equal(settings->timeouts.idle, 120000);
	assert_int_equal(settings->timeouts.total, 3600000);
	assert_int_equal(settings->timeouts.tunnel, 172800000);
	assert_int_equal(settings->timeouts.drain, 0);
	assert_int_equal(settings->resolver.servers.count, 2);
	assert_string_equal(settings->resolver.servers.items[1].text, "[::1]:5353");
	assert_false(settings->resolver.hosts);
	assert_int_equal(settings->resolver.family, RESOLVER_V6_ONLY);
	assert_string_equal(settings->log.access.text, "./a.log");
	assert_string_equal(settings->log.error.text, "off");
	assert_int_equal(settings->log.format, LOG_FORMAT_COMBINED);
	assert_int_equal(settings->log.level, LOG_DEBUG);
	assert_int_equal(settings->log.addresses, LOG_ADDRESSES_NONE);
	unload(&loaded);
}

static void test_listeners(void **state)
{
	struct loaded loaded;
	const struct snapshot_listener *listeners;

	good(&loaded, "reverse:\n"
		      "  - listen: [\":8080\", \"unix:/run/guise.sock\"]\n"
		      "    routes: [{respond: {}}]\n"
		      "forward:\n"
		      "  - listen: 127.0.0.1:3128\n"
		      "    mask: anonymous\n"
		      "  - {listen: \"[2001:db8::1]:3128\", sources: 192.0.2.0/24}\n"
		      "  - {listen: 0.0.0.0:3129, open: yes}\n");
	listeners = loaded.snapshot->listeners;
	assert_int_equal(loaded.snapshot->listener_count, 4);
	assert_int_equal(listeners[0].face, SNAPSHOT_FORWARD);
	assert_int_equal(forward_mask_kind(listeners[0].mask), FORWARD_ANONYMOUS);
	assert_int_equal(listeners[0].place.line, 5);
	assert_int_equal(listeners[0].addresses[0].address.family, ADDRESS_V4);
	assert_int_equal(listeners[0].addresses[0].address.port, 3128);
	assert_false(listeners[0].addresses[0].dual);
	assert_non_null(listeners[0].rules);
	assert_int_equal(forward_mask_kind(listeners[1].mask), FORWARD_ELITE);
	assert_int_equal(listeners[1].addresses[0].address.family, ADDRESS_V6);
	assert_int_equal(listeners[2].index, 2);
	assert_int_equal(listeners[3].face, SNAPSHOT_REVERSE);
	assert_int_equal(listeners[3].index, 0);
	assert_int_equal(listeners[3].address_count, 2);
	assert_true(listeners[3].addresses[0].dual);
	assert_string_equal(listeners[3].addresses[0].text, ":8080");
	assert_int_equal(listeners[3].addresses[1].address.family, ADDRESS_UNIX);
	assert_string_equal(listeners[3].addresses[1].address.path, "/run/guise.sock");
	assert_non_null(listeners[3].router);
	assert_true(deviation_in_force(&deviations[0], loaded.snapshot));
	unload(&loaded);
}

static void test_upstreams(void **state)
{
	struct loaded loaded;
	const struct upstream_settings *upstreams;
	const struct upstream_server_settings *servers;
	struct upstream_timeouts timeouts;

	good(&loaded,
	     "timeouts: {connect: 3s}\n"
	     "reverse: [{listen: 127.0.0.1:0, routes: [{path: /a, to: api}, {path: /b, to: one}, {to: web}]}]\n"
	     "upstreams:\n"
	     "  web: [127.0.0.1:3000, \"[::1]:3001\"]\n"
	     "  one: app.internal:80\n"
	     "  api:\n"
	     "    servers: [{address: \"api_1.internal:8443\", weight: 2}, \"unix:/run/x.sock\"]\n"
	     "    balance: round_robin\n"
	     "    keepalive: 0\n"
	     "    retries: 3\n"
	     "    timeouts: {response: 5m}\n");
	assert_int_equal(loaded.snapshot->upstream_count, 3);
	upstreams = loaded.snapshot->upstreams;
	assert_string_equal(upstreams[0].name.text, "web");
	assert_int_equal(upstreams[0].servers.count, 2);
	assert_int_equal(upstreams[0].keepalive, 64);
	assert_int_equal(upstreams[0].retries, 1);
	servers = upstreams[0].servers.items;
	assert_string_equal(servers[1].address.text, "[::1]:3001");
	assert_int_equal(servers[1].weight, 1);
	assert_int_equal(servers[1].place.line, 4);
	assert_int_equal(upstreams[1].servers.count, 1);
	assert_string_equal(upstreams[2].name.text, "api");
	servers = upstreams[2].servers.items;
	assert_string_equal(servers[0].address.text, "api_1.internal:8443");
	assert_int_equal(servers[0].weight, 2);
	assert_string_equal(servers[1].address.text, "unix:/run/x.sock");
	assert_int_equal(upstreams[2].keepalive, 0);
	assert_int_equal(upstreams[2].retries, 3);
	timeouts = loaded.snapshot->plans[2].timeouts;
	assert_int_equal(timeouts.connect, 3000);
	assert_int_equal(timeouts.response, 300000);
	assert_int_equal(timeouts.pool, 50000);
	assert_int_equal(router_at(loaded.snapshot->listeners[0].router, 0)->group, 2);
	assert_int_equal(router_at(loaded.snapshot->listeners[0].router, 2)->group, 0);
	unload(&loaded);
}

static void test_unused_upstream(void **state)
{
	struct loaded loaded;

	load(&loaded, LISTENER "upstreams:\n  web: ['a:1']\n");
	assert_non_null(loaded.snapshot);
	assert_string_equal(loaded.report, "c:3:3: warning: no route goes to the upstream \"web\"\n");
	unload(&loaded);
}

static void test_variables(void **state)
{
	struct loaded loaded;
	const struct route *route;

	setenv("GUISE_TEST_NAME", "masked", 1);
	setenv("GUISE_TEST_COUNT", "2", 1);
	setenv("GUISE_TEST_EMPTY", "", 1);
	unsetenv("GUISE_TEST_UNSET");
	good(&loaded,
	     "name: ${GUISE_TEST_NAME}-${GUISE_TEST_UNSET:-x}\n"
	     "workers: \"${GUISE_TEST_COUNT}\"\n"
	     "limits: {fields: \"1${GUISE_TEST_COUNT}\", head: \"${GUISE_TEST_EMPTY:-8 KiB}\"}\n"
	     "reverse: [{listen: 127.0.0.1:0, routes: [{respond: {body: '$${HOME} $1 ${GUISE_TEST_EMPTY} $'}}]}]\n");
	assert_string_equal(loaded.snapshot->settings.name.text, "masked-x");
	assert_int_equal(loaded.snapshot->settings.workers, 2);
	assert_int_equal(loaded.snapshot->settings.limits.fields, 12);
	assert_int_equal(loaded.snapshot->settings.limits.head, 8192);
	route = router_at(loaded.snapshot->listeners[0].router, 0);
	assert_true(span_equal(route->respond.body, SPAN("${HOME} $1  $")));
	unload(&loaded);
}

static void test_anchors(void **state)
{
	struct loaded loaded;
	const struct upstream_settings *upstreams;

	good(&loaded,
	     "reverse: [{listen: 127.0.0.1:0, routes: [{path: /a, to: a}, {path: /b, to: b}, {to: c}]}]\n"
	     "upstreams:\n"
	     "  a: &a {servers: &s ['a:1'], retries: 3, keepalive: 5}\n"
	     "  b: {<<: *a, retries: 4}\n"
	     "  c: {keepalive: 1, <<: [{retries: 7}, *a]}\n");
	upstreams = loaded.snapshot->upstreams;
	assert_int_equal(upstreams[1].retries, 4);
	assert_int_equal(upstreams[1].keepalive, 5);
	assert_int_equal(upstreams[1].servers.count, 1);
	assert_int_equal(upstreams[2].retries, 7);
	assert_int_equal(upstreams[2].keepalive, 1);
	unload(&loaded);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void test_files(void **state)
{
	static const char body[] = "a\0b\n";
	static const char config[] =
		"reverse: [{listen: 127.0.0.1:0, routes: [{respond: {body: 'file:body.bin'}}]}]\n";
	char directory[] = "/tmp/guise-test-XXXXXX", path[64], config_path[64];
	struct loaded loaded;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/body.bin", directory);
	snprintf(config_path, sizeof(config_path), "%s/guise.yaml", directory);
	write_file(path, body, 4);
	write_file(config_path, config, sizeof(config) - 1);
	loaded_init(&loaded, NULL);
	loaded.snapshot = snapshot_load(config_path, &loaded.memory, &loaded.diagnostics);
	loaded_report(&loaded);
	assert_string_equal(loaded.report, "");
	assert_true(span_equal(router_at(loaded.snapshot->listeners[0].router, 0)->respond.body,
			       span_make(body, 4)));
	unload(&loaded);

	assert_int_equal(truncate(path, FILES_MAX_SIZE + 1), 0);
	loaded_init(&loaded, NULL);
	loaded.snapshot = snapshot_load(config_path, &loaded.memory, &loaded.diagnostics);
	loaded_report(&loaded);
	assert_non_null(strstr(loaded.report,
			       ":1:59: \"body\": cannot read \"body.bin\": it is larger than 16 MiB\n"));
	unload(&loaded);
	unlink(path);
	unlink(config_path);

	loaded_init(&loaded, NULL);
	loaded.snapshot = snapshot_load(config_path, &loaded.memory, &loaded.diagnostics);
	loaded_report(&loaded);
	assert_non_null(strstr(loaded.report,
			       "guise.yaml: cannot read the configuration: No such file or directory\n"));
	unload(&loaded);
	rmdir(directory);
}

static void test_no_files_without_a_base(void **state)
{
	struct loaded loaded;

	loaded_init(&loaded, NULL);
	loaded.snapshot = snapshot_from_yaml(
		SPAN("reverse: [{listen: 127.0.0.1:0, routes: [{respond: {body: 'file:/etc/passwd'}}]}]"),
		NULL, &loaded.memory, &loaded.diagnostics);
	loaded_report(&loaded);
	assert_string_equal(loaded.report,
			    "guise: \"body\": cannot read \"/etc/passwd\": files are not read here\n");
	unload(&loaded);
}

static void test_references(void **state)
{
	struct loaded loaded;

	good(&loaded, LISTENER);
	snapshot_retain(loaded.snapshot);
	snapshot_release(loaded.snapshot);
	assert_string_equal(loaded.snapshot->settings.name.text, "guise");
	assert_string_equal(loaded.snapshot->file, "c");
	unload(&loaded);
}

/* Every allocation that can fail does, once each. */
static void test_out_of_memory(void **state)
{
	static const char *const files[] = {"examples/quickstart.yaml", "examples/reverse.yaml",
					    "examples/forward.yaml"};

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		bool failed = true;
		for (uint64_t every = 1; failed; every++) {
			struct loaded loaded;
			assert_true(every < 2000);
			loaded_init(&loaded, NULL);
			memory_fail_every(&loaded.memory, every);
			loaded.snapshot = snapshot_load(files[i], &loaded.memory, &loaded.diagnostics);
			memory_fail_every(&loaded.memory, 0);
			loaded_report(&loaded);
			failed = !loaded.snapshot;
			if (failed)
				assert_non_null(strstr(loaded.report, "out of memory"));
			unload(&loaded);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_upstreams),
		cmocka_unit_test(test_unused_upstream),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_no_files_without_a_base),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
