/*
 * Which credentials and challenges are a connection's, and which only look like it.
 */
#include "http_support.h"

#include "http/connection_auth.h"

static struct http_fields fields_of(struct bench *bench, const char *name, const char *value)
{
	struct http_fields fields;
	struct span text = span_of(name);

	http_fields_init(&fields, &bench->arena);
	assert_true(http_fields_add(&fields, HTTP_FIELD_OTHER, SPAN("x-first"), SPAN("NTLM")));
	assert_true(http_fields_add(&fields, http_field_identify(text), text, span_of(value)));
	return fields;
}

struct sample {
	const char *name, *value;
	bool binds;
};

static void test_credentials(void **state)
{
	static const struct sample samples[] = {
		{"Authorization", "NTLM TlRM", true},
		{"authorization", "ntlm TlRM", true},
		{"AUTHORIZATION", "Negotiate YII=", true},
		{"Authorization", "Negotiate\tYII=", true},
		{"Authorization", "Nego2 a", true},
		{"Authorization", "Kerberos a", true},
		{"Authorization", "NTLM", true},
		{"Authorization", "", false},
		{"Authorization", "NTLMx a", false},
		{"Authorization", "NTL", false},
		{"Authorization", "NTLM=a", false},
		{"Authorization", "Basic TlRM", false},
		{"Authorization", "Bearer NTLM", false},
		{"Proxy-Authorization", "NTLM a", false}, /* ours to read, and it goes no further */
		{"X-Authorization", "NTLM a", false},
		{"WWW-Authenticate", "NTLM", false},
	};
	struct bench bench;

	bench_init(&bench);
	for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
		struct http_fields fields = fields_of(&bench, samples[i].name, samples[i].value);
		if (http_credentials_bind(&fields) != samples[i].binds)
			fail_msg("%s: %s", samples[i].name, samples[i].value);
		http_fields_drop_name(&fields, span_of(samples[i].name));
		assert_false(http_credentials_bind(&fields));
	}
	/* The second of two, which is malformed, but goes out too. */
	struct http_fields two = fields_of(&bench, "Authorization", "Basic a");
	assert_true(http_fields_add_known(&two, HTTP_FIELD_AUTHORIZATION, SPAN("NTLM a")));
	assert_true(http_credentials_bind(&two));
	bench_fini(&bench);
}

static void test_challenges(void **state)
{
	static const struct sample samples[] = {
		{"WWW-Authenticate", "NTLM", true},
		{"www-authenticate", "negotiate", true},
		{"WWW-Authenticate", "NTLM TlRMTVNTUAACAAAA", true},
		{"WWW-Authenticate", "Negotiate, NTLM", true},
		{"WWW-Authenticate", "Basic realm=\"a\", NTLM", true},
		{"WWW-Authenticate", "Basic realm=\"a, b\" , Negotiate oYG=", true},
		{"WWW-Authenticate", ", ,NTLM", true},
		{"Proxy-Authenticate", "NTLM", true},
		{"Persistent-Auth", "true", true},
		{"WWW-Authenticate", "Basic realm=\"NTLM\"", false},
		{"WWW-Authenticate", "Basic realm=\"a, NTLM , b\"", false},
		{"WWW-Authenticate", "Digest realm=a, NTLM=b", false},
		{"WWW-Authenticate", "", false},
		{"Authenticate", "NTLM", false},
		{"Authentication-Info", "nextnonce=\"a\"", false},
	};
	struct bench bench;

	bench_init(&bench);
	for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
		struct http_fields fields = fields_of(&bench, samples[i].name, samples[i].value);
		if (http_challenges_bind(&fields) != samples[i].binds)
			fail_msg("%s: %s", samples[i].name, samples[i].value);
	}
	bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_challenges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
