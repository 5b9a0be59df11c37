/*
 * Sealed values. See seal.h.
 *
 * With random nonces of 96 bits a key is good for 2^32 values (NIST SP 800-38D 8.3): beyond that, the chance that two have the same one is no longer
 * below 2^-32. Who had such a pair would learn how the two plain values differ, and could make values of the context.
 */
#include "tls/seal.h"

#include <openssl/crypto.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

enum { NONCE = 12, TAG = 16, CONTEXT = 32 };

struct seal {
	struct memory *memory;
	EVP_CIPHER_CTX *closing, *opening; /* with the key; each value brings its nonce */
	uint8_t context[CONTEXT];          /* digest */
};

bool seal_derive(struct span secret, struct span purpose, uint8_t key[SEAL_KEY])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret.at, secret.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)purpose.at, purpose.len),
		OSSL_PARAM_construct_end(),
	};
	bool good = context && EVP_KDF_derive(context, key, SEAL_KEY, parameters) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return good;
}

struct seal *seal_new(struct memory *memory, const uint8_t key[SEAL_KEY], struct span context)
{
	struct seal *seal = memory_alloc(memory, sizeof(*seal));
	unsigned len = 0;

	if (!seal)
		return NULL;
	*seal = (struct seal){
		.memory = memory,
		.closing = EVP_CIPHER_CTX_new(),
		.opening = EVP_CIPHER_CTX_new(),
	};
	if (seal->closing && seal->opening &&
	    EVP_Digest(context.at, context.len, seal->context, &len, EVP_sha256(), NULL) == 1 &&
	    EVP_EncryptInit_ex2(seal->closing, EVP_aes_256_gcm(), key, NULL, NULL) == 1 &&
	    EVP_DecryptInit_ex2(seal->opening, EVP_aes_256_gcm(), key, NULL, NULL) == 1)
		return seal;
	seal_free(seal);
	return NULL;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	EVP_CIPHER_CTX_free(seal->closing); /* these wipe the key */
	EVP_CIPHER_CTX_free(seal->opening);
	memory_free(seal->memory, seal, sizeof(*seal));
}

/* Nonce, what is sealed, tag. */
bool seal_close(struct seal *seal, struct span plain, uint8_t *out)
{
	EVP_CIPHER_CTX *cipher = seal->closing;
	uint8_t *nonce = out, *sealed = out + NONCE;
	int len = 0, end = 0;

	return RAND_bytes(nonce, NONCE) == 1 && EVP_EncryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1 &&
	       EVP_EncryptUpdate(cipher, NULL, &len, seal->context, CONTEXT) == 1 &&
	       EVP_EncryptUpdate(cipher, sealed, &len, plain.at, (int)plain.len) == 1 &&
	       EVP_EncryptFinal_ex(cipher, sealed + len, &end) == 1 &&
	       EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + plain.len) == 1;
}

bool seal_open(struct seal *seal, struct span sealed, uint8_t *out)
{
	EVP_CIPHER_CTX *cipher = seal->opening;
	uint8_t tag[TAG];
	int len = 0, end = 0;

	if (sealed.len < SEAL_ADDS)
		return false;
	struct span inside = span_make(sealed.at + NONCE, sealed.len - SEAL_ADDS);
	memcpy(tag, sealed.at + sealed.len - TAG, TAG);
	return EVP_DecryptInit_ex2(cipher, NULL, NULL, sealed.at, NULL) == 1 &&
	       EVP_DecryptUpdate(cipher, NULL, &len, seal->context, CONTEXT) == 1 &&
	       EVP_DecryptUpdate(cipher, out, &len, inside.at, (int)inside.len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
	       EVP_DecryptFinal_ex(cipher, out + len, &end) == 1;
}
