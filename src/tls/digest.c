/*
 * Digests, by OpenSSL. Any thread.
 */
#include "tls/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

bool digest_sha1(struct span bytes, uint8_t out[SHA1_BYTES])
{
	unsigned len = 0;
	return EVP_Digest(bytes.at, bytes.len, out, &len, EVP_sha1(), NULL) == 1 && len == SHA1_BYTES;
}

bool digest_sha256(struct span bytes, uint8_t out[SHA256_BYTES])
{
	unsigned len = 0;
	return EVP_Digest(bytes.at, bytes.len, out, &len, EVP_sha256(), NULL) == 1 && len == SHA256_BYTES;
}

/* One context with the key in it, which is copied for each message. */
struct digest_mac *digest_mac_new(const uint8_t key[DIGEST_MAC_KEY])
{
	EVP_MAC *kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = kind ? EVP_MAC_CTX_new(kind) : NULL;
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	EVP_MAC_free(kind);
	if (context && EVP_MAC_init(context, key, DIGEST_MAC_KEY, parameters) == 1)
		return (struct digest_mac *)context;
	EVP_MAC_CTX_free(context);
	return NULL;
}

void digest_mac_free(struct digest_mac *mac)
{
	EVP_MAC_CTX_free((EVP_MAC_CTX *)mac);
}

bool digest_mac_of(const struct digest_mac *mac, const struct span *parts, unsigned count,
		   uint8_t out[DIGEST_MAC])
{
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup((const EVP_MAC_CTX *)mac);
	bool good = context != NULL;
	size_t len = 0;

	for (unsigned i = 0; good && i < count; i++)
		good = parts[i].len == 0 || EVP_MAC_update(context, parts[i].at, parts[i].len) == 1;
	good = good && EVP_MAC_final(context, out, &len, DIGEST_MAC) == 1 && len == DIGEST_MAC;
	EVP_MAC_CTX_free(context);
	return good;
}
