"""Second tries: which failures lead to one, for which requests, where, how often, and what is said about it."""

import itertools

import pytest

from support import http2, settings
from support.client import chunked, request
from support.farm import Farm
from support.frames import Code
from support.waiting import Stopwatch, wait_for
from support.wire import Closed, Truncated

DEAD = "127.0.0.1:1"  # nothing listens there
FLOW = 16 * 1024  # so much content is kept for another try
numbers = itertools.count(1)

IDEMPOTENT = [("GET", None), ("HEAD", None), ("DELETE", None), ("OPTIONS", None), ("PUT", b"hello"), ("PUT", "chunked"),
              ("PUT", b""), ("DELETE", b"hello")]
OTHERS = [("POST", None), ("POST", b"hello"), ("POST", "chunked"), ("PATCH", b"hello")]


class Place:
    """A running Guise before a farm. Each group has the same servers."""

    def __init__(self, stage, version):
        self.stage = stage
        self.farm = Farm(stage, version)
        servers = [origin.address for origin in self.farm.origins]
        group = {"servers": servers, "http": version, "outliers": {"connects": "off", "failures": "off"},
                 "retry_budget": {"burst": 1000000}}
        groups = {
            "fresh": {"keepalive": 0},
            "kept": {},
            "lone": {"servers": servers[:1], "retries": 0},
            "try": {"keepalive": 0, "timeouts": {"try": "250ms"}},
            "five": {"retry_on": ["5xx"]},
            "five-alone": {"retry_on": ["5xx"], "servers": servers[:1]},
            "short": {"timeouts": {"response": "400ms"}},
            "dead": {"servers": [DEAD, servers[0]]},
        }
        self.guise = stage.guise({
            "workers": 1,
            "limits": {"flow": FLOW},
            "timeouts": {"response": "2s"},
            "reverse": [{"listen": "127.0.0.1:0", "http2": "clear",
                         "routes": [{"path": f"/{name}/", "to": name} for name in groups]}],
            "upstreams": {name: dict(group, **extra) for name, extra in groups.items()},
        })
        self.client = None

    def ask(self, method, group, action, content=None):
        """(id, response) of a request whose first try meets with `action`."""
        number = next(numbers)
        target = f"/{group}/{action}/{number}"
        if content == "chunked":
            data = request(method, target, [("Transfer-Encoding", "chunked")]) + chunked(b"hel", b"lo")
        elif content is None:
            data = request(method, target)
        else:
            data = request(method, target, [("Content-Length", len(content))]) + content
        if self.client is None:
            self.client = self.stage.client(self.guise.reverse)
        self.client.send(data)
        try:
            return number, self.client.read_response(method)
        except (Truncated, Closed, ConnectionError):
            self.client = None
            raise

    def warm(self, group):
        """Both servers have an idle connection of the group."""
        for _ in range(2):
            assert self.ask("GET", group, "ok")[1].status == 200

    def line(self, number):
        """The line of this request in the access log."""
        return self.guise.wait_log(lambda entry: entry["target"].endswith(f"/{number}"))


@pytest.fixture(scope="module", params=["1", "2"])
def place(request, shared_stage):  # pylint: disable=redefined-outer-name
    made = Place(shared_stage, request.param)
    yield made
    made.farm.check_once()


def text(content):
    return b"hello" if content == "chunked" else content or b""


# failures of a server that has the request

@pytest.mark.parametrize("action", ["close", "reset", "half", "interim"])
@pytest.mark.parametrize("method, content", IDEMPOTENT)
def test_idempotent_goes_to_another_server(place, method, content, action):
    number, got = place.ask(method, "fresh", action, content)
    first, second = place.farm.seen(number)
    assert got.status == 200 and first.server != second.server
    assert first.body == second.body == text(content)
    assert method == "HEAD" or got.body == b"%d %s" % (second.server, text(content))
    line = place.line(number)
    assert line["server"] == place.farm.origins[second.server].address
    assert line["tries"] == 2 and line["error"] is None and line["status"] == 200


@pytest.mark.parametrize("action", ["close", "reset", "half", "interim", "freeze"])
@pytest.mark.parametrize("method, content", OTHERS)
def test_others_stay(place, method, content, action):
    number, got = place.ask(method, "short" if action == "freeze" else "fresh", action, content)
    assert got.status == (504 if action == "freeze" else 502) and len(place.farm.seen(number)) == 1
    line = place.line(number)
    assert line["error"] and "tries" not in line
    assert line["server"] == place.farm.origins[place.farm.servers(number)[0]].address


@pytest.mark.parametrize("method, content", IDEMPOTENT[:5])
def test_malformed_is_an_answer(place, method, content):
    number, got = place.ask(method, "fresh", "malformed", content)
    assert got.status == 502 and len(place.farm.seen(number)) == 1


@pytest.mark.parametrize("action", ["close", "reset", "half"])
def test_retries_are_bounded(place, action):
    number, got = place.ask("GET", "fresh", action + "-always")
    assert got.status == 502 and sorted(place.farm.servers(number)) == [0, 1]
    assert place.line(number)["tries"] == 2 and place.line(number)["error"]


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_content_that_is_not_kept_stays(place, how):
    """More than limits.flow has left: it cannot be sent again. What fits can."""
    for size in (FLOW // 2, FLOW * 8):
        number = next(numbers)
        body = b"x" * size
        fields = [("Transfer-Encoding", "chunked")] if how == "chunked" else [("Content-Length", size)]
        client = place.stage.client(place.guise.reverse)
        client.send(request("PUT", f"/fresh/close/{number}", fields) + (chunked(body) if how == "chunked" else body))
        got = client.read_response("PUT")
        tries = place.farm.seen(number)
        assert (got.status, len(tries)) == ((200, 2) if size < FLOW else (502, 1))
        assert all(call.body == body for call in tries)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_tried_again_once_the_client_has_the_head(place, method):
    """What it has got cannot be taken for the whole."""
    number = next(numbers)
    client = place.stage.client(place.guise.reverse)
    client.send(request(method, f"/fresh/truncated/{number}"))
    with pytest.raises((Truncated, ConnectionError)):
        client.read_response(method)
    assert len(place.farm.seen(number)) == 1
    second = http2.Client(place.guise.reverse)
    number = next(numbers)
    stream = second.get(f"/fresh/truncated/{number}")
    assert not stream.ended and stream.reset not in (None, Code.NO_ERROR)
    assert len(place.farm.seen(number)) == 1
    second.close()


@pytest.mark.parametrize("action", ["close", "half", "interim"])
def test_clients_of_http2(place, action):
    client = http2.Client(place.guise.reverse)
    for method, body, status in (("GET", None, 200), ("PUT", b"hello", 200), ("POST", b"hello", 502)):
        number = next(numbers)
        stream = client.ask(method, f"/fresh/{action}/{number}", body=body)
        assert stream.status == status and len(place.farm.seen(number)) == (2 if status == 200 else 1)
    client.close()


# connections that were idle

@pytest.mark.parametrize("method, content", IDEMPOTENT)
@pytest.mark.parametrize("group", ["kept", "lone"])
def test_reused_connection_is_replaced(place, group, method, content):
    """By one fresh connection to the same server, which is no retry: with one server and retries: 0 too."""
    place.warm(group)
    number, got = place.ask(method, group, "close", content)
    first, second = place.farm.seen(number)
    assert got.status == 200 and first.server == second.server and first.body == second.body == text(content)
    assert "tries" not in place.line(number)


def test_reused_connection_is_replaced_once(place):
    place.warm("lone")
    number, got = place.ask("GET", "lone", "close-always")
    assert got.status == 502 and len(place.farm.seen(number)) == 2


@pytest.mark.parametrize("method, content", OTHERS)
def test_reused_connection_that_took_a_post(place, method, content):
    place.warm("kept")
    number, got = place.ask(method, "kept", "close", content)
    assert got.status == 502 and len(place.farm.seen(number)) == 1


@pytest.mark.parametrize("method, content", [("GET", None), ("PUT", b"hello"), ("POST", b"hello")])
def test_timeout_on_a_reused_connection_is_over_once(place, method, content):
    place.warm("short")
    watch = Stopwatch()
    number, got = place.ask(method, "short", "freeze-always", content)
    assert got.status == 504 and got.error_type() == "http_response_timeout"
    assert len(place.farm.seen(number)) == 1
    assert watch.seconds > 0.35
    assert place.line(number)["error"] == "the server did not answer in time"


# what the server has not processed

@pytest.mark.parametrize("place", ["2"], indirect=True)
@pytest.mark.parametrize("action", ["refused", "goaway"])
@pytest.mark.parametrize("method, content", IDEMPOTENT + OTHERS)
def test_unprocessed_goes_anywhere(place, method, content, action):
    number, got = place.ask(method, "fresh", action, content)
    first, second = place.farm.seen(number)
    assert got.status == 200 and first.body == second.body == text(content) and first.server != second.server


@pytest.mark.parametrize("place", ["2"], indirect=True)
@pytest.mark.parametrize("method, content", [("GET", None), ("POST", b"hello")])
def test_goaway_on_a_reused_connection(place, method, content):
    """It ends as an idle one may: a fresh one, with one server and retries: 0 too."""
    place.warm("lone")
    number, got = place.ask(method, "lone", "goaway", content)
    assert got.status == 200 and len(place.farm.seen(number)) == 2


@pytest.mark.parametrize("method, content", IDEMPOTENT + OTHERS)
def test_refused_connection_goes_anywhere(place, method, content):
    for _ in range(2):
        number, got = place.ask(method, "dead", "ok", content)
        assert got.status == 200 and [call.body for call in place.farm.seen(number)] == [text(content)]


def test_large_content_and_a_refused_connection(place):
    """Nothing of it had left."""
    body = b"x" * FLOW * 8
    for _ in range(2):
        number, got = place.ask("POST", "dead", "ok", body)
        assert got.status == 200 and [call.body for call in place.farm.seen(number)] == [body]


# timeouts.try

@pytest.mark.parametrize("method, content", IDEMPOTENT)
def test_late_try_goes_to_another_server(place, method, content):
    watch = Stopwatch()
    number, got = place.ask(method, "try", "freeze", content)
    first, second = place.farm.seen(number)
    assert got.status == 200 and first.server != second.server and watch.seconds > 0.2
    assert first.body == second.body == text(content)


def test_last_try_goes_on(place):
    """Until timeouts.response, which is not the time of one try."""
    watch = Stopwatch()
    number, got = place.ask("GET", "try", "freeze-always")
    assert got.status == 504 and watch.seconds > 1.9
    assert sorted(place.farm.servers(number)) == [0, 1]


def test_late_post_stays(place):
    watch = Stopwatch()
    number, got = place.ask("POST", "try", "freeze", b"hello")
    assert got.status == 504 and watch.seconds > 1.9 and len(place.farm.seen(number)) == 1


def test_slow_clients_are_no_slow_servers(place):
    number = next(numbers)
    client = place.stage.client(place.guise.reverse)
    client.send(request("PUT", f"/try/ok/{number}", [("Content-Length", 6)]) + b"a")
    watch = Stopwatch()
    wait_for(lambda: watch.seconds > 0.8, "three times timeouts.try")
    client.send(b"bcdef")
    assert client.read_response("PUT").status == 200
    assert [call.body for call in place.farm.seen(number)] == [b"abcdef"]
    assert "tries" not in place.line(number)


# statuses

@pytest.mark.parametrize("status", ["500", "503", "599"])
@pytest.mark.parametrize("method, content", IDEMPOTENT)
def test_status_leads_to_another_server(place, method, content, status):
    number, got = place.ask(method, "five", status, content)
    first, second = place.farm.seen(number)
    assert got.status == 200 and not got.fields.has("X-Failed") and first.server != second.server
    assert first.body == second.body == text(content)


def test_status_of_the_last_server_is_passed_on(place):
    number, got = place.ask("GET", "five", "503")
    assert got.status == 200 and len(place.farm.seen(number)) == 2
    number, got = place.ask("GET", "five-alone", "503")
    assert (got.status, got.body) == (503, b"no") and got.fields.has("X-Failed") and len(place.farm.seen(number)) == 1
    line = place.line(number)
    assert line["error"] is None and "tries" not in line


@pytest.mark.parametrize("method, content", OTHERS + [("PUT", b"x" * FLOW * 4)])
def test_status_that_is_passed_on(place, method, content):
    """Not safe, or the content is not there any more."""
    number, got = place.ask(method, "five", "503", content)
    assert (got.status, got.body) == (503, b"no") and len(place.farm.seen(number)) == 1


def test_status_that_is_not_listed(place):
    number, got = place.ask("GET", "five", "429")
    assert got.status == 429 and len(place.farm.seen(number)) == 1


# how many

def test_budget(stage):
    """One retry is saved up, none is earned: the second is not made."""
    farm = Farm(stage, "1")
    guise = stage.guise(settings.reverse(*farm.origins, upstream={
        "retries": 3, "keepalive": 0, "retry_budget": {"burst": 1, "percent": 0, "per_second": 0},
        "outliers": {"failures": "off"}}))
    client = stage.client(guise.reverse)
    assert [client.get(f"/x/close/{number}").status for number in (1, 2, 3)] == [200, 502, 502]
    assert [len(farm.seen(number)) for number in (1, 2, 3)] == [2, 1, 1]
    assert client.get("/x/close-always/4").status == 502 and len(farm.seen(4)) == 1


def test_budget_is_earned(stage):
    farm = Farm(stage, "1")
    guise = stage.guise(settings.reverse(*farm.origins, upstream={
        "keepalive": 0, "retry_budget": {"burst": 1, "percent": 50, "per_second": 0}, "outliers": {"failures": "off"}}))
    client = stage.client(guise.reverse)
    statuses = [client.get(f"/x/close/{number}").status for number in range(20)]
    assert statuses[0] == 200 and 9 <= statuses.count(200) <= 12


def test_retries_under_way_are_bounded(stage):
    """limits.retries: 1. While one is under way, others fail at once; then there may be another."""
    farm = Farm(stage, "1", 3)
    guise = stage.guise(settings.reverse(*farm.origins, upstream={
        "keepalive": 0, "limits": {"retries": 1}, "timeouts": {"try": "300ms", "response": "3s"}, "outliers": {"failures": "off"}}))
    slow, client = stage.client(guise.reverse), stage.client(guise.reverse)
    slow.send(request("GET", "/x/freeze-always/1"))
    wait_for(lambda: len(farm.seen(1)) == 2, "the second try")
    assert client.get("/x/close/2").status == 502 and len(farm.seen(2)) == 1
    slow.reset()
    wait_for(lambda: client.get(f"/x/close/{next(numbers)}").status == 200, "another retry")


def test_connect_timeout_goes_to_another_server(stage):
    """Also with content, and a POST: nothing had left."""
    farm = Farm(stage, "1", 1)
    guise = stage.guise(settings.reverse(stage.blackhole(), *farm.origins, limits={"flow": FLOW},
                                         upstream={"timeouts": {"connect": "250ms"}}))
    client = stage.client(guise.reverse)
    bodies = [b"hello", b"x" * FLOW * 4]
    for number, body in enumerate(bodies + bodies):
        assert client.ask(request("POST", f"/x/ok/{number}", body=body)).status == 200
        assert [call.body for call in farm.seen(number)] == [body]


# a group that is down

@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_servers_refuse(stage, count):
    """503 at once, and service as soon as one of them is there."""
    origins = [stage.origin() for _ in range(count)]
    ports = [origin.port for origin in origins]
    for origin in origins:
        origin.refuse()
    guise = stage.guise(settings.reverse(*origins, upstream={"outliers": {"eject": "200ms"}}))
    client = stage.client(guise.reverse)
    watch = Stopwatch()
    for _ in range(10):
        got = client.get()
        assert got.status == 503 and got.error_type() == "destination_unavailable" and got.fields.get("Retry-After") == "1"
    assert watch.seconds < 5
    assert guise.wait_log()["error"] in ("the server refused the connection: Connection refused", "no server is available")
    for port in ports:
        stage.origin(port=port)
    wait_for(lambda: client.get().status == 200, "service")


def test_client_that_leaves_ends_a_second_try(stage):
    farm = Farm(stage, "1")
    guise = stage.guise(settings.reverse(*farm.origins, upstream={"keepalive": 0, "timeouts": {"try": "200ms"}}))
    client = stage.client(guise.reverse)
    client.send(request("GET", "/x/freeze-always/1"))
    wait_for(lambda: len(farm.seen(1)) == 2, "the second try")
    client.reset()
    wait_for(lambda: all(peer.ended.is_set() for origin in farm.origins for peer in origin.peers), "the end of both connections")
    line = guise.wait_log()
    assert line["tries"] == 2 and line["error"] and line["server"] == farm.origins[farm.servers(1)[1]].address
