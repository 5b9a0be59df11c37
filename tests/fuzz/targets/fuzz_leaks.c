/*
 * The leak guard at any text: what is looked for is found wherever a naive search finds it, whatever the pieces the text comes in, and is gone afterwards. The
 * first byte chooses the settings, the second one the size of pieces.
 */
#include "mask/leak_guard.h"
#include "mask/leak_text.h"

#include <stdlib.h>

struct sink {
	struct leak_text text;
	uint8_t *out;
	size_t len, room;
	unsigned found;
};

static const char *const hosts[] = {"db.internal", "a.db.internal", "10.0.0.1", "2001:db8::7", "x.y"};

static enum leak_answer on_leak(struct leak_text *text, const struct leak *leak)
{
	ENSURE(leak->scheme <= leak->at && leak->scheme_end <= leak->at && leak->at < leak->end &&
	       leak->end <= text->len && leak->scheme >= text->from);
	CONTAINER_OF(text, struct sink, text)->found++;
	return LEAK_CUT;
}

static bool on_text(struct leak_text *text, struct span bytes)
{
	struct sink *sink = CONTAINER_OF(text, struct sink, text);

	ENSURE(bytes.len <= sink->room - sink->len);
	memcpy(sink->out + sink->len, bytes.at, bytes.len);
	sink->len += bytes.len;
	return true;
}

/* Cut out of `text`, in pieces. */
static void cut(const struct leak_guard *guard, struct span text, size_t piece, struct sink *sink)
{
	static const struct leak_text_ops ops = {.on_leak = on_leak, .on_text = on_text};
	static uint8_t window[LEAK_WINDOW_LEAST];

	sink->text = (struct leak_text){
		.ops = &ops, .terms = &guard->terms, .window = window, .size = sizeof(window)};
	sink->room = text.len;
	sink->out = malloc(text.len + 1);
	ENSURE(sink->out);
	for (size_t at = 0; at < text.len; at += piece)
		leak_text_push(&sink->text, span_make(text.at + at, size_min(piece, text.len - at)), false);
	leak_text_push(&sink->text, (struct span){0}, true);
	ENSURE(sink->text.settled == text.len);
}

static bool is_alone(struct span text, size_t at, size_t len)
{
	bool before = at == 0 || text.at[at - 1] == ' ' || text.at[at - 1] == '"';
	bool behind = at + len == text.len || text.at[at + len] == ' ' || text.at[at + len] == '"';

	return before && behind;
}

/* A host that stands between spaces or quotes. */
static bool is_there(struct span text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		struct span host = span_of(hosts[i]);
		for (size_t at = 0; at + host.len <= text.len; at++)
			if (span_equal_nocase(span_make(text.at + at, host.len), host) &&
			    is_alone(text, at, host.len))
				return true;
	}
	return false;
}

static void run(const struct leak_guard *guard, struct span text, size_t piece)
{
	struct leak_look look = leak_look_at(&guard->terms.marks, NULL);
	struct sink whole = {0}, pieces = {0};

	cut(guard, text, text.len + 1, &whole);
	cut(guard, text, piece, &pieces);
	ENSURE(whole.found == pieces.found && whole.len == pieces.len);
	ENSURE(memcmp(whole.out, pieces.out, whole.len) == 0);
	ENSURE(!is_there(text) || whole.found > 0);
	ENSURE(whole.found == 0 || leak_look_finds(&look, text));
	free(whole.out);
	free(pieces.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct setting_string words[] = {{.text = "falcon", .len = 6}, {.text = "two words", .len = 9}};
	static struct setting_string networks[] = {{.text = "192.168.0.0/16", .len = 14},
						   {.text = "fd00::/8", .len = 8}};
	struct leak_settings settings = {.heads = LEAK_REMOVE, .window = LEAK_WINDOW_LEAST};
	struct diagnostics diagnostics = {0};
	const struct leak_guard *guard;
	struct memory memory;
	struct arena arena;

	if (size < 2 || size > 100000)
		return 0;
	settings.encoded = data[0] & 1;
	if (data[0] & 2)
		settings.words = (struct setting_strings){.items = words, .count = ARRAY_LENGTH(words)};
	if (data[0] & 4)
		settings.networks =
			(struct setting_strings){.items = networks, .count = ARRAY_LENGTH(networks)};
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	struct inside *inside = inside_new(&arena);
	ENSURE(inside);
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
		ENSURE(inside_add(inside, span_of(hosts[i]), 80));
	ENSURE(leak_guard_compile(&settings, inside, &arena, &diagnostics, &guard));
	run(guard, span_make(data + 2, size - 2), data[1] + (size_t)1);
	inside_free(inside);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
