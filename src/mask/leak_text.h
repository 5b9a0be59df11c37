/*
 * A text that is rewritten as its leaks are found, piece by piece: in one go for fields, in a window that moves on for content. Each response's own.
 */
#ifndef GUISE_MASK_LEAK_TEXT_H
#define GUISE_MASK_LEAK_TEXT_H

#include "mask/leak_terms.h"

enum { LEAK_PARTS = 4 };

/* What a piece becomes: some of these are empty. */
struct leak_parts {
	struct span part[LEAK_PARTS];
};

/*
 * From `done` on up to the end of the leak (NULL: of the text), in public words where there are any for it; else it is left out. The parts
 * point into the text and the site.
 */
struct leak_parts leak_parts(struct span text, size_t done, const struct leak *leak,
			     const struct leak_public *site);

/* ---- streamed ---- */

enum leak_answer {
	LEAK_KEEP,    /* as it is */
	LEAK_REPLACE, /* by public words, else by nothing */
	LEAK_CUT,     /* by nothing */
	LEAK_STOP,    /* nothing goes on any more, the leak neither */
};

struct leak_text;

struct leak_text_ops {
	/* Of text that is settled. Inside, the leak_text is left alone. */
	enum leak_answer (*on_leak)(struct leak_text *text, const struct leak *leak);
	/* What goes on, in order; valid inside the call. False: stop, as LEAK_STOP does. */
	bool (*on_text)(struct leak_text *text, struct span bytes);
};

struct leak_text {
	const struct leak_text_ops *ops;
	const struct leak_terms *terms;
	const struct leak_server *server; /* may be NULL */
	const struct leak_public *site;   /* may be NULL */
	uint8_t *window;                  /* the owner's */
	size_t size;                      /* of it: LEAK_WINDOW_LEAST at least */

	/* the text's */
	size_t from, len; /* what is in the window; before `from` it has gone on already */
	uint64_t settled; /* bytes of the text that have gone on, or were left out */
	bool stopped;
};

enum { LEAK_WINDOW_LEAST = 8 * 1024 };

/* More of the text; `end`: and that is all. What may still be a part of something is held back. */
void leak_text_push(struct leak_text *text, struct span bytes, bool end);

#endif
