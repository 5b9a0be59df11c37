/*
 * What parents answer. The first byte chooses the kind of parent and whether there are credentials, the second one how the bytes are cut. Cut or whole,
 * they must come to the same; nothing is kept beyond its bound, and nothing that has ended goes on.
 */
#include "upstream/parent_talk.h"

static const char *const urls[] = {"http://p",      "http://u:p@p", "socks4a://p",
				   "socks4a://u@p", "socks5://p",   "socks5://u:p@p"};

struct outcome {
	unsigned state, blame, code;
	size_t used, said;
};

static void play(struct parent_server *server, struct memory *memory, struct span bytes, size_t step,
		 struct outcome *outcome)
{
	static const struct address by_name = {.family = ADDRESS_NONE};
	struct parent_talk talk;
	struct arena arena;
	struct span say;

	arena_init(&arena, memory, NULL, NULL, 0);
	parent_talk_init(&talk, server, memory, &by_name, SPAN("a.test"), 443);
	*outcome = (struct outcome){.said = parent_talk_begin(&talk, &arena).len};
	while (bytes.len && talk.state != PARENT_TALK_OPEN && talk.state != PARENT_TALK_FAILED) {
		size_t now = size_min(step, bytes.len);
		size_t used = parent_talk_feed(&talk, span_first(bytes, now), &arena, &say);
		ENSURE(used <= now);
		ENSURE(used == now || talk.state == PARENT_TALK_OPEN || talk.state == PARENT_TALK_FAILED);
		ENSURE(talk.capacity <= 4 * PARENT_HEAD_MOST);
		outcome->used += used;
		outcome->said += say.len;
		bytes = span_from(bytes, now);
	}
	ENSURE((talk.state == PARENT_TALK_FAILED) == error_is(&talk.error));
	outcome->state = talk.state;
	outcome->blame = talk.blame;
	outcome->code = talk.error.code;
	parent_talk_fini(&talk);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parent_server server = {0};
	struct outcome one, other;
	struct memory memory;
	struct arena arena;

	if (size < 2)
		return 0;
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	ENSURE(!parent_url_parse(span_of(urls[data[0] % ARRAY_LENGTH(urls)]), &arena, &server));
	if (parent_speaks_http(&server) && server.user.len)
		server.authorization = SPAN("Basic dTpw");
	struct span bytes = span_make(data + 2, size - 2);
	play(&server, &memory, bytes, 1, &one);
	play(&server, &memory, bytes, (size_t)data[1] + 1, &other);
	/* SOCKS 5 is asked step by step: what comes before it was asked for is wrong only when it comes with what went before. */
	if (server.kind != PARENT_SOCKS5 && one.state == PARENT_TALK_OPEN)
		ENSURE(other.state == PARENT_TALK_OPEN && one.used == other.used && one.said == other.said);
	if (server.kind == PARENT_SOCKS4A)
		ENSURE(one.state == other.state && one.code == other.code && one.blame == other.blame);
	/* And its URL, whatever it is. */
	struct parent_server any = {0};
	(void)parent_url_parse(span_make(data, size), &arena, &any);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
