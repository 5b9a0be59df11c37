/*
 * What the contexts of both sides have in common, and reading PEM. Any thread; reads no file.
 */
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <limits.h>

/*
 * TLS 1.2 with forward secrecy and authenticated encryption only. Of equal strength, what the client's machine is quick at decides
 * (SSL_OP_PRIORITIZE_CHACHA); ECDSA goes before RSA, being cheaper to sign with.
 */
static const char ciphers_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers_13[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
static const char signatures[] = "ECDSA+SHA256:ed25519:ECDSA+SHA384:ECDSA+SHA512:ed448:"
				 "rsa_pss_rsae_sha256:rsa_pss_pss_sha256:rsa_pss_rsae_sha384:rsa_pss_pss_sha384:"
				 "rsa_pss_rsae_sha512:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

enum { SECURITY_LEVEL = 2 }; /* RSA from 2048 bits, no SHA-1 */

const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return reason ? reason : "the TLS library gives no reason";
}

SSL_CTX *tls_context_new(const SSL_METHOD *method, enum tls_version minimum, const char **why)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context)
		goto fail;
	SSL_CTX_set_security_level(context, SECURITY_LEVEL);
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_clear_options(context, SSL_OP_LEGACY_SERVER_CONNECT);
	/* What has been read is wiped in the library's buffers as it is in ours (core/chunk.h). */
	SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
	/* An idle connection keeps no record buffer; chains are as they were given, nothing is built in a handshake. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	if (SSL_CTX_set_min_proto_version(context, minimum == TLS_VERSION_13 ? TLS1_3_VERSION : TLS1_2_VERSION) &&
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) &&
	    SSL_CTX_set_cipher_list(context, ciphers_12) && SSL_CTX_set_ciphersuites(context, ciphers_13) &&
	    SSL_CTX_set1_groups_list(context, groups) && SSL_CTX_set1_sigalgs_list(context, signatures))
		return context;
fail:
	*why = tls_reason();
	SSL_CTX_free(context);
	return NULL;
}

/* A password is asked for: there is none. */
static int on_password(char *out, int size, int writing, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

static BIO *bio_over(struct span bytes)
{
	return bytes.len <= INT_MAX ?
		       BIO_new_mem_buf(bytes.at ? bytes.at : (const uint8_t *)"", (int)bytes.len) :
		       NULL;
}

static bool at_end(void)
{
	unsigned long last = ERR_peek_last_error();

	return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * tls_certificates_read(struct span pem, const char **why)
{
	BIO *bio = bio_over(pem);
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *one;
	bool asked = false;

	ERR_clear_error();
	*why = "out of memory";
	if (!bio || !all)
		goto fail;
	while ((one = PEM_read_bio_X509(bio, NULL, on_password, &asked))) {
		/* What OpenSSL notes about a certificate is noted now: it is shared by threads later. */
		(void)X509_check_purpose(one, -1, 0);
		if (!sk_X509_push(all, one)) {
			X509_free(one);
			goto fail;
		}
	}
	if (!at_end()) {
		*why = "a certificate in it cannot be read";
		goto fail;
	}
	if (sk_X509_num(all) == 0) {
		*why = "there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")";
		goto fail;
	}
	ERR_clear_error();
	BIO_free(bio);
	return all;
fail:
	ERR_clear_error();
	BIO_free(bio);
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

EVP_PKEY *tls_key_read(struct span pem, const char **why)
{
	BIO *bio = bio_over(pem);
	bool asked = false;
	EVP_PKEY *key;

	ERR_clear_error();
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, on_password, &asked) : NULL;
	if (!bio)
		*why = "out of memory";
	else if (asked)
		*why = "the key is protected by a password";
	else if (span_search(pem, SPAN("PRIVATE KEY-----")) < 0)
		*why = "there is no key in it (PEM, \"-----BEGIN PRIVATE KEY-----\")";
	else
		*why = "the key in it cannot be read";
	ERR_clear_error();
	BIO_free(bio);
	return key;
}
