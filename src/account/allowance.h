/*
 * What users and addresses have used of what they may have: requests, bytes, connections, quotas. One for the process, shared by its workers.
 *
 * Who it is about is looked up once for each exchange, under the lock of a shard (allowance_enter), and given back at its end. What lies between, every
 * portion of bytes, is atomics. Entries in use are as many as there are exchanges; of those that nobody uses the latest are remembered, up to a bound, so that a
 * flood of addresses takes no more memory than that.
 */
#ifndef GUISE_ACCOUNT_ALLOWANCE_H
#define GUISE_ACCOUNT_ALLOWANCE_H

#include "account/allowance_settings.h"
#include "core/memory.h"
#include "core/span.h"
#include "net/address.h"

struct allowances;
struct allowance;
struct allowance_entry;

enum { ALLOWANCE_REMEMBERED = 64 * 1024 }; /* entries of one allowance that nobody uses, at most */

/*
 * One for each of the settings (struct allowance_settings), which are copied. What is in `previous` (NULL: nothing) under the same name is taken over: all of it if the
 * allowance is the same as it was, else what is left of quotas. NULL: out of memory.
 */
WARN_UNUSED struct allowances *allowances_new(struct memory *memory, const struct setting_list *settings,
					      struct allowances *previous);
/* NULL is fine. What is in use lives on until it is left. */
void allowances_free(struct allowances *allowances);
struct allowance *allowances_at(struct allowances *allowances, uint32_t index);

const char *allowance_name(const struct allowance *allowance);

/* The moment that something is judged at. */
struct allowance_time {
	uint64_t now_us; /* loop clock */
	int64_t wall_ms; /* since 1970 */
};

struct allowance_asker {
	struct span user; /* who has proved to be it; empty: nobody */
	const struct address *client;
};

enum allowance_answer {
	ALLOWANCE_GRANTED,
	ALLOWANCE_REQUESTS,    /* too many in too short a time */
	ALLOWANCE_CONNECTIONS, /* too many at a time */
	ALLOWANCE_QUOTA,       /* used up */
	ALLOWANCE_MEMORY,
	ALLOWANCE_ANSWERS,
};

/* What one exchange has of it. Zero: nothing. */
struct allowance_use {
	struct allowance *allowance;
	struct allowance_entry *entry;
};

/*
 * One request or tunnel more. Granted: it is in use until allowance_leave, and may begin in *wait_us µs (0 unless `delay` is set, or may be: `held`). Refused: *wait_us
 * is when it is worth another try.
 */
WARN_UNUSED enum allowance_answer allowance_enter(struct allowance *allowance,
						  const struct allowance_asker *asker, bool held,
						  const struct allowance_time *time,
						  struct allowance_use *use, uint64_t *wait_us);
void allowance_leave(struct allowance_use *use); /* harmless when nothing is in use */

enum allowance_direction { ALLOWANCE_UP, ALLOWANCE_DOWN };

/* Something limits or counts bytes in this direction, so that they have to be charged. */
bool allowance_meters(const struct allowance_use *use, enum allowance_direction direction);
/* Bytes that should pass at a time, so that what is slow is smooth. */
size_t allowance_portion(const struct allowance_use *use, enum allowance_direction direction);

#define ALLOWANCE_NEVER UINT64_MAX

/*
 * So many bytes are to pass: in how many µs they may. ALLOWANCE_NEVER: the quota was used up before them, and they are not counted.
 */
uint64_t allowance_charge(const struct allowance_use *use, enum allowance_direction direction, size_t bytes,
			  const struct allowance_time *time);
void allowance_refund(const struct allowance_use *use, enum allowance_direction direction, size_t bytes);
/* The same for a datagram, which cannot wait: false: it is to be dropped, and is not counted. */
WARN_UNUSED bool allowance_pass(const struct allowance_use *use, enum allowance_direction direction,
				size_t bytes, const struct allowance_time *time);
/* Nothing is left of the quota. */
bool allowance_is_spent(const struct allowance_use *use, const struct allowance_time *time);
/* How many µs until there is a fresh quota. */
uint64_t allowance_renewal_us(const struct allowance_use *use, const struct allowance_time *time);

/* ---- how often it has had to say no ---- */

struct allowance_counts {
	uint64_t granted, refused[ALLOWANCE_ANSWERS]; /* by enum allowance_answer */
	uint64_t delayed;                             /* requests that were held back */
	uint64_t throttled;                           /* portions that had to wait */
	uint64_t dropped;                             /* datagrams */
	uint64_t entries;
};

struct allowance_counts allowance_counts(struct allowance *allowance);

#endif
