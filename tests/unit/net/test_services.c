/* SRV records out of messages (RFC 1035 4, RFC 2782): good ones, cut ones at every byte, and those that a hostile name server makes. */
#include "net/resolver_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 65536 };

struct message {
	uint8_t *bytes;
	size_t len;
};

static struct resolver_records records;

static void put(struct message *message, const void *bytes, size_t len)
{
	assert_true(message->len + len <= ROOM);
	memcpy(message->bytes + message->len, bytes, len);
	message->len += len;
}

#define PUT(message, ...) put(message, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* "a.b" as labels, without the root. */
static void put_labels(struct message *message, const char *text)
{
	struct span rest = span_of(text), label;

	while (rest.len) {
		(void)span_cut(rest, '.', &label, &rest);
		PUT(message, (uint8_t)label.len);
		put(message, label.at, label.len);
	}
}

static void put_record(struct message *message, uint8_t type, uint32_t ttl, size_t len)
{
	PUT(message, 0, type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16), (uint8_t)(ttl >> 8),
	    (uint8_t)ttl, (uint8_t)(len >> 8), (uint8_t)len);
}

/* The question is for "_s.t"; its name stands at 12. */
static struct message begin(uint16_t answers)
{
	struct message message = {.bytes = malloc(ROOM)};

	assert_non_null(message.bytes);
	PUT(&message, 1, 2, 0x81, 0x80, 0, 1, (uint8_t)(answers >> 8), (uint8_t)answers, 0, 0, 0, 0);
	put_labels(&message, "_S.t");
	PUT(&message, 0, 0, 33, 0, 1);
	return message;
}

static void put_service(struct message *message, uint32_t ttl, uint16_t priority, uint16_t weight,
			uint16_t port, const char *target)
{
	size_t len = strlen(target);

	PUT(message, 0xc0, 12);
	put_record(message, 33, ttl, 6 + (len ? len + 1 : 0) + 1);
	PUT(message, (uint8_t)(priority >> 8), (uint8_t)priority, (uint8_t)(weight >> 8), (uint8_t)weight,
	    (uint8_t)(port >> 8), (uint8_t)port);
	put_labels(message, target);
	PUT(message, 0);
}

/* In memory of exactly its size, so that a sanitizer sees a byte too many. */
static bool parse(const struct message *message, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, message->bytes, len);
	bool good = resolver_services_parse(span_make(exact, len), &records);
	free(exact);
	return good;
}

static bool parse_and_free(struct message *message)
{
	bool good = parse(message, message->len);
	free(message->bytes);
	return good;
}

static void expect(unsigned index, uint16_t priority, uint16_t weight, uint16_t port, const char *target)
{
	const struct resolver_service *service = &records.services[index];

	assert_in_range(index, 0, records.count - 1);
	assert_int_equal(service->priority, priority);
	assert_int_equal(service->weight, weight);
	assert_int_equal(service->port, port);
	assert_int_equal(service->len, strlen(target));
	assert_memory_equal(service->target, target, service->len);
}

static void reads_records(void **state)
{
	struct message message = begin(3);

	put_service(&message, 300, 10, 60, 8080, "A.t");
	put_service(&message, 20, 65535, 0, 65535, "b.example");
	put_service(&message, 300, 10, 60, 8080, "a.T"); /* the same once more */
	assert_true(parse_and_free(&message));
	assert_int_equal(records.outcome, RESOLVER_FOUND);
	assert_int_equal(records.count, 2);
	assert_int_equal(records.ttl, 20);
	expect(0, 10, 60, 8080, "a.t");
	expect(1, 65535, 0, 65535, "b.example");
}

/* Every cut is malformed, and none of them reads beyond. */
static void cut_anywhere(void **state)
{
	struct message message = begin(2);

	put_service(&message, 300, 1, 2, 3, "one.example");
	put_service(&message, 300, 1, 2, 4, "two.example");
	for (size_t len = 0; len < message.len; len++)
		assert_false(parse(&message, len));
	assert_true(parse_and_free(&message));
	assert_int_equal(records.count, 2);
}

/* Any byte may be any other: no crash, and never more than there is room for. */
static void changed_anywhere(void **state)
{
	struct message message = begin(2);

	put_service(&message, 300, 1, 2, 3, "one.example");
	put_service(&message, 300, 1, 2, 4, "two.example");
	for (size_t at = 0; at < message.len; at++) {
		uint8_t was = message.bytes[at];
		for (unsigned value = 0; value < 256; value++) {
			message.bytes[at] = (uint8_t)value;
			(void)parse(&message, message.len);
			assert_in_range(records.count, 0, 2);
		}
		message.bytes[at] = was;
	}
	free(message.bytes);
}

static void follows_aliases(void **state)
{
	struct message message = begin(2);

	PUT(&message, 0xc0, 12);
	put_record(&message, 5, 7, 4); /* _s.t is an alias of x.t */
	size_t at = message.len;
	PUT(&message, 1, 'x', 0xc0, 15);
	PUT(&message, 0xc0, (uint8_t)at);
	put_record(&message, 33, 300, 6 + 5);
	PUT(&message, 0, 1, 0, 2, 0, 80);
	put_labels(&message, "a.t");
	PUT(&message, 0);
	assert_true(parse_and_free(&message));
	assert_int_equal(records.count, 1);
	assert_int_equal(records.ttl, 7); /* as short-lived as the shortest link (RFC 1034 3.6.2) */
	expect(0, 1, 2, 80, "a.t");
}

static void records_of_others_do_not_count(void **state)
{
	struct message message = begin(3);

	put_labels(&message, "other.t");
	PUT(&message, 0);
	put_record(&message, 33, 1, 6 + 5);
	PUT(&message, 0, 1, 0, 2, 0, 80);
	put_labels(&message, "a.t");
	PUT(&message, 0);
	PUT(&message, 0xc0, 12, 0, 33, 0, 3, 0, 0, 0, 1, 0, 11, 0, 1, 0, 2, 0, 80); /* CHAOS */
	put_labels(&message, "b.t");
	PUT(&message, 0);
	PUT(&message, 0xc0, 12);
	put_record(&message, 16, 1, 3); /* TXT */
	PUT(&message, 2, 'h', 'i');
	assert_true(parse_and_free(&message));
	assert_int_equal(records.outcome, RESOLVER_NOTHING);
	assert_int_equal(records.count, 0);
}

static void not_available(void **state)
{
	struct message message = begin(1);

	put_service(&message, 30, 0, 0, 0, "");
	assert_true(parse_and_free(&message));
	assert_int_equal(records.outcome, RESOLVER_FOUND);
	assert_true(records.withdrawn);
	assert_int_equal(records.count, 0);
	message = begin(2); /* beside another one it says nothing */
	put_service(&message, 30, 0, 0, 0, "");
	put_service(&message, 30, 0, 0, 80, "a.t");
	assert_true(parse_and_free(&message));
	assert_false(records.withdrawn);
	assert_int_equal(records.count, 1);
}

static void targets_that_cannot_be_are_passed_over(void **state)
{
	struct message message = begin(4);

	put_service(&message, 30, 0, 0, 0, "no-port.t");
	put_service(&message, 30, 0, 0, 80, "bl ank.t");
	put_service(&message, 30, 0, 0, 80, "10.0.0.1");
	put_service(&message, 30, 0, 0, 80, "good.t");
	assert_true(parse_and_free(&message));
	assert_int_equal(records.count, 1);
	expect(0, 0, 0, 80, "good.t");
}

/* RFC 1035 4.1.4: a pointer leads backwards, or the name never ends. */
static void pointers_go_back_only(void **state)
{
	struct message message = begin(1);
	size_t at = message.len;

	PUT(&message, 0xc0, (uint8_t)at); /* to itself */
	put_record(&message, 33, 30, 7);
	PUT(&message, 0, 0, 0, 0, 0, 80, 0);
	assert_false(parse_and_free(&message));
	message = begin(1);
	at = message.len;
	PUT(&message, 1, 'a', 0xc0, (uint8_t)at); /* round and round */
	put_record(&message, 33, 30, 7);
	PUT(&message, 0, 0, 0, 0, 0, 80, 0);
	assert_false(parse_and_free(&message));
	message = begin(1);
	PUT(&message, 0xc0, 0xff); /* forwards */
	put_record(&message, 33, 30, 7);
	PUT(&message, 0, 0, 0, 0, 0, 80, 0);
	assert_false(parse_and_free(&message));
}

/* A name is 255 bytes at most (RFC 1035 2.3.4), whatever pointers make of it. */
static void names_are_bounded(void **state)
{
	struct message message = begin(1);
	char label[64];

	memset(label, 'a', 63);
	label[63] = 0;
	PUT(&message, 0xc0, 12);
	put_record(&message, 33, 30, 6 + 4 * 64 + 1);
	PUT(&message, 0, 0, 0, 0, 0, 80);
	for (unsigned i = 0; i < 4; i++)
		put_labels(&message, label);
	PUT(&message, 0);
	assert_false(parse_and_free(&message));
	message = begin(1);
	PUT(&message, 0xc0, 12);
	put_record(&message, 33, 30, 6 + 3 * 64 + 62 + 1);
	PUT(&message, 0, 0, 0, 0, 0, 80);
	for (unsigned i = 0; i < 3; i++)
		put_labels(&message, label);
	label[61] = 0;
	put_labels(&message, label);
	PUT(&message, 0);
	assert_true(parse_and_free(&message));
	assert_int_equal(records.count, 1);
	assert_int_equal(records.services[0].len, RESOLVER_MAX_NAME);
}

static void many_records(void **state)
{
	struct message message = begin(300);

	for (uint16_t i = 0; i < 300; i++)
		put_service(&message, 30, 0, 0, (uint16_t)(i + 1), "a.t");
	assert_true(parse_and_free(&message));
	assert_int_equal(records.count, RESOLVER_MOST_RECORDS);
	assert_true(records.cut);
}

static void endless_aliases(void **state)
{
	struct message message = begin(100);

	for (unsigned i = 0; i < 100; i++) {
		PUT(&message, 0xc0, 12);
		put_record(&message, 5, 30, 2);
		PUT(&message, 0xc0, 12); /* of itself */
	}
	assert_false(parse_and_free(&message));
}

/* RFC 2181 8: the top bit of a time to live is not to be. */
static void odd_times_to_live(void **state)
{
	struct message message = begin(1);

	put_service(&message, 0xffffffff, 0, 0, 80, "a.t");
	assert_true(parse_and_free(&message));
	assert_int_equal(records.ttl, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(changed_anywhere),
		cmocka_unit_test(follows_aliases),
		cmocka_unit_test(records_of_others_do_not_count),
		cmocka_unit_test(not_available),
		cmocka_unit_test(targets_that_cannot_be_are_passed_over),
		cmocka_unit_test(pointers_go_back_only),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(many_records),
		cmocka_unit_test(endless_aliases),
		cmocka_unit_test(odd_times_to_live),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
