/*
 * Reports for people, as JSON, and as JUnit's XML. See report.h. The audit's main thread.
 */
#include "audit/report.h"

#include "admin/json.h"
#include "core/deadline.h"

enum { TITLE_WIDTH = 44, MARGIN = 14, LINE_WIDTH = 110, MINOR_LISTED = 5 };

/* What a terminal is told; all empty without colours. */
struct paint {
	const char *verdict[AUDIT_NOT_TESTED + 1];
	const char *heading, *grade_good, *grade_bad, *end;
};

static const struct paint paint_none = {
	.verdict = {"", "", "", "", ""}, .heading = "", .grade_good = "", .grade_bad = "", .end = ""};

static const struct paint paint_colours = {
	.verdict = {[AUDIT_HIDDEN] = "\033[32m",
		    [AUDIT_TOLD] = "\033[33m",
		    [AUDIT_LEAKS] = "\033[1;31m",
		    [AUDIT_CHANGED] = "\033[33m",
		    [AUDIT_NOT_TESTED] = "\033[2m"},
	.heading = "\033[1m",
	.grade_good = "\033[1;32m",
	.grade_bad = "\033[1;31m",
	.end = "\033[0m",
};

static double seconds(const struct audit_report *report)
{
	return (double)(deadline_now() - report->started) / 1000;
}

static bool in_group(const struct audit_group *group, const char *id)
{
	size_t len = strlen(group->prefix);

	return strncmp(id, group->prefix, len) == 0 && id[len] == '.';
}

static const char *grade_name(const struct audit_report *report, int grade)
{
	return grade >= 0 ? report->scale->grades[grade].name : "none";
}

/* NULL: no grade asks for it. */
static const char *needs_name(const struct audit_report *report, unsigned needs)
{
	return needs < report->scale->count ? report->scale->grades[needs].name : NULL;
}

/* ---- for people ---- */

static const char *word(const struct audit_group *group, enum audit_verdict verdict)
{
	return verdict == AUDIT_HIDDEN && group->unseen ? group->unseen : audit_verdict_name(verdict);
}

static void print_row(const struct audit_report *report, const struct audit_group *group,
		      const struct audit_row *row, FILE *out, const struct paint *paint)
{
	enum audit_verdict verdict = audit_report_verdict(report, row);
	const char *needs = needs_name(report, row->needs);

	fprintf(out, "  %s%-10s%s  %-*s", paint->verdict[verdict], word(group, verdict), paint->end,
		*row->saw || verdict == AUDIT_LEAKS ? TITLE_WIDTH : 0, row->title);
	if (*row->saw)
		fprintf(out, "  %s", row->saw);
	if (row->sight == AUDIT_SEEN && row->needs == 0)
		fputs("  (no grade allows it)", out);
	else if (row->sight == AUDIT_SEEN && needs)
		fprintf(out, "  (%s hides it)", needs);
	fputc('\n', out);
}

/* Those of many that are not listed one by one: how many, and where something was seen, which. */
static void print_more(const struct audit_report *report, const struct audit_group *group, FILE *out,
		       const struct paint *paint, enum audit_verdict verdict, unsigned skip)
{
	unsigned count = 0;
	size_t column = MARGIN;

	for (unsigned i = 0; i < report->count; i++) {
		const struct audit_row *row = &report->rows[i];
		if (!row->minor || !in_group(group, row->id) ||
		    audit_report_verdict(report, row) != verdict || (skip && skip--))
			continue;
		if (count++ == 0)
			fprintf(out, "  %s%-10s%s  %s", paint->verdict[verdict], word(group, verdict),
				paint->end, verdict == AUDIT_HIDDEN ? "" : "more: ");
		if (verdict == AUDIT_HIDDEN)
			continue;
		size_t len = strlen(row->title);
		if (column + len > LINE_WIDTH) {
			fprintf(out, ",\n%*s", MARGIN, "");
			column = MARGIN;
		} else if (count > 1) {
			fputs(", ", out);
		}
		fputs(row->title, out);
		column += len + 2;
	}
	if (count && verdict == AUDIT_HIDDEN)
		fprintf(out, "%u of the same kind", count);
	if (count)
		fputc('\n', out);
}

/* Of what is one of many, a few are listed where something was seen. */
static void print_group(const struct audit_report *report, const struct audit_group *group, FILE *out,
			const struct paint *paint)
{
	unsigned listed[AUDIT_NOT_TESTED + 1] = {0};
	bool begun = false;

	for (unsigned i = 0; i < report->count; i++) {
		const struct audit_row *row = &report->rows[i];
		if (!in_group(group, row->id))
			continue;
		enum audit_verdict verdict = audit_report_verdict(report, row);
		if (!begun)
			fprintf(out, "\n%s%s%s\n", paint->heading, group->title, paint->end);
		begun = true;
		if (row->minor && (verdict == AUDIT_HIDDEN || listed[verdict] == MINOR_LISTED))
			continue;
		listed[verdict] += row->minor;
		print_row(report, group, row, out, paint);
	}
	for (unsigned verdict = 0; verdict <= AUDIT_NOT_TESTED; verdict++)
		print_more(report, group, out, paint, (enum audit_verdict)verdict, listed[verdict]);
}

/* Each advice once, with what it is for. */
static void print_advice(const struct audit_report *report, FILE *out)
{
	bool begun = false;

	for (unsigned i = 0; i < report->count; i++) {
		const struct audit_row *row = &report->rows[i];
		unsigned first = 0, same = 0;
		if (!row->advice || audit_report_verdict(report, row) != AUDIT_LEAKS)
			continue;
		for (unsigned k = 0; k < report->count; k++) {
			const struct audit_row *other = &report->rows[k];
			if (!other->advice || strcmp(other->advice, row->advice) != 0 ||
			    audit_report_verdict(report, other) != AUDIT_LEAKS)
				continue;
			if (same++ == 0)
				first = k;
		}
		if (first != i)
			continue;
		if (!begun)
			fputs("\nWhat to change:\n", out);
		begun = true;
		if (same > 1)
			fprintf(out, "  %s and %u more: %s\n", row->title, same - 1, row->advice);
		else
			fprintf(out, "  %s: %s\n", row->title, row->advice);
	}
}

static void print_text(const struct audit_report *report, FILE *out, const struct paint *paint)
{
	int grade = audit_report_grade(report);
	bool passed = audit_report_passed(report);

	fprintf(out, "guise audit %s: %s\n", report->scale->kind, report->subject);
	for (const struct audit_group *group = report->scale->groups; group->prefix; group++)
		print_group(report, group, out, paint);
	if (report->skipped) {
		fprintf(out, "\nNot tested: %s\n", report->skipped);
		return;
	}
	if (report->failure) {
		fprintf(out, "\n%sNo grade:%s %s\n", paint->grade_bad, paint->end, report->failure);
		if (report->advice)
			fprintf(out, "%s\n", report->advice);
		return;
	}
	if (report->incomplete)
		fputs("\nNot all that was found could be kept.\n", out);
	print_advice(report, out);
	fprintf(out, "\n%sGrade: %s%s", passed ? paint->grade_good : paint->grade_bad,
		grade_name(report, grade), paint->end);
	fprintf(out, ", %s",
		grade >= 0 ? report->scale->grades[grade].meaning : "something leaks that no grade allows");
	if (!passed)
		fprintf(out, "; %s was expected", grade_name(report, (int)report->expect));
	fprintf(out, "\n%u hidden, %u told, %u leak%s, %u altered, %u not tested; %.1f s\n",
		audit_report_count(report, AUDIT_HIDDEN), audit_report_count(report, AUDIT_TOLD),
		audit_report_count(report, AUDIT_LEAKS),
		audit_report_count(report, AUDIT_LEAKS) == 1 ? "s" : "",
		audit_report_count(report, AUDIT_CHANGED), audit_report_count(report, AUDIT_NOT_TESTED),
		seconds(report));
}

/* ---- JSON ---- */

static void put_grade(struct json *json, const char *key, const struct audit_report *report, int grade)
{
	if (grade >= 0)
		json_put_text(json, key, span_of(report->scale->grades[grade].name));
	else
		json_put_null(json, key);
}

static void put_row(struct json *json, const struct audit_report *report, const struct audit_row *row)
{
	enum audit_verdict verdict = audit_report_verdict(report, row);
	const char *needs = needs_name(report, row->needs);

	json_open(json, NULL, '{');
	json_put_text(json, "id", span_of(row->id));
	json_put_text(json, "title", span_of(row->title));
	json_put_text(json, "verdict", span_of(audit_verdict_name(verdict)));
	json_put_text(json, "saw", span_of(row->saw));
	if (needs)
		json_put_text(json, "needs", span_of(needs));
	else
		json_put_null(json, "needs");
	if (row->advice && verdict == AUDIT_LEAKS)
		json_put_text(json, "advice", span_of(row->advice));
	json_close(json, '}');
}

static bool print_json(const struct audit_report *report, FILE *out)
{
	struct json json;

	json_start(&json, report->arena);
	json_open(&json, NULL, '{');
	json_put_text(&json, "audit", span_of(report->scale->kind));
	json_put_text(&json, "subject", span_of(report->subject));
	put_grade(&json, "grade", report, audit_report_grade(report));
	put_grade(&json, "expect", report, (int)report->expect);
	json_put_bool(&json, "passed", audit_report_passed(report));
	if (report->skipped)
		json_put_text(&json, "skipped", span_of(report->skipped));
	if (report->failure)
		json_put_text(&json, "failure", span_of(report->failure));
	if (report->failure && report->advice)
		json_put_text(&json, "advice", span_of(report->advice));
	json_put_number(&json, "milliseconds", deadline_now() - report->started);
	json_open(&json, "counts", '{');
	for (int verdict = 0; verdict <= AUDIT_NOT_TESTED; verdict++)
		json_put_number(&json, audit_verdict_name((enum audit_verdict)verdict),
				audit_report_count(report, (enum audit_verdict)verdict));
	json_close(&json, '}');
	json_open(&json, "channels", '[');
	for (unsigned i = 0; i < report->count; i++)
		put_row(&json, report, &report->rows[i]);
	json_close(&json, ']');
	json_close(&json, '}');
	struct span text = json_end(&json);
	return text.len && fwrite(text.at, 1, text.len, out) == text.len;
}

/* ---- JUnit ---- */

/* The text of an attribute or element; what is no printable ASCII was escaped before. */
static void put_xml(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

/* <case classname="guise.audit.forward.field" name="x-forwarded-for">: the id without its group is the name. */
static void put_case(FILE *out, const struct audit_report *report, const struct audit_row *row)
{
	enum audit_verdict verdict = audit_report_verdict(report, row);
	const char *dot = strchr(row->id, '.');
	int group = dot ? (int)(dot - row->id) : 0;

	fprintf(out, "    <testcase classname=\"guise.audit.%s.%.*s\" name=\"%s\" time=\"0\"",
		report->scale->kind, group, row->id, dot ? dot + 1 : row->id);
	if (verdict == AUDIT_LEAKS) {
		fputs(">\n      <failure message=\"", out);
		put_xml(out, row->title);
		fputs(": ", out);
		put_xml(out, row->saw);
		fputs("\">", out);
		put_xml(out, row->advice ? row->advice : "");
		fputs("</failure>\n    </testcase>\n", out);
	} else if (verdict == AUDIT_NOT_TESTED) {
		fputs(">\n      <skipped message=\"", out);
		put_xml(out, row->saw);
		fputs("\"/>\n    </testcase>\n", out);
	} else {
		fputs(">\n      <system-out>", out);
		put_xml(out, audit_verdict_name(verdict));
		fputs(": ", out);
		put_xml(out, *row->saw ? row->saw : row->title);
		fputs("</system-out>\n    </testcase>\n", out);
	}
}

static void print_junit(const struct audit_report *report, FILE *out)
{
	unsigned errors = !audit_report_passed(report) && audit_report_count(report, AUDIT_LEAKS) == 0;
	unsigned skipped = report->skipped != NULL;

	fprintf(out,
		"  <testsuite name=\"guise audit %s\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.3f\">\n",
		report->scale->kind, report->count + errors + skipped, audit_report_count(report, AUDIT_LEAKS),
		errors, audit_report_count(report, AUDIT_NOT_TESTED) + skipped, seconds(report));
	for (unsigned i = 0; i < report->count; i++)
		put_case(out, report, &report->rows[i]);
	if (errors) {
		fprintf(out,
			"    <testcase classname=\"guise.audit.%s\" name=\"audit\" time=\"0\">\n      <error message=\"",
			report->scale->kind);
		put_xml(out, report->failure ? report->failure : "not all that was found could be kept");
		fputs("\">", out);
		put_xml(out, report->failure && report->advice ? report->advice : "");
		fputs("</error>\n    </testcase>\n", out);
	}
	if (skipped) {
		fprintf(out,
			"    <testcase classname=\"guise.audit.%s\" name=\"audit\" time=\"0\">\n      <skipped message=\"",
			report->scale->kind);
		put_xml(out, report->skipped);
		fputs("\"/>\n    </testcase>\n", out);
	}
	fputs("  </testsuite>\n", out);
}

/* One after the other, with what stands around them. */
static bool print_list(const struct audit_report *const *reports, unsigned count, FILE *out,
		       enum audit_format format, bool colour)
{
	bool good = true;

	for (unsigned i = 0; i < count; i++) {
		switch (format) {
		case AUDIT_TEXT:
			if (i > 0)
				fputs("\n\n", out);
			print_text(reports[i], out, colour ? &paint_colours : &paint_none);
			break;
		case AUDIT_JSON:
			if (i > 0)
				fputs(",\n", out);
			good = print_json(reports[i], out) && good;
			break;
		case AUDIT_JUNIT:
			print_junit(reports[i], out);
			break;
		}
	}
	return good;
}

bool audit_report_print(const struct audit_report *report, FILE *out, enum audit_format format, bool colour)
{
	bool good;

	if (format == AUDIT_JUNIT)
		return audit_reports_print(&report, 1, out, format, colour);
	good = print_list(&report, 1, out, format, colour);
	return fflush(out) == 0 && good && !ferror(out);
}

bool audit_reports_print(const struct audit_report *const *reports, unsigned count, FILE *out,
			 enum audit_format format, bool colour)
{
	static const struct {
		const char *before, *after;
	} around[] = {
		[AUDIT_TEXT] = {"", ""},
		[AUDIT_JSON] = {"[\n", "]\n"},
		[AUDIT_JUNIT] = {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n",
				 "</testsuites>\n"},
	};
	bool good;

	fputs(around[format].before, out);
	good = print_list(reports, count, out, format, colour);
	fputs(around[format].after, out);
	return fflush(out) == 0 && good && !ferror(out);
}
