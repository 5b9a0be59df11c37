/*
 * SRV records out of whatever a name server sends: any bytes are records within bounds, or malformed. A good answer's targets are host names.
 */
#include "net/resolver_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resolver_records records;

	if (!resolver_services_parse(span_make(data, size), &records))
		return 0;
	ENSURE(records.count <= RESOLVER_MOST_RECORDS);
	ENSURE((records.outcome == RESOLVER_FOUND) == (records.count > 0 || records.withdrawn));
	ENSURE(!records.withdrawn || records.count == 0);
	for (unsigned i = 0; i < records.count; i++) {
		const struct resolver_service *service = &records.services[i];
		ENSURE(service->port > 0 && service->len > 0 && service->len <= RESOLVER_MAX_NAME);
		for (unsigned j = 0; j < service->len; j++) {
			uint8_t byte = (uint8_t)service->target[j];
			ENSURE(ascii_is_digit(byte) || (ascii_is_alpha(byte) && ascii_lower(byte) == byte) ||
			       byte == '-' || byte == '_' || byte == '.');
		}
	}
	return 0;
}
