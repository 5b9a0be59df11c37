/* The access log: each line is one JSON object, or one line of the combined format, whatever bytes the peers sent. */
#include "stage_fixture.h"

#include "core/log.h"

#include <jansson.h>
#include <sys/mman.h>

static int file;
static struct log *writer;

static void start(enum log_format format)
{
	file = memfd_create("access", 0);
	assert_true(file >= 0);
	writer = log_start(file, -1, LOG_INFO);
	assert_non_null(writer);
	stage.log = log_ring_new(writer, 1024 * 1024);
	assert_non_null(stage.log);
	for (unsigned i = 0; i < stage.snapshot->listener_count; i++) {
		stage.listeners[i].log_format = format;
		stage.listeners[i].log_queries = false;
	}
	stage_start(&stage);
}

/* Ends the worker; what was logged, with a NUL behind it, to be freed. */
static char *stop(void)
{
	stage_stop(&stage);
	assert_int_equal(log_dropped(writer), 0);
	log_stop(writer);
	stage.log = NULL;
	off_t size = lseek(file, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);
	assert_int_equal(pread(file, text, (size_t)size, 0), size);
	close(file);
	return text;
}

/* The next line as JSON; NULL at the end. */
static json_t *next(char **at)
{
	json_error_t error;
	char *end = strchr(*at, '\n');
	if (!end) {
		assert_string_equal(*at, "");
		return NULL;
	}
	*end = 0;
	json_t *line = json_loads(*at, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!line)
		fail_msg("%s: %s", error.text, *at);
	*at = end + 1;
	return line;
}

static const char *string_in(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));
	return text ? text : "";
}

static json_int_t number_in(const json_t *line, const char *key)
{
	return json_integer_value(json_object_get(line, key));
}

static void test_good_exchange(void **state)
{
	start(LOG_FORMAT_JSON);
	struct stage_peer *client = client_of(1, REVERSE);
	say(client, "POST /a?b=c HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
	say(server_at(0), OK("12345", "5"));
	say(client, GET("/hello"));
	say(client, GET("/again"));
	say(server_at(0), OK("", "0"));
	char *text = stop(), *at = text;

	json_t *line = next(&at);
	assert_string_equal(string_in(line, "face"), "reverse");
	assert_string_equal(string_in(line, "client"), "10.1.0.1");
	assert_string_equal(string_in(line, "method"), "POST");
	assert_string_equal(string_in(line, "target"), "/a?*");
	assert_string_equal(string_in(line, "protocol"), "HTTP/1.1");
	assert_string_equal(string_in(line, "host"), "a.test");
	assert_string_equal(string_in(line, "server"), "10.9.0.1:80");
	assert_int_equal(number_in(line, "status"), 200);
	assert_int_equal(number_in(line, "in"), 3);
	assert_int_equal(number_in(line, "out"), 5);
	assert_true(json_is_real(json_object_get(line, "ms")));
	assert_true(json_is_false(json_object_get(line, "reused")));
	assert_true(json_is_null(json_object_get(line, "error")));
	assert_int_equal(strlen(string_in(line, "time")), LOG_TIME_LENGTH);
	json_decref(line);
	line = next(&at);
	assert_string_equal(string_in(line, "target"), "/hello");
	assert_int_equal(number_in(line, "out"), 6);
	json_decref(line);
	line = next(&at);
	assert_true(json_is_true(json_object_get(line, "reused")));
	json_decref(line);
	assert_null(next(&at));
	free(text);
}

static void test_bad_ends(void **state)
{
	start(LOG_FORMAT_JSON);
	struct stage_peer *client = client_of(1, REVERSE);
	say(client, GET("/refused"));
	stage_peer_close(server_at(0));
	stage_turns(&stage, 3);
	say(client, GET("/early"));
	say(server_at(1), "HTTP/1.1 103 Early Hints\r\n\r\n");
	stage_peer_close(client);
	stage_say(server_at(1), OK("a", "1"));
	stage_turns(&stage, 3);
	client = client_of(1, REVERSE);
	say(client, "GET / HTTP/1.1\r\nHo st: a\r\n\r\n");
	client = client_of(1, FORWARD);
	say(client, "GET http://127.0.0.1/secret?query HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	char *text = stop(), *at = text;

	json_t *line = next(&at);
	assert_int_equal(number_in(line, "status"), 502);
	assert_string_not_equal(string_in(line, "error"), "");
	json_decref(line);
	json_decref(next(&at));
	line = next(&at);
	assert_int_equal(number_in(line, "status"), 400);
	assert_string_equal(string_in(line, "method"), "GET");
	json_decref(line);
	line = next(&at);
	assert_string_equal(string_in(line, "face"), "forward");
	assert_string_equal(string_in(line, "target"), "http://127.0.0.1/secret?*");
	assert_non_null(strstr(string_in(line, "error"), "denied"));
	json_decref(line);
	assert_null(next(&at));
	free(text);
}

/* The status of an interim response is not the exchange's. */
static void test_status_of_an_exchange_that_was_not_answered(void **state)
{
	start(LOG_FORMAT_JSON);
	struct stage_peer *client = client_of(1, REVERSE);
	say(client, GET("/"));
	say(server_at(0), "HTTP/1.1 103 Early Hints\r\n\r\n");
	h1_server_cut(&stage.worker);
	char *text = stop(), *at = text;
	json_t *line = next(&at);
	assert_int_equal(number_in(line, "status"), 0);
	assert_string_equal(string_in(line, "error"), "shutting down");
	json_decref(line);
	free(text);
}

/* Any byte in any place that reaches the log, and as many of them as the limits let in. */
static void ask_with(enum log_format format, unsigned byte, size_t count)
{
	char request[2048];
	size_t len = 0;

	memcpy(request, "GET /", 5);
	len = 5;
	memset(request + len, (int)byte, count);
	len += count;
	len += (size_t)snprintf(request + len, sizeof(request) - len, " HTTP/1.1\r\nHost: a\r\nUser-Agent: ");
	memset(request + len, (int)byte, count);
	len += count;
	len += (size_t)snprintf(request + len, sizeof(request) - len, "\r\nReferer: ");
	memset(request + len, (int)byte, count);
	len += count;
	memcpy(request + len, "\r\n\r\n", 4);
	len += 4;
	struct stage_peer *client = client_of(1, REVERSE);
	stage_send(client, span_make((uint8_t *)request, len));
	stage_turns(&stage, 2);
	stage_peer_close(client);
	stage_turns(&stage, 2);
}

static void test_every_byte(void **state)
{
	start(LOG_FORMAT_JSON);
	for (unsigned byte = 0; byte < 256; byte++)
		ask_with(LOG_FORMAT_JSON, byte, byte % 2 ? 480 : 1);
	stage_turns(&stage, 4);
	char *text = stop(), *at = text;
	unsigned lines = 0;
	for (json_t *line; (line = next(&at)); lines++)
		json_decref(line);
	assert_int_equal(lines, 256);
	free(text);
}

static void test_every_byte_in_combined(void **state)
{
	start(LOG_FORMAT_COMBINED);
	for (unsigned byte = 0; byte < 256; byte++)
		ask_with(LOG_FORMAT_COMBINED, byte, 480);
	stage_turns(&stage, 4);
	char *text = stop(), *at = text;
	unsigned lines = 0;
	for (char *end; (end = strchr(at, '\n')); at = end + 1, lines++) {
		*end = 0;
		unsigned quotes = 0;
		for (char *c = at; c < end; c++) {
			assert_true(*c >= 0x20 && *c < 0x7f);
			if (*c == '\\')
				c++;
			else
				quotes += *c == '"';
		}
		assert_int_equal(quotes, 6);
		assert_int_equal(strncmp(at, "10.1.0.1 - - [", 14), 0);
		assert_int_equal(end[-1], '"');
	}
	assert_int_equal(lines, 256);
	assert_string_equal(at, "");
	free(text);
}

/* What is asked for beside the path, and how it stands in the log. */
static const struct {
	const char *asked, *redacted, *full;
} queries[] = {
	{"", "", ""},
	{"?", "?*", "?"},
	{"?token=s3cret", "?*", "?token=s3cret"},
	{"?b?c=s3cret", "?*", "?b?c=s3cret"},
	{"?user:pass@host", "?*", "?user:pass@host"},
};

static void ask_for(const char *query)
{
	char request[256];

	snprintf(request, sizeof(request), "GET /hello%s HTTP/1.1\r\nHost: a.test\r\n\r\n", query);
	say(client_of(1, REVERSE), request);
	snprintf(request, sizeof(request), "GET http://127.0.0.1/u@h%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
	say(client_of(1, FORWARD), request);
}

static void expect_target(char **at, const char *path, const char *query)
{
	char expected[256];
	json_t *line = next(at);

	snprintf(expected, sizeof(expected), "%s%s", path, query);
	assert_string_equal(string_in(line, "target"), expected);
	json_decref(line);
}

static void test_queries(void **state)
{
	for (unsigned whole = 0; whole < 2; whole++) {
		start(LOG_FORMAT_JSON);
		for (unsigned i = 0; i < stage.snapshot->listener_count; i++)
			stage.listeners[i].log_queries = whole;
		for (unsigned i = 0; i < ARRAY_LENGTH(queries); i++)
			ask_for(queries[i].asked);
		char *text = stop(), *at = text;
		for (unsigned i = 0; i < ARRAY_LENGTH(queries); i++) {
			const char *query = whole ? queries[i].full : queries[i].redacted;
			expect_target(&at, "/hello", query);
			expect_target(&at, "http://127.0.0.1/u@h", query);
		}
		assert_null(next(&at));
		free(text);
	}
}

/* Referer, in the one format that has it. */
static const struct {
	const char *said, *shown;
} referers[] = {
	{"https://a.test/p?q=s3cret", "\"https://a.test/p?*\""},
	{"https://a.test/p", "\"https://a.test/p\""},
	{"https://user:s3cret@a.test/p#s3cret", "\"https://*@a.test/p#*\""},
	{"user:s3cret@a.test", "\"*@a.test\""},
	{"https://user:s3?cret@a.test/", "\"https://*?*\""},
	{"https://a.test?to=b@c.test", "\"https://*?*\""},
	{"/p?s3cret", "\"/p?*\""},
	{"?s3cret", "\"?*\""},
};

static void test_referers(void **state)
{
	start(LOG_FORMAT_COMBINED);
	for (unsigned i = 0; i < ARRAY_LENGTH(referers); i++) {
		char request[256];
		struct stage_peer *client = client_of(1, REVERSE);
		snprintf(request, sizeof(request),
			 "GET /hello HTTP/1.1\r\nHost: a.test\r\nReferer: %s\r\n\r\n", referers[i].said);
		say(client, request);
	}
	char *text = stop(), *at = text;
	assert_null(strstr(text, "s3cret"));
	assert_null(strstr(text, "cret"));
	for (unsigned i = 0; i < ARRAY_LENGTH(referers); i++) {
		char *end = strchr(at, '\n');
		assert_non_null(end);
		*end = 0;
		if (!strstr(at, referers[i].shown))
			fail_msg("%s is not in %s", referers[i].shown, at);
		at = end + 1;
	}
	free(text);
}

/* Every way to name a client, in lines of exchanges and of what never became one. */
static void log_as(enum log_addresses how)
{
	for (unsigned i = 0; i < stage.snapshot->listener_count; i++)
		stage.listeners[i].service.log_addresses = how;
}

static void test_clients(void **state)
{
	static const char *const names[] = {
		[LOG_ADDRESSES_FULL] = "10.1.0.1",
		[LOG_ADDRESSES_TRUNCATED] = "10.1.0.0",
		[LOG_ADDRESSES_HASH] = "-", /* of a worker without a key */
		[LOG_ADDRESSES_NONE] = "-",
	};

	start(LOG_FORMAT_JSON);
	for (unsigned how = LOG_ADDRESSES_FULL; how <= LOG_ADDRESSES_NONE; how++) {
		log_as((enum log_addresses)how);
		say(client_of(1, REVERSE), GET("/hello"));
	}
	log_as(LOG_ADDRESSES_FULL);
	char *text = stop(), *at = text;
	for (unsigned how = LOG_ADDRESSES_FULL; how <= LOG_ADDRESSES_NONE; how++) {
		json_t *line = next(&at);
		assert_string_equal(string_in(line, "client"), names[how]);
		json_decref(line);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_exchange),
		cmocka_unit_test(test_bad_ends),
		cmocka_unit_test(test_status_of_an_exchange_that_was_not_answered),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_referers),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_byte_in_combined),
	};
	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
