/*
 * The leak guard as exchanges meet it: heads and trailers of responses, and what the log and the counts are told.
 */
#ifndef GUISE_PROXY_LEAKS_H
#define GUISE_PROXY_LEAKS_H

#include "core/pace.h"
#include "exchange/exchange.h"
#include "mask/leak_guard.h"

struct proxy_exchange;

/* What a listener's guard has found; any thread. Zero: nothing. */
struct leak_tally {
	atomic_uint_fast64_t found;  /* since the start */
	struct pace pace;            /* of lines in the log */
	atomic_uint_fast64_t silent; /* found and not told since one was */
};

/* A final head, an interim one: p->leaked says that it must not be passed on. False: that, or out of memory. */
WARN_UNUSED bool leak_guard_head(struct exchange *x, struct proxy_exchange *p);
/* Trailers of a response, whose head is out: where they must not be passed on, the exchange is aborted within the turn. */
void leak_guard_trailers(struct exchange *x, struct proxy_exchange *p, struct http_fields *trailers);

/* The guard of the exchange's route; NULL: none, or no server has answered. */
const struct leak_guard *leaks_guard(const struct proxy_exchange *p);
/* Where the servers of the exchange's group are, as far as that is in no configuration. */
struct inside_now leaks_others(const struct proxy_exchange *p);
/* The server of the current try, as far as it is not in the guard's terms; `address` is for its address. Borrowed from the exchange. */
struct leak_server leaks_server(const struct exchange *x, const struct proxy_exchange *p,
				struct address *address);
/* The site as clients know it. Borrowed from the exchange. */
struct leak_public leaks_site(const struct exchange *x, const struct proxy_exchange *p);

/* One was found: to the log and the counts. */
void leaks_tell(struct exchange *x, struct proxy_exchange *p, struct span where, const struct leak *leak,
		enum leak_done done);
/* Content of the response was not looked at, although it should have been. */
void leaks_tell_blind(struct exchange *x, struct proxy_exchange *p, const char *why);

#endif
