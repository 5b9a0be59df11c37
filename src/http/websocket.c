/*
 * WebSocket keys and their answers (RFC 6455 4). Called by codecs, on their workers.
 */
#include "http/websocket.h"

#include "core/base64.h"
#include "tls/digest.h"

enum { KEY_BYTES = 16, KEY_MOST = 256 };

/* RFC 6455 1.3 */
static const struct span magic = {(const uint8_t *)"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36};

void websocket_key_make(struct random *random, char key[WEBSOCKET_KEY_LENGTH])
{
	uint64_t nonce[2] = {random_next(random), random_next(random)};
	base64_encode(span_make(nonce, sizeof(nonce)), key);
}

bool websocket_accept_make(struct span key, char accept[WEBSOCKET_ACCEPT_LENGTH])
{
	uint8_t text[KEY_MOST + 36], digest[SHA1_BYTES];
	if (key.len > KEY_MOST)
		return false;
	if (key.len)
		memcpy(text, key.at, key.len);
	memcpy(text + key.len, magic.at, magic.len);
	if (!digest_sha1(span_make(text, key.len + magic.len), digest))
		return false;
	base64_encode(span_make(digest, sizeof(digest)), accept);
	return true;
}

bool websocket_accept_is(struct span accept, struct span key)
{
	char want[WEBSOCKET_ACCEPT_LENGTH];
	return websocket_accept_make(key, want) && span_equal(accept, span_make(want, sizeof(want)));
}
