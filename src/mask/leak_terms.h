/*
 * What gives away what is inside, wherever it is written: names and addresses of servers, networks, words. And where in a text one of them stands. Compiled
 * with the snapshot, immutable; any thread.
 *
 * A name counts as a whole and as the end of a longer name (`node7.db.internal` for `db.internal`), not inside a label, nor at the beginning
 * of a longer name. An address counts as a whole: `10.0.0.1` is not in `110.0.0.12`. A word counts where no letter or digit stands beside it. A port
 * behind a name or an address belongs to it. What stands before may be an escape (%2F, \n, \u002f), which is looked at as what it stands for.
 */
#ifndef GUISE_MASK_LEAK_TERMS_H
#define GUISE_MASK_LEAK_TERMS_H

#include "mask/automaton.h"
#include "mask/inside.h"
#include "mask/leak_marks.h"

enum {
	LEAK_WORD_MOST = 256, /* bytes of a word */
	LEAK_CONTEXT = 16,    /* bytes before a text that say whether something begins with it */
};

enum leak_kind { LEAK_NAME, LEAK_ADDRESS, LEAK_NETWORK, LEAK_WORD, LEAK_ENCODED };

struct leak_pattern {
	struct span text;
	enum leak_kind kind;
};

/* The site as clients know it. */
struct leak_public {
	struct span scheme;    /* "https" */
	struct span authority; /* host, or host:port; empty: not known */
};

struct leak_terms {
	const struct automaton *automaton;
	const struct leak_pattern *patterns;
	const struct network *networks;  /* the user's */
	const struct address *addresses; /* IPv6, of servers: they can be spelt in many ways */
	size_t network_count, address_count;
	size_t reach; /* bytes before the end of a text that more of it can make a difference to, at most */
	bool encoded; /* in percent-encoding too */
	struct leak_marks marks;
};

struct leak_wish {
	const struct span *words; /* not empty, at most LEAK_WORD_MOST */
	size_t word_count;
	const struct network *networks;
	size_t network_count;
	bool encoded; /* addresses in percent-encoding and base64 too */
};

/* `inside` and what the wish points to are borrowed for as long as the terms. False: out of memory. */
WARN_UNUSED bool leak_terms_compile(struct leak_terms *terms, const struct inside *inside,
				    const struct leak_wish *wish, struct arena *arena);

struct leak {
	size_t scheme; /* where "http" or the like begins that belongs to it; else as `at` */
	size_t scheme_end;
	size_t at, end; /* in the text; brackets of IPv6 and a port included */
	enum leak_kind kind;
	struct span term; /* what was looked for; of a network what was found */
};

/* Set up by whoever scans; the rest is zero. */
struct leak_scan {
	const struct leak_terms *terms;
	const struct leak_server *server; /* may be NULL */
	const struct leak_public *site;   /* may be NULL; what it says itself is no secret */
	struct span text;
	size_t from; /* what is looked at begins here; what stands before says whether something begins here */

	/* the scan's: found, and still to come */
	struct leak pattern, token, name;
	bool has_pattern, has_token, has_name;
};

/* The next one, from left to right, the longest of several that begin at one place; none lies over another. False: there is none. */
bool leak_next(struct leak_scan *scan, struct leak *leak);

/* How much of the text, from `from` on, means the same whatever follows it: scanned again with more, leaks before that offset stay what they are. */
size_t leak_terms_settled(const struct leak_terms *terms, struct span text, size_t from);
/*
 * Whether too little of the text would be settled to be worth a look: all of it may be one name. Twice the reach is looked at in one go, or a text that comes
 * byte by byte would be looked at from the front for each of them.
 */
bool leak_terms_wait(const struct leak_terms *terms, struct span text, size_t from);

/* Whether a leak can be told in public words. */
static inline bool leak_has_public(const struct leak *leak, const struct leak_public *site)
{
	return (leak->kind == LEAK_NAME || leak->kind == LEAK_ADDRESS) && site && site->authority.len > 0;
}

#endif
