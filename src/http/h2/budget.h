/*
 * What a peer may do on an HTTP/2 connection that makes work and brings nothing (RFC 9113 10.5): each such thing costs points, time and useful
 * bytes give some back, and a peer that has none left is sent away. Pure.
 */
#ifndef GUISE_HTTP_H2_BUDGET_H
#define GUISE_HTTP_H2_BUDGET_H

#include "core/base.h"

/* kind, name in logs, points that one costs; whether it goes with content, and a frame of content gives them back */
#define H2_ABUSE_TABLE(ROW)                                                                                  \
	ROW(RESET, "rapid reset", 10, false)   /* CVE-2023-44487: asks, and asks no more */                  \
	ROW(FAULT, "stream errors", 10, false) /* CVE-2025-8671: makes us reset */                           \
	ROW(REFUSED, "too many streams", 5, false)                                                           \
	ROW(CONTINUATION, "continuation flood", 20, false)                                                   \
	ROW(SETTINGS, "settings flood", 10, false)                                                           \
	ROW(PING, "ping flood", 2, true)                                                                     \
	ROW(EMPTY, "empty frames", 5, false) /* DATA without data and without END_STREAM */                  \
	ROW(PRIORITY, "priority flood", 1, false)                                                            \
	ROW(WINDOW, "window update flood", 1, true)                                                          \
	ROW(LATE, "late frames", 1, false) /* of streams that are closed */                                  \
	ROW(UNKNOWN, "unknown frames", 1, false)                                                             \
	ROW(HEAD, "header bomb", 1001, false) /* a head many times larger than allowed: at once */

enum h2_abuse {
#define ROW(kind, name, points, goes_with_content) H2_ABUSE_##kind,
	H2_ABUSE_TABLE(ROW)
#undef ROW
		H2_ABUSE_KINDS
};

enum {
	H2_BUDGET_POINTS = 1000,  /* at first, and at most */
	H2_BUDGET_A_SECOND = 100, /* given back */
	H2_BUDGET_BYTES = 512,    /* of content moved, either way, give back a point */
	H2_BUDGET_FRAME =
		2, /* given back for a frame of content, however small: what goes with it (PING, WINDOW_UPDATE) is no flood */
};

struct h2_budget {
	uint64_t refilled_at; /* loop clock, ms */
	uint32_t points;
	uint32_t bytes; /* moved, and not yet a point */
	uint32_t owed;  /* points that went for what goes with content, and have not come back */
};

void h2_budget_init(struct h2_budget *budget, uint64_t now_ms);
/* False: it is used up. */
WARN_UNUSED bool h2_budget_spend(struct h2_budget *budget, enum h2_abuse kind, uint64_t now_ms);
/* Content has been moved for the peer. */
void h2_budget_earn(struct h2_budget *budget, size_t bytes);
/* A frame of content came, or one left that held all there was. */
void h2_budget_earn_frame(struct h2_budget *budget);
const char *h2_abuse_name(enum h2_abuse kind);

#endif
