/*
 * What a rule says in words of its own: times, patterns of names, regular expressions; and hosts held against them. Lines: the condition's value, and a host.
 * Times cover as many minutes as they say; a rule of any domains or patterns judges any host within bounds.
 */
#include "route/domain_glob.h"
#include "route/pattern.h"
#include "route/rule.h"
#include "route/times.h"

static void check_time(struct span text)
{
	struct week_time time;
	unsigned covered = 0, days = 0;

	if (week_time_parse(text, &time))
		return;
	ENSURE(time.days && time.first < MINUTES_A_DAY && time.end <= MINUTES_A_DAY && time.first != time.end);
	for (unsigned minute = 0; minute < 7 * MINUTES_A_DAY; minute++)
		covered += week_time_has(&time, minute);
	for (unsigned day = 0; day < 7; day++)
		days += time.days >> day & 1;
	unsigned length = time.end > time.first ? time.end - time.first : time.end + MINUTES_A_DAY - time.first;
	ENSURE(covered == days * length);
}

static void check_glob(struct span text, struct span host, struct arena *arena)
{
	struct domain_glob glob;
	struct host_name name;

	if (!domain_is_glob(text) || domain_glob_parse(text, arena, &glob))
		return;
	ENSURE(glob.labels > 0 && span_find(glob.text, '*') >= 0);
	host_name_read(&name, host);
	if (domain_glob_has(&glob, &name))
		ENSURE(name.labels >= glob.labels);
}

/* The same text as a domain, and as a regular expression. */
static void check_rules(const struct setting_string *text, struct span host, struct arena *arena)
{
	struct setting_strings strings = {.items = (struct setting_string *)(uintptr_t)text, .count = 1};
	struct rule_settings items[2] = {{.deny_place = {.line = 1}}, {.deny_place = {.line = 2}}};
	struct forward_settings forward = {.rules = {.items = items, .count = 1}};
	struct diagnostics diagnostics;
	struct rule_context context = {.arena = arena, .diagnostics = &diagnostics};
	struct address source = {.family = ADDRESS_V4};
	struct rule_query query = {.source = &source, .host = host, .port = 80};

	for (unsigned i = 0; i < 2; i++) {
		items[0].deny = (struct rule_match_settings){0};
		*(i ? &items[0].deny.regex : &items[0].deny.domains) = strings;
		diagnostics_init(&diagnostics, arena, NULL);
		struct rules *rules = rules_compile(&forward, &context);
		ENSURE((rules == NULL) == (diagnostics.errors > 0));
		if (!rules)
			continue;
		struct verdict verdict = rules_judge(rules, &query);
		char described[VERDICT_TEXT];
		ENSURE(verdict.outcome != VERDICT_NEEDS_ADDRESS);
		ENSURE(verdict_describe(&verdict, described) < VERDICT_TEXT);
		rules_free(rules);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text, host;
	struct memory memory;
	struct arena arena;

	if (size > 512)
		return 0;
	span_cut(span_make(data, size), '\n', &text, &host);
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	check_time(text);
	check_glob(text, host, &arena);
	struct span copy = arena_format(&arena, "%.*s", SPAN_ARG(text));
	ENSURE(copy.at);
	struct setting_string string = {.text = (const char *)copy.at, .len = copy.len, .place = {.line = 1}};
	check_rules(&string, host, &arena);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
