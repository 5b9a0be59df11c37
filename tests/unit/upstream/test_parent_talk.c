/* What is said to a parent, and what becomes of its answers: whole, cut at every byte, malformed in every way. */
#include "upstream/parent_talk.h"

#include "../../support/arena.h"

#include <stdio.h>

static struct parent_server server_of(const char *url)
{
	struct parent_server server = {0};

	assert_null(parent_url_parse(span_of(url), &arena, &server));
	if (parent_speaks_http(&server) && server.user.len)
		server.authorization = SPAN("Basic dTpw");
	return server;
}

/* A conversation: what we have said in all, and what was left of what came. */
struct chat {
	struct parent_server server;
	struct parent_talk talk;
	char said[4096];
	size_t said_len, used;
};

static void note(struct chat *chat, struct span say)
{
	assert_true(chat->said_len + say.len < sizeof(chat->said));
	if (say.len)
		memcpy(chat->said + chat->said_len, say.at, say.len);
	chat->said_len += say.len;
}

static void begin(struct chat *chat, const char *url, const char *literal, const char *host, uint16_t port)
{
	struct address address = {.family = ADDRESS_NONE};

	*chat = (struct chat){.server = server_of(url)};
	if (literal)
		assert_true(address_parse_ip(span_of(literal), &address));
	parent_talk_init(&chat->talk, &chat->server, &memory, &address, span_of(host), port);
	note(chat, parent_talk_begin(&chat->talk, &arena));
}

static bool waits(const struct chat *chat)
{
	return chat->talk.state != PARENT_TALK_OPEN && chat->talk.state != PARENT_TALK_FAILED;
}

static void hear(struct chat *chat, struct span bytes)
{
	struct span say;

	if (!waits(chat))
		return;
	chat->used += parent_talk_feed(&chat->talk, bytes, &arena, &say);
	note(chat, say);
}

/* Each answer comes in two parts, cut at `cut` of all their bytes together; the next one only when it was asked for. */
static void hear_cut(struct chat *chat, const struct span *answers, size_t count, size_t cut)
{
	size_t before = 0;

	for (size_t i = 0; i < count && waits(chat); i++) {
		size_t end = before + answers[i].len;
		size_t at = cut > before && cut < end ? cut - before : answers[i].len;
		hear(chat, span_first(answers[i], at));
		if (at < answers[i].len && chat->talk.state != PARENT_TALK_FAILED)
			hear(chat, span_from(answers[i], at));
		before = end;
	}
}

struct way {
	const char *url, *literal, *host;
	struct span said;
	struct span answers[3];
	size_t count, used;
};

static const struct way good_ways[] = {
	{.url = "http://p",
	 .host = "a.test",
	 .said = SPAN("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
	 .answers = {SPAN("HTTP/1.1 200 OK\r\n\r\nSSH")},
	 .count = 1,
	 .used = 19},
	{.url = "http://u:p@p",
	 .literal = "2001:db8::1",
	 .host = "2001:db8::1",
	 .said = SPAN("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
		      "Proxy-Authorization: Basic dTpw\r\n\r\n"),
	 .answers = {SPAN("HTTP/1.0 200 Connection established\r\nX: y\r\n\r\n")},
	 .count = 1,
	 .used = 45},
	{.url = "https://p",
	 .host = "a.test",
	 .said = SPAN("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
	 .answers = {SPAN("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
			  "HTTP/1.1 299 Fine\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n")},
	 .count = 1,
	 .used = 118},
	{.url = "socks4a://p",
	 .host = "a.test",
	 .said = SPAN("\x04\x01\x01\xbb\0\0\0\x01\0a.test\0"),
	 .answers = {SPAN("\0\x5a\0\0\0\0\0\0SSH")},
	 .count = 1,
	 .used = 8},
	{.url = "socks4a://me@p",
	 .literal = "192.0.2.1",
	 .host = "192.0.2.1",
	 .said = SPAN("\x04\x01\x01\xbb\xc0\0\x02\x01me\0"),
	 .answers = {SPAN("\0\x5a\0\0\0\0\0\0")},
	 .count = 1,
	 .used = 8},
	{.url = "socks5://p",
	 .host = "a.test",
	 .said = SPAN("\x05\x01\0\x05\x01\0\x03\x06"
		      "a.test\x01\xbb"),
	 .answers = {SPAN("\x05\0"), SPAN("\x05\0\0\x01\0\0\0\0\0\0SSH")},
	 .count = 2,
	 .used = 12},
	{.url = "socks5://u:p@p",
	 .literal = "2001:db8::1",
	 .host = "2001:db8::1",
	 .said = SPAN(
		 "\x05\x01\x02\x01\x01u\x01p\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"),
	 .answers = {SPAN("\x05\x02"), SPAN("\x01\0"), SPAN("\x05\0\0\x03\x03xyz\0\x50")},
	 .count = 3,
	 .used = 14},
};

static size_t total(const struct way *way)
{
	size_t len = 0;

	for (size_t i = 0; i < way->count; i++)
		len += way->answers[i].len;
	return len;
}

static void test_good_answers_cut_anywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good_ways); i++) {
		const struct way *way = &good_ways[i];
		for (size_t cut = 0; cut < total(way); cut++) {
			struct chat chat;
			begin(&chat, way->url, way->literal, way->host, 443);
			hear_cut(&chat, way->answers, way->count, cut);
			assert_int_equal(chat.talk.state, PARENT_TALK_OPEN);
			assert_int_equal(chat.used, way->used);
			assert_int_equal(chat.said_len, way->said.len);
			assert_memory_equal(chat.said, way->said.at, way->said.len);
			parent_talk_fini(&chat.talk);
		}
	}
}

static void test_byte_by_byte(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good_ways); i++) {
		const struct way *way = &good_ways[i];
		struct chat chat;
		begin(&chat, way->url, way->literal, way->host, 443);
		for (size_t j = 0; j < way->count; j++)
			for (size_t at = 0; at < way->answers[j].len; at++)
				hear(&chat, span_make(way->answers[j].at + at, 1));
		assert_int_equal(chat.talk.state, PARENT_TALK_OPEN);
		assert_int_equal(chat.used, way->used);
		parent_talk_fini(&chat.talk);
	}
}

/* Nothing that is cut short is taken for an answer. */
static void test_truncated_answers_wait(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good_ways); i++) {
		const struct way *way = &good_ways[i];
		size_t before = 0;
		for (size_t j = 0; j < way->count; j++) {
			for (size_t cut = 0; cut < way->answers[j].len && before + cut < way->used; cut++) {
				struct chat chat;
				begin(&chat, way->url, way->literal, way->host, 443);
				for (size_t k = 0; k < j; k++)
					hear(&chat, way->answers[k]);
				hear(&chat, span_first(way->answers[j], cut));
				assert_true(waits(&chat));
				parent_talk_fini(&chat.talk);
			}
			before += way->answers[j].len;
		}
	}
}

struct bad {
	const char *url;
	struct span answers[3];
	size_t count;
	enum parent_blame blame;
	enum error_code code;
};

#define HTTP(answer, whose, what)                                                                            \
	{                                                                                                    \
		.url = "http://u:p@p", .answers = {SPAN(answer)}, .count = 1, .blame = PARENT_BLAME_##whose, \
		.code = ERROR_##what                                                                         \
	}
#define SOCKS(name, whose, what, number, ...)                                                                \
	{                                                                                                    \
		.url = name, .answers = {__VA_ARGS__}, .count = number, .blame = PARENT_BLAME_##whose,       \
		.code = ERROR_##what                                                                         \
	}

static const struct bad bad_ways[] = {
	HTTP("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n\r\n", PARENT, PARENT_LOGIN),
	HTTP("HTTP/1.1 401 Who\r\n\r\n", PARENT, PARENT_LOGIN),
	HTTP("HTTP/1.1 403 No\r\n\r\n", WISH, PARENT_REFUSED),
	HTTP("HTTP/1.1 404 No\r\n\r\n", WISH, PARENT_REFUSED),
	HTTP("HTTP/1.1 408 Slow\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 429 Many\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 500 x\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 502 x\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n", TARGET, UNREACHABLE),
	HTTP("HTTP/1.1 503 x\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", TARGET, UNREACHABLE),
	HTTP("HTTP/1.1 503 x\r\nX-Squid-Error: ERR_SHUTTING_DOWN 0\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 502 x\r\nProxy-Status: p; error=connection_refused\r\n\r\n", TARGET, UNREACHABLE),
	HTTP("HTTP/1.1 504 x\r\nProxy-Status: p; error=dns_timeout\r\n\r\n", TARGET, UNREACHABLE),
	HTTP("HTTP/1.1 502 x\r\nProxy-Status: p; error=proxy_internal_error\r\n\r\n", MAYBE, PARENT_FAILED),
	HTTP("HTTP/1.1 301 Away\r\nLocation: /\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 101 Up\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 200 OK\n\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/2 200 OK\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 20 OK\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("HTTP/1.1 999 x\r\n\r\n", PARENT, PARENT_MALFORMED),
	HTTP("SSH-2.0-OpenSSH_9\r\n", PARENT, PARENT_MALFORMED),
	HTTP("\x05\0\x05\0\0\x01\0\0\0\0\0\0", PARENT, PARENT_MALFORMED),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 1, SPAN("\x04\0")),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 1, SPAN("HTTP/1.1 400 x\r\n\r\n")),
	SOCKS("socks5://p", PARENT, PARENT_LOGIN, 1, SPAN("\x05\xff")),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 1, SPAN("\x05\x02")),
	SOCKS("socks5://u:p@p", PARENT, PARENT_MALFORMED, 1, SPAN("\x05\0")),
	SOCKS("socks5://u:p@p", PARENT, PARENT_LOGIN, 1, SPAN("\x05\xff")),
	SOCKS("socks5://u:p@p", PARENT, PARENT_LOGIN, 2, SPAN("\x05\x02"), SPAN("\x01\x01")),
	SOCKS("socks5://u:p@p", PARENT, PARENT_MALFORMED, 2, SPAN("\x05\x02"), SPAN("\x05\0")),
	SOCKS("socks5://u:p@p", PARENT, PARENT_MALFORMED, 1, SPAN("\x05\x02\x01\0")), /* not asked yet */
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 1, SPAN("\x05\0\x05\0\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 2, SPAN("\x05\0"), SPAN("\x04\0\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 2, SPAN("\x05\0"), SPAN("\x05\0\x01\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", PARENT, PARENT_MALFORMED, 2, SPAN("\x05\0"), SPAN("\x05\0\0\x02\0\0\0\0\0\0")),
	SOCKS("socks5://p", MAYBE, PARENT_FAILED, 2, SPAN("\x05\0"), SPAN("\x05\x01\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", WISH, PARENT_REFUSED, 2, SPAN("\x05\0"), SPAN("\x05\x02\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", TARGET, UNREACHABLE, 2, SPAN("\x05\0"), SPAN("\x05\x03\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", TARGET, UNREACHABLE, 2, SPAN("\x05\0"), SPAN("\x05\x04\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", TARGET, CONNECT_REFUSED, 2, SPAN("\x05\0"), SPAN("\x05\x05\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", TARGET, UNREACHABLE, 2, SPAN("\x05\0"), SPAN("\x05\x06\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", PARENT, PARENT_FAILED, 2, SPAN("\x05\0"), SPAN("\x05\x07\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", PARENT, PARENT_FAILED, 2, SPAN("\x05\0"), SPAN("\x05\x08\0\x01\0\0\0\0\0\0")),
	SOCKS("socks5://p", MAYBE, PARENT_FAILED, 2, SPAN("\x05\0"), SPAN("\x05\x63\0\x01\0\0\0\0\0\0")),
	SOCKS("socks4a://p", PARENT, PARENT_MALFORMED, 1, SPAN("\x04\x5a\0\0\0\0\0\0")),
	SOCKS("socks4a://p", MAYBE, PARENT_FAILED, 1, SPAN("\0\x5b\0\0\0\0\0\0")),
	SOCKS("socks4a://p", WISH, PARENT_REFUSED, 1, SPAN("\0\x5c\0\0\0\0\0\0")),
	SOCKS("socks4a://p", WISH, PARENT_REFUSED, 1, SPAN("\0\x5d\0\0\0\0\0\0")),
};

static void test_bad_answers_cut_anywhere(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bad_ways); i++) {
		const struct bad *bad = &bad_ways[i];
		size_t len = 0;
		for (size_t j = 0; j < bad->count; j++)
			len += bad->answers[j].len;
		/* Two answers at once are wrong only while they come at once. */
		bool at_once = bad->count == 1 && strncmp(bad->url, "socks5", 6) == 0 && len > 2;
		for (size_t cut = 0; cut < (at_once ? 1 : len); cut++) {
			struct chat chat;
			begin(&chat, bad->url, NULL, "a.test", 443);
			hear_cut(&chat, bad->answers, bad->count, cut);
			if (chat.talk.state != PARENT_TALK_FAILED || chat.talk.blame != bad->blame ||
			    chat.talk.error.code != bad->code)
				fprintf(stderr, "way %zu, cut at %zu: state %u, blame %u, %s\n", i, cut,
					chat.talk.state, chat.talk.blame,
					error_name((enum error_code)chat.talk.error.code));
			assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
			assert_int_equal(chat.talk.blame, bad->blame);
			assert_int_equal(chat.talk.error.code, bad->code);
			parent_talk_fini(&chat.talk);
		}
	}
}

/* However it comes, no head is longer than it may be, and there is an end to interim ones. */
static void test_answers_without_end(void **state)
{
	static const size_t steps[] = {1, 100, 1000, 16 * 1024, 40 * 1024};
	static uint8_t much[40 * 1024];

	memset(much, 'x', sizeof(much));
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		struct chat chat;
		size_t sent = 0;
		begin(&chat, "http://p", NULL, "a.test", 443);
		hear(&chat, SPAN("HTTP/1.1 200 OK\r\nX: "));
		for (; sent < 2 * PARENT_HEAD_MOST && waits(&chat); sent += steps[i])
			hear(&chat, span_make(much, steps[i]));
		assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
		assert_int_equal(chat.talk.error.code, ERROR_PARENT_MALFORMED);
		assert_true(chat.talk.capacity <= 4 * PARENT_HEAD_MOST);
		parent_talk_fini(&chat.talk);
	}
	struct chat chat;
	begin(&chat, "http://p", NULL, "a.test", 443);
	for (unsigned i = 0; i < PARENT_INTERIM_MOST; i++)
		hear(&chat, SPAN("HTTP/1.1 102 Wait\r\n\r\n"));
	assert_true(waits(&chat));
	hear(&chat, SPAN("HTTP/1.1 102 Wait\r\n\r\n"));
	assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
	parent_talk_fini(&chat.talk);
}

/* A check without a target ends when it has been let in. */
static void test_greeting_alone(void **state)
{
	struct chat chat;

	begin(&chat, "http://p", NULL, "", 0);
	assert_int_equal(chat.talk.state, PARENT_TALK_OPEN);
	assert_int_equal(chat.said_len, 0);
	begin(&chat, "socks4a://p", NULL, "", 0);
	assert_int_equal(chat.talk.state, PARENT_TALK_OPEN);
	begin(&chat, "socks5://u:p@p", NULL, "", 0);
	assert_true(parent_talk_is_greeting(&chat.talk));
	hear(&chat, SPAN("\x05\x02"));
	assert_true(parent_talk_is_greeting(&chat.talk));
	hear(&chat, SPAN("\x01\0"));
	assert_int_equal(chat.talk.state, PARENT_TALK_OPEN);
	assert_int_equal(chat.said_len, 3 + 5);
	parent_talk_fini(&chat.talk);
}

static void test_names_that_cannot_be_told(void **state)
{
	struct chat chat;
	char name[257];

	memset(name, 'a', sizeof(name) - 1);
	name[256] = '\0';
	begin(&chat, "socks4a://p", NULL, name, 443);
	assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
	assert_int_equal(chat.talk.blame, PARENT_BLAME_TARGET);
	begin(&chat, "socks5://p", NULL, name, 443);
	hear(&chat, SPAN("\x05\0"));
	assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
	parent_talk_fini(&chat.talk);
}

static void test_out_of_memory(void **state)
{
	struct chat chat;

	begin(&chat, "http://p", NULL, "a.test", 443);
	memory_fail_every(&memory, 1);
	hear(&chat, SPAN("HTTP/1.1 2"));
	memory_fail_every(&memory, 0);
	assert_int_equal(chat.talk.state, PARENT_TALK_FAILED);
	assert_int_equal(chat.talk.error.code, ERROR_MEMORY);
	assert_int_equal(chat.talk.blame, PARENT_BLAME_NOBODY);
	parent_talk_fini(&chat.talk);
}

/* ---- URLs ---- */

static void test_urls(void **state)
{
	static const struct {
		const char *url, *text, *host, *user, *password;
		uint16_t port;
	} good[] = {
		{"http://proxy", "http://proxy:3128", "proxy", "", "", 3128},
		{"HTTPS://Proxy.example:8443/", "https://Proxy.example:8443", "Proxy.example", "", "", 8443},
		{"socks5://[2001:db8::1]", "socks5://[2001:db8::1]:1080", "2001:db8::1", "", "", 1080},
		{"socks5://[::1]:9", "socks5://[::1]:9", "::1", "", "", 9},
		{"socks4a://me@10.0.0.1:1", "socks4a://10.0.0.1:1", "10.0.0.1", "me", "", 1},
		{"http://a%40b:p%3Aw%2f@h", "http://h:3128", "h", "a@b", "p:w/", 3128},
		{"http://u:p@ss@h", "http://h:3128", "h", "u", "p@ss", 3128},
		{"http://u:a:b@h", "http://h:3128", "h", "u", "a:b", 3128},
	};
	static const char *const bad[] = {
		"",
		"proxy:3128",
		"ftp://x",
		"http:/x",
		"http://",
		"http://:80",
		"http://@h",
		"http://u:@h",
		"http://:p@h",
		"http://h:0",
		"http://h:65536",
		"http://h:x",
		"http://h:",
		"http://h/path",
		"http://h?x",
		"http://::1",
		"http://[::1",
		"http://[x]",
		"http://[1.2.3.4]",
		"http://[::1]80",
		"http://a..b",
		"http://.a",
		"http://a.",
		"http://1.2.3",
		"http://300.1.1.1",
		"http://a b",
		"http://%41",
		"http://u%4:p@h",
		"http://u%:p@h",
		"http://u%4",
		"socks5://h\n",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		struct parent_server server = {0};
		assert_null(parent_url_parse(span_of(good[i].url), &arena, &server));
		assert_true(span_equal(server.text, span_of(good[i].text)));
		assert_true(span_equal(server.host, span_of(good[i].host)));
		assert_true(span_equal(server.user, span_of(good[i].user)));
		assert_true(span_equal(server.password, span_of(good[i].password)));
		assert_int_equal(server.port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct parent_server server = {0};
		const char *why = parent_url_parse(span_of(bad[i]), &arena, &server);
		if (!why)
			fprintf(stderr, "taken: %s\n", bad[i]);
		assert_non_null(why);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_good_answers_cut_anywhere),
		TEST(test_byte_by_byte),
		TEST(test_truncated_answers_wait),
		TEST(test_bad_answers_cut_anywhere),
		TEST(test_answers_without_end),
		TEST(test_greeting_alone),
		TEST(test_names_that_cannot_be_told),
		TEST(test_out_of_memory),
		TEST(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
