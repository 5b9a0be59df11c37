/*
 * Lists of names and networks: what a file says, whatever pieces it comes in, and that no name is taken for another one.
 */
#include "route/list_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
	struct memory memory;
	struct list_reader reader;
	struct domain_list *list;
};

static void read_in_pieces(struct fixture *fixture, enum list_format format, struct span text, size_t piece)
{
	memory_init(&fixture->memory, 0);
	list_reader_start(&fixture->reader, &fixture->memory, format, 0);
	for (size_t at = 0; at < text.len; at += piece)
		list_reader_feed(&fixture->reader, span_make(text.at + at, size_min(piece, text.len - at)));
	fixture->list = list_reader_finish(&fixture->reader);
	assert_non_null(fixture->list);
}

static void read_text(struct fixture *fixture, enum list_format format, const char *text)
{
	read_in_pieces(fixture, format, span_of(text), SIZE_MAX / 2);
}

static void end(struct fixture *fixture)
{
	domain_list_free(fixture->list);
	assert_int_equal(atomic_load(&fixture->memory.used), 0);
}

static bool has(const struct fixture *fixture, const char *host)
{
	struct host_name name;

	host_name_read(&name, span_of(host));
	return domain_list_has_name(fixture->list, &name);
}

static bool has_address(const struct fixture *fixture, const char *text)
{
	struct address address;

	assert_true(address_parse_ip(span_of(text), &address));
	return domain_list_has_address(fixture->list, &address);
}

static void test_plain(void **state)
{
	struct fixture fixture;

	read_text(&fixture, LIST_PLAIN,
		  "# names\nads.example\n  .Tracker.EXAMPLE.  # and so on\n=only.example\n*.below.example\n\n\t\nxn--bcher-kva.example\n");
	assert_int_equal(fixture.reader.report.wrong, 0);
	assert_int_equal(domain_list_names(fixture.list), 5);
	assert_true(has(&fixture, "ads.example"));
	assert_true(has(&fixture, "ADS.example."));
	assert_true(has(&fixture, "a.b.ads.example"));
	assert_false(has(&fixture, "bads.example"));
	assert_false(has(&fixture, "example"));
	assert_false(has(&fixture, "ads.example.com"));
	assert_true(has(&fixture, "x.tracker.example"));
	assert_true(has(&fixture, "only.example"));
	assert_false(has(&fixture, "www.only.example"));
	assert_true(has(&fixture, "www.below.example"));
	assert_false(has(&fixture, "below.example"));
	assert_true(has(&fixture, "xn--bcher-kva.example"));
	assert_false(has(&fixture, ""));
	assert_false(has(&fixture, "."));
	assert_false(has(&fixture, "ads..example"));
	assert_false(domain_list_has_networks(fixture.list));
	end(&fixture);
}

static void test_several_of_one_name(void **state)
{
	struct fixture fixture;

	read_text(&fixture, LIST_PLAIN,
		  "=a.example\n*.a.example\nb.example\nb.example\n*.b.example\n=B.example\n");
	assert_int_equal(domain_list_names(fixture.list), 2);
	assert_true(has(&fixture, "a.example"));
	assert_true(has(&fixture, "x.a.example"));
	assert_true(has(&fixture, "b.example"));
	assert_true(has(&fixture, "x.b.example"));
	end(&fixture);
}

static void test_hosts(void **state)
{
	struct fixture fixture;

	read_text(&fixture, LIST_HOSTS,
		  "127.0.0.1 localhost localhost.localdomain\n::1 ip6-localhost\n0.0.0.0 0.0.0.0\n"
		  "0.0.0.0 ads.example www.ads.example # both\n::\ttracker.example\n10.0.0.9 printer\nads2.example\n0.0.0.0\n"
		  "0.0.0.0 good.example b@d.example\n");
	assert_int_equal(fixture.reader.report.wrong, 3);
	assert_int_equal(fixture.reader.report.first[0].line, 7);
	assert_int_equal(fixture.reader.report.first[1].line, 8);
	assert_int_equal(fixture.reader.report.first[2].line, 9);
	assert_true(has(&fixture, "ads.example"));
	assert_true(has(&fixture, "cdn.ads.example"));
	assert_true(has(&fixture, "tracker.example"));
	assert_true(has(&fixture, "printer"));
	assert_true(has(&fixture, "good.example"));
	assert_false(has(&fixture, "a.printer")); /* one label of a hosts file is no top-level domain */
	assert_false(has(&fixture, "localhost"));
	assert_false(has(&fixture, "ads2.example"));
	assert_false(has_address(&fixture, "0.0.0.0"));
	end(&fixture);
}

static void test_auto(void **state)
{
	struct fixture fixture;

	read_text(&fixture, LIST_AUTO,
		  "plain.example\n0.0.0.0 hosts.example\n192.0.2.7\n198.51.100.0/24 # a network\n2001:db8::/32\ntwo words\n||adblock.example^\n"
		  "http://url.example/\n10.0.0.1/8\n1.2.3\nb\xc3\xbc"
		  "cher.example\n10.1.2.0/24 name.example\n");
	assert_int_equal(fixture.reader.report.wrong, 7);
	assert_int_equal(fixture.reader.report.first[0].line, 6);
	assert_true(has(&fixture, "plain.example"));
	assert_true(has(&fixture, "hosts.example"));
	assert_false(has(&fixture, "two"));
	assert_false(has(&fixture, "name.example"));
	assert_false(has(&fixture, "192.0.2.7")); /* as a name; the address is compared */
	assert_true(has_address(&fixture, "192.0.2.7"));
	assert_true(has_address(&fixture, "::ffff:192.0.2.7"));
	assert_false(has_address(&fixture, "192.0.2.8"));
	assert_true(has_address(&fixture, "198.51.100.255"));
	assert_true(has_address(&fixture, "2001:db8:ffff::1"));
	assert_false(has_address(&fixture, "2001:db9::"));
	assert_false(has_address(&fixture, "10.1.2.3"));
	end(&fixture);
}

static void test_networks_beside_each_other(void **state)
{
	struct fixture fixture;

	read_text(&fixture, LIST_PLAIN,
		  "10.0.1.0/24\n10.0.0.0/24\n10.0.0.128/25\n255.255.255.255\n0.0.0.0/32\n192.0.2.1\n192.0.2.3\n::ffff:203.0.113.0/120\n"
		  "2001:db8::2\n2001:db8::/126\n2001:db8::8/125\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n");
	assert_int_equal(fixture.reader.report.wrong, 0);
	assert_int_equal(domain_list_networks(fixture.list), 6 + 3);
	assert_true(has_address(&fixture, "10.0.0.0"));
	assert_true(has_address(&fixture, "10.0.1.255"));
	assert_false(has_address(&fixture, "10.0.2.0"));
	assert_false(has_address(&fixture, "9.255.255.255"));
	assert_true(has_address(&fixture, "0.0.0.0"));
	assert_false(has_address(&fixture, "0.0.0.1"));
	assert_true(has_address(&fixture, "255.255.255.255"));
	assert_false(has_address(&fixture, "192.0.2.2"));
	assert_true(has_address(&fixture, "203.0.113.77"));
	assert_true(has_address(&fixture, "2001:db8::3"));
	assert_false(has_address(&fixture, "2001:db8::4"));
	assert_true(has_address(&fixture, "2001:db8::f"));
	assert_false(has_address(&fixture, "2001:db8::10"));
	end(&fixture);
	read_text(&fixture, LIST_PLAIN, "0.0.0.0/0\n1.2.3.4\n::/0\n");
	assert_true(has_address(&fixture, "255.255.255.255"));
	assert_true(has_address(&fixture, "::"));
	assert_int_equal(domain_list_networks(fixture.list), 2);
	end(&fixture);
}

/* The same comes of it whatever pieces it is read in. */
static void test_pieces(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf"
		"first.example\r\n# c\r\n\r\n0.0.0.0 second.example\tthird.example\r\nbad line here\r\n"
		"192.0.2.0/24\r\n=fourth.example\nlast.example";
	struct fixture fixture;

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		read_in_pieces(&fixture, LIST_AUTO, span_make(text, sizeof(text) - 1), piece);
		assert_int_equal(fixture.reader.report.lines, 8);
		assert_int_equal(fixture.reader.report.comments, 1);
		assert_int_equal(fixture.reader.report.wrong, 1);
		assert_int_equal(fixture.reader.report.first[0].line, 5);
		assert_int_equal(domain_list_names(fixture.list), 5);
		assert_true(has(&fixture, "first.example"));
		assert_true(has(&fixture, "third.example"));
		assert_true(has(&fixture, "last.example"));
		assert_true(has_address(&fixture, "192.0.2.255"));
		end(&fixture);
	}
}

static void test_long_lines(void **state)
{
	static char text[3 * LIST_LINE_MOST];
	struct fixture fixture;
	struct span begin = SPAN("before.example\n"), after = SPAN("\nafter.example\n");

	for (size_t len = LIST_LINE_MOST - 2; len <= LIST_LINE_MOST + 2; len++)
		for (size_t piece = 1; piece < 3 * LIST_LINE_MOST; piece += 1021) {
			size_t at = begin.len;
			memcpy(text, begin.at, at);
			memset(text + at, ' ', len);
			memcpy(text + at, "long.example", 12);
			memcpy(text + at + len, after.at, after.len);
			read_in_pieces(&fixture, LIST_AUTO, span_make(text, at + len + after.len), piece);
			assert_int_equal(fixture.reader.report.wrong, len >= LIST_LINE_MOST);
			assert_int_equal(fixture.reader.report.lines, 3);
			assert_int_equal(has(&fixture, "long.example"), len < LIST_LINE_MOST);
			assert_true(has(&fixture, "before.example"));
			assert_true(has(&fixture, "after.example"));
			end(&fixture);
		}
}

static void test_bounds_of_names(void **state)
{
	char text[1024], label[64];
	struct fixture fixture;

	memset(label, 'a', 63);
	label[63] = '\0';
	snprintf(text, sizeof(text), "%s.example\na%s.example\n%s.%s.%s.%.61s\n%s.%s.%s.%.62s\n-._\n", label,
		 label, label, label, label, label, label, label, label, label);
	read_text(&fixture, LIST_PLAIN, text);
	assert_int_equal(fixture.reader.report.wrong, 2);
	assert_int_equal(fixture.reader.report.first[0].line, 2);
	assert_int_equal(fixture.reader.report.first[1].line, 4);
	snprintf(text, sizeof(text), "%s.%s.%s.%.61s", label, label, label, label);
	assert_true(has(&fixture, text));
	end(&fixture);
	/* 127 labels, the most that there can be. */
	for (size_t i = 0; i < 253; i++)
		text[i] = i % 2 ? '.' : 'a';
	text[253] = '\0';
	read_text(&fixture, LIST_PLAIN, text);
	assert_true(has(&fixture, text));
	assert_false(has(&fixture, text + 2));
	end(&fixture);
	read_text(&fixture, LIST_PLAIN, "a.a.a\n");
	assert_true(has(&fixture, text));
	assert_false(has(&fixture, "a.a"));
	end(&fixture);
	read_text(&fixture, LIST_PLAIN, "com\n");
	assert_true(has(&fixture, "www.shop.com"));
	assert_false(has(&fixture, "www.shop.net"));
	end(&fixture);
}

static void test_nothing(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# only this\n", "***\n"};
	struct fixture fixture;

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		read_text(&fixture, LIST_AUTO, texts[i]);
		assert_int_equal(domain_list_names(fixture.list), 0);
		assert_false(has(&fixture, "a.example"));
		assert_false(has_address(&fixture, "192.0.2.1"));
		end(&fixture);
	}
}

/* A name that is there and one that differs in a byte, a million times: each of these is found, none of those. */
static void test_a_million_names(void **state)
{
	enum { COUNT = 1000000 };
	struct fixture fixture;
	char text[64];
	int len;

	memory_init(&fixture.memory, 0);
	list_reader_start(&fixture.reader, &fixture.memory, LIST_AUTO, 0);
	for (unsigned i = 0; i < COUNT; i++) {
		len = snprintf(text, sizeof(text), "n%u.z%u.example\n", i * 2, i % 97);
		list_reader_feed(&fixture.reader, span_make(text, (size_t)len));
	}
	fixture.list = list_reader_finish(&fixture.reader);
	assert_non_null(fixture.list);
	assert_int_equal(domain_list_names(fixture.list), COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		struct host_name name;
		len = snprintf(text, sizeof(text), "www.n%u.z%u.example", i * 2, i % 97);
		host_name_read(&name, span_make(text, (size_t)len));
		assert_true(domain_list_has_name(fixture.list, &name));
		len = snprintf(text, sizeof(text), "www.n%u.z%u.example", i * 2 + 1, i % 97);
		host_name_read(&name, span_make(text, (size_t)len));
		assert_false(domain_list_has_name(fixture.list, &name));
	}
	end(&fixture);
}

static void test_out_of_memory(void **state)
{
	struct fixture fixture;
	char text[64];

	for (uint64_t every = 1; every < 40; every++) {
		memory_init(&fixture.memory, 0);
		memory_fail_every(&fixture.memory, every);
		list_reader_start(&fixture.reader, &fixture.memory, LIST_AUTO, 100);
		for (unsigned i = 0; i < 3000; i++) {
			int len = snprintf(text, sizeof(text), "n%u.example\n10.0.%u.%u\n2001:db8::%x\n", i,
					   i / 250, i % 250, i);
			list_reader_feed(&fixture.reader, span_make(text, (size_t)len));
		}
		fixture.list = list_reader_finish(&fixture.reader);
		if (fixture.list)
			assert_true(has(&fixture, "n2999.example"));
		end(&fixture);
	}
	assert_non_null(fixture.list); /* the last one failed rarely enough */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_several_of_one_name),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_networks_beside_each_other),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_bounds_of_names),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_a_million_names),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
