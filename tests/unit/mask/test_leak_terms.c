/* What counts as a leak and what does not, whatever the pieces in which a text comes. */
#include "leak_fixture.h"

static struct leak_fixture fixture;

static struct {
	char out[64 * 1024];
	size_t len;
	enum leak_answer answer;
	unsigned found, pieces;
} sink;

static enum leak_answer on_leak(struct leak_text *text, const struct leak *leak)
{
	sink.found++;
	return sink.answer;
}

static bool on_text(struct leak_text *text, struct span bytes)
{
	assert_true(sink.len + bytes.len < sizeof(sink.out));
	sink.pieces++;
	memcpy(sink.out + sink.len, bytes.at, bytes.len);
	sink.len += bytes.len;
	return true;
}

static const struct leak_text_ops ops = {.on_leak = on_leak, .on_text = on_text};

/* In pieces of `piece` bytes, the first one of `first`. */
static void stream(struct span text, size_t first, size_t piece)
{
	static uint8_t window[LEAK_WINDOW_LEAST];
	struct leak_text stream = {.ops = &ops,
				   .terms = &fixture.guard->terms,
				   .server = fixture.context.server,
				   .site = fixture.context.site,
				   .window = window,
				   .size = sizeof(window)};
	size_t at = 0;

	sink.len = sink.found = sink.pieces = 0;
	while (at < text.len) {
		size_t len = size_min(at ? piece : first, text.len - at);
		leak_text_push(&stream, span_make(text.at + at, len), false);
		assert_true(stream.settled <= at + len);
		at += len;
	}
	leak_text_push(&stream, (struct span){0}, true);
	assert_true(stream.stopped || stream.settled == text.len);
}

/* What a text becomes: at once, split in two at each place, and byte by byte. */
static void expect(const char *text, const char *wanted)
{
	struct span bytes = span_of(text);

	struct leak_look look = leak_look_at(&fixture.guard->terms.marks, fixture.context.server);

	assert_true(leak_look_finds(&look, bytes) || strcmp(text, wanted) == 0);
	for (size_t first = 1; first <= bytes.len; first++) {
		stream(bytes, first, bytes.len);
		sink.out[sink.len] = '\0';
		assert_string_equal(sink.out, wanted);
		assert_int_equal(sink.found > 0, strcmp(text, wanted) != 0);
	}
	stream(bytes, 1, 1);
	sink.out[sink.len] = '\0';
	assert_string_equal(sink.out, wanted);
}

static void set_up(const char *const *hosts)
{
	leak_begin(&fixture, hosts);
	sink.answer = LEAK_REPLACE;
}

static void test_names(void **state)
{
	static const char *const hosts[] = {"db.internal", "Node-7.rack.internal.", "localhost", NULL};

	set_up(hosts);
	leak_compile(&fixture);
	expect("see DB.Internal now", "see shop.example now");
	expect("db.internal", "shop.example");
	expect("http://db.internal:8080/x?y", "https://shop.example/x?y");
	expect("wss://db.internal/", "wss://shop.example/");
	expect("(db.internal.)", "(shop.example.)");
	expect("replica.a_1.db.internal:1", "shop.example");
	expect("Domain=.db.internal; Path=/", "Domain=.shop.example; Path=/");
	expect("node-7.rack.internal,db.internal", "shop.example,shop.example");
	expect("db.internal:80:90 db.internal:123456", "shop.example:90 shop.example:123456");
	/* Inside a label, and at the beginning of another name. */
	expect("mydb.internal my-db.internal db.internals db.internal.example db.internal-2 _db.internal",
	       "mydb.internal my-db.internal db.internals db.internal.example db.internal-2 _db.internal");
	expect("db-internal localhost rack.internal", "db-internal localhost rack.internal");
	/* Escapes before it. */
	expect("?to=http%3A%2F%2Fdb.internal%3A8080%2Fx", "?to=https%3A%2F%2Fshop.example%2Fx");
	expect("%252Fdb.internal%20", "%252Fshop.example%20");
	expect("\"a\\ndb.internal\\u002fdb.internal\"", "\"a\\nshop.example\\u002fshop.example\"");
	expect("\"http:\\/\\/db.internal\\/\"", "\"https:\\/\\/shop.example\\/\"");
	expect("%61db.internal \\u0061db.internal", "%61db.internal \\u0061db.internal");
	leak_end(&fixture);
}

static void test_addresses(void **state)
{
	static const char *const hosts[] = {"10.0.0.1", "2001:db8::7", NULL};

	set_up(hosts);
	leak_compile(&fixture);
	expect("10.0.0.1", "shop.example");
	expect("http://10.0.0.1:3000/", "https://shop.example/");
	expect("at 10.0.0.1.", "at shop.example.");
	expect("%2F10.0.0.1%20", "%2Fshop.example%20");
	expect("%2010.0.0.1", "%20shop.example");
	expect("ip-10.0.0.1-a", "ip-shop.example-a");
	expect("110.0.0.12 10.0.0.12 110.0.0.1 1.10.0.0.1 10.0.0.1.2 v10.0.0.1 10.0.0.1a",
	       "110.0.0.12 10.0.0.12 110.0.0.1 1.10.0.0.1 10.0.0.1.2 v10.0.0.1 10.0.0.1a");
	expect("http://[2001:db8::7]:80/", "https://shop.example/");
	expect("2001:0DB8:0:0::7, 2001:db8:0:0:0:0:0:7", "shop.example, shop.example");
	expect("2001:db8::8 12:34:56 a::b", "2001:db8::8 12:34:56 a::b");
	leak_end(&fixture);
}

static void test_networks(void **state)
{
	static const char *const hosts[] = {"db.internal", NULL};
	static const char *const networks[] = {"10.0.0.0/8", "fd00::/8", NULL};

	set_up(hosts);
	leak_strings(&fixture, &fixture.settings.networks, networks);
	leak_compile(&fixture);
	/* They are nobody's that the site could stand for. */
	expect("from 10.20.30.40, 11.0.0.1", "from , 11.0.0.1");
	expect("[fd12::1]:80 fe80::1 ::ffff:10.1.1.1 q=0.5", " fe80::1  q=0.5");
	expect("110.0.0.1 10.0.0 10.0.0.256 1.10.0.0.1", "110.0.0.1 10.0.0 10.0.0.256 1.10.0.0.1");
	leak_end(&fixture);
}

static void test_words(void **state)
{
	static const char *const hosts[] = {NULL};
	static const char *const words[] = {"falcon", "build host 7", "falcon-9", "+++", NULL};

	set_up(hosts);
	leak_strings(&fixture, &fixture.settings.words, words);
	leak_compile(&fixture);
	expect("the Falcon! FALCON_x falcons", "the ! _x falcons");
	expect("on build host 7, build host 77, build host", "on , build host 77, build host");
	expect("falcon-9 falcon-90", " -90");
	expect("a+++b falcon", "ab ");
	leak_end(&fixture);
}

static void test_encoded_addresses(void **state)
{
	static const char *const hosts[] = {"10.0.0.1", "db.internal", NULL};

	set_up(hosts);
	fixture.settings.encoded = true;
	leak_compile(&fixture);
	expect("a=10%2E0%2e0.1&b=%31%30%2E0.0.1", "a=shop.example&b=shop.example");
	expect("db%2Einternal", "shop.example");
	/* "10.0.0.1", "x10.0.0.1", "xy10.0.0.1:80" */
	expect("MTAuMC4wLjE=", "E=");
	expect("eDEwLjAuMC4x mTAuMC4wLjE=", "eD mTAuMC4wLjE=");
	expect("eHkxMC4wLjAuMTo4MA==", "eHkTo4MA==");
	leak_end(&fixture);
	set_up(hosts);
	leak_compile(&fixture);
	expect("a=10%2E0%2e0.1 MTAuMC4wLjE=", "a=10%2E0%2e0.1 MTAuMC4wLjE=");
	leak_end(&fixture);
}

/* What the site's own name says is no secret. */
static void test_the_public_name_is_public(void **state)
{
	static const char *const hosts[] = {"example.com", "127.0.0.1", NULL};

	set_up(hosts);
	leak_compile(&fixture);
	fixture.site.authority = SPAN("www.example.com");
	expect("www.example.com static.example.com 127.0.0.1",
	       "www.example.com static.example.com www.example.com");
	fixture.site.authority = SPAN("127.0.0.1:8080");
	expect("127.0.0.1:8080 127.0.0.1 127.0.0.1:3000", "127.0.0.1:8080 127.0.0.1 127.0.0.1:8080");
	fixture.site.authority = (struct span){0};
	expect("see http://example.com/", "see http:///");
	leak_end(&fixture);
}

/* It may have come from DNS or from a file. */
static void test_the_server_of_the_try(void **state)
{
	static const char *const hosts[] = {"svc.internal", NULL};
	struct address address;

	set_up(hosts);
	leak_compile(&fixture);
	expect("192.0.2.7 pod-3.cluster.local", "192.0.2.7 pod-3.cluster.local");
	assert_true(address_parse_ip(SPAN("192.0.2.7"), &address));
	fixture.server = (struct leak_server){.address = &address, .name = SPAN("pod-3.cluster.local")};
	expect("192.0.2.7 POD-3.cluster.local:80 192.0.2.70", "shop.example shop.example 192.0.2.70");
	assert_true(address_parse_ip(SPAN("2001:db8::1"), &address));
	expect("[2001:db8:0::1]", "shop.example");
	leak_end(&fixture);
}

static void test_what_is_kept_and_stopped(void **state)
{
	static const char *const hosts[] = {"db.internal", NULL};

	set_up(hosts);
	leak_compile(&fixture);
	sink.answer = LEAK_KEEP;
	stream(SPAN("a db.internal b db.internal"), 5, 5);
	assert_int_equal(sink.found, 2);
	assert_int_equal(sink.len, 27);
	sink.answer = LEAK_STOP;
	stream(SPAN("a db.internal b db.internal"), 5, 5);
	assert_int_equal(sink.found, 1);
	assert_memory_equal(sink.out, "a ", 2);
	assert_int_equal(sink.len, 2);
	leak_end(&fixture);
}

/* Runs without end, and what is in the middle of them; more than the window. */
static void test_long_runs(void **state)
{
	static const char *const hosts[] = {"db.internal", "10.0.0.1", NULL};
	static const char *const words[] = {"falcon", NULL};
	static char text[40000];
	static char whole[sizeof(sink.out)];

	set_up(hosts);
	leak_strings(&fixture, &fixture.settings.words, words);
	leak_compile(&fixture);
	srand(3);
	for (unsigned round = 0; round < 60; round++) {
		static const char *const bits[] = {"db.internal", ".",   "10.0.0.1", "/",        "a",
						   "falcon",      ":80", "%2F",      "http://",  "-",
						   "1",           " ",   "\\n",      "internal", "db"};
		size_t len = 0, whole_len;
		bool spaces = round % 2;
		while (len < 20000) {
			const char *bit = bits[(size_t)rand() % ARRAY_LENGTH(bits)];
			if (*bit == ' ' && !spaces)
				continue;
			memcpy(text + len, bit, strlen(bit));
			len += strlen(bit);
		}
		stream(span_make(text, len), len, len);
		whole_len = sink.len;
		memcpy(whole, sink.out, whole_len);
		assert_true(sink.found > 20);
		stream(span_make(text, len), 1 + (size_t)rand() % 900, 1 + (size_t)rand() % 900);
		assert_int_equal(sink.len, whole_len);
		assert_memory_equal(sink.out, whole, whole_len);
	}
	leak_end(&fixture);
}

/* Byte by byte, what may all be one name is not looked at again from the front for each of them. */
static void test_bytes_without_an_end(void **state)
{
	static const char *const hosts[] = {"db.internal", "fd00::1", NULL};
	static const char *const bits[] = {":", "a.b.", "db.internal", "%25", "[::"};
	static char text[30000];

	set_up(hosts);
	leak_compile(&fixture);
	for (size_t i = 0; i < ARRAY_LENGTH(bits); i++) {
		for (size_t at = 0; at < sizeof(text); at++)
			text[at] = bits[i][at % strlen(bits[i])];
		stream(span_make(text, sizeof(text)), 1, 1);
		assert_in_range(sink.pieces, 1, 5 * sizeof(text) / 500);
	}
	leak_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_encoded_addresses),
		cmocka_unit_test(test_the_public_name_is_public),
		cmocka_unit_test(test_the_server_of_the_try),
		cmocka_unit_test(test_what_is_kept_and_stopped),
		cmocka_unit_test(test_long_runs),
		cmocka_unit_test(test_bytes_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
