/*
 * The ratchet of ticket keys. One worker's; the chains of all workers are alike, having begun with the same seed at the same time.
 */
#include "tls/ticket_internal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>

enum { IV = 16 };

/* HMAC-SHA-256 as a pseudo-random function of a purpose. */
static bool derive(const uint8_t secret[TICKET_SECRET], const char *purpose, uint8_t out[TICKET_SECRET])
{
	unsigned len = TICKET_SECRET;

	return HMAC(EVP_sha256(), secret, TICKET_SECRET, (const uint8_t *)purpose, strlen(purpose), out,
		    &len) != NULL;
}

static bool make_keys(struct tls_tickets *tickets)
{
	struct tls_ticket_key *key = &tickets->keys[tickets->epoch % TICKET_EPOCHS];
	uint8_t name[TICKET_SECRET];

	if (!derive(tickets->secret, "guise ticket name", name) ||
	    !derive(tickets->secret, "guise ticket cipher", key->cipher) ||
	    !derive(tickets->secret, "guise ticket mac", key->mac))
		return false;
	memcpy(key->name, name, sizeof(key->name));
	return true;
}

bool tls_tickets_advance(struct tls_tickets *tickets, uint64_t now_ms)
{
	uint64_t past = now_ms > tickets->start_ms ? now_ms - tickets->start_ms : 0;
	uint64_t epoch = past / TICKET_EPOCH_MS;
	uint8_t next[TICKET_SECRET];

	while (tickets->epoch < epoch) {
		if (!derive(tickets->secret, "guise ticket next", next))
			return false;
		memcpy(tickets->secret, next, sizeof(next));
		OPENSSL_cleanse(next, sizeof(next));
		tickets->epoch++;
		/* In the place of the oldest ones. */
		OPENSSL_cleanse(&tickets->keys[tickets->epoch % TICKET_EPOCHS], sizeof(*tickets->keys));
		if (!make_keys(tickets))
			return false;
	}
	return true;
}

uint64_t tls_tickets_next(const struct tls_tickets *tickets, uint64_t now_ms)
{
	uint64_t due = tickets->start_ms + (tickets->epoch + 1) * TICKET_EPOCH_MS;

	return due > now_ms ? due - now_ms : 1;
}

bool tls_tickets_init(struct tls_tickets *tickets, const struct tls_ticket_seed *seed, uint64_t now_ms)
{
	*tickets = (struct tls_tickets){.start_ms = seed->start_ms};
	memcpy(tickets->secret, seed->bytes, sizeof(tickets->secret));
	tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	return tickets->cipher && make_keys(tickets) && tls_tickets_advance(tickets, now_ms);
}

void tls_tickets_fini(struct tls_tickets *tickets)
{
	EVP_CIPHER_free(tickets->cipher);
	OPENSSL_cleanse(tickets, sizeof(*tickets));
}

static const struct tls_ticket_key *find(const struct tls_tickets *tickets, const uint8_t name[16])
{
	for (unsigned i = 0; i < TICKET_EPOCHS && i <= tickets->epoch; i++) {
		const struct tls_ticket_key *key = &tickets->keys[(tickets->epoch - i) % TICKET_EPOCHS];
		if (memcmp(key->name, name, sizeof(key->name)) == 0)
			return key;
	}
	return NULL;
}

int tls_tickets_key(struct tls_tickets *tickets, uint8_t name[16], uint8_t *iv, EVP_CIPHER_CTX *cipher,
		    EVP_MAC_CTX *mac, bool encrypt)
{
	const struct tls_ticket_key *current = &tickets->keys[tickets->epoch % TICKET_EPOCHS];
	const struct tls_ticket_key *key = encrypt ? current : find(tickets, name);
	OSSL_PARAM parameters[3];

	if (!key)
		return 0;
	parameters[0] =
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac));
	parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
	parameters[2] = OSSL_PARAM_construct_end();
	if (EVP_MAC_CTX_set_params(mac, parameters) != 1)
		return -1;
	if (encrypt) {
		memcpy(name, key->name, sizeof(key->name));
		if (RAND_bytes(iv, IV) != 1 ||
		    EVP_EncryptInit_ex2(cipher, tickets->cipher, key->cipher, iv, NULL) != 1)
			return -1;
		return 1;
	}
	if (EVP_DecryptInit_ex2(cipher, tickets->cipher, key->cipher, iv, NULL) != 1)
		return -1;
	return key == current ? 1 : 2;
}
