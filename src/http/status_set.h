/*
 * Sets of status codes as configurations write them: "200", "5xx", "200-399".
 */
#ifndef GUISE_HTTP_STATUS_SET_H
#define GUISE_HTTP_STATUS_SET_H

#include "core/setting.h"
#include "core/span.h"

struct status_set {
	uint64_t bits[16]; /* for statuses from 0 to 1023 */
};

/* Adds what the text says. False: it is no status, class or range (then nothing is added). */
bool status_set_add(struct status_set *set, struct span text);
bool status_set_has(const struct status_set *set, unsigned status);
/* All of the list, which has been checked. */
void status_set_from(struct status_set *set, const struct setting_strings *texts);

/* A setting's `check`. */
const char *status_set_check(const char *text, size_t len);

#endif
