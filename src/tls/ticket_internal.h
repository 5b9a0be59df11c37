/*
 * Keys of session tickets (RFC 5077 4, RFC 8446 4.6.1): one for each hour, the same on all workers, derived from the last hour's secret, which is
 * forgotten. So a stolen memory image opens the tickets of the last hours, not those of the last days.
 */
#ifndef GUISE_TLS_TICKET_INTERNAL_H
#define GUISE_TLS_TICKET_INTERNAL_H

#include "tls/server.h"

#include <openssl/evp.h>

enum {
	TICKET_EPOCH_MS = 60 * 60 * 1000,
	TICKET_EPOCHS = 13,            /* the current one, and those of the last twelve hours */
	TICKET_LIFETIME_S = 12 * 3600, /* what clients are told */
	TICKET_SECRET = 32,
};

struct tls_ticket_key {
	uint8_t name[16]; /* RFC 5077 4: stands in front of the ticket */
	uint8_t cipher[TICKET_SECRET], mac[TICKET_SECRET];
};

struct tls_tickets {
	uint8_t secret[TICKET_SECRET]; /* of the current epoch: the next one's comes from it */
	uint64_t start_ms;
	uint64_t epoch;
	struct tls_ticket_key keys[TICKET_EPOCHS]; /* of epoch e at e % TICKET_EPOCHS; zero: none */
	EVP_CIPHER *cipher;
};

/* False: out of memory. */
WARN_UNUSED bool tls_tickets_init(struct tls_tickets *tickets, const struct tls_ticket_seed *seed,
				  uint64_t now_ms);
void tls_tickets_fini(struct tls_tickets *tickets);
/* To the epoch of now; older keys than are kept are wiped. False: the library failed, and the old ones stay. */
bool tls_tickets_advance(struct tls_tickets *tickets, uint64_t now_ms);
uint64_t tls_tickets_next(const struct tls_tickets *tickets, uint64_t now_ms); /* ms until there is a new epoch */

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it: 0 no such key, 1 fine, 2 fine and a new one is due, -1 failed. */
int tls_tickets_key(struct tls_tickets *tickets, uint8_t name[16], uint8_t *iv, EVP_CIPHER_CTX *cipher,
		    EVP_MAC_CTX *mac, bool encrypt);

#endif
