/*
 * Digests, by OpenSSL. Any thread.
 */
#include "tls/digest.h"

#include <openssl/evp.h>

bool digest_sha1(struct span bytes, uint8_t out[SHA1_BYTES])
{
	unsigned len = 0;
	return EVP_Digest(bytes.at, bytes.len, out, &len, EVP_sha1(), NULL) == 1 && len == SHA1_BYTES;
}
