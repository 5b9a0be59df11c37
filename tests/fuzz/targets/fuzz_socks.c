/*
 * SOCKS messages of every kind: a prefix never says anything else than the whole, a refusal has a reason and a code, no message is endless, and what
 * was read is written and read again as the same.
 *
 * Input: a byte for the kind of the message, then its bytes.
 */
#include "socks/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { GREETING, METHOD, LOGIN, LOGIN_REPLY, REQUEST_4, REQUEST_5, REPLY_4, REPLY_5, DATAGRAM, KINDS };

/* What was read, as far as its kind has it. */
struct message {
	struct span methods;
	uint8_t method;
	bool good;
	struct socks_login login;
	struct socks_request request;
	struct socks_reply reply;
	size_t used;
	const char *why;
};

static enum socks_read read_message(enum kind kind, struct span bytes, struct message *m)
{
	*m = (struct message){0};
	switch (kind) {
	case GREETING:
		return socks_greeting_read(bytes, &m->methods, &m->used, &m->why);
	case METHOD:
		return socks_method_read(bytes, &m->method, &m->used, &m->why);
	case LOGIN:
		return socks_login_read(bytes, &m->login, &m->used, &m->why);
	case LOGIN_REPLY:
		return socks_login_reply_read(bytes, &m->good, &m->used, &m->why);
	case REQUEST_4:
	case REQUEST_5:
		return socks_request_read(kind == REQUEST_4 ? SOCKS_VERSION_4 : SOCKS_VERSION_5, bytes,
					  &m->request, &m->used, &m->why);
	default:
		return socks_reply_read(kind == REPLY_4 ? SOCKS_VERSION_4 : SOCKS_VERSION_5, bytes, &m->reply,
					&m->used, &m->why);
	}
}

static void check_place(const struct socks_place *a, const struct socks_place *b)
{
	ENSURE(a->address.family == b->address.family && a->address.port == b->address.port);
	ENSURE(a->address.family != ADDRESS_NONE || (span_equal(a->name, b->name) && a->name.len > 0));
	ENSURE(a->address.family == ADDRESS_NONE || address_equal(&a->address, &b->address));
}

/* Written again it is read as the same. Only what has a writer that can say it. */
static void check_written(enum kind kind, const struct message *m)
{
	enum socks_version version = kind == REQUEST_4 || kind == REPLY_4 ? SOCKS_VERSION_4 : SOCKS_VERSION_5;
	uint8_t out[SOCKS_MESSAGE_MOST];
	struct message again;
	size_t len = 0;

	switch (kind) {
	case GREETING:
		len = socks_greeting_write(m->methods, out);
		ENSURE((len == 0) == (m->methods.len == 0));
		break;
	case METHOD:
		len = socks_method_write(m->method, out);
		break;
	case LOGIN:
		len = socks_login_write(&m->login, out);
		break;
	case LOGIN_REPLY:
		len = socks_login_reply_write(m->good, out);
		break;
	case REQUEST_4:
	case REQUEST_5:
		len = socks_request_write(version, &m->request, out);
		ENSURE(len > 0);
		break;
	default:
		len = socks_reply_write(version, m->reply.code, &m->reply.bound.address, out);
		break;
	}
	ENSURE(len <= sizeof(out));
	if (len == 0)
		return;
	ENSURE(read_message(kind, span_make(out, len), &again) == SOCKS_DONE && again.used == len);
	ENSURE(span_equal(again.methods, m->methods) && again.method == m->method && again.good == m->good);
	ENSURE(span_equal(again.login.user, m->login.user) &&
	       span_equal(again.login.password, m->login.password));
	ENSURE(again.request.command == m->request.command && span_equal(again.request.user, m->request.user));
	if (kind == REQUEST_4 || kind == REQUEST_5)
		check_place(&again.request.place, &m->request.place);
	if (kind == REPLY_5)
		ENSURE(again.reply.code == m->reply.code);
}

static void check_datagram(struct span bytes)
{
	uint8_t out[SOCKS_DATAGRAM_HEAD_MOST];
	struct socks_datagram datagram;
	const char *why = NULL;

	if (!socks_datagram_read(bytes, &datagram, &why)) {
		ENSURE(why);
		return;
	}
	size_t len = socks_datagram_head_write(&datagram.place, out), head = bytes.len - datagram.data.len;
	out[2] = datagram.fragment;
	ENSURE(span_equal(span_make(out, len), span_first(bytes, head)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message whole, part;

	if (size == 0)
		return 0;
	enum kind kind = data[0] % KINDS;
	struct span bytes = span_make(data + 1, size - 1);
	if (kind == DATAGRAM) {
		check_datagram(bytes);
		return 0;
	}
	enum socks_read result = read_message(kind, bytes, &whole);
	ENSURE((result == SOCKS_BAD) == (whole.why != NULL));
	ENSURE((result == SOCKS_DONE) == (whole.used > 0) && whole.used <= bytes.len);
	ENSURE(result != SOCKS_MORE || bytes.len < SOCKS_MESSAGE_MOST);
	ENSURE(result != SOCKS_BAD || (kind != REQUEST_4 && kind != REQUEST_5) ||
	       whole.request.code != SOCKS_SUCCEEDED);
	for (size_t cut = 0; cut < size_min(bytes.len, SOCKS_MESSAGE_MOST); cut++) {
		enum socks_read now = read_message(kind, span_first(bytes, cut), &part);
		ENSURE(now == SOCKS_MORE || now == result);
		ENSURE(now != SOCKS_DONE || part.used == whole.used);
	}
	if (result == SOCKS_DONE)
		check_written(kind, &whole);
	return 0;
}
