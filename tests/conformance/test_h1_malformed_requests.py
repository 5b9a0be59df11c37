"""Every malformed request is refused: the right status, the connection closed, a reason in the access log, and not a
byte at the origin, whatever follows it on the connection (RFC 9112 sections 2 to 7 and 11.2)."""

import pytest

from support import settings
from support.client import chunked

LINE = b"GET /x HTTP/1.1\r\n"
HOST = b"Host: a.test\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a.test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"


def line(text):
    """A request with this request line."""
    return text + b"\r\n" + HOST + b"\r\n"


def field(text):
    """A request with this field line."""
    return LINE + HOST + text + b"\r\n\r\n"


def host(value):
    """A request with this Host field."""
    return LINE + b"Host: " + value + b"\r\n\r\n"


def length(*values):
    return POST + b"".join(b"Content-Length: " + value + b"\r\n" for value in values) + b"\r\nhello"


def coding(*values, version=b"HTTP/1.1"):
    head = b"POST /x " + version + b"\r\n" + HOST
    return head + b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in values) + b"\r\n" + chunked(b"hello")


REQUEST_LINES = {
    "empty method": line(b" /x HTTP/1.1"),
    "no target": line(b"GET HTTP/1.1"),
    "empty target": line(b"GET  HTTP/1.1"),
    "no version": line(b"GET /x"),
    "empty version": line(b"GET /x "),
    "only a method": line(b"GET"),
    "two spaces before the target": line(b"GET  /x HTTP/1.1"),
    "two spaces before the version": line(b"GET /x  HTTP/1.1"),
    "tab before the target": line(b"GET\t/x HTTP/1.1"),
    "tab before the version": line(b"GET /x\tHTTP/1.1"),
    "form feed as a space": line(b"GET\x0c/x HTTP/1.1"),
    "leading space": line(b" GET /x HTTP/1.1"),
    "trailing space": line(b"GET /x HTTP/1.1 "),
    "trailing tab": line(b"GET /x HTTP/1.1\t"),
    "words after the version": line(b"GET /x HTTP/1.1 x"),
    "space in the target": line(b"GET /a b HTTP/1.1"),
    "bare CR in the line": line(b"GET /x\rHTTP/1.1"),
    "bare CR at the end of the line": line(b"GET /x HTTP/1.1\r"),
    "bare LF at the end of the line": b"GET /x HTTP/1.1\n" + HOST + b"\r\n",
    "bare CR as line end": b"GET /x HTTP/1.1\r" + HOST + b"\r\n",
    "method with at sign": line(b"G@T /x HTTP/1.1"),
    "method with parenthesis": line(b"GE(T /x HTTP/1.1"),
    "method with slash": line(b"GE/T /x HTTP/1.1"),
    "method with comma": line(b"GE,T /x HTTP/1.1"),
    "method with quote": line(b'"GET" /x HTTP/1.1'),
    "method with colon": line(b"GET: /x HTTP/1.1"),
    "method with NUL": line(b"GE\0T /x HTTP/1.1"),
    "method with high byte": line(b"G\xc9T /x HTTP/1.1"),
    "method with control": line(b"GE\x01T /x HTTP/1.1"),
    "leading bare LF": b"\n" + line(b"GET /x HTTP/1.1"),
    "leading bare CR": b"\r" + line(b"GET /x HTTP/1.1"),
    "leading line of a space": b" \r\n" + line(b"GET /x HTTP/1.1"),
    "a thousand leading empty lines": b"\r\n" * 1000 + line(b"GET /x HTTP/1.1"),
    "version without dot": line(b"GET /x HTTP/11"),
    "version without minor": line(b"GET /x HTTP/1."),
    "version with comma": line(b"GET /x HTTP/1,1"),
    "version with space": line(b"GET /x HTTP/ 1.1"),
    "version without slash": line(b"GET /x HTTP1.1"),
    "version with letters": line(b"GET /x HTTP/a.b"),
    "version with sign": line(b"GET /x HTTP/+1.1"),
    "another protocol": line(b"GET /x XTTP/1.1"),
    "version with NUL": line(b"GET /x HTTP/1.1\0"),
    "a TLS client hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 64 + b"\r\n\r\n",
    "NULs": b"\0" * 32 + b"\r\n\r\n",
}

VERSIONS = {
    "lower case": line(b"GET /x http/1.1"),
    "two digits minor": line(b"GET /x HTTP/1.10"),
    "two digits major": line(b"GET /x HTTP/11.1"),
    "leading zero": line(b"GET /x HTTP/01.1"),
}

WRONG_VERSIONS = {
    "2.0": line(b"GET /x HTTP/2.0"),
    "3.0": line(b"GET /x HTTP/3.0"),
    "0.9": line(b"GET /x HTTP/0.9"),
    "9.9": line(b"GET /x HTTP/9.9"),
    "the preface of HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

TARGETS = {
    "without slash": line(b"GET x HTTP/1.1"),
    "dots": line(b"GET ../x HTTP/1.1"),
    "query only": line(b"GET ?x HTTP/1.1"),
    "fragment": line(b"GET /x#f HTTP/1.1"),
    "fragment only": line(b"GET # HTTP/1.1"),
    "NUL": line(b"GET /x\0y HTTP/1.1"),
    "control": line(b"GET /x\x01y HTTP/1.1"),
    "escape": line(b"GET /x\x1by HTTP/1.1"),
    "delete": line(b"GET /x\x7fy HTTP/1.1"),
    "raw UTF-8": line(b"GET /\xc3\xa9 HTTP/1.1"),
    "high byte in the query": line(b"GET /x?\xff HTTP/1.1"),
    "asterisk with GET": line(b"GET * HTTP/1.1"),
    "asterisk and more": line(b"OPTIONS *x HTTP/1.1"),
    "authority with GET": line(b"GET a.test:80 HTTP/1.1"),
    "absolute without authority": line(b"GET http:///x HTTP/1.1"),
    "absolute with one slash": line(b"GET http:/x HTTP/1.1"),
    "absolute with userinfo": line(b"GET http://u@a.test/x HTTP/1.1"),
    "absolute with user and password": line(b"GET http://u:p@a.test/x HTTP/1.1"),
    "absolute with fragment": line(b"GET http://a.test/x#f HTTP/1.1"),
    "absolute with port of letters": line(b"GET http://a.test:x/ HTTP/1.1"),
    "absolute with port too large": line(b"GET http://a.test:65536/ HTTP/1.1"),
    "absolute with negative port": line(b"GET http://a.test:-1/ HTTP/1.1"),
    "absolute with open bracket": line(b"GET http://[::1/ HTTP/1.1"),
    "absolute with bad IPv6": line(b"GET http://[::g]/ HTTP/1.1"),
    "absolute with text after the bracket": line(b"GET http://[::1]x/ HTTP/1.1"),
    "absolute with backslash in the host": line(b"GET http://a.test\\b/ HTTP/1.1"),
    "absolute with only a port": line(b"GET http://:80/ HTTP/1.1"),
}

HOSTS = {
    "missing": LINE + b"\r\n",
    "missing in absolute form": b"GET http://a.test/x HTTP/1.1\r\n\r\n",
    "empty": host(b""),
    "repeated": LINE + HOST + HOST + b"\r\n",
    "two different": LINE + HOST + b"Host: b.test\r\n\r\n",
    "two, one empty": LINE + HOST + b"Host:\r\n\r\n",
    "repeated in other case": LINE + HOST + b"hOST: a.test\r\n\r\n",
    "list": host(b"a.test, b.test"),
    "space": host(b"a b"),
    "tab": host(b"a\tb"),
    "userinfo": host(b"u@a.test"),
    "user and password": host(b"u:p@a.test"),
    "slash": host(b"a.test/"),
    "path": host(b"a.test/x"),
    "query": host(b"a.test?x"),
    "fragment": host(b"a.test#x"),
    "scheme": host(b"http://a.test"),
    "backslash": host(b"a\\b"),
    "port of letters": host(b"a.test:http"),
    "port too large": host(b"a.test:65536"),
    "port overflow": host(b"a.test:18446744073709551696"),
    "negative port": host(b"a.test:-80"),
    "two ports": host(b"a.test:80:80"),
    "only a port": host(b":80"),
    "open bracket": host(b"[::1"),
    "IPv6 without brackets": host(b"::1"),
    "bad IPv6": host(b"[::g]"),
    "empty brackets": host(b"[]"),
    "text after the bracket": host(b"[::1]x"),
    "NUL": host(b"a\0b"),
    "quote": host(b'"a.test"'),
    "angle": host(b"<a.test>"),
    "high byte": host(b"\xe9.test"),
    "repeated with HTTP/1.0": b"GET /x HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
}

FIELDS = {
    "folded with a space": field(b"X-A: b\r\n c"),
    "folded with a tab": field(b"X-A: b\r\n\tc"),
    "folded empty": field(b"X-A: b\r\n "),
    "folded Host": LINE + b"Host:\r\n a.test\r\n\r\n",
    "space before the first field": LINE + b" X-A: b\r\n" + HOST + b"\r\n",
    "bare CR in a value": field(b"X-A: b\rc"),
    "bare CR and a field in a value": field(b"X-A: b\rX-B: c"),
    "CR CR LF": field(b"X-A: b\r"),
    "bare LF as line end": field(b"X-A: b\nX-B: c"),
    "bare LF at the end of the head": LINE + HOST + b"\n",
    "two bare LF at the end": LINE + b"Host: a.test\n\n",
    "LF CR": LINE + b"Host: a.test\n\r\n",
    "bare CR at the end of the head": LINE + HOST + b"\rX",
    "NUL in a value": field(b"X-A: b\0c"),
    "control 01 in a value": field(b"X-A: b\x01c"),
    "backspace in a value": field(b"X-A: b\x08c"),
    "vertical tab in a value": field(b"X-A: b\x0bc"),
    "form feed in a value": field(b"X-A: b\x0cc"),
    "escape in a value": field(b"X-A: b\x1bc"),
    "delete in a value": field(b"X-A: b\x7fc"),
    "control before the value": field(b"X-A:\x0bb"),
    "space before the colon": field(b"X-A : b"),
    "tab before the colon": field(b"X-A\t: b"),
    "empty name": field(b": b"),
    "empty name and value": field(b":"),
    "no colon": field(b"X-A"),
    "space in the name": field(b"X A: b"),
    "NUL in the name": field(b"X\0A: b"),
    "high byte in the name": field(b"X\xe9A: b"),
    "control in the name": field(b"X\x01A: b"),
    "CR in the name": field(b"X\rA: b"),
    "nothing but a space": field(b" "),
}
FIELDS.update({f"{mark} in the name": field(b"X" + mark.encode() + b"A: b") for mark in '()/;<=>?@[]{}",\\'})

LENGTHS = {
    "two different": length(b"5", b"6"),
    "two the same": length(b"5", b"5"),
    "list of the same": length(b"5, 5"),
    "list of different": length(b"5, 6"),
    "list with an empty element": length(b"5,"),
    "plus": length(b"+5"),
    "minus": length(b"-5"),
    "minus zero": length(b"-0"),
    "hexadecimal": length(b"0x5"),
    "letters": length(b"five"),
    "letter after the digits": length(b"5x"),
    "fraction": length(b"5.0"),
    "exponent": length(b"5e0"),
    "underscore": length(b"1_0"),
    "space inside": length(b"1 0"),
    "empty": length(b""),
    "quoted": length(b'"5"'),
    "semicolon": length(b"5;"),
    "vertical tab": length(b"\x0b5"),
    "NUL": length(b"5\0"),
    "2 to the 64": length(b"18446744073709551616"),
    "2 to the 64 and five": length(b"18446744073709551621"),
    "a hundred digits": length(b"9" * 100),
    "space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "with Transfer-Encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello"),
    "after Transfer-Encoding": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked(b"hello"),
    "zero with Transfer-Encoding": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"h"),
    "with unknown Transfer-Encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\nhello",
    "with GET": LINE + HOST + b"Content-Length: x\r\n\r\n",
}

CODINGS = {
    "identity": coding(b"identity"),
    "gzip": coding(b"gzip"),
    "chunked not last": coding(b"chunked, gzip"),
    "chunked then identity": coding(b"chunked, identity"),
    "chunked twice": coding(b"chunked, chunked"),
    "chunked on two lines": coding(b"chunked", b"chunked"),
    "chunked then gzip on two lines": coding(b"chunked", b"gzip"),
    "chunked then nothing known": coding(b"chunked", b"x"),
    "like chunked, longer": coding(b"chunkedx"),
    "like chunked, prefix": coding(b"xchunked"),
    "quoted": coding(b'"chunked"'),
    "control before": coding(b"\x0bchunked"),
    "NUL after": coding(b"chunked\0"),
    "two words": coding(b"chunked foo"),
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + chunked(b"hello"),
    "folded": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + chunked(b"hello"),
    "on HTTP/1.0": coding(b"chunked", version=b"HTTP/1.0"),
    "on HTTP/1.0 with length": b"POST /x HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
}

UNKNOWN_CODINGS = {
    "gzip then chunked": coding(b"gzip, chunked"),
    "unknown then chunked": coding(b"x, chunked"),
    "gzip and chunked on two lines": coding(b"gzip", b"chunked"),
}

EITHER_CODINGS = {
    "empty": coding(b""),
    "identity then chunked": coding(b"identity, chunked"),
    "with a parameter": coding(b"chunked;q=1"),
}

CHUNKS = {
    "size of letters": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "empty size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "only an extension": CHUNKED + b";a\r\nhello\r\n0\r\n\r\n",
    "minus": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "prefix 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "letter after the digits": CHUNKED + b"5g\r\nhello\r\n0\r\n\r\n",
    "suffix h": CHUNKED + b"5h\r\nhello\r\n0\r\n\r\n",
    "underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "leading space": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "trailing space": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "trailing tab": CHUNKED + b"5\t\r\nhello\r\n0\r\n\r\n",
    "vertical tab": CHUNKED + b"5\x0b\r\nhello\r\n0\r\n\r\n",
    "NUL in the size": CHUNKED + b"5\0\r\nhello\r\n0\r\n\r\n",
    "comma": CHUNKED + b"5,5\r\nhello\r\n0\r\n\r\n",
    "17 digits": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "17 digits with zeros": CHUNKED + b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "100 digits": CHUNKED + b"f" * 100 + b"\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "bare CR after the size": CHUNKED + b"5\rhello\r\n0\r\n\r\n",
    "CR CR LF after the size": CHUNKED + b"5\r\r\nhello\r\n0\r\n\r\n",
    "bare LF after the data": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "bare CR after the data": CHUNKED + b"5\r\nhello\r0\r\n\r\n",
    "no CRLF after the data": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "data longer than the size": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "data shorter than the size": CHUNKED + b"6\r\nhello\r\n0\r\n\r\n",
    "bare LF in an extension": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "bare CR in an extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": CHUNKED + b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "control in an extension": CHUNKED + b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    "last size with bare LF": CHUNKED + b"5\r\nhello\r\n0\n\r\n",
    "end with bare LF": CHUNKED + b"5\r\nhello\r\n0\r\n\n",
    "end with bare CR": CHUNKED + b"5\r\nhello\r\n0\r\n\rX",
    "trailer with space before the colon": CHUNKED + b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
    "trailer folded": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "trailer with bare LF": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\n\r\n",
    "trailer with NUL": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\0\r\n\r\n",
    "trailer with bare CR": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\rc\r\n\r\n",
    "trailer without name": CHUNKED + b"5\r\nhello\r\n0\r\n: b\r\n\r\n",
    "trailer without colon": CHUNKED + b"5\r\nhello\r\n0\r\nX-A\r\n\r\n",
    "trailer with bad name": CHUNKED + b"5\r\nhello\r\n0\r\nX(A: b\r\n\r\n",
    "trailer that is a request": CHUNKED + b"5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
}

TABLES = [
    ("line", REQUEST_LINES, {400}),
    ("version", VERSIONS, {400, 505}),
    ("version", WRONG_VERSIONS, {505}),
    ("target", TARGETS, {400}),
    ("host", HOSTS, {400}),
    ("field", FIELDS, {400}),
    ("length", LENGTHS, {400}),
    ("coding", CODINGS, {400}),
    ("coding", UNKNOWN_CODINGS, {501}),
    ("coding", EITHER_CODINGS, {400, 501}),
    ("chunk", CHUNKS, {400}),
]
CASES = [pytest.param(data, statuses, id=f"{theme}: {name}")
         for theme, table, statuses in TABLES for name, data in table.items()]


@pytest.fixture(scope="module")
def origin(shared_stage):
    return shared_stage.origin()


@pytest.fixture(scope="module")
def guise(shared_stage, origin):
    return shared_stage.guise(settings.reverse(origin))


def test_the_table_is_long_enough():
    assert len(CASES) >= 120


@pytest.mark.parametrize("data, statuses", CASES)
def test_refused(stage, guise, origin, data, statuses):
    before, heads, mark = len(origin.requests), len(origin.heads), guise.log_mark()
    client = stage.client(guise.reverse)
    client.send(data + SMUGGLED)
    response = client.read_response()
    client.expect_end()
    assert response.status in statuses
    assert response.fields.get("Connection") == "close"
    assert response.error_type()
    entry = guise.wait_log(start=mark)
    assert entry["status"] == response.status and entry["error"]
    assert len(origin.requests) == before, "a malformed request was forwarded"
    if not data.startswith(CHUNKED):
        assert len(origin.heads) == heads
    assert not any(request.target == "/smuggled" for request in origin.heads)


@pytest.mark.parametrize("data, statuses", [case for case in CASES if b" /x HTTP/1." in case.values[0]
                                            and case.id.split(":")[0] != "chunk"])
def test_refused_in_the_forward_proxy(stage, forward_guise, open_origin, data, statuses):
    """The same heads in absolute-form: one parser, no second opinion."""
    target = b" http://127.0.0.1:%d/x HTTP/1." % open_origin.port
    data = data.replace(b" /x HTTP/1.", target, 1).replace(b"a.test", b"127.0.0.1:%d" % open_origin.port)
    before = len(open_origin.heads)
    client = stage.client(forward_guise.forward)
    client.send(data + SMUGGLED)
    response = client.read_response()
    client.expect_end()
    assert response.status in statuses
    assert len(open_origin.heads) == before, "a malformed request was forwarded"


@pytest.fixture(scope="module")
def open_origin(shared_stage):
    return shared_stage.origin()


@pytest.fixture(scope="module")
def forward_guise(shared_stage):
    return shared_stage.guise(settings.forward(settings.LOOPBACK))


@pytest.mark.parametrize("data", [
    pytest.param(b"\r\n" + LINE + HOST + b"\r\n", id="one empty line before"),
    pytest.param(b"\r\n\r\n" + LINE + HOST + b"\r\n", id="two empty lines before"),
    pytest.param(b"GET /x HTTP/1.0\r\n\r\n", id="HTTP/1.0 without Host"),
    pytest.param(line(b"GET //x HTTP/1.1"), id="two slashes"),
    pytest.param(line(b"GET /x?a=b&c=%20 HTTP/1.1"), id="query"),
    pytest.param(line(b"GET /x?a?b/c HTTP/1.1"), id="question mark and slash in the query"),
    pytest.param(line(b"OPTIONS * HTTP/1.1"), id="asterisk with OPTIONS"),
    pytest.param(line(b"PROPFIND /x HTTP/1.1"), id="unknown method"),
    pytest.param(line(b"!#$%&'*+-.^_`|~aZ9 /x HTTP/1.1"), id="every token character in a method"),
    pytest.param(line(b"get /x HTTP/1.1"), id="method in lower case"),
    pytest.param(line(b"GET http://a.test/x HTTP/1.1"), id="absolute form"),
    pytest.param(line(b"GET HTTP://A.TEST/x HTTP/1.1"), id="absolute form in capitals"),
    pytest.param(line(b"GET /x HTTP/1.2"), id="a later minor version"),
    pytest.param(host(b"a.test:"), id="empty port"),
    pytest.param(host(b"a.test:8080"), id="port"),
    pytest.param(host(b"[::1]:80"), id="IPv6 host"),
    pytest.param(host(b"a_b.test"), id="underscore in the host"),
    pytest.param(LINE + b"Host:a.test\r\n\r\n", id="no space after the colon"),
    pytest.param(LINE + b"Host: \t a.test \t \r\n\r\n", id="spaces and tabs around a value"),
    pytest.param(field(b"X-A:"), id="empty value"),
    pytest.param(field(b"X-A: \xe9\xff"), id="high bytes in a value"),
    pytest.param(field(b"X-A: b\tc"), id="tab in a value"),
    pytest.param(field(b"!#$%&'*+-.^_`|~09azAZ: b"), id="every token character in a name"),
    pytest.param(POST + b"Content-Length: 0\r\n\r\n", id="length of zero"),
    pytest.param(POST + b"Content-Length: 0005\r\n\r\nhello", id="length with leading zeros"),
    pytest.param(POST + b"Content-Length:5 \t\r\n\r\nhello", id="length with white space around"),
    pytest.param(CHUNKED + b"0\r\n\r\n", id="empty chunked body"),
    pytest.param(CHUNKED + b"005\r\nhello\r\n000\r\n\r\n", id="sizes with leading zeros"),
    pytest.param(CHUNKED + b"0000000000000005\r\nhello\r\n0\r\n\r\n", id="size of 16 digits"),
    pytest.param(CHUNKED + b'5;a;b=c;d="e;f"\r\nhello\r\n0;last\r\n\r\n', id="chunk extensions"),
    pytest.param(CHUNKED + b"5 ; a = b\r\nhello\r\n0\r\n\r\n", id="white space around chunk extensions"),
    pytest.param(CHUNKED + b"A\r\nhellohello\r\na\r\nhellohello\r\n0\r\n\r\n", id="size in either case"),
    pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\r\nX-B:\r\n\r\n", id="trailers"),
])
def test_accepted(stage, guise, origin, data):
    """What looks odd and is right passes, and the connection stays usable."""
    client = stage.client(guise.reverse)
    count = len(origin.requests)
    assert client.ask(data, method="GET").status == 200
    if b"HTTP/1.0" not in data:
        assert client.get("/after").status == 200
        assert len(origin.requests) == count + 2
    origin.check()
