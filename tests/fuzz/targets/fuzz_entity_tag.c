/*
 * Lists of entity tags out of any bytes: members lie behind one another within the text; and conditions with any of them, sealed tags of ours among them, become what a
 * server can read as such. A tag that a server gives comes back as it was.
 */
#include "mask/entity_tag.h"
#include "mask/sameness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct span text)
{
	enum entity_tag_member member;
	struct span rest = text;
	struct entity_tag tag;

	while ((member = entity_tag_next(&rest, &tag)) != ENTITY_TAG_END) {
		ENSURE(rest.at > text.at && rest.at + rest.len == text.at + text.len);
		if (member != ENTITY_TAG_ONE)
			continue;
		ENSURE(tag.opaque.at > text.at && tag.opaque.at + tag.opaque.len < rest.at);
		ENSURE(span_find(tag.opaque, '"') < 0);
	}
	ENSURE(rest.len == 0);
}

static void add(struct http_fields *fields, const char *name, struct span value)
{
	ENSURE(http_fields_add(fields, HTTP_FIELD_OTHER, span_of(name), value));
}

/* As a server's tag, and back; as a client's conditions. */
static void seal(const struct sameness *same, struct span text, struct arena *arena)
{
	static const char *const names[] = {"If-None-Match", "If-Match", "If-Range"};
	struct http_fields fields;
	struct http_field *field;
	struct entity_tag tag;
	uint32_t index = 0;

	http_fields_init(&fields, arena);
	add(&fields, "ETag", text);
	ENSURE(sameness_close_tags(same, SPAN("g"), &fields));
	field = http_fields_find_name(&fields, SPAN("ETag"));
	ENSURE((field != NULL) == (entity_tag_parse(text, &tag) && tag.opaque.len <= SAMENESS_TAG_MOST));
	struct span sealed = field ? field->value : SPAN("*");
	struct span parts[] = {text, SPAN(","), sealed};
	http_fields_init(&fields, arena);
	for (unsigned i = 0; i < ARRAY_LENGTH(names); i++) {
		add(&fields, names[i], text);
		add(&fields, names[i], sealed);
		add(&fields, names[i], arena_join(arena, parts, ARRAY_LENGTH(parts)));
	}
	ENSURE(sameness_open_conditions(same, SPAN("g"), &fields));
	while ((field = http_fields_next(&fields, &index)))
		walk(field->value);
	if (sealed.len == 1)
		return;
	http_fields_init(&fields, arena);
	add(&fields, "If-Range", sealed);
	ENSURE(sameness_open_conditions(same, SPAN("g"), &fields));
	field = http_fields_find_name(&fields, SPAN("If-Range"));
	ENSURE(field && span_equal(field->value, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sameness_settings settings = {.etags = true, .key = {.text = "0123456789abcdef", .len = 16}};
	struct span text = span_trim(span_make(data, size));
	struct diagnostics diagnostics;
	const struct sameness *same;
	struct memory memory;
	struct arena arena;

	memory_init(&memory, 0);
	arena_init(&arena, &memory, NULL, NULL, 0);
	diagnostics_init(&diagnostics, &arena, NULL);
	walk(span_make(data, size));
	ENSURE(sameness_compile(&settings, &arena, &diagnostics, &same));
	seal(same, text, &arena);
	sameness_free(same);
	arena_fini(&arena);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
