/* Names: asked for over real sockets, once however many wait; remembered, forgotten, cancelled. */
#include "net/resolver.h"

#include "name_server.h"

static struct name_server server; /* of the running test */

struct asked {
	struct resolver_query query;
	unsigned calls;
	struct resolver_answer answer;
	struct error error;
	struct worker *again; /* asks once more from the callback */
};

static void on_answer(struct resolver_query *query, const struct resolver_answer *answer,
		      const struct error *error)
{
	struct asked *asked = CONTAINER_OF(query, struct asked, query);
	struct error failed;

	asked->calls++;
	asked->error = *error;
	assert_int_equal(!answer, error_is(error));
	asked->answer = answer ? *answer : (struct resolver_answer){0};
	if (asked->again) {
		struct worker *worker = asked->again;
		asked->again = NULL;
		assert_true(resolver_ask(worker, SPAN("both.test"), &asked->query, on_answer, &failed));
	}
}

static struct resolver_settings settings_default(void)
{
	return (struct resolver_settings){
		.servers = server.text, .timeout_ms = 150, .attempts = 2, .cache_entries = 4};
}

static void start(struct fixture *fixture, const struct resolver_settings *settings)
{
	name_server_start(&server);
	struct resolver_settings filled = settings ? *settings : settings_default();
	filled.servers = server.text;
	assert_true(resolver_init(&fixture->worker, &filled));
}

static void stop(struct fixture *fixture)
{
	resolver_fini(&fixture->worker);
	loop_turn(&fixture->worker.loop, 0);
	name_server_stop(&server);
}

static void ask(struct fixture *fixture, const char *name, struct asked *asked)
{
	struct error error;
	*asked = (struct asked){0};
	assert_true(resolver_ask(&fixture->worker, span_of(name), &asked->query, on_answer, &error));
	assert_int_equal(asked->calls, 0);
}

static void ask_and_wait(struct fixture *fixture, const char *name, struct asked *asked)
{
	ask(fixture, name, asked);
	TURN_UNTIL(fixture, asked->calls > 0);
	assert_int_equal(asked->calls, 1);
}

static bool has(const struct resolver_answer *answer, const char *text)
{
	struct address address;
	assert_true(address_parse_ip(span_of(text), &address));
	for (unsigned i = 0; i < answer->count; i++) {
		if (address_equal(&answer->addresses[i], &address))
			return true;
	}
	return false;
}

static void both_families(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;

	start(fixture, NULL);
	ask_and_wait(fixture, "BOTH.Test", &asked);
	assert_int_equal(asked.error.code, ERROR_NONE);
	assert_int_equal(asked.answer.count, 2);
	assert_true(has(&asked.answer, "192.0.2.1"));
	assert_true(has(&asked.answer, "2001:db8::1"));
	assert_int_equal(atomic_load(&server.questions), 2);
	stop(fixture);
}

static void one_family(void **state)
{
	struct fixture *fixture = *state;
	struct resolver_settings settings = settings_default();
	struct asked asked;

	settings.family = RESOLVER_V4_ONLY;
	start(fixture, &settings);
	ask_and_wait(fixture, "both.test", &asked);
	assert_int_equal(asked.answer.count, 1);
	assert_true(has(&asked.answer, "192.0.2.1"));
	assert_int_equal(atomic_load(&server.questions), 1);
	stop(fixture);
	settings.family = RESOLVER_V6_ONLY;
	start(fixture, &settings);
	ask_and_wait(fixture, "both.test", &asked);
	assert_int_equal(asked.answer.count, 1);
	assert_true(has(&asked.answer, "2001:db8::1"));
	stop(fixture);
}

static void remembers_and_forgets(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;

	start(fixture, NULL);
	assert_null(resolver_known(&fixture->worker, SPAN("brief.test"), &error));
	assert_int_equal(error.code, ERROR_NONE);
	ask_and_wait(fixture, "brief.test", &asked);
	unsigned questions = atomic_load(&server.questions);
	const struct resolver_answer *known = resolver_known(&fixture->worker, SPAN("brief.TEST"), &error);
	assert_non_null(known);
	assert_true(has(known, "192.0.2.1"));
	ask_and_wait(fixture, "brief.test", &asked); /* from the cache, and still not from inside */
	assert_int_equal(atomic_load(&server.questions), questions);
	TURN_UNTIL(fixture, !resolver_known(&fixture->worker, SPAN("brief.test"), &error));
	assert_int_equal(error.code, ERROR_NONE);
	ask_and_wait(fixture, "brief.test", &asked);
	assert_true(atomic_load(&server.questions) > questions);
	stop(fixture);
}

/* A chain is as short-lived as its shortest link (RFC 1034 3.6.2). */
static void alias_ttl_counts(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;

	start(fixture, NULL);
	ask_and_wait(fixture, "alias.test", &asked);
	assert_int_equal(asked.answer.count, 1);
	uint64_t start_ms = fixture->worker.loop.now;
	TURN_UNTIL(fixture, !resolver_known(&fixture->worker, SPAN("alias.test"), &error));
	assert_in_range(fixture->worker.loop.now - start_ms, 900, 1500);
	stop(fixture);
}

static void failures_are_remembered(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;

	start(fixture, NULL);
	ask_and_wait(fixture, "nowhere.test", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	assert_null(resolver_known(&fixture->worker, SPAN("nowhere.test"), &error));
	assert_int_equal(error.code, ERROR_DNS_FAILED);
	unsigned questions = atomic_load(&server.questions);
	ask_and_wait(fixture, "nowhere.test", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	assert_int_equal(atomic_load(&server.questions), questions);
	ask_and_wait(fixture, "broken.test", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	stop(fixture);
}

static void silence_is_a_timeout(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;

	start(fixture, NULL);
	uint64_t start_ms = fixture->worker.loop.now;
	ask_and_wait(fixture, "dead.test", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_TIMEOUT);
	assert_in_range(fixture->worker.loop.now - start_ms, 250, 900);
	stop(fixture);
}

static void one_question_for_all_that_wait(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked[20];

	start(fixture, NULL);
	for (unsigned i = 0; i < ARRAY_LENGTH(asked); i++)
		ask(fixture, i % 2 ? "both.test" : "Both.Test", &asked[i]);
	resolver_cancel(&asked[3].query);
	resolver_cancel(&asked[3].query);
	asked[5].again = &fixture->worker;
	TURN_UNTIL(fixture, asked[19].calls == 1 && asked[5].calls == 2);
	for (unsigned i = 0; i < ARRAY_LENGTH(asked); i++)
		assert_int_equal(asked[i].calls, i == 3 ? 0 : i == 5 ? 2 : 1);
	assert_int_equal(atomic_load(&server.questions), 2);
	resolver_cancel(&asked[0].query); /* told already: harmless */
	struct resolver_query never = {0};
	resolver_cancel(&never);
	stop(fixture);
}

static void one_silent_family_does_not_hold_up(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;

	start(fixture, NULL);
	uint64_t start_ms = fixture->worker.loop.now;
	ask_and_wait(fixture, "slow6.test", &asked);
	assert_int_equal(asked.answer.count, 1);
	assert_in_range(fixture->worker.loop.now - start_ms, 40, 140);
	stop(fixture);
}

static void the_late_family_goes_to_the_cache(void **state)
{
	struct fixture *fixture = *state;
	struct resolver_settings settings = settings_default();
	struct asked asked;
	struct error error;
	const struct resolver_answer *known;

	settings.timeout_ms = 1000;
	start(fixture, &settings);
	ask_and_wait(fixture, "late6.test", &asked);
	/* The AAAA question is sent first, so that this server thinks about it first: all comes late, or the A came alone. */
	assert_true(asked.answer.count >= 1);
	TURN_UNTIL(fixture, (known = resolver_known(&fixture->worker, SPAN("late6.test"), &error)) &&
				    known->count == 2);
	stop(fixture);
}

static void repetitions_and_excess(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;

	start(fixture, NULL);
	ask_and_wait(fixture, "twice.test", &asked);
	assert_int_equal(asked.answer.count, 1);
	ask_and_wait(fixture, "many.test", &asked);
	assert_int_equal(asked.answer.count, RESOLVER_MAX_ADDRESSES);
	stop(fixture);
}

static void large_answers_come_over_tcp(void **state)
{
	struct fixture *fixture = *state;
	struct resolver_settings settings = settings_default();
	struct asked asked, other;

	settings.timeout_ms = 2000;
	start(fixture, &settings);
	ask(fixture, "big.test", &asked);
	ask(fixture, "big.again.test", &other);
	TURN_UNTIL(fixture, asked.calls && other.calls);
	assert_int_equal(asked.answer.count, RESOLVER_MAX_ADDRESSES);
	assert_int_equal(other.answer.count, RESOLVER_MAX_ADDRESSES);
	assert_true(atomic_load(&server.over_tcp) >= 2);
	stop(fixture);
}

static void the_cache_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;
	char name[32];

	start(fixture, NULL);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "v4.n%u.test", i);
		ask_and_wait(fixture, name, &asked);
		assert_non_null(resolver_known(&fixture->worker, SPAN("v4.n0.test"), &error)); /* in use: stays */
	}
	unsigned kept = 0;
	for (unsigned i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "v4.n%u.test", i);
		kept += resolver_known(&fixture->worker, span_of(name), &error) != NULL;
	}
	assert_int_equal(kept, 4);
	assert_null(resolver_known(&fixture->worker, SPAN("v4.n1.test"), &error));
	stop(fixture);
}

static void bad_names_are_not_asked(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;
	char label[65], longest[255], too_long[256];
	static const char *const bad[] = {
		"",           ".",         "a.",
		".a",         "a..b",      "a b",
		"a/b",        "a:80",      "ex\xc3\xa4mple",
		"a\tb",       "127.0.0.1", "127.1",
		"2130706433", "0x7f.1",    "a.0x7f",
		"a.1",        "[::1]",     "::1",
		"a%00b",      "*.test",
	};

	start(fixture, NULL);
	for (unsigned i = 0; i < ARRAY_LENGTH(bad); i++) {
		assert_null(resolver_known(&fixture->worker, span_of(bad[i]), &error));
		assert_int_equal(error.code, ERROR_DNS_FAILED);
		if (resolver_ask(&fixture->worker, span_of(bad[i]), &asked.query, on_answer, &error))
			fail_msg("asked: %s", bad[i]);
		assert_int_equal(error.code, ERROR_DNS_FAILED);
		resolver_cancel(&asked.query);
	}
	memset(label, 'a', 64);
	label[64] = 0;
	assert_false(resolver_ask(&fixture->worker, span_of(label), &asked.query, on_answer, &error));
	label[63] = 0;
	ask_and_wait(fixture, label, &asked);
	for (unsigned i = 0; i < sizeof(too_long) - 1; i++)
		too_long[i] = i % 50 == 49 ? '.' : 'b';
	too_long[254] = 0;
	memcpy(longest, too_long, 254);
	longest[253] = 0;
	assert_false(resolver_ask(&fixture->worker, span_of(too_long), &asked.query, on_answer, &error));
	ask_and_wait(fixture, longest, &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	unsigned questions = atomic_load(&server.questions);
	ask_and_wait(fixture, "hidden.onion", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	ask_and_wait(fixture, "a.Alt", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	ask_and_wait(fixture, "x.INVALID", &asked);
	assert_int_equal(asked.error.code, ERROR_DNS_FAILED);
	ask_and_wait(fixture, "app.LocalHost", &asked);
	assert_true(has(&asked.answer, "127.0.0.1"));
	assert_true(has(&asked.answer, "::1"));
	assert_int_equal(atomic_load(&server.questions), questions);
	stop(fixture);
}

static void hosts_text(void **state)
{
	struct fixture *fixture = *state;
	struct resolver_settings settings = settings_default();
	struct arena arena;
	struct map hosts;
	struct asked asked;
	struct error error;
	struct span text = SPAN("# comment\n"
				"10.0.0.1\tApp app.internal. # trailing\r\n"
				"10.0.0.2 app\n"
				"10.0.0.1 app\n"
				"fd00::1 app six\n"
				"fe80::1%lo0 linklocal\n"
				"not-an-address x\n"
				"10.0.0.3\n"
				"10.0.0.4 bad/name 10.0.0.5 good\n"
				"  10.0.0.6   last");

	arena_init(&arena, &fixture->memory, NULL, NULL, 0);
	map_init(&hosts, &fixture->memory);
	assert_true(resolver_hosts_parse(text, &arena, &hosts));
	assert_int_equal(hosts.count, 5);
	settings.hosts = &hosts;
	start(fixture, &settings);
	const struct resolver_answer *known = resolver_known(&fixture->worker, SPAN("APP"), &error);
	assert_non_null(known);
	assert_int_equal(known->count, 3);
	assert_true(has(known, "10.0.0.1") && has(known, "10.0.0.2") && has(known, "fd00::1"));
	ask_and_wait(fixture, "app.internal", &asked);
	assert_int_equal(asked.answer.count, 1);
	assert_non_null(resolver_known(&fixture->worker, SPAN("good"), &error));
	assert_non_null(resolver_known(&fixture->worker, SPAN("last"), &error));
	assert_null(resolver_known(&fixture->worker, SPAN("linklocal"), &error));
	assert_int_equal(atomic_load(&server.questions), 0);
	stop(fixture);
	settings.family = RESOLVER_V4_ONLY;
	start(fixture, &settings);
	known = resolver_known(&fixture->worker, SPAN("app"), &error);
	assert_non_null(known);
	assert_int_equal(known->count, 2);
	assert_null(resolver_known(&fixture->worker, SPAN("six"), &error));
	assert_int_equal(error.code, ERROR_NONE); /* DNS may know */
	stop(fixture);
	map_fini(&hosts);
	arena_fini(&arena);
}

static void ends_while_names_are_asked_for(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked[4];

	start(fixture, NULL);
	ask(fixture, "dead.test", &asked[0]);
	ask(fixture, "dead.other.test", &asked[1]);
	ask(fixture, "localhost", &asked[2]);
	loop_turn(&fixture->worker.loop, 0);
	ask(fixture, "localhost", &asked[3]); /* its task is still queued */
	stop(fixture);
	assert_int_equal(asked[0].calls + asked[1].calls + asked[3].calls, 0);
	resolver_cancel(&asked[0].query);
}

static void too_many_wait(void **state)
{
	struct fixture *fixture = *state;
	struct asked *all = calloc(10001, sizeof(*all));
	struct error error;

	assert_non_null(all);
	start(fixture, NULL);
	for (unsigned i = 0; i < 10000; i++)
		assert_true(resolver_ask(&fixture->worker, SPAN("dead.test"), &all[i].query, on_answer, &error));
	assert_false(resolver_ask(&fixture->worker, SPAN("dead.test"), &all[10000].query, on_answer, &error));
	assert_int_equal(error.code, ERROR_OVERLOADED);
	resolver_cancel(&all[77].query);
	assert_true(resolver_ask(&fixture->worker, SPAN("dead.test"), &all[10000].query, on_answer, &error));
	TURN_UNTIL(fixture, all[10000].calls);
	assert_int_equal(all[9999].calls, 1);
	assert_int_equal(all[77].calls, 0);
	stop(fixture);
	free(all);
}

/* Names that nobody waits for any more count too: their questions are still open. */
static void too_many_names(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;
	struct error error;
	char name[32];

	start(fixture, NULL);
	for (unsigned i = 0; i < 8192; i++) {
		snprintf(name, sizeof(name), "n%u.dead.test", i);
		assert_true(resolver_ask(&fixture->worker, span_of(name), &asked.query, on_answer, &error));
		resolver_cancel(&asked.query);
	}
	assert_false(resolver_ask(&fixture->worker, SPAN("one.more.test"), &asked.query, on_answer, &error));
	assert_int_equal(error.code, ERROR_OVERLOADED);
	assert_true(resolver_ask(&fixture->worker, SPAN("n7.dead.test"), &asked.query, on_answer, &error));
	resolver_cancel(&asked.query);
	stop(fixture);
}

static void memory_out(void **state)
{
	struct fixture *fixture = *state;
	char name[32];

	start(fixture, NULL);
	for (unsigned every = 1; every < 6; every++) {
		struct asked asked = {0};
		struct error error;
		snprintf(name, sizeof(name), "v4.e%u.test", every);
		memory_fail_every(&fixture->memory, every);
		if (resolver_ask(&fixture->worker, span_of(name), &asked.query, on_answer, &error))
			TURN_UNTIL(fixture, asked.calls);
		else
			assert_int_equal(error.code, ERROR_MEMORY);
		memory_fail_every(&fixture->memory, 0);
	}
	stop(fixture);
}

static void bad_servers_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct resolver_settings settings = {
		.servers = "not an address", .timeout_ms = 100, .attempts = 1, .cache_entries = 1};

	assert_false(resolver_init(&fixture->worker, &settings));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_families),
		TEST(one_family),
		TEST(remembers_and_forgets),
		TEST(alias_ttl_counts),
		TEST(failures_are_remembered),
		TEST(silence_is_a_timeout),
		TEST(one_question_for_all_that_wait),
		TEST(one_silent_family_does_not_hold_up),
		TEST(the_late_family_goes_to_the_cache),
		TEST(repetitions_and_excess),
		TEST(large_answers_come_over_tcp),
		TEST(the_cache_is_bounded),
		TEST(bad_names_are_not_asked),
		TEST(hosts_text),
		TEST(ends_while_names_are_asked_for),
		TEST(too_many_wait),
		TEST(too_many_names),
		TEST(memory_out),
		TEST(bad_servers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
