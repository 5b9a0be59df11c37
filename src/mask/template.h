/*
 * Templates in redirects and field edits: text with {host} {uri} {path} {query} {scheme} {method} {client} {name};
 * "{{" is a brace. Compiled with the snapshot, immutable; rendered on workers into the exchange's arena. Whatever the
 * values hold, no control byte comes out.
 */
#ifndef GUISE_MASK_TEMPLATE_H
#define GUISE_MASK_TEMPLATE_H

#include "core/diagnostic.h"
#include "http/head.h"

struct template;

struct template_context {
	const struct http_head *request;
	struct span client; /* the client's address as text (forwarded.h: origin.client_text) */
	struct span scheme; /* as the client spoke it (origin.scheme); empty: request->scheme */
	struct span name;   /* the pseudonym, key `name` */
};

/* For field values. NULL after a diagnostic (unknown variable, control byte, brace without its partner). All in the arena. */
WARN_UNUSED const struct template *template_compile(struct span text, struct setting_place place,
						    struct arena *arena, struct diagnostics *diagnostics);
/* For a Location: bytes that may not stand in a URI are percent-encoded when rendered. */
WARN_UNUSED const struct template *template_compile_location(struct span text, struct setting_place place,
							     struct arena *arena,
							     struct diagnostics *diagnostics);

/*
 * {host}: the host without port, IPv6 in brackets. {uri}: path with query, as it came; {path}, {query} (without "?").
 * A target "*" gives "/". A Location that begins with {uri} or {path} never begins with "//" (it would name another
 * host). False: out of memory.
 */
WARN_UNUSED bool template_render(const struct template *template, const struct template_context *context,
				 struct arena *arena, struct span *text);

#endif
