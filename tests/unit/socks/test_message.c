/* SOCKS messages: as they are, cut at every byte, and in every way that they must not be; what is written is read again. */
#include "socks/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* For tables: SPAN is no constant. */
#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                           \
	}
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "01234"

enum kind { GREETING, METHOD, LOGIN, LOGIN_REPLY, REQUEST_4, REQUEST_5, REPLY_4, REPLY_5, KINDS };

/* Reads one message of a kind; how many bytes it took is in *used. */
static enum socks_read read_kind(enum kind kind, struct span bytes, size_t *used, const char **why)
{
	struct socks_request request;
	struct socks_reply reply;
	struct socks_login login;
	struct span methods;
	uint8_t method;
	bool good;

	switch (kind) {
	case GREETING:
		return socks_greeting_read(bytes, &methods, used, why);
	case METHOD:
		return socks_method_read(bytes, &method, used, why);
	case LOGIN:
		return socks_login_read(bytes, &login, used, why);
	case LOGIN_REPLY:
		return socks_login_reply_read(bytes, &good, used, why);
	case REQUEST_4:
		return socks_request_read(SOCKS_VERSION_4, bytes, &request, used, why);
	case REQUEST_5:
		return socks_request_read(SOCKS_VERSION_5, bytes, &request, used, why);
	case REPLY_4:
		return socks_reply_read(SOCKS_VERSION_4, bytes, &reply, used, why);
	default:
		return socks_reply_read(SOCKS_VERSION_5, bytes, &reply, used, why);
	}
}

struct message {
	enum kind kind;
	struct span bytes;
};

static const struct message good[] = {
	{GREETING, BYTES("\x05\x01\x00")},
	{GREETING, BYTES("\x05\x03\x00\x01\x02")},
	{GREETING, BYTES("\x05\x00")},
	{GREETING, BYTES("\x05\xff" LONGEST)},
	{METHOD, BYTES("\x05\x00")},
	{METHOD, BYTES("\x05\xff")},
	{LOGIN, BYTES("\x01\x03"
		      "ann\x06secret")},
	{LOGIN, BYTES("\x01\xff" LONGEST "\xff" LONGEST)},
	{LOGIN_REPLY, BYTES("\x01\x00")},
	{LOGIN_REPLY, BYTES("\x01\x01")},
	{REQUEST_4, BYTES("\x04\x01\x00\x50\xc0\x00\x02\x01\x00")},
	{REQUEST_4, BYTES("\x04\x02\x00\x50\xc0\x00\x02\x01"
			  "ann\x00")},
	{REQUEST_4, BYTES("\x04\x01\x01\xbb\x00\x00\x00\x01\x00"
			  "shop.example\x00")},
	{REQUEST_4, BYTES("\x04\x01\x01\xbb\x00\x00\x00\xff" LONGEST "\x00" LONGEST "\x00")},
	{REQUEST_4, BYTES("\x04\x01\x01\xbb\x00\x00\x00\x00\x00")},
	{REQUEST_5, BYTES("\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50")},
	{REQUEST_5, BYTES("\x05\x02\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb")},
	{REQUEST_5, BYTES("\x05\x03\x00\x03\x0cshop.example\x01\xbb")},
	{REQUEST_5, BYTES("\x05\x01\x00\x03\xff" LONGEST "\x01\xbb")},
	{REPLY_4, BYTES("\x00\x5a\x01\xbb\xc0\x00\x02\x01")},
	{REPLY_4, BYTES("\x00\x5b\x00\x00\x00\x00\x00\x00")},
	{REPLY_5, BYTES("\x05\x00\x00\x01\xc0\x00\x02\x01\x00\x50")},
	{REPLY_5, BYTES("\x05\x04\x00\x03\x01x\x00\x00")},
	{REPLY_5, BYTES("\x05\x63\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb")},
};

/* Whole at its last byte and not before, whatever stands behind it. */
static void messages_end_where_they_end(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		struct span bytes = good[i].bytes;
		uint8_t more[SOCKS_MESSAGE_MOST + 8];
		const char *why = NULL;
		size_t used = 12345;

		for (size_t len = 0; len < bytes.len; len++)
			assert_int_equal(read_kind(good[i].kind, span_first(bytes, len), &used, &why),
					 SOCKS_MORE);
		assert_int_equal(used, 12345);
		assert_null(why);
		assert_int_equal(read_kind(good[i].kind, bytes, &used, &why), SOCKS_DONE);
		assert_int_equal(used, bytes.len);
		memcpy(more, bytes.at, bytes.len);
		memset(more + bytes.len, 0x05, 8);
		used = 0;
		assert_int_equal(read_kind(good[i].kind, span_make(more, bytes.len + 8), &used, &why),
				 SOCKS_DONE);
		assert_int_equal(used, bytes.len);
		assert_true(bytes.len <= SOCKS_MESSAGE_MOST);
	}
}

/* The last byte is the first that is wrong: before it nothing is said, at it at once. */
static const struct {
	enum kind kind;
	struct span bytes;
	enum socks_code code; /* of requests */
} bad[] = {
	{GREETING, BYTES("\x04"), 0},
	{GREETING, BYTES("\x00"), 0},
	{METHOD, BYTES("H"), 0},
	{LOGIN, BYTES("\x05"), 0},
	{LOGIN, BYTES("\x01\x00"), 0},
	{LOGIN,
	 BYTES("\x01\x01"
	       "a\x00"),
	 0},
	{LOGIN_REPLY, BYTES("\x05"), 0},
	{REQUEST_4, BYTES("\x05"), SOCKS_FAILED},
	{REQUEST_4, BYTES("\x04\x00"), SOCKS_COMMAND_UNKNOWN},
	{REQUEST_4, BYTES("\x04\x03"), SOCKS_COMMAND_UNKNOWN},
	{REQUEST_4, BYTES("\x04\x01\x00\x50\xc0\x00\x02\x01" LONGEST "x"), SOCKS_FAILED},
	{REQUEST_4,
	 BYTES("\x04\x01\x00\x50\x00\x00\x00\x01"
	       "ann\x00" LONGEST "x"),
	 SOCKS_FAILED},
	{REQUEST_4,
	 BYTES("\x04\x01\x00\x50\x00\x00\x00\x01"
	       "ann\x00\x00"),
	 SOCKS_FAILED},
	{REQUEST_5, BYTES("\x04"), SOCKS_FAILED},
	{REQUEST_5, BYTES("\x05\x00"), SOCKS_COMMAND_UNKNOWN},
	{REQUEST_5, BYTES("\x05\x04"), SOCKS_COMMAND_UNKNOWN},
	{REQUEST_5, BYTES("\x05\xf0"), SOCKS_COMMAND_UNKNOWN},
	{REQUEST_5, BYTES("\x05\x01\x01"), SOCKS_FAILED},
	{REQUEST_5, BYTES("\x05\x01\x00\x00"), SOCKS_ADDRESS_UNKNOWN},
	{REQUEST_5, BYTES("\x05\x01\x00\x02"), SOCKS_ADDRESS_UNKNOWN},
	{REQUEST_5, BYTES("\x05\x01\x00\x05"), SOCKS_ADDRESS_UNKNOWN},
	{REQUEST_5, BYTES("\x05\x01\x00\x03\x00"), SOCKS_FAILED},
	{REPLY_4, BYTES("\x04"), 0},
	{REPLY_5, BYTES("\x00"), 0},
	{REPLY_5, BYTES("\x05\x00\x01"), 0},
	{REPLY_5, BYTES("\x05\x00\x00\x02"), 0},
	{REPLY_5, BYTES("\x05\x00\x00\x03\x00"), 0},
};

static void the_first_wrong_byte_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct span bytes = bad[i].bytes;
		struct socks_request request;
		const char *why = NULL;
		size_t used = 0;

		for (size_t len = 0; len < bytes.len; len++)
			assert_int_equal(read_kind(bad[i].kind, span_first(bytes, len), &used, &why),
					 SOCKS_MORE);
		assert_null(why);
		assert_int_equal(read_kind(bad[i].kind, bytes, &used, &why), SOCKS_BAD);
		assert_non_null(why);
		if (bad[i].kind != REQUEST_4 && bad[i].kind != REQUEST_5)
			continue;
		assert_int_equal(socks_request_read(bad[i].kind == REQUEST_4 ? SOCKS_VERSION_4 : SOCKS_VERSION_5,
						    bytes, &request, &used, &why),
				 SOCKS_BAD);
		assert_int_equal(request.code, bad[i].code);
	}
}

/* Every message of more bytes than SOCKS_MESSAGE_MOST has ended, or been refused, by then. */
static void no_message_is_endless(void **state)
{
	uint8_t bytes[SOCKS_MESSAGE_MOST];

	for (unsigned fill = 0; fill < 256; fill++) {
		for (enum kind kind = 0; kind < KINDS; kind++) {
			const char *why = NULL;
			size_t used = 0;
			memset(bytes, (int)fill, sizeof(bytes));
			for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
				if (good[i].kind != kind)
					continue;
				for (size_t keep = 0; keep <= size_min(good[i].bytes.len, 12); keep++) {
					memcpy(bytes, good[i].bytes.at, keep);
					assert_int_not_equal(read_kind(kind, span_make(bytes, sizeof(bytes)),
								       &used, &why),
							     SOCKS_MORE);
				}
			}
		}
	}
}

static void assert_place(const struct socks_place *place, const char *expected)
{
	char text[ADDRESS_TEXT + SOCKS_TEXT_MOST];
	size_t len;

	if (place->address.family == ADDRESS_NONE)
		len = (size_t)snprintf(text, sizeof(text), "%.*s %u", SPAN_ARG(place->name),
				       place->address.port);
	else
		len = address_format(&place->address, text);
	text[len] = '\0';
	assert_string_equal(text, expected);
}

static void what_requests_ask_for(void **state)
{
	static const struct {
		enum socks_version version;
		struct span bytes;
		enum socks_command command;
		const char *place, *user;
	} cases[] = {
		{SOCKS_VERSION_4, BYTES("\x04\x01\x00\x50\xc0\x00\x02\x01\x00"), SOCKS_CONNECT,
		 "192.0.2.1:80", ""},
		{SOCKS_VERSION_4,
		 BYTES("\x04\x02\xff\xff\xc0\x00\x02\x01"
		       "ann\x00"),
		 SOCKS_BIND, "192.0.2.1:65535", "ann"},
		{SOCKS_VERSION_4,
		 BYTES("\x04\x01\x01\xbb\x00\x00\x00\x07"
		       "bob\x00"
		       "shop.example\x00"),
		 SOCKS_CONNECT, "shop.example 443", "bob"},
		/* 0.0.0.0 is an address; only 0.0.0.1 to 0.0.0.255 stand for a name */
		{SOCKS_VERSION_4, BYTES("\x04\x01\x01\xbb\x00\x00\x00\x00\x00"), SOCKS_CONNECT, "0.0.0.0:443",
		 ""},
		{SOCKS_VERSION_4, BYTES("\x04\x01\x01\xbb\x00\x00\x01\x01\x00"), SOCKS_CONNECT, "0.0.1.1:443",
		 ""},
		{SOCKS_VERSION_5, BYTES("\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"), SOCKS_CONNECT,
		 "192.0.2.1:80", ""},
		{SOCKS_VERSION_5, BYTES("\x05\x02\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"),
		 SOCKS_BIND, "[2001:db8::1]:443", ""},
		{SOCKS_VERSION_5, BYTES("\x05\x03\x00\x03\x0cshop.example\x00\x00"), SOCKS_UDP,
		 "shop.example 0", ""},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct socks_request request;
		const char *why = NULL;
		size_t used = 0;
		uint8_t out[SOCKS_MESSAGE_MOST];

		assert_int_equal(socks_request_read(cases[i].version, cases[i].bytes, &request, &used, &why),
				 SOCKS_DONE);
		assert_int_equal(request.command, cases[i].command);
		assert_place(&request.place, cases[i].place);
		assert_true(span_equal(request.user, span_of(cases[i].user)));
		/* And back, but for the last byte of the address that stands for a name, which is ours to choose. */
		size_t len = socks_request_write(cases[i].version, &request, out);
		if (cases[i].version == SOCKS_VERSION_4 && request.place.address.family == ADDRESS_NONE)
			out[7] = cases[i].bytes.at[7];
		assert_true(span_equal(span_make(out, len), cases[i].bytes));
	}
}

static void what_cannot_be_said_is_not_written(void **state)
{
	struct socks_request request = {.command = SOCKS_CONNECT,
					.place = {.address = {.family = ADDRESS_V6, .port = 80}}};
	uint8_t out[SOCKS_MESSAGE_MOST];

	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	request.place.address = (struct address){.family = ADDRESS_V4, .ip = {0, 0, 0, 9}, .port = 80};
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	assert_int_equal(socks_request_write(SOCKS_VERSION_5, &request, out), 10);
	request.place.address.family = ADDRESS_NONE;
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	assert_int_equal(socks_request_write(SOCKS_VERSION_5, &request, out), 0);
	request.place.name = SPAN("a\0b");
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	request.place.name = SPAN(LONGEST "x");
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	assert_int_equal(socks_request_write(SOCKS_VERSION_5, &request, out), 0);
	request.place.name = SPAN(LONGEST);
	request.user = SPAN("a\0b");
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	request.user = SPAN(LONGEST);
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), SOCKS_MESSAGE_MOST);
	request.command = SOCKS_UDP;
	assert_int_equal(socks_request_write(SOCKS_VERSION_4, &request, out), 0);
	assert_int_equal(socks_request_write(SOCKS_VERSION_5, &request, out), 4 + 1 + 255 + 2);
	request.command = 9;
	assert_int_equal(socks_request_write(SOCKS_VERSION_5, &request, out), 0);

	struct socks_login login = {.user = SPAN("ann")};
	assert_int_equal(socks_login_write(&login, out), 0);
	login.password = SPAN(LONGEST "x");
	assert_int_equal(socks_login_write(&login, out), 0);
	assert_int_equal(socks_greeting_write(SPAN(""), out), 0);
}

static void greetings_and_logins_go_both_ways(void **state)
{
	struct socks_login login = {.user = SPAN("ann"), .password = SPAN("secret\0word")}, read;
	uint8_t out[SOCKS_MESSAGE_MOST], method = 9;
	const char *why = NULL;
	struct span methods;
	bool right = true;
	size_t used = 0;

	size_t len = socks_greeting_write(SPAN("\x00\x02"), out);
	assert_true(span_equal(span_make(out, len), SPAN("\x05\x02\x00\x02")));
	assert_int_equal(socks_greeting_read(span_make(out, len), &methods, &used, &why), SOCKS_DONE);
	assert_true(span_equal(methods, SPAN("\x00\x02")));
	len = socks_method_write(SOCKS_METHOD_REFUSED, out);
	assert_int_equal(socks_method_read(span_make(out, len), &method, &used, &why), SOCKS_DONE);
	assert_int_equal(method, SOCKS_METHOD_REFUSED);
	len = socks_login_write(&login, out);
	assert_int_equal(socks_login_read(span_make(out, len), &read, &used, &why), SOCKS_DONE);
	assert_true(span_equal(read.user, login.user));
	assert_true(span_equal(read.password, login.password));
	len = socks_login_reply_write(false, out);
	assert_int_equal(socks_login_reply_read(span_make(out, len), &right, &used, &why), SOCKS_DONE);
	assert_false(right);
	/* RFC 1929 2: any status but 0 is a failure. */
	assert_int_equal(socks_login_reply_read(SPAN("\x01\xff"), &right, &used, &why), SOCKS_DONE);
	assert_false(right);
	len = socks_login_reply_write(true, out);
	assert_int_equal(socks_login_reply_read(span_make(out, len), &right, &used, &why), SOCKS_DONE);
	assert_true(right);
}

static void replies_tell_where(void **state)
{
	struct address v6 = {.family = ADDRESS_V6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 443},
		       none = {0}, v4 = {.family = ADDRESS_V4, .ip = {192, 0, 2, 1}, .port = 80};
	uint8_t out[SOCKS_MESSAGE_MOST];
	struct socks_reply reply;
	const char *why = NULL;
	size_t used = 0;

	size_t len = socks_reply_write(SOCKS_VERSION_5, SOCKS_SUCCEEDED, &none, out);
	assert_true(span_equal(span_make(out, len), SPAN("\x05\x00\x00\x01\0\0\0\0\0\0")));
	len = socks_reply_write(SOCKS_VERSION_5, SOCKS_SUCCEEDED, &v6, out);
	assert_int_equal(socks_reply_read(SOCKS_VERSION_5, span_make(out, len), &reply, &used, &why),
			 SOCKS_DONE);
	assert_int_equal(reply.code, SOCKS_SUCCEEDED);
	assert_place(&reply.bound, "[2001:db8::1]:443");
	len = socks_reply_write(SOCKS_VERSION_4, SOCKS_SUCCEEDED, &v4, out);
	assert_true(span_equal(span_make(out, len), SPAN("\x00\x5a\x00\x50\xc0\x00\x02\x01")));
	len = socks_reply_write(SOCKS_VERSION_4, SOCKS_SUCCEEDED, &v6, out);
	assert_true(span_equal(span_make(out, len), SPAN("\x00\x5a\0\0\0\0\0\0")));
	len = socks_reply_write(SOCKS_VERSION_4, SOCKS_REFUSED, &none, out);
	assert_true(span_equal(span_make(out, len), SPAN("\x00\x5b\0\0\0\0\0\0")));
	for (unsigned code = 0; code < 256; code++) {
		uint8_t four[8] = {0, (uint8_t)code}, five[10] = {5, (uint8_t)code, 0, 1};
		assert_int_equal(socks_reply_read(SOCKS_VERSION_4, span_make(four, 8), &reply, &used, &why),
				 SOCKS_DONE);
		assert_int_equal(reply.code, code == 90               ? SOCKS_SUCCEEDED :
					     code == 92 || code == 93 ? SOCKS_NOT_ALLOWED :
									SOCKS_FAILED);
		assert_int_equal(socks_reply_read(SOCKS_VERSION_5, span_make(five, 10), &reply, &used, &why),
				 SOCKS_DONE);
		assert_int_equal(reply.code, code <= 8 ? code : SOCKS_FAILED);
	}
}

static void datagrams(void **state)
{
	static const struct span whole = BYTES("\0\0\0\x03\x04name\x00\x35payload");
	static const struct span cut[] = {BYTES("\0\x01\0\x01\x7f\0\0\x01\0\x35x"),
					  BYTES("\x01\0\0\x01\x7f\0\0\x01\0\x35x"),
					  BYTES("\0\0\0\x02\x7f\0\0\x01\0\x35x"), BYTES("\0\0\0\x03\0\0\x35x")};
	struct socks_place place = {.address = {.family = ADDRESS_V4, .ip = {127, 0, 0, 1}, .port = 53}};
	uint8_t out[SOCKS_DATAGRAM_HEAD_MOST];
	struct socks_datagram datagram;
	const char *why = NULL;

	assert_true(socks_datagram_read(whole, &datagram, &why));
	assert_place(&datagram.place, "name 53");
	assert_true(span_equal(datagram.data, SPAN("payload")));
	assert_int_equal(datagram.fragment, 0);
	for (size_t len = 0; len < whole.len - 7; len++) {
		why = NULL;
		assert_false(socks_datagram_read(span_first(whole, len), &datagram, &why));
		assert_non_null(why);
	}
	assert_true(socks_datagram_read(span_first(whole, whole.len - 7), &datagram, &why));
	assert_int_equal(datagram.data.len, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(cut); i++)
		assert_false(socks_datagram_read(cut[i], &datagram, &why));
	assert_true(socks_datagram_read(SPAN("\0\0\x81\x01\x7f\0\0\x01\0\x35x"), &datagram, &why));
	assert_int_equal(datagram.fragment, 0x81);
	size_t len = socks_datagram_head_write(&place, out);
	assert_true(span_equal(span_make(out, len), SPAN("\0\0\0\x01\x7f\0\0\x01\0\x35")));
	place = (struct socks_place){.name = SPAN(LONGEST)};
	assert_int_equal(socks_datagram_head_write(&place, out), SOCKS_DATAGRAM_HEAD_MOST);
	place.name.len = 0;
	assert_int_equal(socks_datagram_head_write(&place, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_end_where_they_end),
		cmocka_unit_test(the_first_wrong_byte_is_refused),
		cmocka_unit_test(no_message_is_endless),
		cmocka_unit_test(what_requests_ask_for),
		cmocka_unit_test(what_cannot_be_said_is_not_written),
		cmocka_unit_test(greetings_and_logins_go_both_ways),
		cmocka_unit_test(replies_tell_where),
		cmocka_unit_test(datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
