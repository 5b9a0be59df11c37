/*
 * HTTP/2 as a client: what servers send, frame by frame; clients of HTTP/1 and HTTP/2 ask. See fuzz_h2.h.
 */
#include "fuzz_h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return play_all(data, size, true);
}
