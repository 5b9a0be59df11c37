/*
 * Hashes of passwords. See hash.h.
 */
#include "account/hash.h"

#include <crypt.h>
#include <stdlib.h>

enum {
	BCRYPT_COST_LEAST = 4, /* that there is */
	BCRYPT_COST_MOST = 16, /* some seconds */
	ROUNDS_MOST = 10000000,
	BCRYPT_LENGTH = 60,
};

struct method {
	struct span prefix;
	size_t digest; /* characters behind the last '$' */
};

#define METHOD(prefix, digest)                                                                               \
	{                                                                                                    \
		{(const uint8_t *)(prefix), sizeof(prefix) - 1}, digest                                      \
	}

/* Those that are strong. The digest of argon2 is as long as its maker wants it. */
static const struct method methods[] = {
	METHOD("$2y$", 53),      METHOD("$2b$", 53),     METHOD("$2a$", 53),     METHOD("$y$", 43),
	METHOD("$gy$", 43),      METHOD("$7$", 43),      METHOD("$6$", 86),      METHOD("$5$", 43),
	METHOD("$argon2id$", 0), METHOD("$argon2i$", 0), METHOD("$argon2d$", 0),
};

#define REMEDY ": make it with \"htpasswd -B\""

struct weakness {
	const char *prefix, *why;
};

static const struct weakness weaknesses[] = {
	{"$apr1$", "Apache's MD5 is a weak hash" REMEDY},
	{"$1$", "MD5 is a weak hash" REMEDY},
	{"$md5", "MD5 is a weak hash" REMEDY},
	{"$3$", "NT's is a weak hash" REMEDY},
	{"$sha1", "SHA-1 is a weak hash" REMEDY},
	{"{SHA}", "SHA-1 is a weak hash" REMEDY},
	{"{SSHA}", "SHA-1 is a weak hash" REMEDY},
	{"$2x$", "$2x$ marks a hash of a bcrypt that was broken" REMEDY},
};

static const struct method *method_of(struct span text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
		if (span_starts_with(text, methods[i].prefix))
			return &methods[i];
	return NULL;
}

static const char *weakness_of(struct span text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(weaknesses); i++)
		if (span_starts_with(text, span_of(weaknesses[i].prefix)))
			return weaknesses[i].why;
	if (text.len == 0 || text.at[0] == '*' || text.at[0] == '!')
		return "this hash is for no password at all: leave the line out, or make it with \"htpasswd -B\"";
	return "this is no hash of a strong method, but one of DES or a password in clear" REMEDY;
}

/* What is behind the last '$'. */
static size_t digest_length(struct span text)
{
	size_t at = text.len;

	while (at > 0 && text.at[at - 1] != '$')
		at--;
	return text.len - at;
}

static bool all_printable(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= 0x20 || text.at[i] >= 0x7f)
			return false;
	return true;
}

/* $2y$COST$ and what follows. */
static const char *bcrypt_check(struct span text)
{
	uint64_t cost;

	if (text.len != BCRYPT_LENGTH || text.at[6] != '$' ||
	    !span_to_u64(span_make(text.at + 4, 2), &cost) || cost < BCRYPT_COST_LEAST)
		return "this hash of bcrypt is not whole" REMEDY;
	return cost > BCRYPT_COST_MOST ?
		       "to verify this hash would take too long: bcrypt's cost is at most 16 here" :
		       NULL;
}

/* $6$rounds=N$ */
static const char *rounds_check(struct span text)
{
	struct span number, rest;
	uint64_t rounds;

	text = span_from(text, 3);
	if (!span_starts_with(text, SPAN("rounds=")))
		return NULL;
	if (!span_cut(span_from(text, 7), '$', &number, &rest) || !span_to_u64(number, &rounds))
		return "the rounds of this hash are no number" REMEDY;
	return rounds > ROUNDS_MOST ? "to verify this hash would take too long: 10000000 rounds are the most" :
				      NULL;
}

/* The system's own word: does it know the method, and can it use the salt? $5$ is old to some, and not weak. */
static const char *system_check(struct span text, const struct method *method)
{
	char copy[HASH_TEXT_MOST + 1];

	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	switch (crypt_checksalt(copy)) {
	case CRYPT_SALT_OK:
	case CRYPT_SALT_METHOD_LEGACY:
		return NULL;
	default:
		return method->digest ? "crypt(3) of this system cannot use this hash" REMEDY :
					"crypt(3) of this system does not know argon2" REMEDY;
	}
}

const char *hash_check(struct span text)
{
	const struct method *method = method_of(text);
	const char *why = NULL;

	if (!method)
		return weakness_of(text);
	if (text.len > HASH_TEXT_MOST || !all_printable(text))
		return "this is no hash that crypt(3) writes" REMEDY;
	if (span_starts_with(text, SPAN("$2")))
		why = bcrypt_check(text);
	else if (method->digest && digest_length(text) != method->digest)
		why = "this hash is not whole" REMEDY;
	else if (method->digest && text.at[2] == '$' && (text.at[1] == '5' || text.at[1] == '6'))
		why = rounds_check(text);
	return why ? why : system_check(text, method);
}

/* ---- to verify ---- */

struct hash_workspace {
	struct crypt_data data;
};

struct hash_workspace *hash_workspace_new(void)
{
	return calloc(1, sizeof(struct hash_workspace));
}

void hash_workspace_free(struct hash_workspace *workspace)
{
	free(workspace);
}

bool hash_matches(struct hash_workspace *workspace, const char *hash, const char *password)
{
	const char *made = crypt_r(password, hash, &workspace->data);
	size_t len = strlen(hash);
	bool same = made && made[0] != '*' && strlen(made) == len;
	uint8_t differs = 0;

	for (size_t i = 0; same && i < len; i++)
		differs |= (uint8_t)(made[i] ^ hash[i]);
	explicit_bzero(&workspace->data, sizeof(workspace->data));
	return same && differs == 0;
}
