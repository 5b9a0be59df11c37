/*
 * What the files of the admin room share: one request of the operator, its resource, its answer.
 */
#ifndef GUISE_ADMIN_ADMIN_INTERNAL_H
#define GUISE_ADMIN_ADMIN_INTERNAL_H

#include "admin/admin.h"
#include "admin/args.h"
#include "admin/json.h"

enum { ADMIN_BODY_MOST = 16 * 1024 };

struct admin_resource;

/* x->proxy, in the exchange's arena. */
struct admin_call {
	struct exchange *x;
	const struct admin *admin;
	const struct admin_resource *resource; /* NULL: not found yet */
	struct span part[ARGS_SEGMENTS];       /* of the path, where the resource's has "{*}" */
	struct span query;                     /* as it came, without "?" */
	struct stream sink;                    /* takes the request's body */
	struct span body;                      /* all of it once it is complete */
	uint8_t *room;                         /* for the body; NULL: not needed yet */
};

/* One thing that can be asked for. The body of a POST is complete when it is called. Answers with admin_reply or admin_refuse. */
typedef void admin_resource_fn(struct admin_call *call);

struct admin_resource {
	const char *method; /* "GET", which serves HEAD too, or "POST" */
	const char *path;   /* see args_match */
	const char *summary;
	admin_resource_fn *run;
};

/* 200 with what was written; 503 if that failed. */
void admin_reply(struct admin_call *call, struct json *json);
/* {"status": ..., "error": ...}, with "field" if `field` is not NULL. */
void admin_refuse(struct admin_call *call, unsigned status, const char *field, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* The group of that name, or a 404. */
WARN_UNUSED struct fleet_group *admin_group(struct admin_call *call, struct span name);

/* upstreams.c */
admin_resource_fn admin_upstreams_get, admin_upstream_get, admin_server_get;
/* explain.c */
admin_resource_fn admin_explain_get;
/* order.c */
admin_resource_fn admin_server_post;

#endif
