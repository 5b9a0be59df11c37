/*
 * Certificates for tests, made when they are needed, so that none in the tree can expire. Keys are P-256, or RSA of 2048 bits where a test asks for it.
 */
#ifndef GUISE_TESTS_CERTIFICATES_H
#define GUISE_TESTS_CERTIFICATES_H

#include "core/span.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

enum { DAY_S = 24 * 60 * 60 };

struct certificate {
	EVP_PKEY *key;
	X509 *x509;
	char *pem;     /* the certificate, and those of `signer`, root excepted */
	char *key_pem; /* its key */
};

/* What is out of the ordinary; zero: an ECDSA certificate signed by itself, valid for a day. */
struct certificate_wish {
	const char *common_name;          /* default: "test" */
	const char *names;                /* "DNS:a.example,IP:10.0.0.1"; NULL: none */
	const struct certificate *signer; /* NULL: itself */
	bool rsa, authority, client;
	unsigned bits;    /* of RSA; 0: 2048 */
	const EVP_MD *md; /* default: SHA-256 */
	long from, until; /* seconds from now; both 0: an hour ago, in a day */
	const char *password;
};

static inline char *certificate_text(BIO *bio)
{
	char *data, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = malloc((size_t)len + 1);
	ENSURE(text);
	memcpy(text, data, (size_t)len);
	text[len] = 0;
	BIO_free(bio);
	return text;
}

static inline void certificate_extension(X509 *x509, X509 *signer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, signer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, (char *)value);
	ENSURE(extension);
	ENSURE(X509_add_ext(x509, extension, -1));
	X509_EXTENSION_free(extension);
}

static inline struct certificate certificate_make(struct certificate_wish wish)
{
	static long serial = 1000;
	struct certificate made = {0};
	X509_NAME *name = X509_NAME_new();
	BIO *bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());

	if (!wish.from && !wish.until) {
		wish.from = -3600;
		wish.until = DAY_S;
	}
	made.key = wish.rsa ? EVP_RSA_gen(wish.bits ? wish.bits : 2048) : EVP_EC_gen("P-256");
	made.x509 = X509_new();
	ENSURE(made.key && made.x509 && name && bio && key_bio);
	X509_set_version(made.x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(made.x509), wish.from);
	X509_gmtime_adj(X509_getm_notAfter(made.x509), wish.until);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				   (const uint8_t *)(wish.common_name ? wish.common_name : "test"), -1, -1, 0);
	X509_set_subject_name(made.x509, name);
	X509_NAME_free(name);
	X509_set_pubkey(made.x509, made.key);
	X509 *signer = wish.signer ? wish.signer->x509 : made.x509;
	X509_set_issuer_name(made.x509, X509_get_subject_name(signer));
	if (wish.authority)
		certificate_extension(made.x509, signer, NID_basic_constraints, "critical,CA:TRUE");
	else
		certificate_extension(made.x509, signer, NID_ext_key_usage,
				      wish.client ? "clientAuth" : "serverAuth");
	if (wish.names)
		certificate_extension(made.x509, signer, NID_subject_alt_name, wish.names);
	ENSURE(X509_sign(made.x509, wish.signer ? wish.signer->key : made.key,
			 wish.md ? wish.md : EVP_sha256()));
	PEM_write_bio_X509(bio, made.x509);
	if (wish.signer && X509_check_issued(wish.signer->x509, wish.signer->x509) != X509_V_OK)
		PEM_write_bio_X509(bio, wish.signer->x509);
	PEM_write_bio_PrivateKey(key_bio, made.key, wish.password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
				 (void *)wish.password);
	made.pem = certificate_text(bio);
	made.key_pem = certificate_text(key_bio);
	ERR_clear_error();
	return made;
}

static inline void certificate_free(struct certificate *certificate)
{
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	free(certificate->pem);
	free(certificate->key_pem);
	*certificate = (struct certificate){0};
}

/* A response about `about`, signed by its issuer: good, for `valid_s` seconds from a minute ago. DER, to be freed with OPENSSL_free. */
static inline size_t certificate_ocsp(const struct certificate *about, const struct certificate *issuer,
				      long valid_s, uint8_t **der)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about->x509, issuer->x509);
	ASN1_TIME *from = X509_gmtime_adj(NULL, -60), *until = X509_gmtime_adj(NULL, valid_s - 60);

	ENSURE(basic && id && from && until);
	ENSURE(OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
	ENSURE(OCSP_basic_sign(basic, issuer->x509, issuer->key, EVP_sha256(), NULL, 0));
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	*der = NULL;
	int len = i2d_OCSP_RESPONSE(response, der);
	ENSURE(len > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return (size_t)len;
}

#endif
