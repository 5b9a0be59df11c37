/*
 * Which addresses are not globally reachable: the IANA IPv4 and IPv6 special-purpose address registries as of 2025, the
 * multicast ranges, and the IPv6 ranges that embed IPv4. The egress guard judges by this table. Pure functions, any thread.
 *
 * The longest row that covers an address decides; rows that IANA marks as globally reachable are here to open a hole in a
 * wider one. IPv6 outside of 2000::/3 that no row covers is not handed out to anyone (RFC 4291 2.4), so not public.
 */
#include "net/address.h"

struct special_row {
	struct special_range range;
	uint8_t prefix;
	bool global;
	uint8_t ip[16];
};

/* clang-format off */
static const struct special_row special_v4[] = {
	{{"0.0.0.0/8", "This network", "RFC 791"}, 8, false, {0}},
	{{"0.0.0.0/32", "This host on this network", "RFC 1122"}, 32, false, {0}},
	{{"10.0.0.0/8", "Private-Use", "RFC 1918"}, 8, false, {10}},
	{{"100.64.0.0/10", "Shared Address Space", "RFC 6598"}, 10, false, {100, 64}},
	{{"127.0.0.0/8", "Loopback", "RFC 1122"}, 8, false, {127}},
	{{"169.254.0.0/16", "Link Local", "RFC 3927"}, 16, false, {169, 254}},
	{{"172.16.0.0/12", "Private-Use", "RFC 1918"}, 12, false, {172, 16}},
	{{"192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890"}, 24, false, {192, 0, 0}},
	{{"192.0.0.0/29", "IPv4 Service Continuity Prefix", "RFC 7335"}, 29, false, {192, 0, 0}},
	{{"192.0.0.8/32", "IPv4 dummy address", "RFC 7600"}, 32, false, {192, 0, 0, 8}},
	{{"192.0.0.9/32", "Port Control Protocol Anycast", "RFC 7723"}, 32, true, {192, 0, 0, 9}},
	{{"192.0.0.10/32", "Traversal Using Relays around NAT Anycast", "RFC 8155"}, 32, true, {192, 0, 0, 10}},
	{{"192.0.0.170/32", "NAT64/DNS64 Discovery", "RFC 7050"}, 32, false, {192, 0, 0, 170}},
	{{"192.0.0.171/32", "NAT64/DNS64 Discovery", "RFC 7050"}, 32, false, {192, 0, 0, 171}},
	{{"192.0.2.0/24", "Documentation (TEST-NET-1)", "RFC 5737"}, 24, false, {192, 0, 2}},
	{{"192.31.196.0/24", "AS112-v4", "RFC 7535"}, 24, true, {192, 31, 196}},
	{{"192.52.193.0/24", "AMT", "RFC 7450"}, 24, true, {192, 52, 193}},
	{{"192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526"}, 24, false, {192, 88, 99}},
	{{"192.88.99.2/32", "6a44-relay anycast address", "RFC 6751"}, 32, false, {192, 88, 99, 2}},
	{{"192.168.0.0/16", "Private-Use", "RFC 1918"}, 16, false, {192, 168}},
	{{"192.175.48.0/24", "Direct Delegation AS112 Service", "RFC 7534"}, 24, true, {192, 175, 48}},
	{{"198.18.0.0/15", "Benchmarking", "RFC 2544"}, 15, false, {198, 18}},
	{{"198.51.100.0/24", "Documentation (TEST-NET-2)", "RFC 5737"}, 24, false, {198, 51, 100}},
	{{"203.0.113.0/24", "Documentation (TEST-NET-3)", "RFC 5737"}, 24, false, {203, 0, 113}},
	{{"224.0.0.0/4", "Multicast", "RFC 5771"}, 4, false, {224}},
	{{"240.0.0.0/4", "Reserved", "RFC 1112"}, 4, false, {240}},
	{{"255.255.255.255/32", "Limited Broadcast", "RFC 919"}, 32, false, {255, 255, 255, 255}},
};

static const struct special_row special_v6[] = {
	{{"::/128", "Unspecified Address", "RFC 4291"}, 128, false, {0}},
	{{"::1/128", "Loopback Address", "RFC 4291"}, 128, false, {[15] = 1}},
	{{"::/96", "IPv4-compatible Address", "RFC 4291"}, 96, false, {0}},
	{{"::ffff:0.0.0.0/96", "IPv4-mapped Address", "RFC 4291"}, 96, false, {[10] = 0xff, [11] = 0xff}},
	{{"::ffff:0:0:0/96", "IPv4-translated Address", "RFC 2765"}, 96, false, {[8] = 0xff, [9] = 0xff}},
	/* IANA calls it globally reachable; who is on the other side of the translator is not for a client to choose. */
	{{"64:ff9b::/96", "IPv4-IPv6 Translation", "RFC 6052"}, 96, false, {0, 0x64, 0xff, 0x9b}},
	{{"64:ff9b:1::/48", "IPv4-IPv6 Translation", "RFC 8215"}, 48, false, {0, 0x64, 0xff, 0x9b, 0, 1}},
	{{"100::/64", "Discard-Only Address Block", "RFC 6666"}, 64, false, {1}},
	{{"100:0:0:1::/64", "Dummy IPv6 Prefix", "RFC 9780"}, 64, false, {1, [7] = 1}},
	{{"2001::/23", "IETF Protocol Assignments", "RFC 2928"}, 23, false, {0x20, 0x01}},
	{{"2001::/32", "Teredo", "RFC 4380"}, 32, false, {0x20, 0x01}},
	{{"2001:1::1/128", "Port Control Protocol Anycast", "RFC 7723"}, 128, true, {0x20, 1, 0, 1, [15] = 1}},
	{{"2001:1::2/128", "Traversal Using Relays around NAT Anycast", "RFC 8155"}, 128, true, {0x20, 1, 0, 1, [15] = 2}},
	{{"2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", "RFC 9665"}, 128, true, {0x20, 1, 0, 1, [15] = 3}},
	{{"2001:2::/48", "Benchmarking", "RFC 5180"}, 48, false, {0x20, 1, 0, 2}},
	{{"2001:3::/32", "AMT", "RFC 7450"}, 32, true, {0x20, 1, 0, 3}},
	{{"2001:4:112::/48", "AS112-v6", "RFC 7535"}, 48, true, {0x20, 1, 0, 4, 1, 0x12}},
	{{"2001:10::/28", "Deprecated (previously ORCHID)", "RFC 4843"}, 28, false, {0x20, 1, 0, 0x10}},
	{{"2001:20::/28", "ORCHIDv2", "RFC 7343"}, 28, true, {0x20, 1, 0, 0x20}},
	{{"2001:30::/28", "Drone Remote ID Protocol Entity Tags", "RFC 9374"}, 28, true, {0x20, 1, 0, 0x30}},
	{{"2001:db8::/32", "Documentation", "RFC 3849"}, 32, false, {0x20, 1, 0x0d, 0xb8}},
	{{"2002::/16", "6to4", "RFC 3056"}, 16, false, {0x20, 2}},
	{{"2620:4f:8000::/48", "Direct Delegation AS112 Service", "RFC 7534"}, 48, true, {0x26, 0x20, 0, 0x4f, 0x80}},
	{{"3fff::/20", "Documentation", "RFC 9637"}, 20, false, {0x3f, 0xff}},
	{{"5f00::/16", "Segment Routing (SRv6) SIDs", "RFC 9602"}, 16, false, {0x5f}},
	{{"fc00::/7", "Unique-Local", "RFC 4193"}, 7, false, {0xfc}},
	{{"fe80::/10", "Link-Local Unicast", "RFC 4291"}, 10, false, {0xfe, 0x80}},
	{{"fec0::/10", "Deprecated (Site-Local Unicast)", "RFC 3879"}, 10, false, {0xfe, 0xc0}},
	{{"ff00::/8", "Multicast", "RFC 4291"}, 8, false, {0xff}},
	{{"2000::/3", "Global Unicast", "RFC 4291"}, 3, true, {0x20}},
	{{"::/0", "Reserved by IETF", "RFC 4291"}, 0, false, {0}},
};
/* clang-format on */

static const struct special_range special_other = {"", "Not an IP address", "local"};

/* Where an IPv6 range carries an IPv4 address; `flipped`: Teredo hides it by complement (RFC 4380 4). */
struct embedding {
	uint8_t prefix, offset;
	bool flipped;
	uint8_t ip[16];
};

static const struct embedding embeddings[] = {
	{96, 12, false, {0}},
	{96, 12, false, {[10] = 0xff, [11] = 0xff}},
	{96, 12, false, {[8] = 0xff, [9] = 0xff}},
	{96, 12, false, {0, 0x64, 0xff, 0x9b}},
	{48, 12, false, {0, 0x64, 0xff, 0x9b, 0, 1}},
	{16, 2, false, {0x20, 2}},
	{32, 12, true, {0x20, 1}},
};

static bool covers(const uint8_t *network, unsigned prefix, const uint8_t *ip)
{
	size_t whole = prefix / 8;
	unsigned rest = prefix % 8;

	if (memcmp(network, ip, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)((network[whole] ^ ip[whole]) >> (8 - rest)) == 0;
}

static const struct special_row *longest(const struct special_row *rows, size_t count, const uint8_t *ip)
{
	const struct special_row *best = NULL;

	for (size_t i = 0; i < count; i++) {
		if (covers(rows[i].ip, rows[i].prefix, ip) && (!best || rows[i].prefix > best->prefix))
			best = &rows[i];
	}
	return best;
}

static const struct special_range *judge_v4(const uint8_t *ip)
{
	const struct special_row *row = longest(special_v4, ARRAY_LENGTH(special_v4), ip);

	return row && !row->global ? &row->range : NULL;
}

static const struct special_range *judge_embedded(const uint8_t *ip)
{
	for (size_t i = 0; i < ARRAY_LENGTH(embeddings); i++) {
		const struct embedding *form = &embeddings[i];
		if (!covers(form->ip, form->prefix, ip))
			continue;
		uint8_t v4[4];
		for (int j = 0; j < 4; j++)
			v4[j] = (uint8_t)(ip[form->offset + j] ^ (form->flipped ? 0xff : 0));
		return judge_v4(v4);
	}
	return NULL;
}

/* A router of ISATAP hands the packet to the IPv4 address in the interface identifier, under any prefix (RFC 5214 6.1). */
static const struct special_range *judge_isatap(const uint8_t *ip)
{
	static const uint8_t mark[] = {0, 0, 0x5e, 0xfe};
	uint8_t plain[sizeof(mark)];

	memcpy(plain, ip + 8, sizeof(plain));
	plain[0] &= 0xfd; /* set for addresses that are unique in the world */
	return memcmp(plain, mark, sizeof(mark)) == 0 ? judge_v4(ip + 12) : NULL;
}

static const struct special_range *judge_v6(const uint8_t *ip)
{
	const struct special_row *row = longest(special_v6, ARRAY_LENGTH(special_v6), ip);

	if (row->global) /* the last row covers everything */
		return judge_isatap(ip);
	if (row->prefix == 128)
		return &row->range; /* :: and ::1 are not IPv4-compatible forms of 0.0.0.0 and 0.0.0.1 */
	const struct special_range *embedded = judge_embedded(ip);
	return embedded ? embedded : &row->range;
}

const struct special_range *address_special(const struct address *address)
{
	switch (address->family) {
	case ADDRESS_V4:
		return judge_v4(address->ip);
	case ADDRESS_V6:
		return judge_v6(address->ip);
	default:
		return &special_other;
	}
}

const struct special_range *address_special_row(size_t index, bool *global)
{
	const struct special_row *row;

	if (index < ARRAY_LENGTH(special_v4))
		row = &special_v4[index];
	else if (index - ARRAY_LENGTH(special_v4) < ARRAY_LENGTH(special_v6))
		row = &special_v6[index - ARRAY_LENGTH(special_v4)];
	else
		return NULL;
	*global = row->global;
	return &row->range;
}
