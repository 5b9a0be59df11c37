/*
 * JA4 of a ClientHello: well-formed text for all that the reader of ClientHellos takes, nothing for anything else, and the same however the message lies in records.
 */
#include "audit/ja4.h"

#include "tls/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (ascii_hex_digit((uint8_t)text[i]) < 0)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_make(data, size);
	struct tls_client_hello hello;
	char out[JA4_TEXT];
	bool good = ja4_of(bytes, out);

	ENSURE(good == (tls_client_hello_peek(bytes, &hello) == TLS_PEEK_DONE));
	if (!good)
		return 0;
	ENSURE(strlen(out) == JA4_TEXT - 1);
	ENSURE(out[0] == 't' && (out[3] == 'd' || out[3] == 'i'));
	ENSURE(!hello.name_len || out[3] == 'd');
	ENSURE(out[10] == '_' && out[23] == '_' && is_hex(out + 11, 12) && is_hex(out + 24, 12));
	ENSURE(ascii_is_digit((uint8_t)out[4]) && ascii_is_digit((uint8_t)out[7]));
	return 0;
}
