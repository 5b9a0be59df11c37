/*
 * From libyaml's events to the tree of node.h. No recursion: what nests stands on a stack of fixed height.
 */
#include "config/node.h"

#include "config/node_internal.h"

#include <stdlib.h>
#include <string.h>

struct anchor {
	struct anchor *next;
	struct node *node;
	struct span name;
};

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	struct diagnostics *diagnostics;
	struct span input;
	struct anchor *anchors;
	struct node *stack[NODE_MAX_DEPTH]; /* open lists and mappings */
	struct node *keys[NODE_MAX_DEPTH];  /* of an open mapping: the key whose value comes next */
	size_t depth;
	size_t count; /* nodes made */
	struct node *root;
	unsigned documents;
	bool stopped; /* memory ran out, or a mistake after which nothing can be read */
};

static struct setting_place place_of(const yaml_mark_t *mark)
{
	return (struct setting_place){(unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static void reader_stop(struct reader *reader, struct setting_place place, const char *text)
{
	diagnostics_error(reader->diagnostics, place, "%s", text);
	reader->stopped = true;
}

static struct node *node_new(struct reader *reader, enum node_kind kind, struct setting_place place)
{
	struct node *node;

	if (++reader->count > NODE_MAX_COUNT) {
		reader_stop(reader, place, "too many values: a configuration may have 200000");
		return NULL;
	}
	node = arena_zalloc(reader->arena, 1, sizeof(*node));
	if (!node) {
		reader->stopped = true;
		return NULL;
	}
	node->kind = kind;
	node->place = place;
	node->weight = 1;
	node->end = &node->first;
	return node;
}

static void node_append(struct node *parent, struct node *member)
{
	member->next = NULL;
	*parent->end = member;
	parent->end = &member->next;
	parent->count++;
}

/* What stands for `value` a second time. */
static struct node *alias_new(struct reader *reader, const struct node *value, struct setting_place place)
{
	struct node *alias = node_new(reader, value->kind, place);

	if (alias) {
		alias->target = (struct node *)node_value(value);
		alias->weight = alias->target->weight;
	}
	return alias;
}

/* Puts a node where it belongs: the root, a list's next item, a mapping's key or value. */
static void reader_place(struct reader *reader, struct node *node)
{
	struct node *parent, *key;

	if (reader->depth == 0) {
		reader->root = node;
		return;
	}
	parent = reader->stack[reader->depth - 1];
	if (parent->kind == NODE_LIST) {
		node_append(parent, node);
		return;
	}
	key = reader->keys[reader->depth - 1];
	if (!key) {
		if (node_value(node)->kind != NODE_SCALAR)
			reader_stop(reader, node->place, "a key has to be plain text, not a list or a mapping");
		reader->keys[reader->depth - 1] = node;
		return;
	}
	node->key = key->target ? key->target : key;
	reader->keys[reader->depth - 1] = NULL;
	node_append(parent, node);
}

static void reader_anchor(struct reader *reader, const yaml_char_t *name, struct node *node)
{
	struct anchor *anchor;

	if (!name)
		return;
	anchor = arena_alloc(reader->arena, sizeof(*anchor));
	if (!anchor) {
		reader->stopped = true;
		return;
	}
	anchor->name = arena_copy(reader->arena, span_of((const char *)name));
	if (!anchor->name.at)
		reader->stopped = true;
	anchor->node = node;
	anchor->next = reader->anchors;
	reader->anchors = anchor;
}

/* Tags of YAML itself change nothing here; others would ask for a meaning that there is not. */
static void reader_tag(struct reader *reader, const yaml_char_t *tag, struct setting_place place)
{
	static const char own[] = "tag:yaml.org,2002:";

	if (tag && strcmp((const char *)tag, "!") != 0 && strncmp((const char *)tag, own, sizeof(own) - 1) != 0)
		diagnostics_error(
			reader->diagnostics, place,
			"tags such as \"%s\" have no meaning here; text that begins with \"!\" needs quotes",
			node_quote(reader->arena, span_of((const char *)tag)));
}

static void on_scalar(struct reader *reader, const yaml_event_t *event)
{
	struct setting_place place = place_of(&event->start_mark);
	struct node *node = node_new(reader, NODE_SCALAR, place);
	struct span text;

	if (!node)
		return;
	text = arena_format(reader->arena, "%s", (const char *)event->data.scalar.value);
	if (!text.at) {
		reader->stopped = true;
		return;
	}
	if (text.len != event->data.scalar.length)
		diagnostics_error(reader->diagnostics, place, "text may not hold a NUL byte");
	node->text = text;
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->complete = true;
	reader_tag(reader, event->data.scalar.tag, place);
	reader_anchor(reader, event->data.scalar.anchor, node);
	reader_place(reader, node);
}

static void on_open(struct reader *reader, enum node_kind kind, const yaml_event_t *event)
{
	struct setting_place place = place_of(&event->start_mark);
	struct node *node;

	if (reader->depth == NODE_MAX_DEPTH) {
		reader_stop(reader, place, "nested too deeply: 32 levels are the most");
		return;
	}
	node = node_new(reader, kind, place);
	if (!node)
		return;
	if (kind == NODE_LIST) {
		reader_tag(reader, event->data.sequence_start.tag, place);
		reader_anchor(reader, event->data.sequence_start.anchor, node);
	} else {
		reader_tag(reader, event->data.mapping_start.tag, place);
		reader_anchor(reader, event->data.mapping_start.anchor, node);
	}
	reader_place(reader, node);
	reader->keys[reader->depth] = NULL;
	reader->stack[reader->depth++] = node;
}

/* Adds the members of `from` that a merge key brings; which of them count is decided in mapping_settle. */
static void merge_members(struct reader *reader, struct node *into, const struct node *from)
{
	for (const struct node *member = from->first; member && !reader->stopped; member = member->next) {
		struct node *alias = alias_new(reader, member, member->place);
		if (!alias)
			return;
		alias->key = member->key;
		alias->merged = true;
		node_append(into, alias);
	}
}

static void merge_value(struct reader *reader, struct node *into, const struct node *value)
{
	if (value->kind == NODE_MAPPING) {
		merge_members(reader, into, value);
		return;
	}
	if (value->kind == NODE_LIST) {
		for (const struct node *item = value->first; item && !reader->stopped; item = item->next) {
			if (node_value(item)->kind == NODE_MAPPING)
				merge_members(reader, into, node_value(item));
			else
				diagnostics_error(reader->diagnostics, item->place, "\"<<\" takes mappings");
		}
		return;
	}
	diagnostics_error(reader->diagnostics, value->place, "\"<<\" takes a mapping or a list of mappings");
}

static int compare_members(const void *left, const void *right)
{
	const struct node *a = *(const struct node *const *)left, *b = *(const struct node *const *)right;
	int order = strcmp((const char *)a->key->text.at, (const char *)b->key->text.at);

	if (order == 0)
		order = (int)a->merged - (int)b->merged;
	if (order == 0)
		order = a->order < b->order ? -1 : 1;
	return order;
}

/* A merged member gives way to one of the same name; the same name twice otherwise is a mistake. */
static void mapping_drop_repeats(struct reader *reader, struct node **sorted, size_t count)
{
	struct node *kept = sorted[0];

	for (size_t i = 1; i < count; i++) {
		struct node *member = sorted[i];
		if (strcmp((const char *)kept->key->text.at, (const char *)member->key->text.at) != 0) {
			kept = member;
			continue;
		}
		member->dropped = true;
		if (!member->merged)
			diagnostics_error(reader->diagnostics, member->key->place,
					  "\"%s\" stands here twice, first on line %u",
					  node_quote(reader->arena, member->key->text), kept->key->place.line);
	}
}

/* Merge keys resolved, repeated keys found, the members linked again in the order of the file. */
static void mapping_settle(struct reader *reader, struct node *mapping)
{
	struct node *member = mapping->first, *next, **sorted;
	size_t count = 0;

	for (size_t i = 0, written = mapping->count; i < written; i++, member = member->next)
		if (member->key->plain && span_equal(member->key->text, SPAN("<<"))) {
			member->dropped = true;
			merge_value(reader, mapping, node_value(member));
		}
	if (reader->stopped || mapping->count == 0)
		return;
	sorted = arena_zalloc(reader->arena, mapping->count, sizeof(*sorted));
	if (!sorted) {
		reader->stopped = true;
		return;
	}
	for (member = mapping->first; member; member = member->next)
		if (!member->dropped) {
			member->order = (uint32_t)count;
			sorted[count++] = member;
		}
	if (count == 0) {
		mapping->first = NULL;
		mapping->count = 0;
		return;
	}
	qsort(sorted, count, sizeof(struct node *), compare_members);
	mapping_drop_repeats(reader, sorted, count);
	member = mapping->first;
	mapping->first = NULL;
	mapping->end = &mapping->first;
	mapping->count = 0;
	for (; member; member = next) {
		next = member->next;
		if (!member->dropped)
			node_append(mapping, member);
	}
}

static void on_close(struct reader *reader)
{
	struct node *node = reader->stack[--reader->depth];
	uint64_t weight = 1;

	node->complete = true;
	if (node->kind == NODE_MAPPING)
		mapping_settle(reader, node);
	for (const struct node *member = node->first; member; member = member->next)
		weight += member->weight;
	if (weight > NODE_MAX_COUNT && !reader->stopped)
		reader_stop(reader, node->place, "too many values: aliases may stand for 200000 in all");
	node->weight = (uint32_t)(weight > NODE_MAX_COUNT ? NODE_MAX_COUNT : weight);
}

static void on_alias(struct reader *reader, const yaml_event_t *event)
{
	struct setting_place place = place_of(&event->start_mark);
	struct span name = span_of((const char *)event->data.alias.anchor);
	const struct anchor *anchor = reader->anchors;
	struct node *alias;

	while (anchor && !span_equal(anchor->name, name))
		anchor = anchor->next;
	if (!anchor) {
		diagnostics_error(reader->diagnostics, place,
				  "unknown alias \"*%s\"; text that begins with \"*\" needs quotes",
				  node_quote(reader->arena, name));
		reader->stopped = true;
		return;
	}
	if (!anchor->node->complete) {
		diagnostics_error(reader->diagnostics, place, "\"*%s\" stands inside of what it names",
				  node_quote(reader->arena, name));
		reader->stopped = true;
		return;
	}
	alias = alias_new(reader, anchor->node, place);
	if (alias)
		reader_place(reader, alias);
}

static void on_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->documents++ > 0)
			reader_stop(reader, place_of(&event->start_mark),
				    "a configuration is one YAML document: a second one begins here");
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_open(reader, NODE_LIST, event);
		break;
	case YAML_MAPPING_START_EVENT:
		on_open(reader, NODE_MAPPING, event);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(reader);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(reader, event);
		break;
	default:
		break;
	}
}

static void read_events(struct reader *reader)
{
	yaml_event_t event;
	bool over = false;

	while (!over && !reader->stopped) {
		if (!yaml_parser_parse(&reader->parser, &event)) {
			if (reader->parser.error != YAML_MEMORY_ERROR)
				node_syntax_error(&reader->parser, reader->input, reader->arena,
						  reader->diagnostics);
			reader->stopped = true;
			return;
		}
		over = event.type == YAML_STREAM_END_EVENT;
		on_event(reader, &event);
		yaml_event_delete(&event);
	}
}

struct node *node_parse(struct arena *arena, struct span text, struct diagnostics *diagnostics)
{
	/* libyaml skips a byte order mark only where it guesses the encoding. */
	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_from(text, 3);
	struct reader reader = {.arena = arena, .diagnostics = diagnostics, .input = text};

	if (!yaml_parser_initialize(&reader.parser))
		return NULL;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, text.at ? text.at : (const unsigned char *)"", text.len);
	read_events(&reader);
	yaml_parser_delete(&reader.parser);
	if (reader.stopped)
		return NULL;
	if (!reader.root || node_is_null(reader.root))
		reader.root = node_new(&reader, NODE_MAPPING, (struct setting_place){1, 1});
	return reader.root;
}

bool node_is_null(const struct node *node)
{
	static const char *const spellings[] = {"", "~", "null", "Null", "NULL"};

	if (node->kind != NODE_SCALAR || !node->plain)
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++)
		if (strcmp((const char *)node->text.at, spellings[i]) == 0)
			return true;
	return false;
}

const char *node_kind_name(const struct node *node)
{
	if (node->kind == NODE_LIST)
		return "a list";
	if (node->kind == NODE_MAPPING)
		return "a mapping";
	return node_is_null(node) ? "nothing" : "text";
}
