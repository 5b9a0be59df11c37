/*
 * The table as a JSON Schema (draft 2020-12).
 *
 * A value with an environment variable in it is text, whatever it stands for: "$defs/variable" lets it pass everywhere.
 * jansson hands the reference of a new value on (the _new functions), also when it fails: then the whole is NULL in the end.
 */
#include "config/reference.h"

#include "config/node.h"
#include "config/settings.h"

#include <jansson.h>
#include <string.h>

struct schema {
	struct arena arena; /* for the parsing of examples */
	bool failed;        /* out of memory */
};

static json_t *schema_struct(struct schema *schema, const struct setting *rows, const char *shorthand);
static json_t *schema_setting(struct schema *schema, const struct setting *row);

/* Notes a failure, so that no caller has to look. */
static json_t *made(struct schema *schema, json_t *value)
{
	if (!value)
		schema->failed = true;
	return value;
}

static void put(struct schema *schema, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		schema->failed = true;
}

static void add(struct schema *schema, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		schema->failed = true;
}

static json_t *any_of(struct schema *schema, json_t *first, json_t *second)
{
	json_t *array = made(schema, json_array()), *object = made(schema, json_object());

	add(schema, array, first);
	if (second)
		add(schema, array, second);
	put(schema, object, "anyOf", array);
	return object;
}

static void alternative(struct schema *schema, json_t *choice, json_t *value)
{
	add(schema, json_object_get(choice, "anyOf"), value);
}

static json_t *reference(struct schema *schema, const char *name)
{
	return made(schema, json_pack("{s:s}", "$ref", name));
}

static json_t *pattern(struct schema *schema, const char *text)
{
	return made(schema, json_pack("{s:s, s:s}", "type", "string", "pattern", text));
}

static json_t *schema_number(struct schema *schema, const struct setting *row)
{
	json_t *number =
		made(schema, json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)row->min));
	json_t *choice;

	if (row->max != 0)
		put(schema, number, "maximum", json_integer((json_int_t)row->max));
	if (row->kind == SETTING_TIME) {
		json_decref(number);
		number = made(schema, json_pack("{s:i}", "const", 0));
	}
	choice = any_of(schema, number, reference(schema, "#/$defs/variable"));
	if (row->kind == SETTING_SIZE)
		alternative(schema, choice, pattern(schema, "^[0-9]+ *(B|KB|kB|KiB|MB|MiB|GB|GiB|TB|TiB)?$"));
	if (row->kind == SETTING_TIME)
		alternative(schema, choice, pattern(schema, "^([0-9]+ *(ms|s|m|h|d)|0)$"));
	if (row->word)
		alternative(schema, choice, made(schema, json_pack("{s:s}", "const", row->word)));
	return choice;
}

static json_t *schema_choice(struct schema *schema, const struct setting *row)
{
	json_t *names = made(schema, json_array()), *object = made(schema, json_object());

	for (size_t i = 0; row->choices[i]; i++)
		add(schema, names, json_string(row->choices[i]));
	put(schema, object, "enum", names);
	return any_of(schema, object, reference(schema, "#/$defs/variable"));
}

static json_t *schema_strings(struct schema *schema)
{
	return any_of(schema, reference(schema, "#/$defs/text"),
		      made(schema,
			   json_pack("{s:s, s:{s:s}}", "type", "array", "items", "$ref", "#/$defs/text")));
}

static json_t *schema_list(struct schema *schema, const struct setting *row)
{
	json_t *list = made(schema, json_pack("{s:s}", "type", "array"));

	put(schema, list, "items", schema_struct(schema, row->rows, row->shorthand));
	return row->shorthand ? any_of(schema, list, reference(schema, "#/$defs/text")) : list;
}

static json_t *schema_named(struct schema *schema, const struct setting *row)
{
	json_t *object = made(schema, json_pack("{s:s}", "type", "object"));

	put(schema, object, "additionalProperties", schema_struct(schema, row->rows, row->shorthand));
	return object;
}

static json_t *schema_value(struct schema *schema, const struct setting *row)
{
	switch (row->kind) {
	case SETTING_BOOL:
		return any_of(schema, made(schema, json_pack("{s:s}", "type", "boolean")),
			      reference(schema, "#/$defs/variable"));
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_TIME:
		return schema_number(schema, row);
	case SETTING_CHOICE:
		return schema_choice(schema, row);
	case SETTING_STRING:
	case SETTING_TEXT:
		return reference(schema, "#/$defs/text");
	case SETTING_STRINGS:
	case SETTING_NETWORKS:
		return schema_strings(schema);
	case SETTING_MAP:
		return made(schema, json_pack("{s:s, s:{s:s}}", "type", "object", "additionalProperties",
					      "$ref", "#/$defs/text"));
	case SETTING_STRUCT:
		return schema_struct(schema, row->rows, row->shorthand);
	case SETTING_LIST:
		return schema_list(schema, row);
	case SETTING_NAMED:
		return schema_named(schema, row);
	}
	return NULL;
}

/* A plain scalar as an editor's YAML reads it: a number, a boolean, or text. */
static json_t *scalar_json(struct schema *schema, const struct node *node)
{
	struct span text = node->text;
	uint64_t number;

	if (node->plain && span_to_u64(text, &number) && number <= INT64_MAX)
		return made(schema, json_integer((json_int_t)number));
	if (node->plain && (span_equal(text, SPAN("true")) || span_equal(text, SPAN("false"))))
		return json_boolean(text.at[0] == 't');
	return made(schema, json_stringn((const char *)text.at, text.len));
}

static json_t *node_json(struct schema *schema, const struct node *node)
{
	json_t *value;

	if (node->kind == NODE_SCALAR)
		return scalar_json(schema, node);
	value = made(schema, node->kind == NODE_LIST ? json_array() : json_object());
	for (const struct node *member = node->first; member; member = member->next) {
		json_t *inner = node_json(schema, node_value(member));
		if (node->kind == NODE_LIST)
			add(schema, value, inner);
		else
			put(schema, value, (const char *)member->key->text.at, inner);
	}
	return value;
}

static json_t *yaml_json(struct schema *schema, const char *yaml)
{
	struct diagnostics diagnostics;
	const struct node *node;

	diagnostics_init(&diagnostics, &schema->arena, NULL);
	node = node_parse(&schema->arena, span_of(yaml), &diagnostics);
	if (!node)
		schema->failed = true;
	return node ? node_json(schema, node) : NULL;
}

static json_t *schema_setting(struct schema *schema, const struct setting *row)
{
	json_t *object = schema_value(schema, row), *examples;

	put(schema, object, "description", json_string(row->summary));
	if (row->fallback)
		put(schema, object, "default", yaml_json(schema, row->fallback));
	if (row->example) {
		examples = made(schema, json_array());
		add(schema, examples, yaml_json(schema, row->example));
		put(schema, object, "examples", examples);
	}
	return object;
}

static json_t *schema_struct(struct schema *schema, const struct setting *rows, const char *shorthand)
{
	json_t *object = made(schema, json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0));
	json_t *properties = made(schema, json_object()), *required = made(schema, json_array()),
	       *choice = NULL;

	for (const struct setting *row = rows; row->key; row++) {
		put(schema, properties, row->key, schema_setting(schema, row));
		if (row->required)
			add(schema, required, json_string(row->key));
		if (shorthand && strcmp(row->key, shorthand) == 0)
			choice = schema_value(schema, row);
	}
	put(schema, object, "properties", properties);
	if (json_array_size(required) > 0)
		put(schema, object, "required", required);
	else
		json_decref(required);
	return choice ? any_of(schema, object, choice) : object;
}

char *reference_schema(void)
{
	struct memory memory;
	struct schema schema = {.failed = false};
	json_t *root;
	char *text = NULL;

	memory_init(&memory, 0);
	arena_init(&schema.arena, &memory, NULL, NULL, 0);
	root = schema_struct(&schema, settings_rows, NULL);
	put(&schema, root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	put(&schema, root, "title", json_string("Guise configuration"));
	put(&schema, root, "$defs",
	    made(&schema, json_pack("{s:{s:s, s:s, s:s}, s:{s:[s, s, s]}}", "variable", "type", "string",
				    "pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}", "description",
				    "an environment variable", "text", "type", "string", "number", "boolean")));
	if (!schema.failed)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	arena_fini(&schema.arena);
	return text;
}
