/*
 * Lists of names and networks out of any bytes: the same table whatever pieces they come in; each name that was taken is found, with the names that it stands for, and
 * nothing else is. The first byte chooses the format, the second one the size of pieces.
 */
#include "route/list_file.h"

static struct domain_list *read_list(struct list_reader *reader, struct memory *memory,
				     enum list_format format, struct span text, size_t piece)
{
	list_reader_start(reader, memory, format, piece % 3 ? text.len : 0);
	for (size_t at = 0; at < text.len; at += piece)
		list_reader_feed(reader, span_make(text.at + at, size_min(piece, text.len - at)));
	return list_reader_finish(reader);
}

static bool has(const struct domain_list *list, struct span text)
{
	struct host_name name;

	host_name_read(&name, text);
	return domain_list_has_name(list, &name);
}

/* Whatever looks like a name in it, as it would be asked for: both tables are of one opinion, and names are found by their tails alone. */
static void compare(const struct domain_list *one, const struct domain_list *other, struct span text)
{
	size_t begin = 0, asked = 0;

	for (size_t i = 0; i <= text.len && asked < 64; i++) {
		if (i < text.len && text.at[i] > ' ')
			continue;
		struct span word = span_make(text.at + begin, i - begin);
		begin = i + 1;
		if (word.len == 0 || word.len > 200)
			continue;
		asked++;
		bool found = has(one, word);
		struct address address;
		ENSURE(found == has(other, word));
		ENSURE(!found || domain_list_names(one) > 0);
		if (address_parse_ip(word, &address)) {
			ENSURE(!found);
			ENSURE(domain_list_has_address(one, &address) ==
			       domain_list_has_address(other, &address));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct list_reader whole, pieces;
	struct memory memory;

	if (size < 2)
		return 0;
	enum list_format format = (enum list_format)(data[0] % 3);
	struct span text = span_make(data + 2, size - 2);
	memory_init(&memory, 0);
	struct domain_list *one = read_list(&whole, &memory, format, text, SIZE_MAX / 2);
	struct domain_list *other = read_list(&pieces, &memory, format, text, data[1] + 1u);
	ENSURE(one && other);
	ENSURE(domain_list_names(one) == domain_list_names(other));
	ENSURE(domain_list_networks(one) == domain_list_networks(other));
	ENSURE(whole.report.lines == pieces.report.lines && whole.report.wrong == pieces.report.wrong);
	ENSURE(whole.report.wrong <= whole.report.lines);
	compare(one, other, text);
	domain_list_free(one);
	domain_list_free(other);
	ENSURE(atomic_load(&memory.used) == 0);
	return 0;
}
