/*
 * bench-mask: what the masks cost for each message, in nanoseconds, for heads of 20 fields as browsers and applications send them; and what the leak
 * guard costs for each MiB of content, where it is switched on.
 *
 * The forward mask edits a request, the reverse mask the head of a response, leak guard's look at it included. A head is a fresh copy of the same fields each time, as the codec
 * would have made it; what the copy alone takes is measured too, and taken off. Medians over rounds, in which the kinds take turns.
 *
 * Usage: bench-mask [-q]     -q: few rounds, to see that it works
 *
 * One thread. Exit status 1 when a mask did not do what it is for, or takes half a microsecond or more in a kind that has this bar: those of the defaults.
 */
#include "http/inflate.h"
#include "mask/forward_mask.h"
#include "mask/inside.h"
#include "mask/leak_guard.h"
#include "mask/leak_text.h"
#include "mask/reverse_mask.h"

#include "median.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

enum {
	FIELDS = 20,
	HEADS = 20000, /* in a round */
	ROUNDS = 25,
	LENT = 4096, /* of an exchange's arena: a block's rest */
	BAR = 500,   /* ns */
};

typedef const char *const field_text[2];

static field_text browser[FIELDS] = {
	{"Cache-Control", "max-age=0"},
	{"sec-ch-ua", "\"Not/A)Brand\";v=\"8\", \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\""},
	{"sec-ch-ua-mobile", "?0"},
	{"sec-ch-ua-platform", "\"Linux\""},
	{"DNT", "1"},
	{"Upgrade-Insecure-Requests", "1"},
	{"User-Agent",
	 "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"},
	{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
	{"X-Requested-With", "XMLHttpRequest"},
	{"Origin", "http://www.example.org"},
	{"Sec-Fetch-Site", "same-origin"},
	{"Sec-Fetch-Mode", "navigate"},
	{"Sec-Fetch-User", "?1"},
	{"Sec-Fetch-Dest", "document"},
	{"Referer", "http://www.example.org/articles/2024/06/a-page-with-a-name.html?from=start"},
	{"Accept-Encoding", "gzip, deflate, br"},
	{"Accept-Language", "en-GB,en;q=0.9,de;q=0.7"},
	{"Cookie", "session=0f4c1a7e93b24d58; theme=dark; consent=%7B%22ads%22%3Afalse%2C%22stats%22%3Atrue%7D; "
		   "_ga=GA1.2.1234567890.1718000000"},
	{"If-None-Match", "\"5f3c-61a2b3c4d5e6f\""},
	{"If-Modified-Since", "Tue, 11 Jun 2024 08:12:31 GMT"},
};

/* The same size, half of it what a mask is there for. */
static field_text telling[FIELDS] = {
	{"Via", "1.1 office.example (squid/5.7)"},
	{"X-Forwarded-For", "192.0.2.33"},
	{"Forwarded", "for=192.0.2.33;proto=http"},
	{"X-Real-IP", "192.0.2.33"},
	{"Proxy-Authorization", "Basic dXNlcjpwYXNzd29yZA=="},
	{"True-Client-IP", "192.0.2.33"},
	{"X-Up-Calling-Line-ID", "491701234567"},
	{"CF-Connecting-IP", "192.0.2.33"},
	{"X_Forwarded_For", "192.0.2.33"},
	{"X-Anything", "for 192.0.2.33, and others"},
	{"User-Agent", "curl/8.5.0"},
	{"Accept", "*/*"},
	{"X-Client-Version", "12.4.1"},
	{"X-Trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	{"Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"},
	{"Content-Type", "application/json"},
	{"Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
	{"Accept-Language", "en"},
	{"Accept-Encoding", "gzip"},
	{"Cookie", "a=b"},
};

static field_text application[FIELDS] = {
	{"Date", "Tue, 11 Jun 2024 08:12:31 GMT"},
	{"Server", "nginx/1.25.3"},
	{"Content-Type", "text/html; charset=utf-8"},
	{"X-Powered-By", "PHP/8.2.19"},
	{"X-Runtime", "0.041324"},
	{"X-Request-Id", "b1a7c3f2-6c1e-4d0b-8f0e-2f8b4e0c9d11"},
	{"Cache-Control", "no-cache, private"},
	{"Expires", "Thu, 19 Nov 1981 08:52:00 GMT"},
	{"Last-Modified", "Tue, 11 Jun 2024 08:12:30 GMT"},
	{"ETag", "W/\"5f3c-61a2b3c4d5e6f\""},
	{"Vary", "Accept-Encoding, Cookie"},
	{"Content-Language", "en"},
	{"Set-Cookie", "session=0f4c1a7e93b24d58; Path=/; Secure; HttpOnly; SameSite=Lax"},
	{"Link", "</style.css>; rel=preload; as=style"},
	{"Strict-Transport-Security", "max-age=31536000"},
	{"Content-Security-Policy", "default-src 'self'; img-src 'self' data: https://images.example.org"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "SAMEORIGIN"},
	{"Referrer-Policy", "strict-origin-when-cross-origin"},
	{"Accept-Ranges", "bytes"},
};

struct bench;

struct kind {
	const char *text;
	field_text *fields;
	bool (*run)(const struct kind *kind, struct http_head *head);
	const struct forward_mask *forward;
	const struct reverse_mask *reverse;
	struct address client;
	bool barred;   /* this one has to stay below BAR */
	unsigned left; /* fields that are to be there afterwards */
	struct http_head head;
	struct http_field items[FIELDS];
	double nanoseconds[ROUNDS];
};

struct bench {
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
	struct inside *inside;
	bool failed;
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- what is run ---- */

static bool run_nothing(const struct kind *kind, struct http_head *head)
{
	return head->fields.count == FIELDS;
}

static bool run_forward(const struct kind *kind, struct http_head *head)
{
	return forward_mask_request(kind->forward, &kind->client, SPAN("guise-0a1b2c3d"), head);
}

static bool run_reverse(const struct kind *kind, struct http_head *head)
{
	const struct leak_server server = {.name = SPAN("app3.internal.example")};
	static const struct http_authority asked = {.host = {(const uint8_t *)"shop.example", 12}};
	struct reverse_mask_view view = {
		.server = server.name,
		.server_port = 8080,
		.asked = &asked,
		.authority = asked.host,
		.checked = true,
		.scheme = SPAN("https"),
	};

	return reverse_mask_head(kind->reverse, &view, head) &&
	       !leak_guard_suspects(reverse_mask_leaks(kind->reverse), &server, &head->fields, head->reason);
}

/* A round: nanoseconds for each head. */
static double run_round(struct bench *bench, const struct kind *kind)
{
	static uint8_t lent[LENT] __attribute__((aligned(64)));
	struct http_field items[2 * FIELDS];
	unsigned left = 0, wrong = 0;
	double at = now_ns();

	for (unsigned i = 0; i < HEADS; i++) {
		struct http_head head = kind->head;
		struct arena arena;
		const struct http_field *field;
		uint32_t index = 0;

		arena_init(&arena, &bench->memory, NULL, lent, sizeof(lent));
		memcpy(items, kind->items, sizeof(kind->items));
		head.fields = (struct http_fields){items, FIELDS, 2 * FIELDS, &arena};
		wrong += !kind->run(kind, &head);
		if (i == 0)
			while ((field = http_fields_next(&head.fields, &index)))
				left += field->name.len > 0;
		arena_fini(&arena);
	}
	double took = (now_ns() - at) / HEADS;
	if (wrong || left != kind->left)
		printf("%s: %u fields are left instead of %u, %u heads failed\n", kind->text, left,
		       kind->left, wrong);
	bench->failed = bench->failed || wrong || left != kind->left;
	return took;
}

/* ---- what it is run with ---- */

static void make_head(struct kind *kind)
{
	kind->head = (struct http_head){
		.method = HTTP_METHOD_GET,
		.method_text = SPAN("GET"),
		.scheme = SPAN("http"),
		.authority = SPAN("www.example.org"),
		.host = {.host = SPAN("www.example.org")},
		.path = SPAN("/articles"),
		.version = HTTP_VERSION_11,
		.status = 200,
		.reason = SPAN("OK"),
	};
	for (unsigned i = 0; i < FIELDS; i++)
		kind->items[i] = (struct http_field){
			.name = span_of(kind->fields[i][0]),
			.value = span_of(kind->fields[i][1]),
			.id = (uint8_t)http_field_identify(span_of(kind->fields[i][0])),
		};
}

static const struct forward_mask *forward_of(struct bench *bench, enum forward_mask_kind kind,
					     enum forward_unknown unknown, bool order)
{
	struct forward_mask_settings settings = {.kind = kind,
						 .unknown = unknown,
						 .client_address = true,
						 .order = order,
						 .cookies = true,
						 .alt_svc = true};
	const struct forward_mask *mask;

	if (!forward_mask_compile(&settings, &bench->arena, &bench->diagnostics, &mask))
		exit(EXIT_FAILURE);
	return mask;
}

/* The defaults of the keys, and some servers. */
static const struct reverse_mask *reverse_of(struct bench *bench)
{
	static struct reverse_mask_settings settings = {
		.enabled = true,
		.reasons = true,
		.references = true,
		.leaks = {.heads = LEAK_REWRITE, .body = LEAK_OFF, .window = 65536},
	};
	const struct reverse_mask *mask;

	bench->inside = inside_new(&bench->arena);
	if (!bench->inside)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < 16; i++) {
		struct span host =
			arena_format(&bench->arena, i % 2 ? "10.20.30.%u" : "app%u.internal.example", i);
		if (!host.at || !inside_add(bench->inside, host, 8080))
			exit(EXIT_FAILURE);
	}
	if (!reverse_mask_compile(&settings, bench->inside, &bench->arena, &bench->diagnostics, &mask))
		exit(EXIT_FAILURE);
	return mask;
}

/* ---- content ---- */

enum { MIB = 1024 * 1024, PIECE = 16 * 1024, DECODED = 8 * 1024, CONTENT_ROUNDS = 15 };

struct content {
	struct leak_text text;
	size_t out;
	unsigned found;
};

static enum leak_answer content_on_leak(struct leak_text *text, const struct leak *leak)
{
	CONTAINER_OF(text, struct content, text)->found++;
	return LEAK_REPLACE;
}

static bool content_on_text(struct leak_text *text, struct span bytes)
{
	CONTAINER_OF(text, struct content, text)->out += bytes.len;
	return true;
}

/* A page of rows, each with a link; one in a hundred to a server. */
static void make_page(char *page)
{
	size_t len = 0;

	for (unsigned row = 0; len + 256 < MIB; row++)
		len += (size_t)snprintf(
			page + len, 256,
			"<tr class=\"row-%u\"><td><a href=\"http://%s/articles/%u.html\">Entry %u, v1.%u.0</a></td></tr>\n",
			row % 7, row % 100 ? "www.example.org" : "app4.internal.example:8080", row * 7919,
			row, row % 31);
	memset(page + len, ' ', MIB - len);
}

static void content_push(struct content *content, struct inflater *inflater, struct span piece)
{
	static uint8_t decoded[DECODED];
	size_t made = DECODED;

	if (!inflater)
		leak_text_push(&content->text, piece, false);
	while (inflater && made == DECODED) {
		if (inflater_run(inflater, &piece, decoded, DECODED, &made) != INFLATE_GOOD)
			exit(EXIT_FAILURE);
		leak_text_push(&content->text, span_make(decoded, made), false);
	}
}

/* Milliseconds for a MiB of text, which comes as `bytes`. */
static double run_content(struct bench *bench, const struct leak_guard *guard, struct span bytes,
			  enum content_coding coding)
{
	static const struct leak_text_ops ops = {.on_leak = content_on_leak, .on_text = content_on_text};
	static const struct leak_public site = {.scheme = SPAN("https"), .authority = SPAN("shop.example")};
	static uint8_t window[64 * 1024];
	double took[CONTENT_ROUNDS];

	for (unsigned round = 0; round < CONTENT_ROUNDS; round++) {
		struct content content = {.text = {.ops = &ops,
						   .terms = &guard->terms,
						   .site = &site,
						   .window = window,
						   .size = sizeof(window)}};
		struct inflater *inflater = coding == CODING_IDENTITY ? NULL :
									inflater_new(&bench->memory, coding);
		double began = now_ns();
		for (size_t at = 0; at < bytes.len; at += PIECE)
			content_push(&content, inflater,
				     span_make(bytes.at + at, size_min(PIECE, bytes.len - at)));
		leak_text_push(&content.text, (struct span){0}, true);
		took[round] = (now_ns() - began) / 1e6;
		inflater_free(inflater);
		bench->failed = bench->failed || content.found < 50 || content.out >= MIB;
	}
	return median(took, CONTENT_ROUNDS);
}

static void run_contents(struct bench *bench, const struct leak_guard *guard)
{
	static char page[MIB];
	static uint8_t packed[MIB];
	uLongf len = sizeof(packed);

	make_page(page);
	if (compress2(packed, &len, (const uint8_t *)page, MIB, 6) != Z_OK)
		exit(EXIT_FAILURE);
	printf("a MiB of content, ms\n");
	printf("    %-28s %6.2f\n", "as it is",
	       run_content(bench, guard, span_make(page, MIB), CODING_IDENTITY));
	printf("    %-28s %6.2f\n", "decoded",
	       run_content(bench, guard, span_make(packed, len), CODING_DEFLATE));
}

static struct address address_of(const char *text)
{
	struct address address;

	if (!address_parse_ip(span_of(text), &address))
		exit(EXIT_FAILURE);
	return address;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	unsigned rounds = argc > 1 && strcmp(argv[1], "-q") == 0 ? 3 : ROUNDS;
	struct address v4 = address_of("192.0.2.33"), v6 = address_of("2001:db8:12:34::5678");

	memory_init(&bench.memory, 0);
	arena_init(&bench.arena, &bench.memory, NULL, NULL, 0);
	diagnostics_init(&bench.diagnostics, &bench.arena, NULL);
	const struct forward_mask *elite = forward_of(&bench, FORWARD_ELITE, FORWARD_PASS, false);
	const struct reverse_mask *reverse = reverse_of(&bench);
	struct kind kinds[] = {
		{.text = "nothing", .fields = browser, .run = run_nothing, .left = FIELDS},
		{.text = "elite, a browser at IPv4",
		 .fields = browser,
		 .run = run_forward,
		 .forward = elite,
		 .client = v4,
		 .barred = true,
		 .left = FIELDS},
		{.text = "elite, a browser at IPv6",
		 .fields = browser,
		 .run = run_forward,
		 .forward = elite,
		 .client = v6,
		 .barred = true,
		 .left = FIELDS},
		{.text = "elite, 10 fields that tell",
		 .fields = telling,
		 .run = run_forward,
		 .forward = elite,
		 .client = v4,
		 .barred = true,
		 .left = FIELDS - 10},
		{.text = "anonymous, a browser",
		 .fields = browser,
		 .run = run_forward,
		 .forward = forward_of(&bench, FORWARD_ANONYMOUS, FORWARD_PASS, false),
		 .client = v4,
		 .left = FIELDS + 1},
		{.text = "elite, allowlist, order",
		 .fields = browser,
		 .run = run_forward,
		 .forward = forward_of(&bench, FORWARD_ELITE, FORWARD_ALLOWLIST, true),
		 .client = v4,
		 .left = FIELDS},
		{.text = "reverse, an application",
		 .fields = application,
		 .run = run_reverse,
		 .reverse = reverse,
		 .barred = true,
		 /* Server, X-Powered-By and X-Runtime go. */
		 .left = FIELDS - 3},
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++)
		make_head(&kinds[i]);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++)
			kinds[i].nanoseconds[round] = run_round(&bench, &kinds[i]);
	double floor = median(kinds[0].nanoseconds, rounds);
	printf("a head of %d fields, ns\n", FIELDS);
	for (unsigned i = 1; i < ARRAY_LENGTH(kinds); i++) {
		double took = median(kinds[i].nanoseconds, rounds) - floor;
		printf("    %-28s %6.0f\n", kinds[i].text, took);
		bench.failed = bench.failed || (kinds[i].barred && took >= BAR);
	}
	run_contents(&bench, reverse_mask_leaks(reverse));
	reverse_mask_free(reverse);
	inside_free(bench.inside);
	arena_fini(&bench.arena);
	return bench.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
