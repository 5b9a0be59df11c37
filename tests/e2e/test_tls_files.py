"""The files that `tls` names: taken up when they change, never when they do not fit, and judged by `guise check`."""

import os
import threading

import pytest

from support import settings
from support.certificates import Authority, write
from support.origin import OK, answering
from support.process import run, sanitizer
from support.tls import SClient, TLSClient, listener
from support.waiting import Stopwatch, wait_for

HELLO = {"respond": {"body": "hello\n"}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf("a.test")


@pytest.fixture
def serve(stage):
    """serve(*leaves, table, upstreams, top, items in place of the leaves') -> guise."""
    def make(*leaves, table=(HELLO,), upstreams=None, top=None, items=None):
        tls = {"certificates": items} if items else listener(*leaves)
        return stage.guise(dict(settings.routes(*table, upstreams=upstreams, tls=tls), **(top or {})))
    return make


def copy(source, to):
    with open(source, "rb") as file:
        write(to, file.read())


def put(new, old):
    """The files of one certificate in place of another's."""
    copy(new.key, old.key)
    copy(new.certificate, old.certificate)


# files that change

def shown(guise, name="a.test"):
    client = TLSClient(guise.reverse, name=name)
    try:
        return client.der
    finally:
        client.close()


def test_changed_certificate_is_taken_up(serve, authority):
    old, new = authority.leaf("a.test"), authority.leaf("a.test")
    guise = serve(old, top={"workers": 3})
    assert shown(guise) == old.der
    put(new, old)
    wait_for(lambda: shown(guise) == new.der, "the new certificate")
    guise.stderr.wait(lambda line: "certificates of reverse[0] have changed" in line, "a line about it")
    assert all(shown(guise) == new.der for _ in range(20))


def test_sessions_outlive_their_certificate(serve, authority, tmp_path):
    old, new = authority.leaf("a.test"), authority.leaf("a.test")
    guise = serve(old)
    file, ask = str(tmp_path / "session"), "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    SClient(guise.reverse, "-sess_out", file, "-ign_eof", request=ask)
    put(new, old)
    guise.signal(1)
    wait_for(lambda: shown(guise) == new.der, "the new certificate")
    again = SClient(guise.reverse, "-sess_in", file, "-ign_eof", request=ask)
    assert again.reused and "hello" in again.text


def test_files_that_do_not_fit_are_not_taken_up(serve, authority):
    old, new = authority.leaf("a.test"), authority.leaf("a.test")
    guise = serve(old)
    copy(new.certificate, old.certificate)
    line = guise.stderr.wait(lambda text: "the old ones stay in use" in text, "a complaint")
    assert "the key is not the one of the certificate" in line and old.key in line
    assert shown(guise) == old.der
    copy(new.key, old.key)
    wait_for(lambda: shown(guise) == new.der, "the new certificate")
    os.unlink(old.certificate)
    guise.stderr.wait(lambda text: "cannot read the certificate" in text and "No such file" in text, "another complaint")
    assert shown(guise) == new.der
    assert guise.stderr.text.count("the key is not the one") == 1


def test_mismatch_of_a_moment_is_not_worth_a_word(serve, authority):
    old, new = authority.leaf("a.test"), authority.leaf("a.test")
    guise = serve(old)
    copy(new.certificate, old.certificate)
    guise.signal(1)  # SIGHUP: it is looked at now
    guise.stderr.wait(lambda line: "SIGHUP" in line and "restart" in line, "what SIGHUP does")
    copy(new.key, old.key)
    wait_for(lambda: shown(guise) == new.der, "the new certificate")
    assert "the old ones stay in use" not in guise.stderr.text


def test_sighup_looks_at_once(serve, authority):
    leaves = [authority.leaf("a.test") for _ in range(4)]
    guise = serve(leaves[0])
    watch = Stopwatch()
    for new in leaves[1:]:
        put(new, leaves[0])
        guise.signal(1)
        wait_for(lambda new=new: shown(guise) == new.der, "the new certificate")
    assert watch.seconds < 3.5  # by itself it looks every two seconds


@pytest.mark.seconds(60)
def test_change_under_load_fails_no_request(stage, serve, authority):
    leaves = [authority.leaf("a.test") for _ in range(4)]
    guise = serve(leaves[0], top={"workers": 2}, table=[{"to": "web"}],
                  upstreams={"web": [stage.origin(answering(OK))]})
    end, failures, count, seen = threading.Event(), [], [0], set()

    def load(keep):
        while not end.is_set():
            try:
                client = TLSClient(guise.reverse)
                seen.add(client.der)
                for _ in range(20 if keep else 1):
                    assert client.get().status == 200
                    count[0] += 1
                client.close()
            except Exception as error:  # noqa: B902 - whatever it is
                failures.append(error)
    threads = [threading.Thread(target=load, args=(number % 2 == 0,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for new in leaves[1:]:
            put(new, leaves[0])
            wait_for(lambda new=new: new.der in seen, "the new certificate")
    finally:
        end.set()
        for thread in threads:
            thread.join(20)
    assert not failures and count[0] > 100


def memory_has(pid, needle):
    """Whether these bytes stand in what a process can write to."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if "w" not in rights or "[v" in line:
                continue
            try:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
            except OSError:
                pass
    return False


@pytest.mark.skipif(sanitizer() is not None, reason="a sanitizer keeps what was freed")
def test_private_key_is_wiped_where_it_was_read(serve, authority):
    joined, apart = authority.leaf("a.test", joined=True), authority.leaf("b.test", kind="rsa")
    guise = serve(joined, apart, items=[{"certificate": joined.certificate}, apart.item])
    assert memory_has(guise.pid, apart.certificate.encode())
    new = authority.leaf("b.test", kind="rsa")
    secrets = []
    for leaf in (joined, apart, new):
        with open(leaf.key, "rb") as file:
            secrets.append(file.read().split(b"\n")[1])  # the first line of base64
    put(new, apart)
    guise.signal(1)
    wait_for(lambda: shown(guise, "b.test") == new.der, "the new certificate")
    for secret in secrets:
        assert not memory_has(guise.pid, secret)


# what `guise check` says

def check(tmp_path, tls, face="reverse", **more):
    item = dict({"listen": "127.0.0.1:0", "tls": tls}, **more)
    if face == "reverse":
        item["routes"] = [HELLO]
    path = settings.write(tmp_path / "guise.yaml", {face: [item]})
    status, out, errors = run("check", "-c", str(path), cwd="/")
    return status, out + errors


def test_check_names_the_file_and_the_reason(tmp_path, authority):
    good, other = authority.leaf("a.test", stem=tmp_path / "good"), authority.leaf("a.test")
    locked = authority.leaf("a.test", password="secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    write(str(tmp_path / "text.pem"), b"hello\n")
    write(str(tmp_path / "empty.pem"), b"")
    authority.staple(other)
    cases = [
        ({"certificate": "none.pem"}, ["none.pem", "No such file"]),
        ({"certificate": str(folder)}, [str(folder), "directory"]),
        ({"certificate": "text.pem"}, ["text.pem", "no certificate"]),
        ({"certificate": "empty.pem"}, ["empty.pem", "empty"]),
        ({"certificate": good.certificate}, [good.certificate, "key"]),
        ({"certificate": good.certificate, "key": "none.key"}, ["none.key", "No such file"]),
        ({"certificate": good.certificate, "key": "text.pem"}, ["text.pem", "key"]),
        ({"certificate": good.certificate, "key": other.key},
         [other.key, "not the one of the certificate", good.certificate]),
        ({"certificate": locked.certificate, "key": locked.key}, [locked.key, "password"]),
        ({"certificate": good.certificate, "key": good.key, "ocsp": other.ocsp}, [other.ocsp, "another certificate"]),
        ({"certificate": good.certificate, "key": good.key, "ocsp": "text.pem"}, ["text.pem", "OCSP"]),
    ]
    for item, words in cases:
        status, text = check(tmp_path, {"certificates": [item]})
        assert status == 1, (item, text)
        line = next(line for line in text.splitlines() if words[0] in line)
        assert all(word in line for word in words), (item, text)
        assert line.startswith(str(tmp_path / "guise.yaml") + ":"), line


def test_check_of_what_cannot_be_read(tmp_path, leaf):
    (tmp_path / "loop.key").symlink_to("loop.key")
    status, text = check(tmp_path, {"certificates": [dict(leaf.item, key="loop.key")]})
    assert status == 1 and "cannot read the private key" in text and "loop.key" in text and "symbolic links" in text


@pytest.mark.parametrize("begins, ends, word", [(-20, -10, "expired"), (10, 20, "not valid yet")])
def test_check_warns_of_dates(tmp_path, authority, begins, ends, word):
    leaf = authority.leaf("a.test", begins=begins, ends=ends)
    status, text = check(tmp_path, listener(leaf))
    assert status == 0
    line = next(line for line in text.splitlines() if "warning" in line)
    assert leaf.certificate in line and word in line


def test_check_of_settings_that_make_no_sense(tmp_path, leaf, authority):
    def of(face="reverse", http2=None, **keys):
        return check(tmp_path, listener(leaf, **keys), face, **({"http2": http2} if http2 else {}))
    cases = [
        (check(tmp_path, {"certificates": []}), "no certificate"),
        (check(tmp_path, {}), "\"certificates\" is missing"),
        (of(clients={"verify": "required"}), "needs \"ca\""),
        (of(clients={"verify": "optional", "ca": "none.pem"}), "none.pem"),
        (of(clients={"verify": "optional", "ca": leaf.key}), leaf.key),
        (of(http2="clear"), "http2: tls"),
        (of("forward", hsts="1d"), "hsts"),
        (of("forward", clients={"verify": "required", "ca": authority.file, "pass": True}), "pass"),
        (of(minimum="1.1"), "1.2"),
    ]
    for (status, text), word in cases:
        assert status == 1 and word in text, (word, text)
    status, text = of(hsts={"max_age": "1d", "preload": True})
    assert status == 0 and "subdomains" in text
    status, text = of(clients={"ca": authority.file})
    assert status == 0 and "verify" in text


def test_required_certificates_make_no_open_proxy(tmp_path, leaf, authority):
    for verify, status in (("required", 0), ("optional", 1)):
        tls = listener(leaf, clients={"verify": verify, "ca": authority.file})
        got, text = check(tmp_path, tls, "forward", listen="0.0.0.0:0")
        assert got == status and ("open proxy" in text) == (status == 1)


def test_paths_start_from_the_directory_of_the_configuration(tmp_path, authority):
    authority.leaf("a.test", stem=tmp_path / "here")
    status, text = check(tmp_path, {"certificates": [{"certificate": "here.pem", "key": "here.key"}]})
    assert status == 0, text
