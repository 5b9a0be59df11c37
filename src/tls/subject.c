/*
 * Whose certificate it is, as one name. Any thread.
 */
#include "tls/tls_internal.h"

#include <openssl/x509v3.h>

/* As UTF-8. 0: it is too long, empty, or has bytes that no name has: then it is none, rather than another one. */
static size_t text_of(const ASN1_STRING *string, uint8_t out[TLS_SUBJECT_MOST])
{
	unsigned char *text = NULL;
	int len = string ? ASN1_STRING_to_UTF8(&text, string) : -1;
	size_t taken = len > 0 && len <= TLS_SUBJECT_MOST ? (size_t)len : 0;

	for (size_t i = 0; i < taken; i++)
		if (text[i] < 0x20 || text[i] == 0x7f)
			taken = 0;
	if (taken)
		memcpy(out, text, taken);
	if (len >= 0)
		OPENSSL_free(text);
	return taken;
}

/* *has: there is a common name, whatever it is. Of two, nobody could say which is meant. */
static size_t common_name(const X509 *certificate, uint8_t out[TLS_SUBJECT_MOST], bool *has)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	*has = at >= 0;
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return 0;
	return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), out);
}

/* RFC 5280 4.2.1.6: rfc822Name */
static size_t mail_address(const X509 *certificate, uint8_t out[TLS_SUBJECT_MOST])
{
	GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *found = NULL;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
		found = one->type == GEN_EMAIL ? one->d.rfc822Name : NULL;
	}
	size_t len = text_of(found, out);
	GENERAL_NAMES_free(all);
	return len;
}

size_t tls_subject(const X509 *certificate, uint8_t out[TLS_SUBJECT_MOST])
{
	bool has;
	size_t len = common_name(certificate, out, &has);

	return has ? len : mail_address(certificate, out);
}
