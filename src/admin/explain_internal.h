/*
 * What the files of the explanation share.
 */
#ifndef GUISE_ADMIN_EXPLAIN_INTERNAL_H
#define GUISE_ADMIN_EXPLAIN_INTERNAL_H

#include "admin/explain.h"
#include "proxy/explain.h"

/* The ask, taken apart. */
struct explain_asked {
	const struct explain_ask *ask;
	struct arena *arena;
	struct http_head url; /* scheme, authority, host, path */
	struct address client;
	bool forward; /* through a forward listener */
	const struct admin_listener *listener;
	struct span why;  /* this listener */
	struct span head; /* for struct explain */
};

/* Fills all of it from asked->ask and asked->arena. */
WARN_UNUSED bool explain_ask_read(const struct admin *admin, struct explain_asked *asked,
				  struct explain_wrong *wrong);
/* "reverse[0]" */
struct span explain_listener_name(const struct admin_listener *listener, struct arena *arena);
/* Whether it is as good for the URL as the one that was chosen. */
bool explain_listener_fits(const struct explain_asked *asked, const struct admin_listener *listener);

/* explain_server.c: the members "split", "mirror", "group", "servers", "pick" and "tries" of a request that goes on to a group. */
void explain_write_servers(struct json *json, const struct admin *admin, const struct explain *explain);

/* explain_rules.c: the members "rules" and "guard" of a request that the rules have judged. */
void explain_write_rules(struct json *json, const struct admin *admin, const struct explain *explain);

/* "guise.yaml:3:5", or null */
void explain_write_place(struct json *json, const struct admin *admin, const char *key,
			 struct setting_place place);

static inline struct span explain_text(const struct setting_string *text)
{
	return span_make(text->text, text->len);
}

#endif
