/* Certificates by name, and what is said of those that cannot be used. */
#include "tls_fixture.h"

#include "tls/store_internal.h"

struct trial {
	struct complaints complaints;
	struct tls_material item;
};

static struct tls_store *make(struct trial *trial)
{
	trial->complaints = (struct complaints){0};
	return tls_store_new(&trial->item, 1, note_complaint, &trial->complaints);
}

static void refuses(struct trial *trial, const char *text)
{
	struct tls_store *store = make(trial);

	assert_null(store);
	assert_true(trial->complaints.faults >= 1);
	assert_string_equal(trial->complaints.text, text);
}

static void warns(struct trial *trial, const char *text)
{
	struct tls_store *store = make(trial);

	assert_non_null(store);
	assert_int_equal(trial->complaints.faults, 0);
	assert_int_equal(trial->complaints.warnings, 1);
	assert_string_equal(trial->complaints.text, text);
	tls_store_release(store);
}

static void says_what_is_wrong(void **state)
{
	struct certificate good = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct certificate other = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct certificate locked =
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .password = "secret"});
	struct certificate small =
		certificate_make((struct certificate_wish){.names = "DNS:a", .rsa = true, .bits = 1024});
	struct trial trial = {.item = material_of(&good)};
	char *cut = strdup(good.pem);

	trial.item.certificate = SPAN("");
	refuses(&trial, "0: site.pem: there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
	trial.item.certificate = span_of(good.key_pem);
	refuses(&trial, "0: site.pem: there is no certificate in it (PEM, \"-----BEGIN CERTIFICATE-----\")");
	cut[200] = '!';
	trial.item.certificate = span_of(cut);
	refuses(&trial, "0: site.pem: a certificate in it cannot be read");
	trial.item.certificate = span_first(span_of(good.pem), 300);
	refuses(&trial, "0: site.pem: a certificate in it cannot be read");
	trial.item = material_of(&good);
	trial.item.key = span_of(good.pem);
	refuses(&trial, "0: site.key: there is no key in it (PEM, \"-----BEGIN PRIVATE KEY-----\")");
	trial.item.key = span_first(span_of(good.key_pem), 90);
	refuses(&trial, "0: site.key: the key in it cannot be read");
	trial.item.key = span_of(other.key_pem);
	refuses(&trial, "0: site.key: the key is not the one of the certificate in site.pem");
	trial.item = material_of(&locked);
	refuses(&trial, "0: site.key: the key is protected by a password");
	trial.item = material_of(&small);
	refuses(&trial, "0: site.pem: TLS does not accept it: ee key too small");
	assert_int_equal(ERR_peek_error(), 0);
	free(cut);
	certificate_free(&good);
	certificate_free(&other);
	certificate_free(&locked);
	certificate_free(&small);
}

static void warns_of_dates_and_names(void **state)
{
	struct certificate old = certificate_make(
		(struct certificate_wish){.names = "DNS:a.example", .from = -2 * DAY_S, .until = -10});
	struct certificate young = certificate_make(
		(struct certificate_wish){.names = "DNS:a.example", .from = 3600, .until = DAY_S});
	struct certificate mail = certificate_make((struct certificate_wish){.names = "email:me@a.example"});
	struct certificate nameless =
		certificate_make((struct certificate_wish){.common_name = "", .names = "email:me@a.example"});
	struct trial trial = {.item = material_of(&old)};

	warns(&trial, "0: site.pem: the certificate has expired");
	trial.item = material_of(&young);
	warns(&trial, "0: site.pem: the certificate is not valid yet");
	trial.item = material_of(&nameless);
	warns(&trial, "0: site.pem: the certificate names no host");
	/* Old private ones have nothing but a common name. */
	trial.item = material_of(&mail);
	struct tls_store *store = make(&trial);
	struct tls_identity_set set;
	assert_int_equal(trial.complaints.warnings, 0);
	assert_true(tls_store_find(store, SPAN("test"), &set));
	tls_store_release(store);
	certificate_free(&old);
	certificate_free(&young);
	certificate_free(&mail);
	certificate_free(&nameless);
}

static void all_items_are_looked_at(void **state)
{
	struct certificate good = certificate_make((struct certificate_wish){.names = "DNS:a.example"});
	struct tls_material items[3] = {material_of(&good), material_of(&good), material_of(&good)};
	struct complaints complaints = {0};

	items[0].key = items[2].key = SPAN("");
	assert_null(tls_store_new(items, 3, note_complaint, &complaints));
	assert_int_equal(complaints.faults, 2);
	assert_null(tls_store_new(items, 0, note_complaint, &complaints));
	certificate_free(&good);
}

static void judges_ocsp_responses(void **state)
{
	struct certificate root = certificate_make((struct certificate_wish){.authority = true});
	struct certificate leaf =
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .signer = &root});
	struct certificate other =
		certificate_make((struct certificate_wish){.names = "DNS:a.example", .signer = &root});
	struct trial trial = {.item = material_of(&leaf)};
	uint8_t *good, *stale, *foreign;
	size_t good_len = certificate_ocsp(&leaf, &root, 3600, &good);
	size_t stale_len = certificate_ocsp(&leaf, &root, -3600, &stale);
	size_t foreign_len = certificate_ocsp(&other, &root, 3600, &foreign);
	struct tls_store *store;

	trial.item.ocsp_path = "site.ocsp";
	trial.item.ocsp = span_make(good, good_len);
	store = make(&trial);
	assert_non_null(store);
	assert_int_equal(trial.complaints.warnings, 0);
	assert_int_equal(store->identities[0].ocsp_len, good_len);
	assert_true(store->identities[0].ocsp_until > time(NULL));
	tls_store_release(store);
	trial.item.ocsp = span_make(stale, stale_len);
	warns(&trial, "0: site.ocsp: the response is stale, or not valid yet: it is not sent");
	trial.item.ocsp = span_make(foreign, foreign_len);
	refuses(&trial, "0: site.ocsp: the OCSP response is for another certificate");
	trial.item.ocsp = SPAN("not DER");
	refuses(&trial, "0: site.ocsp: this is no successful OCSP response in DER");
	OPENSSL_free(good);
	OPENSSL_free(stale);
	OPENSSL_free(foreign);
	certificate_free(&root);
	certificate_free(&leaf);
	certificate_free(&other);
}

/* Which items a name is given: the index of the ECDSA one and of the RSA one, -1: none. */
static void finds(const struct tls_store *store, const char *name, bool found, int ec, int rsa)
{
	struct tls_identity_set set;
	const struct tls_identity *expected_ec = ec < 0 ? NULL : &store->identities[ec];
	const struct tls_identity *expected_rsa = rsa < 0 ? NULL : &store->identities[rsa];

	assert_int_equal(tls_store_find(store, span_of(name), &set), found);
	assert_ptr_equal(set.of[TLS_KEY_EC], expected_ec);
	assert_ptr_equal(set.of[TLS_KEY_RSA], expected_rsa);
}

static void finds_by_name(void **state)
{
	struct certificate all[] = {
		certificate_make((struct certificate_wish){.names = "DNS:Default.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:*.shop.example,DNS:shop.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:www.shop.example", .rsa = true}),
		certificate_make((struct certificate_wish){
			.names = "DNS:default.example,DNS:x.example,IP:10.0.0.1,IP:2001:db8::1", .rsa = true}),
		certificate_make((struct certificate_wish){.names = "DNS:default.example"}),
	};
	struct tls_store *store = store_of(all, ARRAY_LENGTH(all));

	finds(store, "", false, 0, 3);
	finds(store, "unknown.example", false, 0, 3);
	finds(store, "default.example", true, 0, 3);
	finds(store, "default.example.", true, 0, 3);
	finds(store, "shop.example", true, 1, -1);
	finds(store, "a.shop.example", true, 1, -1);
	finds(store, "www.shop.example", true, 1, 2);  /* one exact, one by the wildcard */
	finds(store, "a.b.shop.example", false, 0, 3); /* one label only */
	finds(store, ".shop.example", false, 0, 3);
	finds(store, "*.shop.example", true, 1, -1);
	finds(store, "x.example", true, -1, 3);
	finds(store, "10.0.0.1", true, -1, 3);
	finds(store, "[2001:db8:0::1]", true, -1, 3);
	tls_store_release(store);
	for (unsigned i = 0; i < ARRAY_LENGTH(all); i++)
		certificate_free(&all[i]);
}

/* 421 or not. */
static void serves_what_it_is_for(void **state)
{
	struct certificate all[] = {
		certificate_make((struct certificate_wish){.names = "DNS:default.example"}),
		certificate_make((struct certificate_wish){.names = "DNS:*.shop.example,IP:10.0.0.1"}),
	};
	struct tls_store *store = store_of(all, ARRAY_LENGTH(all));
	const struct tls_identity *first = &store->identities[0], *second = &store->identities[1];

	assert_true(tls_identity_serves(first, SPAN("default.example")));
	assert_true(tls_identity_serves(first, SPAN("default.example.")));
	assert_true(tls_identity_serves(first, SPAN("nobodys.example"))); /* the default is shown for it */
	assert_true(tls_identity_serves(first, SPAN("192.0.2.1")));
	assert_false(tls_identity_serves(first, SPAN("a.shop.example")));
	assert_false(tls_identity_serves(first, SPAN("10.0.0.1")));
	assert_true(tls_identity_serves(second, SPAN("a.shop.example")));
	assert_true(tls_identity_serves(second, SPAN("10.0.0.1")));
	assert_false(tls_identity_serves(second, SPAN("shop.example")));
	assert_false(tls_identity_serves(second, SPAN("a.b.shop.example")));
	assert_false(tls_identity_serves(second, SPAN("default.example")));
	assert_false(tls_identity_serves(second, SPAN("nobodys.example")));
	tls_store_release(store);
	for (unsigned i = 0; i < ARRAY_LENGTH(all); i++)
		certificate_free(&all[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_is_wrong),      cmocka_unit_test(warns_of_dates_and_names),
		cmocka_unit_test(all_items_are_looked_at), cmocka_unit_test(judges_ocsp_responses),
		cmocka_unit_test(finds_by_name),           cmocka_unit_test(serves_what_it_is_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
