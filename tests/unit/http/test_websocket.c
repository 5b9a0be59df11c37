/*
 * The handshake of WebSocket.
 */
#include "http/http_support.h"
#include "http/websocket.h"

/* RFC 6455 1.3, 4.2.2 */
static void test_accept(void **state)
{
	char accept[WEBSOCKET_ACCEPT_LENGTH];
	struct span key = SPAN("dGhlIHNhbXBsZSBub25jZQ==");
	assert_true(websocket_accept_make(key, accept));
	assert_span(span_make(accept, sizeof(accept)), SPAN("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	assert_true(websocket_accept_is(SPAN("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), key));
	assert_false(websocket_accept_is(SPAN("S3pPLMBiTxaQ9kYGzzhZRbK+xOo="), key));
	assert_false(websocket_accept_is(SPAN("s3pPLMBiTxaQ9kYGzzhZRbK+xOo"), key));
	assert_false(websocket_accept_is(SPAN(""), key));
	assert_false(websocket_accept_is(SPAN("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), SPAN("dGhlIHNhbXBsZSBub25jZQ=")));
	/* sha1("258EAFA5-E914-47DA-95CA-C5AB0DC85B11") */
	assert_true(websocket_accept_make(SPAN(""), accept));
	assert_span(span_make(accept, sizeof(accept)), SPAN("Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="));
}

static void test_keys_of_any_length(void **state)
{
	static uint8_t text[1000];
	char accept[WEBSOCKET_ACCEPT_LENGTH];
	memset(text, 'x', sizeof(text));
	assert_true(websocket_accept_make(span_make(text, 256), accept));
	/* Longer than any key: as if there were no answer to it. */
	assert_false(websocket_accept_make(span_make(text, 257), accept));
	assert_false(websocket_accept_is(SPAN("x"), span_make(text, sizeof(text))));
}

/* RFC 6455 4.1: 16 bytes in base64, another each time. */
static void test_key(void **state)
{
	struct random random;
	char key[WEBSOCKET_KEY_LENGTH], other[WEBSOCKET_KEY_LENGTH];
	random_init(&random);
	websocket_key_make(&random, key);
	websocket_key_make(&random, other);
	assert_memory_not_equal(key, other, sizeof(key));
	for (unsigned i = 0; i < 22; i++)
		assert_true(ascii_is_alpha((uint8_t)key[i]) || ascii_is_digit((uint8_t)key[i]) ||
			    key[i] == '+' || key[i] == '/');
	assert_memory_equal(key + 22, "==", 2);
	assert_non_null(memchr("AQgw", key[21], 4)); /* the last 4 bits are no part of the 16 bytes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_keys_of_any_length),
		cmocka_unit_test(test_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
