/*
 * Secrets that requests are given on their way out: who may have them, and their values, which change while Guise runs. Shared by workers; the values are
 * behind a lock that is held for the copying of one. Values are wiped from memory when they are replaced and when an exchange that had one ends; the
 * bytes of a request that is written pass through buffers like any other.
 */
#ifndef GUISE_PROXY_SECRETS_H
#define GUISE_PROXY_SECRETS_H

#include "core/arena.h"
#include "http/head.h"
#include "proxy/secret_settings.h"

enum { SECRET_MOST = 8192 }; /* bytes of a value */

/* Of the configuration; immutable. */
struct secret_plan {
	const struct secret_settings *settings;
	struct http_authority *hosts; /* port 0: the scheme's own */
	size_t host_count;
	struct span value;  /* as it was when the configuration was read */
	const char *path;   /* of the file that it is from; NULL: none */
	const char *base;   /* the directory that the path starts from */
	uint64_t signature; /* of the file, before it was read (config/files.h) */
};

struct secrets;

/* NULL: out of memory. The plans outlive it. */
WARN_UNUSED struct secrets *secrets_new(struct memory *memory, const struct secret_plan *plans, size_t count);
void secrets_free(struct secrets *secrets); /* NULL is fine */

/* What a file or the configuration holds as a field can carry it: without the end of its last line. NULL, or why it cannot be one (static text). */
const char *secret_value_read(struct span text, struct span *value);

/* A new value for requests from now on. False: out of memory; then the old one stays. Any thread. */
WARN_UNUSED bool secrets_replace(struct secrets *secrets, size_t index, struct span value);

const struct secret_plan *secrets_plan_at(const struct secrets *secrets, size_t index);

/* Whether it is for this host and port, asked for by this scheme ("http", "https"). */
bool secret_is_for(const struct secret_plan *plan, const struct http_authority *host, struct span scheme);

/* Prefix and value, copied into the arena; *bare is the value alone. False: out of memory. */
WARN_UNUSED bool secrets_get(struct secrets *secrets, size_t index, struct arena *arena, struct span *text,
			     struct span *bare);

#endif
