/*
 * Files of users and of groups, and Basic credentials: any bytes give what can be used, or mistakes, and everything is given back. What is taken for a
 * hash is one that crypt(3) can use. The first byte, when it is no text, makes each so manyth allocation fail.
 */
#include "account/basic.h"
#include "account/hash.h"
#include "account/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whoever is named in a taken text is found again, and nobody is shown beyond the file. */
static void look(const struct users *users, struct span text)
{
	struct span line, name, rest;

	while (text.len > 0) {
		span_cut(text, '\n', &line, &text);
		if (!span_cut(line, ':', &name, &rest))
			continue;
		const char *hash = users_hash(users, name);
		ENSURE(!hash || (hash_check(span_of(hash)) == NULL && users_decoy(users, SPAN("?"))));
		(void)users_in_group(users, name, name);
	}
}

static void try_basic(struct span value)
{
	struct basic basic;

	if (basic_read(value, &basic) != BASIC_GOOD)
		return;
	ENSURE(basic.name.len <= USER_NAME_MOST && basic.password.len <= USER_PASSWORD_MOST);
	ENSURE(span_find(basic.name, ':') < 0 && span_find(basic.password, 0) < 0);
	basic_wipe(&basic);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnostics diagnostics;
	struct memory memory;
	struct arena arena;
	uint64_t every = 0;

	if (size > 0 && data[0] > 0 && data[0] < 32 && data[0] != '\n' && data[0] != '\r' && data[0] != '\t') {
		every = data[0];
		data++;
		size--;
	}
	struct span text = span_make(data, size);
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, "fuzz");
	memory_fail_every(&memory, every);
	struct users *users = users_new(&memory);
	if (users) {
		bool good = users_add(users, text, &diagnostics);
		ENSURE(good == (diagnostics.errors == 0));
		(void)users_add_groups(users, text, &diagnostics);
		if (good)
			look(users, text);
	}
	memory_fail_every(&memory, 0);
	users_release(users);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	try_basic(text);
	return 0;
}
