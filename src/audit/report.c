/*
 * What was found, and what follows from it. See report.h. The audit's main thread.
 */
#include "audit/report.h"

#include "core/deadline.h"

enum { WHY_MOST = 1024 }; /* bytes of why there is no report */

void audit_report_init(struct audit_report *report, const struct audit_scale *scale, const char *subject,
		       struct arena *arena)
{
	*report = (struct audit_report){
		.arena = arena,
		.scale = scale,
		.subject = subject,
		.expect = scale->count - 1,
		.started = deadline_now(),
	};
	ENSURE(scale->count > 0 && scale->count <= AUDIT_GRADES_MOST);
}

bool audit_report_expect(struct audit_report *report, const char *grade)
{
	for (unsigned i = 0; i < report->scale->count; i++) {
		if (strcmp(report->scale->grades[i].name, grade) != 0)
			continue;
		report->expect = i;
		return true;
	}
	return false;
}

/* Cut to `most`. */
static struct span escape(struct span bytes, size_t most, struct arena *arena)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t *out = arena_alloc(arena, most + sizeof("..."));
	size_t len = 0;

	if (!out)
		return (struct span){0};
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t byte = bytes.at[i];
		bool plain = byte >= ' ' && byte < 0x7f;
		if (len + (plain ? 1 : 4) > most) {
			memcpy(out + len, "...", 3);
			len += 3;
			break;
		}
		if (plain) {
			out[len++] = byte;
			continue;
		}
		out[len++] = '\\';
		if (byte == '\r' || byte == '\n' || byte == '\t') {
			out[len++] = byte == '\r' ? 'r' : byte == '\n' ? 'n' : 't';
			continue;
		}
		out[len++] = 'x';
		out[len++] = (uint8_t)hex[byte >> 4];
		out[len++] = (uint8_t)hex[byte & 15];
	}
	out[len] = '\0';
	return span_make(out, len);
}

struct span audit_escape(struct span bytes, struct arena *arena)
{
	return escape(bytes, AUDIT_SAW_MOST, arena);
}

/* ---- adding ---- */

/* How much a finding stands against: of two with one id the greater one stays. */
static unsigned weight(enum audit_sight sight, unsigned needs)
{
	switch (sight) {
	case AUDIT_SEEN:
		return needs == AUDIT_NO_GRADE ? 3 : 4 + AUDIT_GRADES_MOST - needs;
	case AUDIT_ALTERED:
		return 2;
	case AUDIT_UNSEEN:
		return 1;
	case AUDIT_UNTESTED:
		break;
	}
	return 0;
}

static struct audit_row *row_find(struct audit_report *report, const char *id)
{
	for (unsigned i = 0; i < report->count; i++)
		if (strcmp(report->rows[i].id, id) == 0)
			return &report->rows[i];
	return NULL;
}

static struct audit_row *row_new(struct audit_report *report)
{
	if (report->count == AUDIT_FINDINGS_MOST)
		return NULL;
	if (!report->rows)
		report->rows = arena_zalloc(report->arena, AUDIT_FINDINGS_MOST, sizeof(*report->rows));
	return report->rows ? &report->rows[report->count++] : NULL;
}

/* NULL: out of memory. */
static const char *text_copy(struct audit_report *report, struct span text)
{
	return (const char *)arena_format(report->arena, "%.*s", SPAN_ARG(text)).at;
}

void audit_report_add(struct audit_report *report, const struct audit_finding *finding)
{
	struct audit_row *row = row_find(report, finding->id);
	struct audit_row made = {
		.id = text_copy(report, span_of(finding->id)),
		.title = (const char *)audit_escape(finding->title, report->arena).at,
		.saw = (const char *)audit_escape(finding->saw, report->arena).at,
		.advice = finding->advice ? text_copy(report, span_of(finding->advice)) : NULL,
		.sight = finding->sight,
		.needs = finding->needs,
		.minor = finding->minor,
	};

	if (row && weight(made.sight, made.needs) <= weight(row->sight, row->needs))
		return;
	if (!row)
		row = row_new(report);
	if (!row || !made.id || !made.title || !made.saw || (finding->advice && !made.advice))
		report->incomplete = true;
	else
		*row = made;
	if (row && !row->id)
		report->count--;
}

void audit_report_fail(struct audit_report *report, const char *why, const char *advice)
{
	if (report->failure)
		return;
	report->failure = (const char *)escape(span_of(why), WHY_MOST, report->arena).at;
	report->advice = advice ? text_copy(report, span_of(advice)) : NULL;
	if (!report->failure)
		report->failure = "out of memory";
}

void audit_report_skip(struct audit_report *report, const char *why)
{
	report->skipped = (const char *)escape(span_of(why), WHY_MOST, report->arena).at;
	if (!report->skipped)
		report->incomplete = true;
}

/* ---- what follows ---- */

enum audit_verdict audit_report_verdict(const struct audit_report *report, const struct audit_row *row)
{
	switch (row->sight) {
	case AUDIT_UNSEEN:
		return AUDIT_HIDDEN;
	case AUDIT_SEEN:
		return row->needs <= report->expect ? AUDIT_LEAKS : AUDIT_TOLD;
	case AUDIT_ALTERED:
		return AUDIT_CHANGED;
	case AUDIT_UNTESTED:
		break;
	}
	return AUDIT_NOT_TESTED;
}

const char *audit_verdict_name(enum audit_verdict verdict)
{
	static const char *const names[] = {
		[AUDIT_HIDDEN] = "hidden",         [AUDIT_TOLD] = "told",
		[AUDIT_LEAKS] = "leaks",           [AUDIT_CHANGED] = "altered",
		[AUDIT_NOT_TESTED] = "not tested",
	};

	return names[verdict];
}

unsigned audit_report_count(const struct audit_report *report, enum audit_verdict verdict)
{
	unsigned count = 0;

	for (unsigned i = 0; i < report->count; i++)
		count += audit_report_verdict(report, &report->rows[i]) == verdict;
	return count;
}

int audit_report_grade(const struct audit_report *report)
{
	int grade = (int)report->scale->count - 1;
	bool tested = false;

	for (unsigned i = 0; i < report->count; i++) {
		const struct audit_row *row = &report->rows[i];
		tested |= row->sight != AUDIT_UNTESTED;
		if (row->sight == AUDIT_SEEN && row->needs <= (unsigned)INT_MAX && (int)row->needs - 1 < grade)
			grade = (int)row->needs - 1;
	}
	return tested && !report->failure && !report->incomplete ? grade : -1;
}

bool audit_report_passed(const struct audit_report *report)
{
	return report->skipped || audit_report_grade(report) >= (int)report->expect;
}

bool audit_format_find(const char *name, enum audit_format *format)
{
	static const char *const names[] = {
		[AUDIT_TEXT] = "text", [AUDIT_JSON] = "json", [AUDIT_JUNIT] = "junit"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*format = (enum audit_format)i;
		return true;
	}
	return false;
}
