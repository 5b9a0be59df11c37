/*
 * Certificates made in memory. Any thread.
 */
#include "tls/authority_internal.h"

#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

enum {
	DAY = 24 * 60 * 60,
	NAME_MOST = 253, /* RFC 1035 2.3.4 */
	COMMON_NAME_MOST = 64,
};

struct tls_authority {
	EVP_PKEY *key, *leaf_key;
	X509 *certificate;
	BIO *pem;
};

static bool set_serial(X509 *certificate)
{
	uint64_t number = 0;

	return RAND_bytes((unsigned char *)&number, sizeof(number)) == 1 &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), number >> 1);
}

static bool set_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool done;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
	done = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return done;
}

/* RFC 5280 4.1: version 3, a day back for clocks that are late. */
static X509 *certificate_new(const char *common_name, EVP_PKEY *key, X509 *issuer)
{
	X509 *made = X509_new();
	X509_NAME *subject = made ? X509_get_subject_name(made) : NULL;

	if (subject && X509_set_version(made, 2) && set_serial(made) &&
	    X509_gmtime_adj(X509_getm_notBefore(made), -DAY) &&
	    X509_gmtime_adj(X509_getm_notAfter(made), 30L * DAY) &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1,
				       -1, 0) &&
	    X509_set_issuer_name(made, issuer ? X509_get_subject_name(issuer) : subject) &&
	    X509_set_pubkey(made, key))
		return made;
	X509_free(made);
	return NULL;
}

static bool make_own(struct tls_authority *authority)
{
	X509 *made = certificate_new("Guise audit authority, in memory only", authority->key, NULL);

	authority->certificate = made;
	return made && set_extension(made, made, NID_basic_constraints, "critical,CA:TRUE") &&
	       set_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       set_extension(made, made, NID_subject_key_identifier, "hash") &&
	       X509_sign(made, authority->key, EVP_sha256());
}

struct tls_authority *tls_authority_new(const char **why)
{
	struct tls_authority *authority = calloc(1, sizeof(*authority));

	*why = "out of memory";
	if (!authority)
		return NULL;
	authority->key = EVP_EC_gen("P-256");
	authority->leaf_key = EVP_EC_gen("P-256");
	authority->pem = BIO_new(BIO_s_mem());
	if (authority->key && authority->leaf_key && authority->pem && make_own(authority) &&
	    PEM_write_bio_X509(authority->pem, authority->certificate))
		return authority;
	*why = tls_reason();
	tls_authority_free(authority);
	return NULL;
}

void tls_authority_free(struct tls_authority *authority)
{
	if (!authority)
		return;
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
	EVP_PKEY_free(authority->leaf_key);
	BIO_free(authority->pem);
	free(authority);
}

struct span tls_authority_pem(const struct tls_authority *authority)
{
	char *at = NULL;
	long len = BIO_get_mem_data(authority->pem, &at);

	return span_make(at, (size_t)len);
}

EVP_PKEY *tls_authority_key(const struct tls_authority *authority)
{
	return authority->leaf_key;
}

/* Letters, digits and what stands between them: nothing that has a meaning in the text that OpenSSL makes an extension of. */
static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.at[i];

		if (!ascii_is_alpha(byte) && !ascii_is_digit(byte) && !memchr("-_.:", byte, 4))
			return false;
	}
	return name.len > 0 && name.len <= NAME_MOST;
}

static bool is_address(const char *name)
{
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
	bool is = address != NULL;

	ASN1_OCTET_STRING_free(address);
	ERR_clear_error();
	return is;
}

X509 *tls_authority_sign(const struct tls_authority *authority, struct span name)
{
	char text[NAME_MOST + 1], alternative[NAME_MOST + 8];
	X509 *made;

	if (!is_name(name))
		return NULL;
	(void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(name));
	(void)snprintf(alternative, sizeof(alternative), "%s:%s", is_address(text) ? "IP" : "DNS", text);
	made = certificate_new(name.len <= COMMON_NAME_MOST ? text : "audit", authority->leaf_key,
			       authority->certificate);
	if (made && set_extension(made, authority->certificate, NID_subject_alt_name, alternative) &&
	    set_extension(made, authority->certificate, NID_ext_key_usage, "serverAuth") &&
	    X509_sign(made, authority->key, EVP_sha256()))
		return made;
	ERR_clear_error();
	X509_free(made);
	return NULL;
}
