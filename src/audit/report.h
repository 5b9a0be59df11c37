/*
 * What an audit has found: channels, what an observer saw on each, and what that means; printed for people or for programs. One thread.
 *
 * A finding is added as it was seen, whatever was hoped for. Verdict, grade and exit status follow from it and from the bar, in one place (here).
 */
#ifndef GUISE_AUDIT_REPORT_H
#define GUISE_AUDIT_REPORT_H

#include "core/arena.h"

#include <limits.h>
#include <stdio.h>

enum { AUDIT_GRADES_MOST = 4, AUDIT_SAW_MOST = 240, AUDIT_FINDINGS_MOST = 512 };

struct audit_group {
	const char *prefix; /* "field" */
	const char *title;  /* "Fields of requests" */
	const char *unseen; /* what people are told in place of "hidden", where nothing has to be hidden; or NULL */
};

/* For audit_finding.needs: no grade asks for it, it is only told. */
#define AUDIT_NO_GRADE UINT_MAX

/*
 * The grades of one kind of audit, from the least to the best. A proxy has the best grade of those that no channel stands against. What stands against the
 * least one too (needs == 0) is a leak at any bar.
 */
struct audit_scale {
	const char *kind; /* "forward": for names of tests, and for people */
	struct {
		const char *name;    /* "elite" */
		const char *meaning; /* "nothing tells the client, or that there is a proxy" */
	} grades[AUDIT_GRADES_MOST];
	unsigned count;
	/* Headings for ids by what stands before their first dot; ends with NULL. Channels are printed in this order. */
	const struct audit_group *groups;
};

/* What was seen. */
enum audit_sight {
	AUDIT_UNSEEN, /* nothing that tells */
	AUDIT_SEEN,   /* something that should not be, from `needs` on */
	AUDIT_ALTERED, /* nothing leaks, but something is missing or changed that is not the proxy's to change */
	AUDIT_UNTESTED, /* `saw` says why */
};

enum audit_verdict {
	AUDIT_HIDDEN,
	AUDIT_TOLD,  /* seen, and the bar allows it */
	AUDIT_LEAKS, /* seen, and the bar does not */
	AUDIT_CHANGED,
	AUDIT_NOT_TESTED,
};

struct audit_finding {
	const char *id;    /* stable: "field.x-forwarded-for"; of letters, digits, "-" and "." */
	struct span title; /* one line for people */
	struct span saw;   /* as it came; escaped and cut when added. Empty: nothing */
	enum audit_sight sight;
	unsigned needs; /* the least grade that asks for this to be unseen: index into scale->grades, or AUDIT_NO_GRADE */
	const char *advice; /* what to do about it, where it leaks; may be NULL; copied */
	bool minor; /* one of many of its kind: for people it is counted, not listed, while nothing is seen */
};

enum audit_format { AUDIT_TEXT, AUDIT_JSON, AUDIT_JUNIT };

/* A finding that was added: texts are NUL-terminated. */
struct audit_row {
	const char *id, *title, *saw, *advice; /* advice: NULL is none */
	enum audit_sight sight;
	unsigned needs;
	bool minor;
};

struct audit_report {
	struct arena *arena;
	const struct audit_scale *scale;
	const char *subject; /* borrowed: what is audited, "http://127.0.0.1:3128" */
	unsigned expect;     /* the bar: a grade's index */
	struct audit_row *rows;
	unsigned count, room;
	const char *failure; /* why it could not be done, or NULL */
	const char *skipped; /* why it was not meant to be done, or NULL */
	const char *advice;  /* and what to do about that, or NULL */
	uint64_t started;    /* ms, CLOCK_MONOTONIC */
	bool incomplete;     /* memory ran out, or there were too many */
};

/* The bar is the best grade until it is set. All that is added is kept in the arena. */
void audit_report_init(struct audit_report *report, const struct audit_scale *scale, const char *subject,
		       struct arena *arena);
/* False: there is no such grade. */
WARN_UNUSED bool audit_report_expect(struct audit_report *report, const char *grade);

/*
 * An id that is there already: the one that stands against more stays; of equals, the first. Texts are copied.
 */
void audit_report_add(struct audit_report *report, const struct audit_finding *finding);
/* The audit as a whole could not be done; texts are copied. The first one stays. */
void audit_report_fail(struct audit_report *report, const char *why, const char *advice);

/* It is not done, for a reason that is nobody's fault; the text is copied. */
void audit_report_skip(struct audit_report *report, const char *why);

/* The grade's index; -1: not even the least one, or nothing could be tested. */
int audit_report_grade(const struct audit_report *report);
/* Whether it was done and nothing leaks at the bar; or was not meant to be done. */
bool audit_report_passed(const struct audit_report *report);
/* How many have this verdict. */
unsigned audit_report_count(const struct audit_report *report, enum audit_verdict verdict);
/* Of one of its rows, at its bar. */
enum audit_verdict audit_report_verdict(const struct audit_report *report, const struct audit_row *row);
const char *audit_verdict_name(enum audit_verdict verdict); /* "not tested" */

/* False: it could not be written whole. `colour` is for AUDIT_TEXT. */
WARN_UNUSED bool audit_report_print(const struct audit_report *report, FILE *out, enum audit_format format,
				    bool colour);
/* Several: as JSON a list, as JUnit's XML one document. */
WARN_UNUSED bool audit_reports_print(const struct audit_report *const *reports, unsigned count, FILE *out,
				     enum audit_format format, bool colour);
/* False: there is no such format. */
WARN_UNUSED bool audit_format_find(const char *name, enum audit_format *format);

/* Bytes of a peer as printable ASCII, without line ends, cut to AUDIT_SAW_MOST. ->at is NULL: out of memory. */
struct span audit_escape(struct span bytes, struct arena *arena);

#endif
