/*
 * bench-rules: what a list of a million names costs, and a decision of rules that have it.
 *
 * First a file with so many names is written and read, as at start: the time of that, the table's memory, the most that the process had meanwhile. Then the time of
 * one decision in nanoseconds, for names that are in the list, that are below one that is, that are not in it, and for such with many labels; the names of a kind are
 * 65,536 different ones, drawn at random, so that the table is in no cache that a real one would not be in either. Medians over rounds, in which the kinds take turns.
 *
 * Usage: bench-rules [-q]     -q: few rounds, to see that it works
 *
 * One thread. Exit status 1 when a decision was wrong, or when the list takes a second or 100 MB, or a decision a microsecond.
 */
#include "config/lists.h"
#include "route/rule.h"

#include "median.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	NAMES = 1000000,
	ASKED = 1 << 16, /* different names of a kind */
	ROUNDS = 15,
	LOADS = 5,
	HOST_MOST = 256,
};

struct kind {
	const char *text;
	const char *before; /* the name in the list */
	bool listed;        /* the decision is to deny */
	unsigned labels;    /* of one character, before all of it */
	char (*hosts)[HOST_MOST];
	double nanoseconds[ROUNDS];
};

struct bench {
	struct memory memory;
	struct arena arena;
	char path[64];
	struct list_settings settings;
	struct list list;
	struct lists lists;
	struct rule_settings items[2];
	struct setting_string names[1];
	bool failed;
};

static double now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One number makes one name; of 14 to 31 characters, 20 on average, as in lists of that size. */
static void name_of(uint64_t number, char out[64])
{
	static const char *const ends[] = {"com", "net", "example", "co.uk", "info", "ru", "com", "de"};
	uint64_t mixed = number * 0x9e3779b97f4a7c15u;
	unsigned at = 0;

	if (mixed % 3 == 0)
		at += (unsigned)snprintf(out, 8, "%s", mixed & 8 ? "ads." : "cdn1.");
	for (unsigned i = 0; i < 4 + mixed % 9; i++)
		out[at++] = (char)('a' + (mixed >> (8 + 4 * i)) % 26);
	snprintf(out + at, 64 - at, "%llx.%s", (unsigned long long)number, ends[mixed >> 61]);
}

static bool write_file(struct bench *bench)
{
	char name[64];
	int descriptor;

	snprintf(bench->path, sizeof(bench->path), "/tmp/guise-bench-rules-XXXXXX");
	descriptor = mkstemp(bench->path);
	FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
	if (!file)
		return false;
	for (uint64_t i = 0; i < NAMES; i++) {
		name_of(i, name);
		fprintf(file, "%s\n", name);
	}
	return fclose(file) == 0;
}

/* Bytes, of a line of /proc/self/status. */
static double memory_of_process(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	double bytes = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			bytes = strtod(line + strlen(key) + 1, NULL) * 1024;
	if (file)
		fclose(file);
	return bytes;
}

static void load(struct bench *bench, unsigned times)
{
	double before = memory_of_process("VmRSS"), wall[LOADS], processor[LOADS];
	struct domain_list *table = NULL;
	struct list_report report;
	const char *why = NULL;

	for (unsigned i = 0; i < times; i++) {
		double at = now_ns(CLOCK_MONOTONIC), used = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		domain_list_free(table);
		table = lists_read(&bench->list, &bench->memory, &bench->arena, &report, &why);
		if (!table) {
			fprintf(stderr, "bench-rules: %s\n", why);
			exit(EXIT_FAILURE);
		}
		wall[i] = (now_ns(CLOCK_MONOTONIC) - at) / 1e6;
		processor[i] = (now_ns(CLOCK_PROCESS_CPUTIME_ID) - used) / 1e6;
	}
	atomic_init(&bench->list.table, table);
	double took = median(wall, times), peak = memory_of_process("VmHWM") - before;
	printf("%zu names, %zu of them different, %llu lines wrong\n", (size_t)NAMES,
	       domain_list_names(table), (unsigned long long)report.wrong);
	printf("load           %8.0f ms, of the processor %.0f ms\n", took, median(processor, times));
	printf("table          %8.1f MB\n", (double)domain_list_bytes(table) / 1e6);
	printf("process, more  %8.1f MB at the most, %.1f MB afterwards\n", peak / 1e6,
	       (memory_of_process("VmRSS") - before) / 1e6);
	bench->failed = bench->failed || took >= 1000 || peak >= 100e6 || domain_list_names(table) != NAMES;
}

static void make_hosts(struct kind *kind, uint64_t *seed)
{
	char name[64];

	kind->hosts = calloc(ASKED, sizeof(*kind->hosts));
	if (!kind->hosts)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < ASKED; i++) {
		unsigned at = 0;
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t number = (*seed >> 33) % NAMES + (kind->listed ? 0 : NAMES);
		name_of(number, name);
		for (unsigned label = 0; label < kind->labels; label++) {
			kind->hosts[i][at++] = (char)('a' + label % 26);
			kind->hosts[i][at++] = '.';
		}
		snprintf(kind->hosts[i] + at, HOST_MOST - at, "%s%s", kind->before, name);
	}
}

static double judge_all(struct bench *bench, const struct rules *rules, const struct kind *kind)
{
	struct address source = {.family = ADDRESS_V4, .ip = {192, 0, 2, 1}};
	struct rule_query query = {
		.source = &source, .method = SPAN("GET"), .port = 443, .listener = SPAN("127.0.0.1:3128")};
	enum verdict_outcome expected = kind->listed ? VERDICT_DENY : VERDICT_ALLOW;
	unsigned wrong = 0;
	double at = now_ns(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < ASKED; i++) {
		query.host = span_of(kind->hosts[i]);
		wrong += rules_judge(rules, &query).outcome != expected;
	}
	double took = (now_ns(CLOCK_THREAD_CPUTIME_ID) - at) / ASKED;
	if (wrong)
		printf("%s: %u decisions of %d are wrong\n", kind->text, wrong, ASKED);
	bench->failed = bench->failed || wrong;
	return took;
}

/* deny: {lists: [million]}, and allow: {} */
static struct rules *rules_of(struct bench *bench, struct diagnostics *diagnostics)
{
	struct rule_context context = {
		.arena = &bench->arena, .diagnostics = diagnostics, .lists = &bench->lists};
	struct forward_settings *forward = arena_zalloc(&bench->arena, 1, sizeof(*forward));

	if (!forward)
		return NULL;
	bench->names[0] = bench->settings.name;
	bench->items[0].deny.lists = (struct setting_strings){.items = bench->names, .count = 1};
	bench->items[0].deny_place.line = bench->items[1].allow_place.line = 1;
	forward->rules = (struct setting_list){.items = bench->items, .count = 2};
	return rules_compile(forward, &context);
}

static void decide(struct bench *bench, unsigned rounds)
{
	struct kind kinds[] = {
		{.text = "in the list", .before = "", .listed = true},
		{.text = "one label below", .before = "www.", .listed = true},
		{.text = "ten labels below", .before = "", .listed = true, .labels = 10},
		{.text = "not in it", .before = ""},
		{.text = "not in it, www.", .before = "www."},
		{.text = "not in it, ten more labels", .before = "", .labels = 10},
		{.text = "not in it, 100 more labels", .before = "", .labels = 100},
	};
	uint64_t seed = 42;
	struct diagnostics diagnostics;

	diagnostics_init(&diagnostics, &bench->arena, NULL);
	struct rules *rules = rules_of(bench, &diagnostics);
	if (!rules)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++)
		make_hosts(&kinds[i], &seed);
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++)
			kinds[i].nanoseconds[round] = judge_all(bench, rules, &kinds[i]);
	printf("\na decision, ns\n");
	for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
		double took = median(kinds[i].nanoseconds, rounds);
		printf("    %-28s %6.0f\n", kinds[i].text, took);
		bench->failed = bench->failed || took >= 1000;
		free(kinds[i].hosts);
	}
	rules_free(rules);
}

int main(int argc, char **argv)
{
	static struct bench bench;
	bool quick = argc > 1 && strcmp(argv[1], "-q") == 0;

	memory_init(&bench.memory, 0);
	arena_init(&bench.arena, &bench.memory, NULL, NULL, 0);
	if (!write_file(&bench)) {
		perror("bench-rules");
		return EXIT_FAILURE;
	}
	bench.settings.name = (struct setting_string){.text = "million", .len = 7};
	bench.settings.file = (struct setting_string){.text = bench.path, .len = strlen(bench.path)};
	bench.list = (struct list){.settings = &bench.settings, .base = ""};
	bench.lists = (struct lists){.items = &bench.list, .count = 1};
	load(&bench, quick ? 1 : LOADS);
	unlink(bench.path);
	decide(&bench, quick ? 3 : ROUNDS);
	domain_list_free(list_publish(&bench.list, NULL));
	arena_fini(&bench.arena);
	return bench.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
