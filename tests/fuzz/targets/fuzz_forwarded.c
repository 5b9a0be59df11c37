/*
 * Fields that tell of clients and proxies: whatever a hop sends, what goes on is well-formed, is understood by the next Guise as it was
 * meant, and holds no byte that ends a field. First byte: trust and style; then lines of Forwarded, X-Forwarded-For and Via.
 */
#include "mask/forward_mask.h"
#include "mask/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void head_start(struct http_head *head, struct arena *arena)
{
	*head = (struct http_head){
		.scheme = SPAN("http"), .authority = SPAN("a.test"), .version = HTTP_VERSION_11};
	http_fields_init(&head->fields, arena);
}

static void add_lines(struct http_head *head, struct span rest)
{
	static const enum http_field_id ids[] = {HTTP_FIELD_FORWARDED, HTTP_FIELD_X_FORWARDED_FOR,
						 HTTP_FIELD_VIA, HTTP_FIELD_X_FORWARDED_PROTO,
						 HTTP_FIELD_X_FORWARDED_HOST};
	struct span line;

	while (rest.len > 0) {
		enum http_field_id id;

		span_cut(rest, '\n', &line, &rest);
		if (line.len == 0)
			continue;
		id = ids[line.at[0] % ARRAY_LENGTH(ids)];
		line = span_trim(span_from(line, 1));
		/* The codec lets no other values in. */
		if (http_is_field_value(line))
			ENSURE(http_fields_add_known(&head->fields, id, line));
	}
}

/* Everything trusted: what was written is read as the same client. */
static void read_again(const struct forwarded_origin *origin, const struct address *peer,
		       const struct http_head *head, struct arena *arena)
{
	struct network all[2] = {{.address = {.family = ADDRESS_V4}}, {.address = {.family = ADDRESS_V6}}};
	struct forwarded_policy policy = {.trusted = {.networks = all, .count = 2}};
	struct forwarded_origin again;

	ENSURE(forwarded_read(&policy, peer, head, arena, &again));
	ENSURE(span_equal(again.client_text, origin->client_text));
	ENSURE(span_equal(again.chain, origin->chain) || origin->chain.len < again.chain.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct network all[2] = {{.address = {.family = ADDRESS_V4}}, {.address = {.family = ADDRESS_V6}}};
	struct forwarded_policy policy = {.trusted = {.networks = all}};
	struct address peer = {.family = ADDRESS_V4, .ip = {192, 0, 2, 1}};
	struct forwarded_origin origin;
	const struct http_field *field;
	struct memory memory;
	struct arena arena;
	struct http_head head;
	uint32_t index = 0;

	if (size == 0)
		return 0;
	policy.trusted.count = data[0] & 1 ? 2 : 0;
	policy.style = (enum forwarded_style)((data[0] >> 1) % 4);
	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	head_start(&head, &arena);
	add_lines(&head, span_make(data + 1, size - 1));
	(void)via_has(&head.fields, SPAN("guise"));
	ENSURE(forwarded_read(&policy, &peer, &head, &arena, &origin));
	ENSURE(forwarded_write(&policy, &peer, &origin, &head, &arena));
	ENSURE(via_append(&head.fields, HTTP_VERSION_11, SPAN("guise")));
	while ((field = http_fields_next(&head.fields, &index)))
		ENSURE(http_is_field_value(field->value) && http_is_token(field->name));
	if (policy.style != FORWARDED_OFF)
		read_again(&origin, &(struct address){.family = ADDRESS_V4, .ip = {192, 0, 2, 9}}, &head,
			   &arena);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
