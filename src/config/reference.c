/*
 * The table as a page in Markdown: one section for each mapping, one table row for each key.
 */
#include "config/reference.h"

#include "config/settings.h"
#include "config/value.h"
#include "core/span.h"

#include <string.h>

enum { PATH_TEXT = 200 };

static const char introduction[] =
	"# Configuration\n"
	"\n"
	"Made from the program's own table by `guise schema --format markdown`; do not edit. `guise schema` prints the same\n"
	"as a JSON Schema for editors, `guise check -c FILE` looks for mistakes.\n"
	"\n"
	"One YAML file holds everything. A key that is not here is a mistake, and so is a key given twice.\n"
	"\n"
	"- **Sizes** are whole numbers with a unit: `4096`, `64 KiB`, `10 MiB`, `1 GB` (KB, MB, GB and TB count by 1000, KiB, MiB, GiB and\n"
	"  TiB by 1024; no unit is bytes).\n"
	"- **Times** are whole numbers with a unit: `250ms`, `2s`, `5m`, `1h`, `1d`.\n"
	"- **`${NAME}`** in a value is an environment variable, which has to be set; `${NAME:-text}` gives a default; `$${` is a literal `${`.\n"
	"  Between `{` and `}` or `[` and `]` it needs quotes: `limits: {fields: \"${FIELDS}\"}`.\n"
	"- **`file:PATH`**, where a key takes it, stands for what is in the file, at most 16 MiB. A relative path starts from the directory of the\n"
	"  configuration file.\n"
	"- **Lists** of texts may be given as one text. Text that holds `: ` or `#`, or begins with one of `*&!|>@%{}[]`, needs quotes.\n"
	"- Anchors, aliases and merge keys (`<<`) of YAML may be used.\n";

static const char *type_name(const struct setting *row)
{
	static const char *const names[] = {
		[SETTING_BOOL] = "`true` or `false`",
		[SETTING_COUNT] = "number",
		[SETTING_SIZE] = "size",
		[SETTING_TIME] = "time",
		[SETTING_CHOICE] = "",
		[SETTING_STRING] = "text",
		[SETTING_TEXT] = "text",
		[SETTING_STRINGS] = "texts",
		[SETTING_NETWORKS] = "networks",
		[SETTING_MAP] = "name: text",
		[SETTING_STRUCT] = "mapping",
		[SETTING_LIST] = "list of mappings",
		[SETTING_NAMED] = "name: mapping",
	};

	return names[row->kind];
}

/* Text within a table: a bar would end the cell. */
static void cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void bounds(FILE *out, const struct setting *row)
{
	char min[VALUE_TEXT], max[VALUE_TEXT];

	value_format(row->kind, row->min, min);
	value_format(row->kind, row->max, max);
	if (row->max != 0)
		fprintf(out, " %s to %s", min, max);
	else if (row->min > 1)
		fprintf(out, " from %s", min);
}

static void takes(FILE *out, const struct setting *row)
{
	fputs(type_name(row), out);
	if (row->kind == SETTING_CHOICE)
		for (size_t i = 0; row->choices[i]; i++)
			fprintf(out, "%s`%s`", i == 0 ? "" : (row->choices[i + 1] ? ", " : " or "),
				row->choices[i]);
	if (row->kind == SETTING_COUNT || row->kind == SETTING_SIZE || row->kind == SETTING_TIME)
		bounds(out, row);
	if (row->word)
		fprintf(out, " or `%s`", row->word);
	if (row->file_ok)
		fputs(" or `file:`", out);
}

/* The path of a section: "reverse[].routes[]", "upstreams.NAME". */
static void section_path(char out[PATH_TEXT], const char *path, const struct setting *row)
{
	const char *suffix = row->kind == SETTING_LIST ? "[]" : (row->kind == SETTING_NAMED ? ".NAME" : "");

	snprintf(out, PATH_TEXT, "%s%s%s%s", path, *path ? "." : "", row->key, suffix);
}

/* A heading's anchor as GitHub makes it: lower case, only letters, digits, "_" and "-". */
static void anchor(FILE *out, const char *heading)
{
	for (; *heading; heading++) {
		uint8_t byte = (uint8_t)*heading;
		if (ascii_is_alpha(byte) || ascii_is_digit(byte) || byte == '_' || byte == '-')
			fputc(ascii_lower(byte), out);
	}
}

static void key_row(FILE *out, const char *path, const struct setting *row)
{
	char inner[PATH_TEXT];

	fprintf(out, "| `%s` | ", row->key);
	takes(out, row);
	fputs(" | ", out);
	if (row->required)
		fputs("required", out);
	else if (row->fallback)
		fprintf(out, "`%s`", row->fallback);
	fputs(" | ", out);
	cell(out, row->summary);
	if (row->rows) {
		section_path(inner, path, row);
		fprintf(out, " Keys: [%s](#", row->key);
		anchor(out, inner);
		fputs(").", out);
	}
	if (row->example) {
		fputs(" Example: `", out);
		cell(out, row->example);
		fputc('`', out);
	}
	fputs(" |\n", out);
}

static void section(FILE *out, const char *path, const struct setting *rows, const char *shorthand)
{
	char inner[PATH_TEXT];

	fprintf(out, "\n## %s\n\n", *path ? path : "The top");
	if (shorthand)
		fprintf(out, "A text or a list alone stands for `{%s: ...}`.\n\n", shorthand);
	fputs("| key | takes | default | |\n| --- | --- | --- | --- |\n", out);
	for (const struct setting *row = rows; row->key; row++)
		key_row(out, path, row);
	for (const struct setting *row = rows; row->key; row++)
		if (row->rows) {
			section_path(inner, path, row);
			section(out, inner, row->rows, row->shorthand);
		}
}

void reference_markdown(FILE *out)
{
	fputs(introduction, out);
	section(out, "", settings_rows, NULL);
}
