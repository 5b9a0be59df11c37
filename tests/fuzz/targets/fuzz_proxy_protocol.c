/*
 * PROXY protocol headers: a prefix never says anything else than the whole, a refusal has a reason, and addresses that were read come back the
 * same after they were written in either version.
 */
#include "net/proxy_protocol.h"

static void check_written(const struct proxy_protocol_header *header, enum proxy_protocol version)
{
	struct address source = address_unmap(&header->source),
		       destination = address_unmap(&header->destination);
	uint8_t out[PROXY_PROTOCOL_WRITE_MOST];
	struct proxy_protocol_header again;
	const char *why = NULL;
	size_t len = proxy_protocol_write(version, &source, &destination, out);

	ENSURE(len <= sizeof(out));
	ENSURE(proxy_protocol_read(span_make(out, len), &again, &why) == PROXY_PROTOCOL_DONE);
	ENSURE(again.length == len);
	if (source.family != ADDRESS_V4 && source.family != ADDRESS_V6) {
		ENSURE(again.source.family == ADDRESS_NONE);
		return;
	}
	again.source = address_unmap(&again.source);
	again.destination = address_unmap(&again.destination);
	ENSURE(address_equal(&again.source, &source) && address_equal(&again.destination, &destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_make(data, size);
	struct proxy_protocol_header header;
	const char *why = NULL;
	enum proxy_protocol_result whole = proxy_protocol_read(bytes, &header, &why);

	ENSURE((whole == PROXY_PROTOCOL_BAD) == (why != NULL));
	ENSURE(whole != PROXY_PROTOCOL_MORE || size < PROXY_PROTOCOL_READ_MOST);
	ENSURE(header.source.family == header.destination.family);
	ENSURE(whole == PROXY_PROTOCOL_DONE || (header.length == 0 && header.source.family == ADDRESS_NONE));
	for (size_t cut = 0; cut < size_min(size, 300); cut++) {
		struct proxy_protocol_header part;
		enum proxy_protocol_result result = proxy_protocol_read(span_first(bytes, cut), &part, &why);
		if (result == PROXY_PROTOCOL_BAD)
			ENSURE(whole == PROXY_PROTOCOL_BAD);
		if (result == PROXY_PROTOCOL_DONE)
			ENSURE(whole == PROXY_PROTOCOL_DONE && part.length == header.length);
	}
	if (whole == PROXY_PROTOCOL_DONE) {
		ENSURE(header.length > 0 && header.length <= size && header.length <= PROXY_PROTOCOL_READ_MOST);
		check_written(&header, PROXY_PROTOCOL_V1);
		check_written(&header, PROXY_PROTOCOL_V2);
	}
	return 0;
}
