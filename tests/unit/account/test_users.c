/*
 * Files of users and groups: what is taken, what is refused and where, and that a hash is that of its password alone.
 */
#include "account/hash.h"
#include "account/users.h"

#include <crypt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BCRYPT "$2y$05$RFDOny/4uOhGX9/QnnLsye140JJA344K8LNjqti8gcgSN1O5j3bZS"    /* "secret" */
#define SHA256 "$5$KlOvP3DuAvOJhOOl$YEjXjJKwcq1wm5OtGI74mCBPSrMqtQRhtXsFxaXmtRA" /* "x" */

struct place {
	struct memory memory;
	struct arena arena;
	struct diagnostics diagnostics;
	struct users *users;
};

static int set_up(void **state)
{
	static struct place place;

	memory_init(&place.memory, 0);
	arena_init(&place.arena, &place.memory, NULL, NULL, 0);
	diagnostics_init(&place.diagnostics, &place.arena, "users");
	place.users = users_new(&place.memory);
	assert_non_null(place.users);
	*state = &place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	users_release(place->users);
	arena_fini(&place->arena);
	assert_int_equal(atomic_load(&place->memory.used), 0);
	return 0;
}

/* ---- what is taken ---- */

static void test_names_and_hashes(void **state)
{
	struct place *place = *state;

	assert_true(users_add(place->users,
			      SPAN("# people\n\nann:" BCRYPT "\r\n  \nbob smith:" SHA256
				   ":since 2020\nzo\xc3\xab:" BCRYPT),
			      &place->diagnostics));
	assert_int_equal(users_count(place->users), 3);
	assert_string_equal(users_hash(place->users, SPAN("ann")), BCRYPT);
	assert_string_equal(users_hash(place->users, SPAN("bob smith")), SHA256);
	assert_string_equal(users_hash(place->users, SPAN("zo\xc3\xab")), BCRYPT);
	assert_null(users_hash(place->users, SPAN("Ann")));
	assert_null(users_hash(place->users, SPAN("")));
	assert_null(users_hash(place->users, SPAN("ann:")));
}

static void test_groups(void **state)
{
	struct place *place = *state;

	assert_true(users_add(place->users, SPAN("ann:" BCRYPT "\nbob:" BCRYPT "\n"), &place->diagnostics));
	assert_true(users_add_groups(
		place->users, SPAN("# teams\nstaff: ann\t  bob\nguests:\n\nadmins : ann ann\nstaff: carl\n"),
		&place->diagnostics));
	assert_true(users_in_group(place->users, SPAN("ann"), SPAN("staff")));
	assert_true(users_in_group(place->users, SPAN("ann"), SPAN("admins")));
	assert_true(users_in_group(place->users, SPAN("bob"), SPAN("staff")));
	assert_true(users_in_group(place->users, SPAN("carl"), SPAN("staff"))); /* lines add up */
	assert_false(users_in_group(place->users, SPAN("bob"), SPAN("admins")));
	assert_false(users_in_group(place->users, SPAN("ann"), SPAN("guests")));
	assert_false(users_in_group(place->users, SPAN("ann"), SPAN("nobody")));
	assert_false(users_in_group(place->users, SPAN(""), SPAN("staff")));
	assert_false(users_in_group(place->users, SPAN("dora"), SPAN("staff")));
	assert_null(users_hash(place->users, SPAN("carl"))); /* to be a member is not to have a password */
	assert_int_equal(users_count(place->users), 2);
}

static void test_decoys(void **state)
{
	struct place *place = *state;

	assert_null(users_decoy(place->users, SPAN("x")));
	assert_true(users_add(place->users, SPAN("ann:" BCRYPT "\nbob:" SHA256 "\n"), &place->diagnostics));
	unsigned kinds[2] = {0, 0};
	for (unsigned i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof(name), "user%u", i);
		const char *decoy = users_decoy(place->users, span_of(name));
		assert_string_equal(decoy, users_decoy(place->users, span_of(name)));
		kinds[strcmp(decoy, BCRYPT) == 0]++;
	}
	assert_true(kinds[0] > 50 && kinds[1] > 50);
}

/* ---- what is refused ---- */

struct refusal {
	const char *text, *why;
	unsigned line, column;
};

static const struct refusal refusals[] = {
	{"ann", "a line is \"name:hash\", as \"htpasswd -B\" writes it", 1, 1},
	{":" BCRYPT, "the name of a user is empty", 1, 1},
	{"a\tb:" BCRYPT, "the name of a user has a control character", 1, 1},
	{"bob:" BCRYPT "\nann:secret", "this is no hash of a strong method", 2, 5},
	{"ann:$apr1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb",
	 "Apache's MD5 is a weak hash: make it with \"htpasswd -B\"", 1, 5},
	{"ann:$1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb", "MD5 is a weak hash", 1, 5},
	{"ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1 is a weak hash", 1, 5},
	{"ann:$sha1$1$a$b", "SHA-1 is a weak hash", 1, 5},
	{"ann:rqXexS6ZhobKA", "but one of DES or a password in clear", 1, 5},
	{"ann:$2x$05$RFDOny/4uOhGX9/QnnLsye140JJA344K8LNjqti8gcgSN1O5j3bZS", "a bcrypt that was broken", 1, 5},
	{"ann:", "for no password at all", 1, 5},
	{"ann:!", "for no password at all", 1, 5},
	{"ann:$2y$05$RFDOny/4uOhGX9/QnnLsye140JJA344K8LNjqti8gcgSN1O5j3bZ",
	 "this hash of bcrypt is not whole", 1, 5},
	{"ann:$2y$99$RFDOny/4uOhGX9/QnnLsye140JJA344K8LNjqti8gcgSN1O5j3bZS", "take too long", 1, 5},
	{"ann:$2y$03$RFDOny/4uOhGX9/QnnLsye140JJA344K8LNjqti8gcgSN1O5j3bZS", "is not whole", 1, 5},
	{"ann:$6$salt$short", "this hash is not whole", 1, 5},
	{"ann:$6$rounds=99999999$KlOvP3DuAvOJhOOl$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 "take too long", 1, 5},
	{"ann:" BCRYPT "\n\n#\nann:" BCRYPT, "this user is on line 1 already", 4, 5},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
		const struct refusal *row = &refusals[i];
		void *fresh;
		set_up(&fresh);
		struct place *place = fresh;
		assert_false(users_add(place->users, span_of(row->text), &place->diagnostics));
		const struct diagnostic *first = place->diagnostics.first;
		if (!strstr(first->text, row->why))
			fail_msg("\"%s\": %s", row->text, first->text);
		assert_int_equal(first->place.line, row->line);
		assert_int_equal(first->place.column, row->column);
		assert_null(strstr(first->text, "RFDOny")); /* nothing of the hash */
		tear_down(&fresh);
	}
}

static void test_bad_groups(void **state)
{
	struct place *place = *state;

	assert_false(users_add_groups(place->users, SPAN("staff ann\n: ann\nok: ann\nbad: an:n\n"),
				      &place->diagnostics));
	assert_int_equal(place->diagnostics.errors, 3);
	assert_int_equal(place->diagnostics.first->next->next->place.line, 4);
	assert_int_equal(place->diagnostics.first->next->next->place.column, 6);
}

/* ---- hashes ---- */

/* Of every method that the system makes hashes of and that is taken: its password matches, another does not. */
static void test_every_method(void **state)
{
	static const char *const prefixes[] = {"$2y$", "$2b$", "$2a$", "$5$", "$6$", "$y$", "$gy$", "$7$"};
	struct hash_workspace *workspace = hash_workspace_new();
	unsigned known = 0;

	assert_non_null(workspace);
	for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
		char salt[CRYPT_GENSALT_OUTPUT_SIZE];
		struct crypt_data data = {0};
		if (!crypt_gensalt_rn(prefixes[i], 0, NULL, 0, salt, sizeof(salt)))
			continue;
		const char *hash = crypt_r("s3cret", salt, &data);
		known++;
		assert_null(hash_check(span_of(hash)));
		for (size_t cut = 1; cut < strlen(hash); cut++)
			if (!hash_check(span_first(span_of(hash), cut)))
				fail_msg("%s is taken at %zu", hash, cut);
		assert_true(hash_matches(workspace, hash, "s3cret"));
		assert_false(hash_matches(workspace, hash, "s3cre"));
		assert_false(hash_matches(workspace, hash, ""));
	}
	assert_true(known >= 4);
	hash_workspace_free(workspace);
}

static void test_nothing_is_left(void **state)
{
	struct hash_workspace *workspace = hash_workspace_new();
	static const char password[] = "correct horse battery staple";

	if (!workspace) {
		fail_msg("out of memory");
		return; /* the compiler does not know that it failed */
	}
	assert_true(!hash_matches(workspace, SHA256, password));
	assert_null(memmem(workspace, sizeof(struct crypt_data), password, sizeof(password) - 1));
	assert_null(memmem(workspace, sizeof(struct crypt_data), "battery", 7));
	hash_workspace_free(workspace);
}

/* A truncated or changed text is refused or taken, and never read beyond. */
static void test_split_everywhere(void **state)
{
	static const char text[] = "# c\nann:" BCRYPT "\nbob:" SHA256 ":x\n";

	for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
		void *fresh;
		set_up(&fresh);
		struct place *place = fresh;
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, text, cut);
		bool good = users_add(place->users, span_make(copy, cut), &place->diagnostics);
		assert_true(good == (place->diagnostics.errors == 0));
		assert_true(good || users_count(place->users) < 2);
		free(copy);
		tear_down(&fresh);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_and_hashes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_decoys, set_up, tear_down),
		cmocka_unit_test(test_refused),
		cmocka_unit_test_setup_teardown(test_bad_groups, set_up, tear_down),
		cmocka_unit_test(test_every_method),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_split_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
