/*
 * Reading lists. See list_file.h.
 */
#include "route/list_file.h"

#include "route/domain_list_internal.h"

static void wrong(struct list_reader *reader, const char *why)
{
	struct list_report *report = &reader->report;

	if (report->wrong < LIST_WRONG_SHOWN)
		report->first[report->wrong] = (struct list_wrong){report->lines, why};
	report->wrong++;
}

/* ---- room ---- */

void list_bytes_free(struct list_bytes *bytes, struct memory *memory)
{
	if (bytes->at)
		memory_free(memory, bytes->at, bytes->room);
	*bytes = (struct list_bytes){0};
}

/* Room for `more` bytes behind what is there. NULL: out of memory, and the reader is full. */
static uint8_t *list_reserve(struct list_reader *reader, struct list_bytes *bytes, size_t more)
{
	if (bytes->room - bytes->len < more) {
		size_t room = size_max(2 * bytes->room, size_max(bytes->len + more, 4096));
		uint8_t *larger = memory_alloc(reader->memory, room);
		if (!larger) {
			reader->full = true;
			return NULL;
		}
		if (bytes->len)
			memcpy(larger, bytes->at, bytes->len);
		size_t len = bytes->len;
		list_bytes_free(bytes, reader->memory);
		*bytes = (struct list_bytes){larger, len, room};
	}
	return bytes->at + bytes->len;
}

/* ---- entries ---- */

/* In lower case to `out`, which has room. NULL, or why not. */
static const char *copy_name(struct span name, uint8_t *out)
{
	size_t label = 0;

	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = ascii_lower(name.at[i]);
		out[i] = byte;
		if (byte == '.') {
			if (label == 0)
				return "a name has an empty label";
			label = 0;
			continue;
		}
		if (!(byte >= 'a' && byte <= 'z') && !ascii_is_digit(byte) && byte != '-' && byte != '_')
			return byte >= 0x80 ? "a name is written in ASCII (xn--...)" :
					      "this is no host name, address or network";
		if (++label > 63)
			return "a label of a name has at most 63 characters";
	}
	return label ? NULL : "a name has an empty label";
}

/* RFC 1123 2.1, and what programs make of it: no name ends in a number, since that is read as an address. */
static bool ends_in_number(struct span name)
{
	size_t i = name.len;

	while (i > 0 && ascii_is_digit(name.at[i - 1]))
		i--;
	return i < name.len && (i == 0 || name.at[i - 1] == '.');
}

static const char *add_name(struct list_reader *reader, struct span name, enum domain_reach reach)
{
	if (name.len > 1 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0)
		return "a name is missing";
	if (name.len > DOMAIN_MAX)
		return "a name has at most 253 characters";
	if (ends_in_number(name))
		return "this is no host name, address or network";
	uint8_t *out = list_reserve(reader, &reader->names, name.len + 2);
	if (!out)
		return NULL; /* which `full` tells */
	size_t head = 0;
	if (reach != DOMAIN_BOTH)
		out[head++] = reach == DOMAIN_EXACT ? ENTRY_EXACT : ENTRY_BELOW;
	out[head++] = (uint8_t)name.len;
	const char *why = copy_name(name, out + head);
	if (why)
		return why;
	reader->names.len += head + name.len;
	reader->count++;
	return NULL;
}

static const char *add_plain_name(struct list_reader *reader, struct span text)
{
	if (span_starts_with(text, SPAN("=")))
		return add_name(reader, span_from(text, 1), DOMAIN_EXACT);
	if (span_starts_with(text, SPAN("*.")))
		return add_name(reader, span_from(text, 2), DOMAIN_BELOW);
	if (span_starts_with(text, SPAN(".")) && text.len > 1)
		text = span_from(text, 1);
	return add_name(reader, text, DOMAIN_BOTH);
}

static uint32_t number4(const uint8_t *ip)
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

static void add_network4(struct list_reader *reader, const uint8_t *ip, unsigned prefix)
{
	uint8_t *out = list_reserve(reader, &reader->v4, sizeof(struct range4));
	uint32_t first = number4(ip), rest = prefix ? UINT32_MAX >> (prefix - 1) >> 1 : UINT32_MAX;

	if (!out)
		return;
	memcpy(out, &(struct range4){first, first | rest}, sizeof(struct range4));
	reader->v4.len += sizeof(struct range4);
}

/* What is mapped is IPv4, as network_contains has it. */
static void add_network(struct list_reader *reader, const struct network *network)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *ip = network->address.ip;
	struct range6 range;
	uint8_t *out;

	if (network->address.family == ADDRESS_V4) {
		add_network4(reader, ip, network->prefix);
		return;
	}
	if (network->prefix >= 96 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
		add_network4(reader, ip + 12, network->prefix - 96u);
		return;
	}
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = network->prefix <= 8 * i     ? 0 :
				network->prefix >= 8 * i + 8 ? 8 :
							       network->prefix - 8 * i;
		range.first[i] = ip[i];
		range.last[i] = (uint8_t)(ip[i] | 0xff >> bits);
	}
	out = list_reserve(reader, &reader->v6, sizeof(range));
	if (!out)
		return;
	memcpy(out, &range, sizeof(range));
	reader->v6.len += sizeof(range);
}

/* ---- lines ---- */

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* The next word of a line, up to its comment; empty: there is none. */
static struct span next_word(struct span *rest)
{
	size_t begin = 0, end;

	while (begin < rest->len && is_blank(rest->at[begin]))
		begin++;
	end = begin;
	if (begin < rest->len && rest->at[begin] == '#')
		begin = end = rest->len;
	while (end < rest->len && !is_blank(rest->at[end]))
		end++;
	struct span word = span_make(rest->at + begin, end - begin);
	*rest = span_from(*rest, end);
	return word;
}

/* What such files say of the machine that they are on. */
static bool is_of_this_machine(struct span name)
{
	static const char *const names[] = {"localhost", "localhost.localdomain", "local", "broadcasthost",
					    "0.0.0.0"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (span_equal_nocase(name, span_of(names[i])))
			return true;
	return span_starts_with(name, SPAN("ip6-"));
}

static const char *read_hosts(struct list_reader *reader, struct span name, struct span rest)
{
	const char *why = NULL;

	if (name.len == 0)
		return "a line of hosts has names behind its address";
	for (; name.len && !why; name = next_word(&rest))
		if (!is_of_this_machine(name))
			why = add_name(reader, name, span_find(name, '.') < 0 ? DOMAIN_EXACT : DOMAIN_BOTH);
	return why;
}

/* Whether it may be an address or a network, before that is found out at greater cost. */
static bool looks_numeric(struct span word)
{
	return ascii_is_digit(word.at[word.len - 1]) || word.at[word.len - 1] == ':' ||
	       span_find(word, ':') >= 0;
}

static const char *read_words(struct list_reader *reader, struct span first, struct span rest)
{
	struct span second = next_word(&rest);
	struct network network;
	bool numeric = looks_numeric(first) && network_parse(first, &network);
	bool address = numeric && span_find(first, '/') < 0;

	if (reader->format == LIST_HOSTS || (reader->format == LIST_AUTO && address && second.len))
		return address ? read_hosts(reader, second, rest) : "a line of hosts begins with an address";
	if (second.len)
		return "a line has one name, address or network";
	if (!numeric)
		return add_plain_name(reader, first);
	add_network(reader, &network);
	return NULL;
}

static void read_line(struct list_reader *reader, struct span line)
{
	const char *why;

	reader->report.lines++;
	if (reader->report.lines == 1 && span_starts_with(line, SPAN("\xef\xbb\xbf")))
		line = span_from(line, 3);
	if (span_ends_with(line, SPAN("\r")))
		line.len--;
	if (line.len >= LIST_LINE_MOST) {
		wrong(reader, "the line is longer than 4095 bytes");
		return;
	}
	struct span rest = line, first = next_word(&rest);
	if (first.len == 0) {
		reader->report.comments += span_find(line, '#') >= 0;
		return;
	}
	why = read_words(reader, first, rest);
	if (why)
		wrong(reader, why);
}

/* ---- pieces ---- */

void list_reader_start(struct list_reader *reader, struct memory *memory, enum list_format format,
		       size_t expected)
{
	memset(reader, 0, offsetof(struct list_reader, line));
	reader->memory = memory;
	reader->format = format;
	/* A name takes no more here than in the file. */
	if (expected)
		(void)list_reserve(reader, &reader->names, expected + 1);
}

/* A piece of a line whose end has not come. */
static void keep(struct list_reader *reader, struct span piece)
{
	size_t room = sizeof(reader->line) - reader->pending, len = size_min(piece.len, room);

	memcpy(reader->line + reader->pending, piece.at, len);
	reader->pending += len;
	reader->skips = reader->skips || piece.len > room;
}

static void end_line(struct list_reader *reader, struct span piece)
{
	if (reader->pending == 0 && !reader->skips) {
		read_line(reader, piece);
		return;
	}
	keep(reader, piece);
	read_line(reader, span_make(reader->line, reader->pending));
	reader->pending = 0;
	reader->skips = false;
}

void list_reader_feed(struct list_reader *reader, struct span text)
{
	ptrdiff_t end;

	while (!reader->full && (end = span_find(text, '\n')) >= 0) {
		end_line(reader, span_first(text, (size_t)end));
		text = span_from(text, (size_t)end + 1);
	}
	if (text.len && !reader->full)
		keep(reader, text);
}

struct domain_list *list_reader_finish(struct list_reader *reader)
{
	struct domain_list *list;

	if (reader->pending && !reader->full)
		end_line(reader, SPAN(""));
	list = reader->full ? NULL :
			      domain_list_build(reader->memory, &reader->names, reader->count, &reader->v4,
						&reader->v6);
	list_reader_drop(reader);
	return list;
}

void list_reader_drop(struct list_reader *reader)
{
	list_bytes_free(&reader->names, reader->memory);
	list_bytes_free(&reader->v4, reader->memory);
	list_bytes_free(&reader->v6, reader->memory);
}
