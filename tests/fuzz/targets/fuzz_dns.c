/*
 * Questions to a name server of an audit: what is read lies within the packet, and its answer repeats it.
 */
#include "audit/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct address v4 = {.family = ADDRESS_V4, .ip = {44, 7, 0, 1}};
	const struct dns_answer answer = {.address = &v4, .port = 80};
	struct dns_question question;
	uint8_t out[2 * DNS_PACKET];
	size_t len;

	if (!dns_question_parse(span_make(data, size), &question))
		return 0;
	ENSURE(question.name_len > 0 && question.name_len <= sizeof(question.name));
	ENSURE(question.raw.at == data + 12 && question.raw.len <= size - 12);
	ENSURE(question.raw.len >= question.name_len + 6);
	ENSURE(question.subnet.len == 0 ||
	       (question.subnet.at > data && question.subnet.at + question.subnet.len <= data + size));
	len = dns_answer_write(&question, &answer, out, sizeof(out));
	ENSURE(len > 12 && memcmp(out, data, 2) == 0);
	ENSURE(memcmp(out + 12, question.raw.at, question.raw.len) == 0);
	ENSURE(len < 13 || dns_answer_write(&question, &answer, out, len - 1) == 0);
	return 0;
}
