/*
 * One certificate with what belongs to it, parsed and checked. Called while a store is made; any thread.
 */
#include "tls/store_internal.h"

#include "net/address.h"
#include "tls/tls_internal.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>

enum { OCSP_SKEW_S = 300, TEXT = 8192 };

/* Who is told, and about what. */
struct trial {
	const struct tls_material *item;
	size_t index;
	tls_complain_fn *complain;
	void *owner;
};

static void complain(const struct trial *trial, bool fault, const char *path, const char *what, const char *more)
{
	char text[TEXT];

	snprintf(text, sizeof(text), "%s: %s%s", path, what, more ? more : "");
	trial->complain(trial->owner, trial->index, fault, text);
}

static bool fault(const struct trial *trial, const char *path, const char *what)
{
	complain(trial, true, path, what, NULL);
	return false;
}

/* --- certificate and key --- */

static bool read_certificate(struct tls_identity *identity, const struct trial *trial)
{
	const char *why = NULL;

	identity->chain = tls_certificates_read(trial->item->certificate, &why);
	if (!identity->chain)
		return fault(trial, trial->item->certificate_path, why);
	identity->leaf = sk_X509_shift(identity->chain);
	if (sk_X509_num(identity->chain) == 0) { /* each connection would have an empty one */
		sk_X509_free(identity->chain);
		identity->chain = NULL;
	}
	return true;
}

static bool find_kind(struct tls_identity *identity, const struct trial *trial)
{
	static const int kinds[TLS_KEY_KINDS] = {
		[TLS_KEY_EC] = EVP_PKEY_EC,           [TLS_KEY_RSA] = EVP_PKEY_RSA,
		[TLS_KEY_RSA_PSS] = EVP_PKEY_RSA_PSS, [TLS_KEY_ED25519] = EVP_PKEY_ED25519,
		[TLS_KEY_ED448] = EVP_PKEY_ED448,
	};
	int kind = EVP_PKEY_get_base_id(identity->key);

	for (unsigned i = 0; i < TLS_KEY_KINDS; i++) {
		if (kinds[i] == kind) {
			identity->kind = (enum tls_key_kind)i;
			return true;
		}
	}
	return fault(trial, trial->item->key_path, "TLS needs a key that is RSA, ECDSA or EdDSA");
}

static bool read_key(struct tls_identity *identity, const struct trial *trial)
{
	const char *why = NULL;

	identity->key = tls_key_read(trial->item->key, &why);
	if (!identity->key)
		return fault(trial, trial->item->key_path, why);
	if (X509_check_private_key(identity->leaf, identity->key) != 1) {
		ERR_clear_error();
		complain(trial, true, trial->item->key_path, "the key is not the one of the certificate in ",
			 trial->item->certificate_path);
		return false;
	}
	return find_kind(identity, trial);
}

/* A context takes it as a listener's will: keys that are too small, signatures that are too weak. */
static bool try_in_context(struct tls_identity *identity, const struct trial *trial)
{
	const char *why = NULL;
	SSL_CTX *context = tls_context_new(TLS_server_method(), TLS_VERSION_12, &why);
	bool taken;

	if (!context)
		return fault(trial, trial->item->certificate_path, why);
	taken = SSL_CTX_use_cert_and_key(context, identity->leaf, identity->key, identity->chain, 1) == 1;
	SSL_CTX_free(context);
	if (taken)
		return true;
	complain(trial, true, trial->item->certificate_path, "TLS does not accept it: ", tls_reason());
	return false;
}

static void judge_times(const struct tls_identity *identity, const struct trial *trial)
{
	if (X509_cmp_current_time(X509_get0_notAfter(identity->leaf)) < 0)
		complain(trial, false, trial->item->certificate_path, "the certificate has expired", NULL);
	if (X509_cmp_current_time(X509_get0_notBefore(identity->leaf)) > 0)
		complain(trial, false, trial->item->certificate_path, "the certificate is not valid yet", NULL);
	ERR_clear_error();
}

/* --- names --- */

static bool add_name(struct tls_identity *identity, struct span name)
{
	char **names, *copy;

	while (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || memchr(name.at, 0, name.len))
		return true; /* no name at all */
	names = realloc(identity->names, (identity->name_count + 1) * sizeof(*names));
	if (!names)
		return false;
	identity->names = names;
	copy = malloc(name.len + 1);
	if (!copy)
		return false;
	for (size_t i = 0; i < name.len; i++)
		copy[i] = (char)ascii_lower(name.at[i]);
	copy[name.len] = 0;
	names[identity->name_count++] = copy;
	return true;
}

static bool add_address(struct tls_identity *identity, const ASN1_OCTET_STRING *octets)
{
	struct address address = {0};
	char text[ADDRESS_TEXT];
	size_t len = (size_t)ASN1_STRING_length(octets);

	if (len != 4 && len != 16)
		return true;
	address.family = len == 4 ? ADDRESS_V4 : ADDRESS_V6;
	memcpy(address.ip, ASN1_STRING_get0_data(octets), len);
	return add_name(identity, span_make(text, address_format_ip(&address, text)));
}

static struct span string_span(const ASN1_STRING *string)
{
	return span_make(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

static bool common_name(struct tls_identity *identity)
{
	const X509_NAME *subject = X509_get_subject_name(identity->leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return at < 0 ||
	       add_name(identity, string_span(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
}

/* The names that the certificate is for (RFC 9525 6.3); its subject's only if it has no others, as old private ones do. */
static bool read_names(struct tls_identity *identity, const struct trial *trial)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(identity->leaf, NID_subject_alt_name, NULL, NULL);
	bool fine = true;

	for (int i = 0; fine && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
		if (one->type == GEN_DNS)
			fine = add_name(identity, string_span(one->d.dNSName));
		else if (one->type == GEN_IPADD)
			fine = add_address(identity, one->d.iPAddress);
	}
	GENERAL_NAMES_free(all);
	ERR_clear_error();
	if (fine && identity->name_count == 0)
		fine = common_name(identity);
	if (!fine)
		return false;
	if (identity->name_count == 0 && !trial->item->client)
		complain(trial, false, trial->item->certificate_path, "the certificate names no host", NULL);
	return true;
}

/* --- OCSP --- */

/* Whether an entry of a response is about the certificate. Without its issuer only the serial number tells. */
static bool is_about(struct tls_identity *identity, const OCSP_CERTID *id)
{
	X509 *issuer = sk_X509_num(identity->chain) > 0 ? sk_X509_value(identity->chain, 0) : NULL;
	ASN1_OBJECT *digest = NULL;
	ASN1_INTEGER *serial = NULL;
	OCSP_CERTID *own;
	bool same;

	OCSP_id_get0_info(NULL, &digest, NULL, &serial, (OCSP_CERTID *)id);
	if (!issuer)
		return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(identity->leaf)) == 0;
	own = OCSP_cert_to_id(EVP_get_digestbyobj(digest), identity->leaf, issuer);
	same = own && OCSP_id_cmp(own, id) == 0;
	OCSP_CERTID_free(own);
	return same;
}

static OCSP_SINGLERESP *entry_about(struct tls_identity *identity, OCSP_BASICRESP *basic)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		if (is_about(identity, OCSP_SINGLERESP_get0_id(one)))
			return one;
	}
	return NULL;
}

static void judge_ocsp(struct tls_identity *identity, OCSP_SINGLERESP *entry, const struct trial *trial)
{
	const char *path = trial->item->ocsp_path;
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	struct tm date = {0};
	int status = OCSP_single_get0_status(entry, NULL, NULL, &from, &until);

	if (status != V_OCSP_CERTSTATUS_GOOD)
		complain(trial, false, path, "the response does not say that the certificate is good", NULL);
	if (!OCSP_check_validity(from, until, OCSP_SKEW_S, -1))
		complain(trial, false, path, "the response is stale, or not valid yet: it is not sent", NULL);
	if (until && ASN1_TIME_to_tm(until, &date))
		identity->ocsp_until = timegm(&date);
	ERR_clear_error();
}

static bool read_ocsp(struct tls_identity *identity, const struct trial *trial)
{
	const struct tls_material *item = trial->item;
	const uint8_t *at = item->ocsp.at;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic = NULL;
	OCSP_SINGLERESP *entry = NULL;

	if (!item->ocsp_path)
		return true;
	response = d2i_OCSP_RESPONSE(NULL, &at, (long)item->ocsp.len);
	if (response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	if (basic)
		entry = entry_about(identity, basic);
	if (entry)
		judge_ocsp(identity, entry, trial);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	if (!basic)
		return fault(trial, item->ocsp_path, "this is no successful OCSP response in DER");
	if (!entry)
		return fault(trial, item->ocsp_path, "the OCSP response is for another certificate");
	identity->ocsp = malloc(item->ocsp.len);
	if (!identity->ocsp)
		return fault(trial, item->ocsp_path, "out of memory");
	memcpy(identity->ocsp, item->ocsp.at, item->ocsp.len);
	identity->ocsp_len = item->ocsp.len;
	return true;
}

/* --- life --- */

bool tls_identity_init(struct tls_identity *identity, const struct tls_material *item, size_t index,
		       tls_complain_fn *complain_fn, void *owner)
{
	struct trial trial = {item, index, complain_fn, owner};

	if (!read_certificate(identity, &trial) || !read_key(identity, &trial) ||
	    !try_in_context(identity, &trial) || !read_ocsp(identity, &trial))
		return false;
	judge_times(identity, &trial);
	return read_names(identity, &trial);
}

void tls_identity_fini(struct tls_identity *identity)
{
	X509_free(identity->leaf);
	sk_X509_pop_free(identity->chain, X509_free);
	EVP_PKEY_free(identity->key);
	free(identity->ocsp);
	for (size_t i = 0; i < identity->name_count; i++)
		free(identity->names[i]);
	free(identity->names);
}
