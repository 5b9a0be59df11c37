/*
 * See admin_client.h.
 */
#include "cli/admin_client.h"

#include "http/h1/parse.h"
#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	WAIT_SECONDS = 10,
	RECEIVE = 64 * 1024,
	ANSWER_MOST = 128 * 1024 * 1024,
};

static const char not_guise[] = "what answers there is not the interface of a Guise";
static const struct h1_limits limits = {
	.request_line = 8 * 1024, .field_line = 8 * 1024, .fields = 64, .head = 32 * 1024};

const char *admin_client_check(const char *address)
{
	struct address parsed;

	if (strncmp(address, "http://", 7) == 0)
		return "it takes an address without a scheme, as in 127.0.0.1:9900";
	return address_parse(span_of(address), &parsed) ?
		       NULL :
		       "it takes an address, as in 127.0.0.1:9900 or unix:/path";
}

struct span admin_client_encode(struct span text, struct arena *arena)
{
	static const char hex[] = "0123456789ABCDEF";
	uint8_t *out = arena_alloc(arena, 3 * text.len);
	size_t len = 0;

	if (!out)
		return (struct span){0};
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.at[i];
		if (ascii_is_alpha(byte) || ascii_is_digit(byte) || strchr("-._~", byte ? byte : '%')) {
			out[len++] = byte;
			continue;
		}
		out[len++] = '%';
		out[len++] = (uint8_t)hex[byte >> 4];
		out[len++] = (uint8_t)hex[byte & 15];
	}
	return span_make(out, len);
}

/* ---- one request ---- */

static const char *say(struct arena *arena, const char *what, const char *address, int error)
{
	struct span text = arena_format(arena, "%s %s: %s", what, address, strerror(error));

	return text.at ? (const char *)text.at : "out of memory";
}

/* -1: *why */
static int open_socket(const char *address, struct arena *arena, const char **why)
{
	const struct timeval wait = {.tv_sec = WAIT_SECONDS};
	union socket_address raw;
	struct address parsed;

	if (!address_parse(span_of(address), &parsed)) {
		*why = admin_client_check(address);
		return -1;
	}
	socklen_t len = address_to_socket(&parsed, &raw);
	int fd = len ? socket(raw.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, &raw.any, len) == 0)
		return fd;
	*why = say(arena, "cannot connect to", address, len ? errno : ENAMETOOLONG);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t sent = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes = span_from(bytes, (size_t)sent);
	}
	return true;
}

/* Until the other side closes; NULL: *got is in the arena. */
static const char *receive_all(int fd, const char *address, struct arena *arena, struct span *got)
{
	size_t room = RECEIVE, len = 0;
	uint8_t *bytes = arena_alloc(arena, room);

	while (bytes && len < ANSWER_MOST) {
		if (len == room) {
			uint8_t *larger = arena_alloc(arena, room * 2);
			if (!larger)
				break;
			memcpy(larger, bytes, len);
			bytes = larger;
			room *= 2;
		}
		ssize_t count = recv(fd, bytes + len, room - len, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return say(arena, "no answer from", address, errno == EAGAIN ? ETIMEDOUT : errno);
		if (count == 0) {
			*got = span_make(bytes, len);
			return NULL;
		}
		len += (size_t)count;
		if (len >= 5 && memcmp(bytes, "HTTP/", 5) != 0)
			return not_guise; /* it may wait for something that will not come */
	}
	return bytes ? "the answer is too long" : "out of memory";
}

static const char *read_answer(struct span got, struct arena *arena, struct admin_answer *answer)
{
	struct h1_framing framing;
	struct http_head head = {0};
	struct error error = ERROR_OK;
	size_t scanned = 0, len = h1_head_end(got, &scanned);

	http_fields_init(&head.fields, arena);
	if (len == H1_INCOMPLETE ||
	    !h1_response_parse(span_first(got, len), arena, &limits, HTTP_METHOD_GET, &head, &framing, &error))
		return not_guise;
	if (head.body == HTTP_BODY_STREAMED || (head.length_known && got.len - len < head.length))
		return "the answer is not complete";
	answer->status = head.status;
	answer->body = span_from(got, len);
	if (head.body == HTTP_BODY_LENGTH)
		answer->body.len = head.length;
	return NULL;
}

const char *admin_client_get(const char *address, struct span target, struct arena *arena,
			     struct admin_answer *answer)
{
	struct span request = arena_format(arena,
					   "GET %.*s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
					   "User-Agent: guise\r\n\r\n",
					   SPAN_ARG(target)),
		    got;
	const char *why = "out of memory";
	int fd;

	if (!request.at)
		return why;
	fd = open_socket(address, arena, &why);
	if (fd < 0)
		return why;
	why = send_all(fd, request) ? receive_all(fd, address, arena, &got) :
				      say(arena, "cannot send to", address, errno);
	close(fd);
	return why ? why : read_answer(got, arena, answer);
}
