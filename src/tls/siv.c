/*
 * AES-SIV, by OpenSSL. See siv.h. A context is good for one value, as the context of the value becomes part of it: each gets a copy of one that has the key.
 */
#include "tls/siv.h"

#include <openssl/evp.h>

struct siv {
	EVP_CIPHER_CTX *closing, *opening; /* with the key; copied, never used */
};

static EVP_CIPHER_CTX *keyed(EVP_CIPHER *cipher, const uint8_t key[SIV_KEY], int closing)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context && EVP_CipherInit_ex2(context, cipher, key, NULL, closing, NULL) == 1)
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

struct siv *siv_new(const uint8_t key[SIV_KEY])
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-SIV", NULL); /* two keys of 128 bits */
	struct siv *siv = cipher ? OPENSSL_zalloc(sizeof(*siv)) : NULL;

	if (siv) {
		siv->closing = keyed(cipher, key, 1);
		siv->opening = keyed(cipher, key, 0);
	}
	EVP_CIPHER_free(cipher);
	if (siv && siv->closing && siv->opening)
		return siv;
	siv_free(siv);
	return NULL;
}

void siv_free(struct siv *siv)
{
	if (!siv)
		return;
	EVP_CIPHER_CTX_free(siv->closing); /* these wipe the key */
	EVP_CIPHER_CTX_free(siv->opening);
	OPENSSL_free(siv);
}

/* NULL: out of memory. */
static EVP_CIPHER_CTX *copy(const EVP_CIPHER_CTX *keyed)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (context && EVP_CIPHER_CTX_copy(context, keyed) == 1)
		return context;
	EVP_CIPHER_CTX_free(context);
	return NULL;
}

/* The tag, which stands for an initialisation vector (RFC 5297 2.6), and what is sealed. */
bool siv_close(const struct siv *siv, struct span context, struct span plain, uint8_t *out)
{
	EVP_CIPHER_CTX *cipher = copy(siv->closing);
	int len = 0, end = 0;
	bool good = cipher && EVP_EncryptUpdate(cipher, NULL, &len, context.at, (int)context.len) == 1 &&
		    EVP_EncryptUpdate(cipher, out + SIV_ADDS, &len, plain.at, (int)plain.len) == 1 &&
		    EVP_EncryptFinal_ex(cipher, out + SIV_ADDS + len, &end) == 1 &&
		    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, SIV_ADDS, out) == 1;

	EVP_CIPHER_CTX_free(cipher);
	return good;
}

bool siv_open(const struct siv *siv, struct span context, struct span sealed, uint8_t *out)
{
	uint8_t tag[SIV_ADDS];
	int len = 0, end = 0;

	if (sealed.len <= SIV_ADDS)
		return false;
	struct span inside = span_from(sealed, SIV_ADDS);
	EVP_CIPHER_CTX *cipher = copy(siv->opening);
	memcpy(tag, sealed.at, SIV_ADDS);
	bool good = cipher && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, SIV_ADDS, tag) == 1 &&
		    EVP_DecryptUpdate(cipher, NULL, &len, context.at, (int)context.len) == 1 &&
		    EVP_DecryptUpdate(cipher, out, &len, inside.at, (int)inside.len) == 1 &&
		    EVP_DecryptFinal_ex(cipher, out + len, &end) == 1;
	EVP_CIPHER_CTX_free(cipher);
	return good;
}
