/*
 * What makes the servers behind a route indistinguishable (`same` of a reverse mask): entity tags that only Guise can read, Date from Guise, one order
 * and spelling of fields, one form of errors. Compiled with the snapshot, immutable; applied on workers.
 *
 * Entity tags are sealed (tls/siv.h): the same tag of the same group becomes the same text on every node that has the key, so clients and caches compare it as
 * before, and a condition is opened again before it goes to a server. Tags that differ between servers still differ afterwards.
 */
#ifndef GUISE_MASK_SAMENESS_H
#define GUISE_MASK_SAMENESS_H

#include "core/diagnostic.h"
#include "http/head.h"
#include "mask/settings.h"

struct sameness;

/* False after diagnostics. *same is NULL where the settings ask for nothing; else for sameness_free, also when compiling has failed later. */
WARN_UNUSED bool sameness_compile(const struct sameness_settings *settings, struct arena *arena,
				  struct diagnostics *diagnostics, const struct sameness **same);
void sameness_free(const struct sameness *same); /* the rest is the arena's. NULL is fine */

/* Whether tags are sealed with a key that nobody else has, and that is gone after a restart. `same` may be NULL, here and below. */
bool sameness_key_is_random(const struct sameness *same);
bool sameness_has_date(const struct sameness *same);
bool sameness_has_order(const struct sameness *same);
/* Whether the content of an answer with this status is replaced. */
bool sameness_replaces(const struct sameness *same, unsigned status);

enum { SAMENESS_TAG_MOST = 191 }; /* bytes of a tag that is sealed */

/*
 * ETag of a response, in its head or trailers: sealed, weak or strong as it was. Dropped when it is none, one of several, or longer than
 * SAMENESS_TAG_MOST. `group`: the name of the servers' group. New values are in fields->arena. False: out of memory.
 */
WARN_UNUSED bool sameness_close_tags(const struct sameness *same, struct span group,
				     struct http_fields *fields);

/*
 * Conditions of a request: If-None-Match, If-Match and If-Range with our tags get the server's again; "*" and dates stay as they are. A tag that is not
 * ours matches nothing any more: see the function's parts for what that means to each of the fields. False: out of memory.
 */
WARN_UNUSED bool sameness_open_conditions(const struct sameness *same, struct span group,
					  struct http_fields *fields);

/* Drops what an answer whose content is replaced may not keep: all but what a client needs to act on its status. */
void sameness_strip_error(const struct sameness *same, struct http_fields *fields);

#endif
