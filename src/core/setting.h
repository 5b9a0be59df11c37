/*
 * One row of the configuration table. Each room describes its own settings struct with rows; the config room walks all
 * of them for parsing, defaults, units, errors, the reference page and the JSON Schema. A row says where in the struct the
 * value goes and how it is written.
 */
#ifndef GUISE_CORE_SETTING_H
#define GUISE_CORE_SETTING_H

#include "core/base.h"

enum setting_kind {
	SETTING_BOOL, /* bool */
	SETTING_COUNT, /* uint64_t within [min, max]; `word` (e.g. "auto", "unlimited") stands for `word_value` */
	SETTING_SIZE,   /* uint64_t bytes: 64 KiB, 1 MiB, 4096; `word` as above */
	SETTING_TIME,   /* uint64_t ms: 250ms, 2s, 5m, 1h, 1d */
	SETTING_CHOICE, /* int: index into choices (NULL-terminated) */
	SETTING_STRING, /* const char *, in the snapshot's arena; file:PATH allowed when `file_ok` */
	SETTING_TEXT, /* struct setting_string: the same with its length (a file may hold NUL bytes) and place */
	SETTING_STRINGS,  /* struct setting_strings: one scalar or a list */
	SETTING_NETWORKS, /* struct setting_strings of networks or addresses, checked by `check` */
	SETTING_MAP,      /* struct setting_pairs: name -> string, in file order */
	SETTING_STRUCT,   /* a nested mapping, inline in the struct at offset, described by `rows` */
	SETTING_LIST,     /* struct setting_list of structs, `rows` describe one, `item_size` its size */
	SETTING_NAMED, /* struct setting_list of structs from a mapping name -> struct; their first member is
			      struct setting_string, the name */
};

/* Where a value was written, for errors that are found only later. */
struct setting_place {
	unsigned line, column; /* from 1; 0 = not in the file (a default or the command line) */
};

struct setting_string {
	const char *text;
	size_t len; /* a string from file: may hold NUL bytes */
	struct setting_place place;
};

struct setting_strings {
	struct setting_string *items;
	size_t count;
	struct setting_place place;
};

struct setting_pair {
	struct setting_string name, value;
};

struct setting_pairs {
	struct setting_pair *items;
	size_t count;
	struct setting_place place;
};

struct setting_list {
	void *items; /* array of the room's struct */
	size_t count;
	struct setting_place place;
};

struct setting {
	const char *key;
	enum setting_kind kind;
	size_t offset;
	const char *fallback; /* the default as it would be written in YAML; NULL = unset (zero) */
	const char *summary;  /* one sentence for the reference page */
	const char *example;  /* YAML value; a test runs it */
	bool required;
	uint64_t min, max; /* COUNT, SIZE, TIME: bounds in base units; max 0 = no bound */
	const char *word;  /* a word instead of a number */
	uint64_t word_value;
	const char *const *choices;
	bool file_ok;               /* STRING, TEXT: file:PATH reads the file */
	const struct setting *rows; /* STRUCT, LIST, NAMED: ends with key == NULL */
	size_t item_size;           /* LIST, NAMED */
	/* Where to note the setting's place (struct setting_place): in the same struct, for LIST and NAMED in each item; 0 =
	   nowhere. Stays zero when the setting is not in the file. */
	size_t place_offset;
	const char *shorthand; /* LIST, NAMED, STRUCT: a scalar or list stands for {shorthand: it} */
	/* Looks at one scalar while it is parsed; returns NULL or why it is wrong (static text). */
	const char *(*check)(const char *text, size_t len);
};

#endif
