/*
 * See leak_text.h.
 */
#include "mask/leak_text.h"

/* "ws" stays the scheme that it is, secured or not as the site is. */
static struct span public_scheme(struct span found, const struct leak_public *site)
{
	bool websocket = found.len > 0 && ascii_lower(found.at[0]) == 'w';

	if (!websocket)
		return site->scheme;
	return span_equal_nocase(site->scheme, SPAN("https")) ? SPAN("wss") : SPAN("ws");
}

struct leak_parts leak_parts(struct span text, size_t done, const struct leak *leak,
			     const struct leak_public *site)
{
	struct leak_parts parts = {0};
	bool named = leak && leak_has_public(leak, site);
	bool schemed = named && leak->scheme < leak->scheme_end && site->scheme.len;
	size_t end = leak ? leak->at : text.len;

	if (!schemed) {
		parts.part[0] = span_make(text.at + done, end - done);
	} else {
		struct span found = span_make(text.at + leak->scheme, leak->scheme_end - leak->scheme);
		parts.part[0] = span_make(text.at + done, leak->scheme - done);
		parts.part[1] = public_scheme(found, site);
		parts.part[2] = span_make(text.at + leak->scheme_end, leak->at - leak->scheme_end);
	}
	if (named)
		parts.part[3] = site->authority;
	return parts;
}

/* ---- streamed ---- */

static void give(struct leak_text *text, struct span bytes)
{
	if (bytes.len && !text->stopped && !text->ops->on_text(text, bytes))
		text->stopped = true;
}

static struct span leak_text_window(const struct leak_text *text)
{
	return span_make(text->window, text->len);
}

/* From `done` on up to `leak`, with what it is to be. */
static void give_leak(struct leak_text *text, size_t done, const struct leak *leak)
{
	enum leak_answer answer = text->ops->on_leak(text, leak);
	struct leak_parts parts;

	switch (answer) {
	case LEAK_KEEP:
		give(text, span_make(text->window + done, leak->end - done));
		break;
	case LEAK_CUT:
	case LEAK_REPLACE:
		parts = leak_parts(leak_text_window(text), done, leak, answer == LEAK_CUT ? NULL : text->site);
		for (size_t i = 0; i < LEAK_PARTS; i++)
			give(text, parts.part[i]);
		break;
	case LEAK_STOP:
		text->stopped = true;
		break;
	}
}

/* What is settled goes on; a few bytes of it stay, to say what stands before the next ones. */
static void move_on(struct leak_text *text, size_t settled)
{
	size_t stay = size_min(settled, LEAK_CONTEXT);

	text->settled += settled - text->from;
	memmove(text->window, text->window + settled - stay, text->len - settled + stay);
	text->len -= settled - stay;
	text->from = stay;
}

static void scan_window(struct leak_text *text, bool end)
{
	struct leak_scan scan = {.terms = text->terms,
				 .server = text->server,
				 .site = text->site,
				 .text = leak_text_window(text),
				 .from = text->from};
	if (!end && text->len < text->size && leak_terms_wait(text->terms, scan.text, text->from))
		return;
	size_t settled = end ? text->len : leak_terms_settled(text->terms, scan.text, text->from);
	size_t done = text->from;
	struct leak leak;

	while (!text->stopped && leak_next(&scan, &leak)) {
		if (leak.end > settled) {
			settled = size_min(settled, leak.scheme);
			break;
		}
		give_leak(text, done, &leak);
		done = leak.end;
	}
	if (text->stopped)
		return;
	settled = size_max(settled, done);
	give(text, span_make(text->window + done, settled - done));
	move_on(text, settled);
}

void leak_text_push(struct leak_text *text, struct span bytes, bool end)
{
	if (text->stopped)
		return;
	do {
		size_t part = size_min(bytes.len, text->size - text->len);
		if (part)
			memcpy(text->window + text->len, bytes.at, part);
		text->len += part;
		bytes = span_from(bytes, part);
		scan_window(text, end && bytes.len == 0);
	} while (bytes.len > 0 && !text->stopped);
}
