/*
 * Shares of groups: what each gets, who stays when weights change, and what decides for a request.
 */
#include "route_fixture.h"

#include "route/split.h"

enum { REQUESTS = 100000 };

static const char *const groups[] = {"web", "canary", "shadow", NULL};

struct splitter {
	struct fixture fixture;
	struct random random;
	const struct split *split;
	uint32_t group;
};

static bool splitter_compile(struct splitter *splitter, const char *to, const char *by)
{
	struct fixture *fixture = &splitter->fixture;
	struct destination_settings settings = to_of(fixture, to);

	if (*by)
		settings.split_by = string_of(by);
	splitter->split = NULL;
	return split_compile(&settings, groups, &fixture->arena, &fixture->diagnostics, &splitter->group,
			     &splitter->split);
}

static int set_up(void **state)
{
	struct splitter *splitter = calloc(1, sizeof(*splitter));

	fixture_start(&splitter->fixture);
	for (unsigned i = 0; i < ARRAY_LENGTH(splitter->random.state); i++)
		splitter->random.state[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
	*state = splitter;
	return 0;
}

static int tear_down(void **state)
{
	struct splitter *splitter = *state;

	fixture_end(&splitter->fixture);
	free(splitter);
	return 0;
}

static struct address client_at(unsigned number)
{
	return (struct address){
		.family = ADDRESS_V4,
		.ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
		.port = (uint16_t)number,
	};
}

/* How many of so many clients go to each group. */
static void count_clients(struct splitter *splitter, unsigned counts[3])
{
	memset(counts, 0, 3 * sizeof(*counts));
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct address client = client_at(i);
		counts[split_choose(splitter->split, NULL, &client, &splitter->random)]++;
	}
}

/* Five standard deviations of 100,000 draws are at most 0.8 %. */
static void assert_share(unsigned count, double share)
{
	double got = (double)count / REQUESTS;

	if (got < share - 0.008 || got > share + 0.008)
		fail_msg("%.4f instead of %.4f", got, share);
}

static void test_one_group_is_no_split(void **state)
{
	struct splitter *splitter = *state;

	assert_true(splitter_compile(splitter, "canary", ""));
	assert_null(splitter->split);
	assert_int_equal(splitter->group, 1);
	assert_int_equal(splitter->fixture.diagnostics.warnings, 0);
}

static void test_shares(void **state)
{
	static const char *const keys[] = {"", "client"};
	struct splitter *splitter = *state;
	unsigned counts[3];

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		assert_true(splitter_compile(splitter, "web:90 canary:7 shadow:3", keys[i]));
		assert_non_null(splitter->split);
		count_clients(splitter, counts);
		assert_share(counts[0], 0.90);
		assert_share(counts[1], 0.07);
		assert_share(counts[2], 0.03);
	}
	assert_true(splitter_compile(splitter, "web:1000 canary:0", ""));
	count_clients(splitter, counts);
	assert_int_equal(counts[0], REQUESTS);
	assert_true(splitter_compile(splitter, "web:0 canary:1 shadow:0", "client"));
	count_clients(splitter, counts);
	assert_int_equal(counts[1], REQUESTS);
}

/* A canary that gets two percent more takes two percent of the clients; none goes the other way. */
static void test_few_change_sides(void **state)
{
	struct splitter *splitter = *state;
	unsigned went = 0, came = 0;

	assert_true(splitter_compile(splitter, "web:95 canary:5", "client"));
	const struct split *before = splitter->split;
	assert_true(splitter_compile(splitter, "web:930 canary:70", "client"));
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct address client = client_at(i);
		uint32_t old = split_choose(before, NULL, &client, &splitter->random);
		uint32_t new = split_choose(splitter->split, NULL, &client, &splitter->random);
		went += old == 0 && new == 1;
		came += old == 1 && new == 0;
	}
	assert_share(went, 0.02);
	assert_int_equal(came, 0);
}

/* A client is where it was, whatever it asks for and from whichever port. */
static void test_keyed_by_client(void **state)
{
	struct splitter *splitter = *state;

	assert_true(splitter_compile(splitter, "web:1 canary:1", "client"));
	for (unsigned i = 0; i < 1000; i++) {
		struct address client = client_at(i);
		uint32_t group = split_choose(splitter->split, NULL, &client, &splitter->random);
		client.port = (uint16_t)(client.port * 7 + 1);
		assert_int_equal(split_choose(splitter->split, NULL, &client, &splitter->random), group);
	}
}

/* The cookie decides, not the address; who has none goes by lot. */
static void test_keyed_by_cookie(void **state)
{
	struct splitter *splitter = *state;
	unsigned counts[3] = {0}, lots[3] = {0};
	struct http_head with, without;
	char text[32];

	assert_true(splitter_compile(splitter, "web:3 canary:1", "cookie:uid"));
	head_make(&splitter->fixture, &without, "GET", "a.test", "/");
	head_add(&without, "Cookie", "other=1");
	for (unsigned i = 0; i < 10000; i++) {
		struct address client = client_at(i), other = client_at(i + 1);
		snprintf(text, sizeof(text), "a=b; uid=%u", i);
		head_make(&splitter->fixture, &with, "GET", "a.test", "/");
		head_add(&with, "Cookie", text);
		uint32_t group = split_choose(splitter->split, &with, &client, &splitter->random);
		assert_int_equal(split_choose(splitter->split, &with, &other, &splitter->random), group);
		counts[group]++;
		lots[split_choose(splitter->split, &without, &client, &splitter->random)]++;
	}
	/* Five standard deviations are 217. */
	assert_in_range(counts[1], 2500 - 217, 2500 + 217);
	assert_in_range(lots[1], 2500 - 217, 2500 + 217);
}

/* The clients of the small side are spread evenly over the servers of its group, although the same hash decides there too. */
static void test_independent_of_balancing(void **state)
{
	struct splitter *splitter = *state;
	struct request_key key = {.kind = REQUEST_KEY_CLIENT};
	unsigned quarters[4] = {0}, all = 0;

	assert_true(splitter_compile(splitter, "web:95 canary:5", "client"));
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct address client = client_at(i);
		uint64_t hash;
		assert_true(request_key_hash(&key, NULL, &client, &hash));
		if (split_choose(splitter->split, NULL, &client, &splitter->random) != 1)
			continue;
		quarters[hash >> 62]++;
		all++;
	}
	/* Five standard deviations of 5,000 draws at a quarter are 153. */
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(quarters[i], all / 4 - 160, all / 4 + 160);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *to, *text;
	} mistakes[] = {
		{"", "\"to\" has no upstream: it takes one to 100"},
		{"web cnaary", "unknown upstream \"cnaary\", did you mean \"canary\"?"},
		{"web:0 canary:0", "nothing would go anywhere: all weights of \"to\" are 0"},
		{"web:0", "nothing would go anywhere: all weights of \"to\" are 0"},
		{"web:1 canary:2 web:3", "\"to\" has the upstream \"web\" twice: give it one weight"},
	};
	struct splitter *splitter = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
		unsigned errors = splitter->fixture.diagnostics.errors;
		assert_false(splitter_compile(splitter, mistakes[i].to, ""));
		assert_int_equal(splitter->fixture.diagnostics.errors, errors + 1);
		if (!said(&splitter->fixture, mistakes[i].text))
			fail_msg("nothing said of: %s", mistakes[i].to);
	}
	assert_true(splitter_compile(splitter, "web", "client"));
	assert_true(said(&splitter->fixture, "\"split_by\" does nothing: \"to\" has one group"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_group_is_no_split, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_few_change_sides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keyed_by_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keyed_by_cookie, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_independent_of_balancing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
