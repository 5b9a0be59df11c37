/* The special-purpose registries: every row at its edges, and IPv4 in its IPv6 disguises. */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct expectation {
	const char *address;
	const char *range; /* text of the row that names it; NULL: public */
};

/* For each row the address before it, its first, its last and the one after. */
/* clang-format off */
static const struct expectation expectations[] = {
	{"0.0.0.0", "0.0.0.0/32"}, {"0.0.0.1", "0.0.0.0/8"}, {"0.255.255.255", "0.0.0.0/8"}, {"1.0.0.0", NULL},
	{"9.255.255.255", NULL}, {"10.0.0.0", "10.0.0.0/8"}, {"10.255.255.255", "10.0.0.0/8"}, {"11.0.0.0", NULL},
	{"100.63.255.255", NULL}, {"100.64.0.0", "100.64.0.0/10"}, {"100.127.255.255", "100.64.0.0/10"}, {"100.128.0.0", NULL},
	{"126.255.255.255", NULL}, {"127.0.0.0", "127.0.0.0/8"}, {"127.255.255.255", "127.0.0.0/8"}, {"128.0.0.0", NULL},
	{"169.253.255.255", NULL}, {"169.254.0.0", "169.254.0.0/16"}, {"169.254.169.254", "169.254.0.0/16"},
	{"169.254.255.255", "169.254.0.0/16"}, {"169.255.0.0", NULL},
	{"172.15.255.255", NULL}, {"172.16.0.0", "172.16.0.0/12"}, {"172.31.255.255", "172.16.0.0/12"}, {"172.32.0.0", NULL},
	{"191.255.255.255", NULL}, {"192.0.0.0", "192.0.0.0/29"}, {"192.0.0.7", "192.0.0.0/29"}, {"192.0.0.8", "192.0.0.8/32"},
	{"192.0.0.9", NULL}, {"192.0.0.10", NULL}, {"192.0.0.11", "192.0.0.0/24"}, {"192.0.0.169", "192.0.0.0/24"},
	{"192.0.0.170", "192.0.0.170/32"}, {"192.0.0.171", "192.0.0.171/32"}, {"192.0.0.172", "192.0.0.0/24"},
	{"192.0.0.255", "192.0.0.0/24"}, {"192.0.1.0", NULL}, {"192.0.1.255", NULL}, {"192.0.2.0", "192.0.2.0/24"},
	{"192.0.2.255", "192.0.2.0/24"}, {"192.0.3.0", NULL},
	{"192.31.195.255", NULL}, {"192.31.196.0", NULL}, {"192.31.196.255", NULL}, {"192.31.197.0", NULL},
	{"192.52.193.0", NULL}, {"192.52.193.255", NULL},
	{"192.88.98.255", NULL}, {"192.88.99.0", "192.88.99.0/24"}, {"192.88.99.1", "192.88.99.0/24"},
	{"192.88.99.2", "192.88.99.2/32"}, {"192.88.99.255", "192.88.99.0/24"}, {"192.88.100.0", NULL},
	{"192.167.255.255", NULL}, {"192.168.0.0", "192.168.0.0/16"}, {"192.168.255.255", "192.168.0.0/16"}, {"192.169.0.0", NULL},
	{"192.175.48.0", NULL}, {"192.175.48.255", NULL},
	{"198.17.255.255", NULL}, {"198.18.0.0", "198.18.0.0/15"}, {"198.19.255.255", "198.18.0.0/15"}, {"198.20.0.0", NULL},
	{"198.51.99.255", NULL}, {"198.51.100.0", "198.51.100.0/24"}, {"198.51.100.255", "198.51.100.0/24"}, {"198.51.101.0", NULL},
	{"203.0.112.255", NULL}, {"203.0.113.0", "203.0.113.0/24"}, {"203.0.113.255", "203.0.113.0/24"}, {"203.0.114.0", NULL},
	{"223.255.255.255", NULL}, {"224.0.0.0", "224.0.0.0/4"}, {"239.255.255.255", "224.0.0.0/4"},
	{"240.0.0.0", "240.0.0.0/4"}, {"255.255.255.254", "240.0.0.0/4"}, {"255.255.255.255", "255.255.255.255/32"},
	{"8.8.8.8", NULL}, {"1.1.1.1", NULL},

	{"::", "::/128"}, {"::1", "::1/128"}, {"::2", "0.0.0.0/8"}, {"::8.8.8.8", "::/96"}, {"::10.0.0.1", "10.0.0.0/8"},
	{"::ffff:ffff", "255.255.255.255/32"}, {"::1:0:0", "::/0"},
	{"::fffe:ffff:ffff", "::/0"}, {"::ffff:0.0.0.0", "0.0.0.0/32"}, {"::ffff:8.8.8.8", "::ffff:0.0.0.0/96"},
	{"::ffff:127.0.0.1", "127.0.0.0/8"}, {"::ffff:255.255.255.255", "255.255.255.255/32"}, {"::1:0:0:0", "::/0"},
	{"::fffe:ffff:ffff:ffff", "::/0"}, {"::ffff:0:8.8.8.8", "::ffff:0:0:0/96"}, {"::ffff:0:192.168.1.1", "192.168.0.0/16"},
	{"::ffff:1:0:0", "::/0"},
	{"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"64:ff9b::", "0.0.0.0/32"}, {"64:ff9b::8.8.8.8", "64:ff9b::/96"},
	{"64:ff9b::169.254.169.254", "169.254.0.0/16"}, {"64:ff9b::1:0:0", "::/0"}, {"64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "::/0"},
	{"64:ff9b:1::", "0.0.0.0/32"}, {"64:ff9b:1::8.8.8.8", "64:ff9b:1::/48"}, {"64:ff9b:1::10.1.2.3", "10.0.0.0/8"},
	{"64:ff9b:1:ffff:ffff:ffff:808:808", "64:ff9b:1::/48"}, {"64:ff9b:2::", "::/0"},
	{"ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"100::", "100::/64"}, {"100::ffff:ffff:ffff:ffff", "100::/64"},
	{"100:0:0:1::", "100:0:0:1::/64"}, {"100:0:0:1:ffff:ffff:ffff:ffff", "100:0:0:1::/64"}, {"100:0:0:2::", "::/0"},
	{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"2000::", NULL}, {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	{"2001::f7f7:f7f7", "2001::/32"}, {"2001::f5ff:fffe", "10.0.0.0/8"}, {"2001:0:ffff:ffff:ffff:ffff:f7f7:f7f7", "2001::/32"},
	{"2600::5efe:10.1.2.3", "10.0.0.0/8"}, {"2600::200:5efe:127.0.0.1", "127.0.0.0/8"}, {"2600::5efe:8.8.8.8", NULL},
	{"2600::5eff:10.1.2.3", NULL}, {"2600::100:5efe:10.1.2.3", NULL}, {"2600::1:5efe:10.1.2.3", NULL},
	{"2001:1::", "2001::/23"}, {"2001:1::1", NULL}, {"2001:1::2", NULL}, {"2001:1::3", NULL}, {"2001:1::4", "2001::/23"},
	{"2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "2001::/23"}, {"2001:2::", "2001:2::/48"},
	{"2001:2:0:ffff:ffff:ffff:ffff:ffff", "2001:2::/48"}, {"2001:2:1::", "2001::/23"},
	{"2001:2:ffff:ffff:ffff:ffff:ffff:ffff", "2001::/23"}, {"2001:3::", NULL}, {"2001:3:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	{"2001:4::", "2001::/23"}, {"2001:4:111:ffff:ffff:ffff:ffff:ffff", "2001::/23"}, {"2001:4:112::", NULL},
	{"2001:4:112:ffff:ffff:ffff:ffff:ffff", NULL}, {"2001:4:113::", "2001::/23"},
	{"2001:f:ffff:ffff:ffff:ffff:ffff:ffff", "2001::/23"}, {"2001:10::", "2001:10::/28"},
	{"2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:10::/28"}, {"2001:20::", NULL},
	{"2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, {"2001:30::", NULL}, {"2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
	{"2001:40::", "2001::/23"}, {"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::/23"}, {"2001:200::", NULL},
	{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, {"2001:db8::", "2001:db8::/32"},
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32"}, {"2001:db9::", NULL},
	{"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, {"2002::", "0.0.0.0/32"}, {"2002:808:808::1", "2002::/16"},
	{"2002:a00:1::1", "10.0.0.0/8"}, {"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "255.255.255.255/32"}, {"2003::", NULL},
	{"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", NULL}, {"2620:4f:8000::", NULL}, {"2620:4f:8000:ffff:ffff:ffff:ffff:ffff", NULL},
	{"2620:4f:8001::", NULL},
	{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, {"3fff::", "3fff::/20"},
	{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::/20"}, {"3fff:1000::", NULL},
	{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, {"4000::", "::/0"},
	{"5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"5f00::", "5f00::/16"},
	{"5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::/16"}, {"5f01::", "::/0"},
	{"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"fc00::", "fc00::/7"},
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::/7"}, {"fe00::", "::/0"},
	{"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"}, {"fe80::", "fe80::/10"},
	{"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::/10"}, {"fec0::", "fec0::/10"},
	{"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::/10"}, {"ff00::", "ff00::/8"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::/8"},
	{"2606:4700:4700::1111", NULL}, {"2a00:1450:4001::1", NULL},
};
/* clang-format on */

static void every_row_at_its_edges(void **state)
{
	for (size_t i = 0; i < ARRAY_LENGTH(expectations); i++) {
		const struct expectation *row = &expectations[i];
		struct address address;
		if (!address_parse_ip(span_of(row->address), &address))
			fail_msg("not parsed: %s", row->address);
		const struct special_range *range = address_special(&address);
		if (!range != !row->range || (range && strcmp(range->text, row->range) != 0))
			fail_msg("%s: %s instead of %s", row->address, range ? range->text : "public",
				 row->range ? row->range : "public");
	}
}

/* A row's text and its bytes are the same network; what is not global is refused from its first address on. */
static void rows_say_what_they_are(void **state)
{
	const struct special_range *range;
	bool global;
	size_t count = 0;

	for (; (range = address_special_row(count, &global)); count++) {
		struct network network;
		if (!network_parse(span_of(range->text), &network))
			fail_msg("not a network: %s", range->text);
		assert_true(strlen(range->name) > 0);
		assert_memory_equal(range->rfc, "RFC ", 4);
		struct address address = network.address;
		if (!global)
			assert_non_null(address_special(&address));
	}
	assert_int_equal(count, 58);
}

/* The rows that are in no wider row but the last: deciding bytes agree with the text. */
static void text_and_bytes_agree(void **state)
{
	const struct special_range *range;
	bool global;

	for (size_t i = 0; (range = address_special_row(i, &global)); i++) {
		bool seen = global;
		for (size_t j = 0; j < ARRAY_LENGTH(expectations) && !seen; j++)
			seen = expectations[j].range && strcmp(expectations[j].range, range->text) == 0;
		if (!seen)
			fail_msg("no expectation names %s", range->text);
	}
}

static void what_is_no_ip_is_never_public(void **state)
{
	struct address unix_socket = {.family = ADDRESS_UNIX, .path = "/x"}, none = {0};

	assert_non_null(address_special(&unix_socket));
	assert_non_null(address_special(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_at_its_edges),
		cmocka_unit_test(rows_say_what_they_are),
		cmocka_unit_test(text_and_bytes_agree),
		cmocka_unit_test(what_is_no_ip_is_never_public),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
