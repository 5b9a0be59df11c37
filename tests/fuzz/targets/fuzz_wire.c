/*
 * Messages as an audit reads them from its wire: heads are taken apart within their bytes, and a whole message is read the same in one piece and in two.
 * The first byte says what it is the answer to, the second where it is cut.
 */
#include "audit/wire.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENT_MOST = 32 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct span part, struct span all)
{
	return part.len == 0 || (part.at >= all.at && part.at + part.len <= all.at + all.len);
}

static void check_view(struct span bytes)
{
	static struct wire_message message;

	wire_message_parse(bytes, &message);
	ENSURE(message.count <= WIRE_FIELDS_MOST);
	ENSURE(within(message.start, bytes) && within(message.method, bytes) && within(message.target, bytes));
	for (unsigned i = 0; i < message.count; i++)
		ENSURE(within(message.fields[i].name, bytes) && within(message.fields[i].value, bytes));
	ENSURE(message.status == 0 || (message.status >= 100 && message.status <= 999));
}

/* Packets of a socket pair keep their borders. */
static bool receive(struct span bytes, size_t cut, struct span method, struct arena *arena,
		    struct wire_message *message)
{
	struct wire wire;
	int fds[2];

	ENSURE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	wire_adopt(&wire, fds[0], NULL);
	if (cut)
		(void)!send(fds[1], bytes.at, cut, MSG_NOSIGNAL);
	if (cut < bytes.len)
		(void)!send(fds[1], bytes.at + cut, bytes.len - cut, MSG_NOSIGNAL);
	close(fds[1]);
	bool good = wire_read(&wire, method, false, arena, message, deadline_now() + 1000);
	wire_close(&wire);
	return good;
}

static void check_cuts(struct span bytes, size_t cut, struct span method)
{
	struct memory memory;
	struct arena arena;
	static struct wire_message whole, parts;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	bool a = receive(bytes, bytes.len, method, &arena, &whole);
	bool b = receive(bytes, cut, method, &arena, &parts);
	ENSURE(a == b);
	if (a) {
		ENSURE(span_equal(whole.head, parts.head) && span_equal(whole.body, parts.body));
		ENSURE(span_equal(whole.trailers, parts.trailers) && whole.complete == parts.complete);
		ENSURE(whole.body.len <= WIRE_BODY_MOST);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span methods[] = {SPAN(""), SPAN("GET"), SPAN("HEAD"), SPAN("CONNECT")};

	if (size < 2 || size > SENT_MOST)
		return 0;
	struct span bytes = span_make(data + 2, size - 2);
	check_view(bytes);
	if (bytes.len)
		check_cuts(bytes, data[1] * bytes.len / 256, methods[data[0] % ARRAY_LENGTH(methods)]);
	return 0;
}
