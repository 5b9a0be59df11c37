/*
 * What the files of reverse.h share.
 */
#ifndef GUISE_AUDIT_REVERSE_INTERNAL_H
#define GUISE_AUDIT_REVERSE_INTERNAL_H

#include "audit/ask.h"
#include "audit/reverse.h"

/* One battery. */
struct reverse_battery {
	const struct reverse_target *target;
	struct arena *arena;
	struct audit_report *report;
	enum ask_version version;
	unsigned number; /* of the last token */
};

/* --- reverse_judge.c: what an answer tells; into the report --- */

/* The answer to a talk. */
void reverse_judge_talk(struct reverse_battery *battery, const struct talk *talk,
			const struct ask_answer *answer);
/* A page that the proxy made itself. */
void reverse_judge_page(struct reverse_battery *battery, const char *id, const char *title,
			const struct ask_answer *answer);
/* What the server was told beside what the client said. */
void reverse_judge_request(struct reverse_battery *battery, const struct wire_message *request);

/* One finding; `saw` is a printf format, or NULL. */
void reverse_find(struct reverse_battery *battery, const struct audit_finding *finding, const char *saw, ...)
	PRINTF_LIKE(3, 4);

#endif
