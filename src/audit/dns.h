/*
 * Questions and answers of DNS (RFC 1035 4), for name servers that an audit plays: every name has an address of its own. Any thread.
 */
#ifndef GUISE_AUDIT_DNS_H
#define GUISE_AUDIT_DNS_H

#include "core/arena.h"
#include "core/map.h"
#include "net/address.h"

#include <pthread.h>

enum {
	DNS_PACKET = 512, /* bytes, at most: what goes over UDP without more ado (RFC 1035 4.2.1) */
	DNS_NAME = 253,   /* characters (RFC 1035 2.3.4) */
	DNS_NAMES_MOST = 4096,
	DNS_TYPE_A = 1,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
};

struct dns_question {
	uint16_t id, type;
	bool recursion;         /* was asked for */
	bool edns;              /* RFC 6891 */
	uint8_t name[DNS_NAME]; /* lower case, with dots between labels and none at the end */
	size_t name_len;
	struct span raw; /* the question as it stands in the packet */
	struct span subnet; /* the data of a client subnet option (RFC 7871 6); empty: none. Both borrow from the packet */
};

/* False: it is no question of class IN, or not well formed. */
WARN_UNUSED bool dns_question_parse(struct span packet, struct dns_question *question);

static inline struct span dns_question_name(const struct dns_question *question)
{
	return span_make(question->name, question->name_len);
}

/* What an SRV record says (RFC 2782): the target is the question's own name behind the label "node". */
struct dns_answer {
	const struct address *address; /* for A and AAAA, if it is of that family; NULL: none */
	uint16_t port;                 /* for SRV; 0: none */
};

/* How many bytes were written; the name exists, whatever it has. 0: there is no room. */
WARN_UNUSED size_t dns_answer_write(const struct dns_question *question, const struct dns_answer *answer,
				    uint8_t *out, size_t room);

/* --- addresses of names --- */

struct dns_names {
	pthread_mutex_t lock; /* around all of it */
	struct memory memory;
	struct arena arena;
	struct map map; /* of struct dns_name, by name */
	uint32_t count;
};

void dns_names_init(struct dns_names *names);
void dns_names_fini(struct dns_names *names);
/*
 * The public address of a name, of the family that the type asks for: the same one each time, and no other name's. False: there are DNS_NAMES_MOST already, or it is
 * no question for an address, or out of memory.
 */
WARN_UNUSED bool dns_names_address(struct dns_names *names, struct span name, uint16_t type,
				   struct address *address);

#endif
