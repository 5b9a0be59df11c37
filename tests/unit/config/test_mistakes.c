/*
 * Wrong configurations, each with every line that is said about it.
 */
#include "config_fixture.h"

static const struct mistake {
	const char *name, *text, *report;
} mistakes[] = {
	{
		"tab indents",
		"limits:\n"
		"\tbody: 1\n",
		"c:2:1: a tab cannot indent: use spaces\n",
	},
	{
		"tab within",
		"limits:\n"
		"  body: 1\n"
		"\tflow: 2\n",
		"c:3:1: a tab cannot indent: use spaces (this part begins on line 2)\n",
	},
	{
		"flow mapping open",
		"limits: {body: 1\n",
		"c:2:1: expected \",\" or \"}\" here; text that holds one of {}[], needs quotes (this part begins on line 1)\n",
	},
	{
		"flow list open",
		"forward: [\n",
		"c:2:1: expected a value here; text that begins with one of []{}, needs quotes\n",
	},
	{
		"wildcard unquoted",
		"x: *.example\n",
		"c:1:5: text that begins with \"*\" needs quotes\n",
	},
	{
		"alias unknown",
		"x: *nothing\n",
		"c:1:4: unknown alias \"*nothing\"; text that begins with \"*\" needs quotes\n",
	},
	{
		"alias in itself",
		"x: &a [*a]\n",
		"c:1:8: \"*a\" stands inside of what it names\n",
	},
	{
		"anchor sign",
		"x: & b\n",
		"c:1:5: text that begins with \"&\" needs quotes\n",
	},
	{
		"at sign",
		"name: @home\n",
		"c:1:7: text that begins with \"@\" needs quotes\n",
	},
	{
		"backtick",
		"name: `home`\n",
		"c:1:7: text that begins with \"`\" needs quotes\n",
	},
	{
		"percent",
		"name: %home\n",
		"c:1:7: text that begins with \"%\" needs quotes\n",
	},
	{
		"quote open",
		"name: \"abc\n",
		"c:2:1: the quoted text does not end (this part begins on line 1)\n",
	},
	{
		"bad escape",
		"name: \"a\\q\"\n",
		"c:1:9: unknown escape after \"\\\": in single quotes, or as \"\\\\\", it stands for itself\n",
	},
	{
		"colon in value",
		"name: a: b\n",
		"c:1:8: a value that holds \": \" needs quotes; a mapping begins on a line of its own\n",
	},
	{
		"list on the line of a key",
		"forward: - listen\n",
		"c:1:10: \"- \" is not expected here: a list begins on a line of its own\n",
	},
	{
		"key without colon",
		"limits:\n"
		"  body: 1 MiB\n"
		"  flow\n",
		"c:4:1: expected \":\" after a key (this part begins on line 3)\n",
	},
	{
		"indent",
		"limits:\n"
		"    body: 1\n"
		"  flow: 2\n",
		"c:3:3: expected a key here: is the indentation right, and are quotes missing? (this part begins on line 1)\n",
	},
	{
		"ipv6 unquoted",
		"forward: [{listen: [::1]:80}]\n",
		"c:1:21: expected a value here; text that begins with one of []{}, needs quotes\n",
	},
	{
		"template unquoted",
		"reverse: [{redirect: https://{host}/}]\n",
		"c:1:30: expected \",\" or \"}\" here; text that holds one of {}[], needs quotes\n",
	},
	{
		"two documents",
		"name: a\n"
		"---\n"
		"name: b\n",
		"c:2:1: a configuration is one YAML document: a second one begins here\n",
	},
	{
		"tag",
		"name: !secret x\n",
		"c:1:7: tags such as \"!secret\" have no meaning here; text that begins with \"!\" needs quotes\n",
	},
	{
		"list as a key",
		"? [a]\n"
		": b\n",
		"c:1:3: a key has to be plain text, not a list or a mapping\n",
	},
	{
		"NUL by escape",
		"name: \"a\\0b\"\n",
		"c:1:7: text may not hold a NUL byte\n",
	},
	{
		"control byte",
		"name: \"a\001b\"\n",
		"c:1:9: control characters have to be written as escapes in double quotes\n",
	},
	{
		"not UTF-8",
		"name: \377\376\n",
		"c:1:7: the file is not valid UTF-8\n",
	},
	{
		"bad UTF-8 on line 2",
		"name: a\n"
		"name2: \303(\n",
		"c:2:9: the file is not valid UTF-8\n",
	},
	{
		"merge of text",
		"limits: {<<: a}\n",
		"c:1:14: \"<<\" takes a mapping or a list of mappings\n",
	},
	{
		"merge of a list of texts",
		"limits: {<<: [a, {body: 1}]}\n",
		"c:1:15: \"<<\" takes mappings\n",
	},
	{
		"unknown key",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limitz: {}\n",
		"c:2:1: unknown key \"limitz\", did you mean \"limits\"?\n",
	},
	{
		"unknown key, no suggestion",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"zzzzzz: {}\n",
		"c:2:1: unknown key \"zzzzzz\"\n",
	},
	{
		"unknown key within",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {boddy: 1 MiB}\n",
		"c:2:10: unknown key \"boddy\", did you mean \"body\"?\n",
	},
	{
		"unknown key long",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"a234567890123456789012345678901234567890123456789012345678901234567890: 1\n",
		"c:2:1: unknown key \"a23456789012345678901234567890123456789012345678901234567890...\"\n",
	},
	{
		"unknown key in quotes with controls",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"\"a\\tb\\ec\": 1\n",
		"c:2:1: unknown key \"a\\tb\\x1bc\"\n",
	},
	{
		"unknown key in a listener",
		"forward:\n"
		"  - lisen: 127.0.0.1:1\n",
		"c:2:5: unknown key \"lisen\", did you mean \"listen\"?\n",
	},
	{
		"key twice",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 1\n"
		"workers: 2\n",
		"c:3:1: \"workers\" stands here twice, first on line 2\n",
	},
	{
		"key twice within",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: 1, flow: 4096, body: 2}\n",
		"c:2:31: \"body\" stands here twice, first on line 2\n",
	},
	{
		"upstream twice",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams:\n"
		"  web: [\"a:1\"]\n"
		"  web: [\"b:1\"]\n",
		"c:4:3: \"web\" stands here twice, first on line 3\n",
	},
	{
		"required missing",
		"forward: [{mask: elite}]\n",
		"c:1:11: \"listen\" is missing here\n",
	},
	{
		"value missing",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers:\n",
		"c:2:9: \"workers\" has no value: it takes a whole number or \"auto\"\n",
	},
	{
		"value null",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: ~\n",
		"c:2:7: \"name\" has no value: it takes text\n",
	},
	{
		"mapping missing",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits:\n",
		"c:2:8: \"limits\" has no value: it takes a mapping (key: value)\n",
	},
	{
		"list missing",
		"forward:\n",
		"c:1:9: \"forward\" has no value: it takes a list (each item begins with \"- \")\n",
	},
	{
		"item missing",
		"forward:\n"
		"  -\n",
		"c:2:4: \"forward\" has no value: it takes a mapping (key: value)\n",
	},
	{
		"list for a number",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: [1]\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not a list\n",
	},
	{
		"mapping for a number",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: {a: 1}\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not a mapping\n",
	},
	{
		"text for a mapping",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: big\n",
		"c:2:9: \"limits\" takes a mapping (key: value), not text\n",
	},
	{
		"list for a mapping",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: [a]\n",
		"c:2:9: \"limits\" takes a mapping (key: value), not a list\n",
	},
	{
		"mapping for a list",
		"reverse: {listen: 127.0.0.1:0}\n",
		"c:1:10: \"reverse\" takes a list (each item begins with \"- \"), not a mapping\n",
	},
	{
		"text for a list",
		"reverse: off\n",
		"c:1:10: \"reverse\" takes a list (each item begins with \"- \"), not text\n",
	},
	{
		"list for names",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {}}]}]\n"
		"upstreams: [a]\n",
		"c:2:12: \"upstreams\" takes a mapping (name: ...), not a list\n",
	},
	{
		"text in a list of mappings",
		"forward: [abc]\n",
		"c:1:11: \"forward\" takes a mapping (key: value), not text\n",
	},
	{
		"root is a list",
		"- a\n",
		"c:1:1: \"configuration\" takes a mapping (key: value), not a list\n",
	},
	{
		"root is text",
		"hello\n",
		"c:1:1: \"configuration\" takes a mapping (key: value), not text\n",
	},
	{
		"mapping for text",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: {a: b}\n",
		"c:2:7: \"name\" takes text, not a mapping\n",
	},
	{
		"mapping for texts",
		"forward: [{listen: {a: b}}]\n",
		"c:1:20: \"listen\" takes text or a list of texts, not a mapping\n",
	},
	{
		"list in a list of texts",
		"forward: [{listen: [[a]]}]\n",
		"c:1:21: \"listen\" takes text or a list of texts, not a list\n",
	},
	{
		"null in a list of texts",
		"forward: [{listen: [~]}]\n",
		"c:1:21: \"listen\" has no value: it takes text or a list of texts\n",
	},
	{
		"list for a map",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {fields: [a]}}]}]\n",
		"c:1:62: \"fields\" takes a mapping (name: text), not a list\n",
	},
	{
		"mapping in a map",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {fields: {X-A: {b: c}}}}]}]\n",
		"c:1:68: \"X-A\" takes text, not a mapping\n",
	},
	{
		"list for text",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"log: {access: [a]}\n",
		"c:2:15: \"access\" takes text, not a list\n",
	},
	{
		"boolean",
		"forward: [{listen: 127.0.0.1:80, open: maybe}]\n",
		"c:1:40: \"open\" takes true or false, not \"maybe\"\n",
	},
	{
		"boolean in quotes",
		"forward: [{listen: 127.0.0.1:80, open: 'true'}]\n",
		"c:1:40: \"open\" takes true or false, not quoted text: write true without quotes\n",
	},
	{
		"number in quotes",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: '4'\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not quoted text: write 4 without quotes\n",
	},
	{
		"number",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: many\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not \"many\"\n",
	},
	{
		"number with a sign",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: -1\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not \"-1\"\n",
	},
	{
		"number with a fraction",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 1.5\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not \"1.5\"\n",
	},
	{
		"number hexadecimal",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 0x10\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not \"0x10\"\n",
	},
	{
		"number too small",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 0\n",
		"c:2:10: \"workers\" must be from 1 to 256 or \"auto\", not 0\n",
	},
	{
		"number too large",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 257\n",
		"c:2:10: \"workers\" must be from 1 to 256 or \"auto\", not 257\n",
	},
	{
		"number beyond 64 bits",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: 99999999999999999999\n",
		"c:2:10: \"workers\" must be from 1 to 256 or \"auto\", not 99999999999999999999\n",
	},
	{
		"size without meaning",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: big}\n",
		"c:2:16: \"body\" takes a size such as 64 KiB or \"unlimited\", not \"big\"\n",
	},
	{
		"size unit",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: 10 MuB}\n",
		"c:2:16: \"body\" has an unknown unit: \"10 MuB\"; there are B, KB, KiB, MB, MiB, GB, GiB, TB and TiB\n",
	},
	{
		"size unit short",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: 10M}\n",
		"c:2:16: \"body\" has an unknown unit: \"10M\"; there are B, KB, KiB, MB, MiB, GB, GiB, TB and TiB\n",
	},
	{
		"size with a fraction",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: 1.5 MiB}\n",
		"c:2:16: \"body\" takes a size such as 64 KiB or \"unlimited\", not \"1.5 MiB\"\n",
	},
	{
		"size negative",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: -1}\n",
		"c:2:16: \"body\" takes a size such as 64 KiB or \"unlimited\", not \"-1\"\n",
	},
	{
		"size too large",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {body: 99999999999 GiB}\n",
		"c:2:16: \"body\" is too large: 99999999999 GiB\n",
	},
	{
		"size below its bound",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {flow: 1 KiB}\n",
		"c:2:16: \"flow\" must be from 4 KiB to 16 MiB, not 1 KiB\n",
	},
	{
		"size above its bound",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {head: 512 KiB}\n",
		"c:2:16: \"head\" must be from 64 bytes to 256 KiB, not 512 KiB\n",
	},
	{
		"size above its bound, with a word",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {memory: 1 MiB}\n",
		"c:2:18: \"memory\" must be from 4 MiB to 64 TiB or \"auto\", not 1 MiB\n",
	},
	{
		"size beyond 64 bits in bounds",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {head: 99999999999999999999}\n",
		"c:2:16: \"head\" must be from 64 bytes to 256 KiB, not 99999999999999999999\n",
	},
	{
		"word misspelt",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"limits: {memory: autp}\n",
		"c:2:18: \"memory\" takes a size such as 64 KiB or \"auto\", not \"autp\"\n",
	},
	{
		"time without unit",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: 5}\n",
		"c:2:18: \"idle\" needs a unit (ms, s, m, h or d), not \"5\" alone\n",
	},
	{
		"time unit",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: 5 parsecs}\n",
		"c:2:18: \"idle\" has an unknown unit: \"5 parsecs\"; there are ms, s, m, h and d\n",
	},
	{
		"time unit upper case",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: 5M}\n",
		"c:2:18: \"idle\" has an unknown unit: \"5M\"; there are ms, s, m, h and d\n",
	},
	{
		"time negative",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: -5s}\n",
		"c:2:18: \"idle\" takes a time such as 30s, not \"-5s\"\n",
	},
	{
		"time zero",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: 0s}\n",
		"c:2:18: \"idle\" must be from 1ms to 30d, not 0s\n",
	},
	{
		"time too long",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"timeouts: {idle: 31d}\n",
		"c:2:18: \"idle\" must be from 1ms to 30d, not 31d\n",
	},
	{
		"time too long, short bound",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"resolver: {timeout: 2m}\n",
		"c:2:21: \"timeout\" must be from 1ms to 1m, not 2m\n",
	},
	{
		"choice",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"log: {format: xml}\n",
		"c:2:15: \"format\" takes json or combined, not \"xml\"\n",
	},
	{
		"choice misspelt",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"log: {format: jsn}\n",
		"c:2:15: \"format\" takes json or combined, not \"jsn\", did you mean \"json\"?\n",
	},
	{
		"mask misspelt",
		"forward: [{listen: 127.0.0.1:80, mask: elit}]\n",
		"c:1:40: \"mask\" takes transparent, anonymous or elite, not \"elit\", did you mean \"elite\"?\n",
	},
	{
		"name",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: not a token\n",
		"c:2:7: \"name\" cannot be \"not a token\": a name begins with a letter, and has letters, digits and none of the signs that separate (RFC 9110 5.6.2)\n",
	},
	{
		"name empty",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: ''\n",
		"c:2:7: \"name\" cannot be \"\": a name begins with a letter, and has letters, digits and none of the signs that separate (RFC 9110 5.6.2)\n",
	},
	{
		"name too long",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggg\n",
		"c:2:7: \"name\" cannot be \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff...\": a name has at most 64 characters\n",
	},
	{
		"log without a path",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"log: {access: stdot}\n",
		"c:2:15: \"access\" cannot be \"stdot\": expected stdout, stderr, off or the path of a file, as in /var/log/guise/access.log or ./access.log\n",
	},
	{
		"resolver by name",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"resolver: {servers: [dns.example]}\n",
		"c:2:22: \"servers\" cannot be \"dns.example\": a name server is given by its address, as in 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53\n",
	},
	{
		"resolver port",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"resolver: {servers: [\"127.0.0.1:0\"]}\n",
		"c:2:22: \"servers\" cannot be \"127.0.0.1:0\": port 0 is no port of a name server\n",
	},
	{
		"network",
		"forward: [{listen: 127.0.0.1:80, sources: [10.0.0.0/33]}]\n",
		"c:1:44: \"sources\" cannot be \"10.0.0.0/33\": not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero\n",
	},
	{
		"network host bits",
		"forward: [{listen: 127.0.0.1:80, sources: 10.0.0.1/8}]\n",
		"c:1:43: \"sources\" cannot be \"10.0.0.1/8\": not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero\n",
	},
	{
		"variable unset",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: ${GUISE_TEST_UNSET}\n",
		"c:2:7: the environment variable GUISE_TEST_UNSET is not set; \"${GUISE_TEST_UNSET:-...}\" would give a default\n",
	},
	{
		"variable without a name",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: ${}\n",
		"c:2:7: \"${}\" names no environment variable; a literal \"${\" is written \"$${\"\n",
	},
	{
		"variable with a bad name",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: ${a b}\n",
		"c:2:7: \"${a b}\" names no environment variable; a literal \"${\" is written \"$${\"\n",
	},
	{
		"variable not closed",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"name: a${HOME\n",
		"c:2:7: \"${\" without a \"}\"; a literal \"${\" is written \"$${\"\n",
	},
	{
		"variable makes a wrong value",
		"forward: [{listen: \"127.0.0.1:3128\"}]\n"
		"workers: ${GUISE_TEST_MANY}\n",
		"c:2:10: \"workers\" takes a whole number or \"auto\", not \"many\"\n",
	},
	{
		"file missing",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {body: 'file:nowhere.txt'}}]}]\n",
		"c:1:60: \"body\": cannot read \"nowhere.txt\": No such file or directory\n",
	},
	{
		"file is a directory",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {body: 'file:/'}}]}]\n",
		"c:1:60: \"body\": cannot read \"/\": Is a directory\n",
	},
	{
		"file without a path",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {body: 'file:'}}]}]\n",
		"c:1:60: \"body\": cannot read \"\": a path is missing, as in file:page.html\n",
	},
	{
		"listen a port alone",
		"forward: [{listen: 8080}]\n",
		"c:1:20: \"listen\" cannot be \"8080\": expected ADDRESS:PORT; a port alone has a colon before it, in quotes, as in \":8080\"\n",
	},
	{
		"listen a name",
		"forward: [{listen: localhost:8080}]\n",
		"c:1:20: \"listen\" cannot be \"localhost:8080\": a listener takes an address, not a name: localhost is 127.0.0.1 or [::1]\n",
	},
	{
		"listen another name",
		"forward: [{listen: proxy.example:8080}]\n",
		"c:1:20: \"listen\" cannot be \"proxy.example:8080\": a listener takes an IPv4 address, or an IPv6 address in brackets, before the port\n",
	},
	{
		"listen star",
		"forward: [{listen: \"*:8080\"}]\n",
		"c:1:20: \"listen\" cannot be \"*:8080\": all addresses are written without \"*\", as in \":8080\"\n",
	},
	{
		"listen without port",
		"forward: [{listen: 127.0.0.1}]\n",
		"c:1:20: \"listen\" cannot be \"127.0.0.1\": a port is missing, as in 127.0.0.1:8080\n",
	},
	{
		"listen without port, IPv6",
		"forward: [{listen: \"::1\"}]\n",
		"c:1:20: \"listen\" cannot be \"::1\": a port is missing, as in [::1]:8080\n",
	},
	{
		"listen IPv6 without brackets",
		"forward: [{listen: \"2001:db8::1:x:80\"}]\n",
		"c:1:20: \"listen\" cannot be \"2001:db8::1:x:80\": a listener takes an IPv4 address, or an IPv6 address in brackets, before the port\n",
	},
	{
		"listen port too large",
		"forward: [{listen: 127.0.0.1:65536}]\n",
		"c:1:20: \"listen\" cannot be \"127.0.0.1:65536\": expected ADDRESS:PORT with a port from 0 to 65535, :PORT or unix:/path\n",
	},
	{
		"listen all port too large",
		"forward: [{listen: \":65536\"}]\n",
		"c:1:20: \"listen\" cannot be \":65536\": a port is a number from 0 to 65535\n",
	},
	{
		"listen port empty",
		"forward: [{listen: \"127.0.0.1:\"}]\n",
		"c:1:20: \"listen\" cannot be \"127.0.0.1:\": a port is a number from 0 to 65535\n",
	},
	{
		"listen octal",
		"forward: [{listen: 127.0.0.01:80}]\n",
		"c:1:20: \"listen\" cannot be \"127.0.0.01:80\": a listener takes an IPv4 address, or an IPv6 address in brackets, before the port\n",
	},
	{
		"listen a URL",
		"forward: [{listen: http://127.0.0.1:80}]\n",
		"c:1:20: \"listen\" cannot be \"http://127.0.0.1:80\": expected ADDRESS:PORT, without a scheme\n",
	},
	{
		"listen empty",
		"forward: [{listen: ''}]\n",
		"c:1:20: \"listen\" cannot be \"\": expected ADDRESS:PORT, :PORT or unix:/path\n",
	},
	{
		"listen nothing",
		"forward: [{listen: []}]\n",
		"c:1:20: \"listen\" has no address\n",
	},
	{
		"listen unix relative",
		"forward: [{listen: unix:guise.sock}]\n",
		"c:1:20: \"listen\" cannot be \"unix:guise.sock\": the path of a unix socket begins with \"/\" (or \"@\"), as in unix:/run/guise.sock\n",
	},
	{
		"listen unix empty",
		"forward: [{listen: 'unix:'}]\n",
		"c:1:20: \"listen\" cannot be \"unix:\": the path of a unix socket begins with \"/\" (or \"@\"), as in unix:/run/guise.sock\n",
	},
	{
		"listen unix long",
		"forward: [{listen: 'unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}]\n",
		"c:1:20: \"listen\" cannot be \"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\": the path of a unix socket is longer than 107 bytes\n",
	},
	{
		"listen the same",
		"forward: [{listen: 127.0.0.1:80}]\n"
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {}}]}]\n",
		"c:2:20: \"listen\": 127.0.0.1:80 is taken already, by the listener on line 1\n",
	},
	{
		"listen the same in one list",
		"forward: [{listen: ['[::1]:80', '[0:0:0:0:0:0:0:1]:80']}]\n",
		"c:1:33: \"listen\": [0:0:0:0:0:0:0:1]:80 is taken already, by the listener on line 1\n",
	},
	{
		"listen all and any",
		"reverse: [{listen: [':80', '0.0.0.0:80'], routes: [{respond: {}}]}]\n",
		"c:1:28: \"listen\": 0.0.0.0:80 is taken already, by the listener on line 1\n",
	},
	{
		"listen the same unix",
		"forward: [{listen: ['unix:/a', 'unix:/a']}]\n",
		"c:1:32: \"listen\": unix:/a is taken already, by the listener on line 1\n",
	},
	{
		"open proxy",
		"forward: [{listen: 0.0.0.0:3128}]\n",
		"c:1:20: on 0.0.0.0:3128 this would be an open proxy, for anybody who can reach it: name its clients in \"sources\" or \"users\", or say \"open: true\"\n",
	},
	{
		"open proxy on all",
		"forward: [{listen: ':3128'}]\n",
		"c:1:20: on :3128 this would be an open proxy, for anybody who can reach it: name its clients in \"sources\" or \"users\", or say \"open: true\"\n",
	},
	{
		"nothing to do",
		"workers: 1\n",
		"c:1:1: nothing to do: there is no \"forward\", \"reverse\" or \"tcp\" listener\n",
	},
	{
		"empty",
		"",
		"c:1:1: nothing to do: there is no \"forward\", \"reverse\" or \"tcp\" listener\n",
	},
	{
		"empty lists",
		"forward: []\n"
		"reverse: []\n",
		"c:1:1: nothing to do: there is no \"forward\", \"reverse\" or \"tcp\" listener\n",
	},
	{
		"upstream unknown",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: wbe}]}]\n"
		"upstreams: {web: [127.0.0.1:3000]}\n",
		"c:1:48: unknown upstream \"wbe\", did you mean \"web\"?\n",
	},
	{
		"tcp without an end",
		"tcp: [{listen: ':5432'}]\n",
		"c:1:7: a tcp listener has either \"to\" or \"routes\"; this one has none\n",
	},
	{
		"tcp with both",
		"tcp: [{listen: ':5432', to: db, routes: [{to: db}]}]\n"
		"upstreams: {db: ['127.0.0.1:5432']}\n",
		"c:1:7: a tcp listener has either \"to\" or \"routes\"; this one has both\n",
	},
	{
		"tcp to nobody",
		"tcp: [{listen: ':5432', to: bd}, {listen: ':8443', routes: [{sni: a.example, to: dbs}, {sni: b.example}]}]\n"
		"upstreams: {db: ['127.0.0.1:5432']}\n",
		"c:1:29: unknown upstream \"bd\": it has to be a key of \"upstreams\"\n"
		"c:1:82: unknown upstream \"dbs\", did you mean \"db\"?\n"
		"c:1:88: \"to\" is missing here\n",
	},
	{
		"tcp names",
		"tcp: [{listen: ':8443', routes: [{sni: [], to: db}, {sni: ['192.0.2.1', '*'], to: db}]}]\n"
		"upstreams: {db: ['127.0.0.1:5432']}\n",
		"c:1:40: \"sni\" has no name: a route for any name has no \"sni\"\n"
		"c:1:60: \"sni\" cannot be \"192.0.2.1\": an address is no name: clients do not send addresses (RFC 6066 3)\n"
		"c:1:73: \"sni\" cannot be \"*\": a route for any name has no \"sni\"\n",
	},
	{
		"tcp PROXY protocol",
		"tcp: [{listen: ':5432', to: db, proxy_protocol: [10.0.0.1/8]}]\n"
		"upstreams: {db: ['127.0.0.1:5432']}\n",
		"c:1:50: \"proxy_protocol\" cannot be \"10.0.0.1/8\": not an address or network: write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with the bits after the prefix zero\n",
	},
	{
		"tcp where another listens",
		"reverse: [{listen: ':5432', routes: [{to: db}]}]\n"
		"tcp: [{listen: '127.0.0.1:5432', to: db}, {listen: '[::]:5432', to: db}]\n"
		"upstreams: {db: ['127.0.0.1:5432']}\n",
		"c:2:52: \"listen\": [::]:5432 is taken already, by the listener on line 1\n",
	},
	{
		"a split to nobody",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: [{group: web, weight: 95}, {group: cnary, weight: 5}]}]}]\n"
		"upstreams: {web: [127.0.0.1:3000], canary: [127.0.0.1:3001]}\n",
		"c:1:83: unknown upstream \"cnary\", did you mean \"canary\"?\n",
	},
	{
		"weights of a split",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: [{group: web, weight: 1001}, {weight: 5}, [canary]]}]}]\n"
		"upstreams: {web: [127.0.0.1:3000], canary: [127.0.0.1:3001]}\n",
		"c:1:70: \"weight\" must be from 0 to 1000, not 1001\n"
		"c:1:77: \"group\" is missing here\n"
		"c:1:90: \"group\" takes text, not a list\n",
	},
	{
		"a split of nothing",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: [{group: web, weight: 0}]}, {to: []}, {to: [web, web]}]}]\n"
		"upstreams: {web: [127.0.0.1:3000]}\n",
		"c:1:48: nothing would go anywhere: all weights of \"to\" are 0\n"
		"c:1:81: \"to\" has no upstream: it takes one to 100\n"
		"c:1:97: \"to\" has the upstream \"web\" twice: give it one weight\n",
	},
	{
		"what splits",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: [web, api], split_by: uid}]}]\n"
		"tcp: [{listen: '127.0.0.1:81', to: [web, api], split_by: path}]\n"
		"upstreams: {web: [127.0.0.1:3000], api: [127.0.0.1:3001]}\n",
		"c:1:70: \"split_by\" cannot be \"uid\": a key is client, path, field:NAME, cookie:NAME or query:NAME\n"
		"c:2:58: \"split_by\" cannot be \"path\": connections can be split by lot (say nothing) or by \"client\"\n",
	},
	{
		"a mirror of nothing",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {}, mirror: web}, {to: web, mirror: {to: wbe, percent: 0}}]}]\n"
		"upstreams: {web: [127.0.0.1:3000]}\n",
		"c:1:65: only a route with \"to\" has a \"mirror\"\n"
		"c:1:94: unknown upstream \"wbe\", did you mean \"web\"?\n"
		"c:1:108: \"percent\" must be from 1 to 100, not 0\n",
	},
	{
		"two actions",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web, respond: {}}]}]\n"
		"upstreams: {web: [127.0.0.1:3000]}\n",
		"c:1:43: a route has exactly one of \"to\", \"respond\" and \"redirect\"; this one has more\n",
	},
	{
		"no action",
		"reverse: [{listen: 127.0.0.1:80, routes: [{host: a.example}]}]\n"
		"upstreams: {web: [127.0.0.1:3000]}\n",
		"c:1:43: a route has exactly one of \"to\", \"respond\" and \"redirect\"; this one has none\n",
	},
	{
		"upstream without servers",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: []}\n",
		"c:2:18: the upstream \"web\" has no servers\n",
	},
	{
		"upstream null",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: }\n",
		"c:2:18: \"web\" has no value: it takes a mapping (key: value)\n",
	},
	{
		"server without port",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: app.internal}\n",
		"c:2:18: \"address\" cannot be \"app.internal\": a port is missing, as in app.internal:8080\n",
	},
	{
		"server address without port",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: [127.0.0.1]}\n",
		"c:2:19: \"address\" cannot be \"127.0.0.1\": a port is missing, as in 127.0.0.1:8080\n",
	},
	{
		"server IPv6 without brackets",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['::1']}\n",
		"c:2:19: \"address\" cannot be \"::1\": an IPv6 address stands in brackets and takes a port, as in [::1]:8080\n",
	},
	{
		"server URL",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['http://a:80/']}\n",
		"c:2:19: \"address\" cannot be \"http://a:80/\": an address of a server is HOST:PORT, without a scheme and a path\n",
	},
	{
		"server port",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['a:0']}\n",
		"c:2:19: \"address\" cannot be \"a:0\": a port is a number from 1 to 65535\n",
	},
	{
		"server name",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['a b:80']}\n",
		"c:2:19: \"address\" cannot be \"a b:80\": a host name has letters, digits, hyphens and dots only\n",
	},
	{
		"server odd address",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['1.2.3:80']}\n",
		"c:2:19: \"address\" cannot be \"1.2.3:80\": this is neither an address nor a host name: an IPv4 address has four numbers from 0 to 255\n",
	},
	{
		"server unix",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['unix:x']}\n",
		"c:2:19: \"address\" cannot be \"unix:x\": the path of a unix socket begins with \"/\" (or \"@\"), as in unix:/run/app.sock\n",
	},
	{
		"weight",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: {servers: [{address: 'a:1', weight: 257}]}}\n",
		"c:2:54: \"weight\" must be from 1 to 256, not 257\n",
	},
	{
		"balance",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: {servers: 'a:1', balance: round_robbin}}\n",
		"c:2:44: \"balance\" takes round_robin, least_conn, random, p2c, ewma, hash or maglev, not \"round_robbin\", did you mean \"round_robin\"?\n",
	},
	{
		"group name",
		"reverse: [{listen: 127.0.0.1:80, routes: [{to: web}]}]\n"
		"upstreams: {web: ['a:1'], '': ['b:1']}\n",
		"c:2:27: \"upstreams\" cannot have \"\": the name of a group is empty\n",
	},
	{
		"status",
		"reverse: [{listen: 127.0.0.1:80, routes: [{respond: {status: 99}}]}]\n",
		"c:1:62: \"status\" must be from 200 to 599, not 99\n",
	},
	{
		"redirect status",
		"reverse: [{listen: 127.0.0.1:80, routes: [{redirect: /x, redirect_status: 306}]}]\n",
		"c:1:75: \"redirect_status\" cannot be \"306\": a redirect's status is 301, 302, 303, 307 or 308\n",
	},
	{
		"several, in order",
		"name: 'a b'\n"
		"limits: {body: x, flow: 1}\n"
		"zzz: 1\n"
		"forward:\n"
		"  - lisen: a\n"
		"    mask: clown\n"
		"reverse:\n"
		"  - listen: 127.0.0.1\n"
		"    routes: [{to: nowhere}]\n",
		"c:1:7: \"name\" cannot be \"a b\": a name begins with a letter, and has letters, digits and none of the signs that separate (RFC 9110 5.6.2)\n"
		"c:2:16: \"body\" takes a size such as 64 KiB or \"unlimited\", not \"x\"\n"
		"c:2:25: \"flow\" must be from 4 KiB to 16 MiB, not 1\n"
		"c:3:1: unknown key \"zzz\"\n"
		"c:5:5: unknown key \"lisen\", did you mean \"listen\"?\n"
		"c:6:11: \"mask\" takes transparent, anonymous or elite, not \"clown\"\n"
		"c:8:13: \"listen\" cannot be \"127.0.0.1\": a port is missing, as in 127.0.0.1:8080\n"
		"c:9:19: unknown upstream \"nowhere\": it has to be a key of \"upstreams\"\n",
	},
};

static void test_mistakes(void **state)
{
	size_t wrong = 0;

	setenv("GUISE_TEST_MANY", "many", 1);
	unsetenv("GUISE_TEST_UNSET");
	for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
		struct loaded loaded;
		load(&loaded, mistakes[i].text);
		if (strcmp(loaded.report, mistakes[i].report) != 0) {
			print_error("%s:\n%sexpected:\n%s\n", mistakes[i].name, loaded.report,
				    mistakes[i].report);
			wrong++;
		}
		assert_null(loaded.snapshot);
		unload(&loaded);
	}
	assert_int_equal(wrong, 0);
}

static void test_nul_byte(void **state)
{
	static const char text[] = "name: a\0b\n";
	struct loaded loaded;

	load_bytes(&loaded, text, sizeof(text) - 1);
	assert_string_equal(loaded.report,
			    "c:1:8: control characters have to be written as escapes in double quotes\n");
	unload(&loaded);
}

/* Ten levels of ten would be ten thousand million values. */
static void test_billion_laughs(void **state)
{
	char text[2000] = "l0: &l0 [a, a, a, a, a, a, a, a, a, a]\n";
	size_t used = strlen(text);
	struct loaded loaded;

	for (int i = 1; i < 10; i++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "l%d: &l%d [", i, i);
		for (int j = 0; j < 10; j++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s*l%d", j ? ", " : "",
						 i - 1);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "]\n");
	}
	load(&loaded, text);
	assert_string_equal(loaded.report, "c:6:5: too many values: aliases may stand for 200000 in all\n");
	unload(&loaded);
}

static void test_depth(void **state)
{
	char text[4000];
	struct loaded loaded;

	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	load(&loaded, text);
	assert_string_equal(loaded.report, "c:1:33: nested too deeply: 32 levels are the most\n");
	unload(&loaded);
}

static void test_many_mistakes_are_counted(void **state)
{
	enum { MANY = 5000 };
	char *text = malloc(MANY * 12 + 1);
	size_t used = 0;
	struct loaded loaded;

	assert_non_null(text);
	for (int i = 0; i < MANY; i++)
		used += (size_t)snprintf(text + used, MANY * 12 + 1 - used, "q%05d: 1\n", i);
	load(&loaded, text);
	assert_int_equal(loaded.diagnostics.errors, MANY);
	assert_true(strncmp(loaded.report, "c:1:1: unknown key \"q00000\"\n", 28) == 0);
	assert_non_null(strstr(loaded.report, "\nc:200:1: unknown key \"q00199\"\nc: and 4800 more\n"));
	unload(&loaded);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_billion_laughs),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_mistakes_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
