"""Who gets in: each request that lacks something is refused, and changes nothing."""

import re

import pytest

from layersweep.watch.access import Access

PATHS = ("", "sweeps", "updates", "trial", "nothing", "request")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "?token=", "?token=0", "?token=%C3%A9", "?token=%00", "?token=a&token=b"])
def test_a_stranger_without_the_token_gets_403_and_reads_how_to_get_it(client, path, query):
    for method in ("GET", "POST"):
        answer, content = client.send(path, method=method, token=False, query=query)
        assert answer.status == 403
        assert b"layersweep watch" in content
        assert client.access.token.encode() not in content
        assert "Set-Cookie" not in answer.headers


def test_the_token_alone_is_not_enough_without_the_folder(client):
    for target in ("/", f"/?token={client.access.token}", f"/x/?token={client.access.token}", "/updates"):
        answer, _ = client.raw("GET", target, headers={"Cookie": f"layersweep={client.access.token}"})
        assert answer.status == 403


def test_the_address_lets_in_and_gives_a_cookie_for_this_server_alone(client):
    answer, content = client.send(token=False, query=f"?token={client.access.token}")
    assert answer.status == 200
    assert content.startswith(b"<p>page ")
    cookie = answer.headers["Set-Cookie"]
    assert set(cookie.split("; ")[1:]) == {f"Path=/{client.access.folder}/", "HttpOnly", "SameSite=Strict"}
    answer, _ = client.send("updates", token=False, Cookie=f"other=1; {cookie.partition(';')[0]}")
    assert answer.status == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "name",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}", "0.0.0.0:{port}", ""],
)
def test_another_host_name_is_refused_whatever_it_resolves_to(client, name):
    for path in PATHS:
        answer, _ = client.send(path, Host=name.format(port=client.access.port))
        assert answer.status == 403, path


def test_a_second_host_is_refused(client):
    headers = f"Host: {client.host}\r\nHost: evil.example\r\nCookie: layersweep={client.access.token}\r\n"
    assert client.exchange(f"GET /{client.access.folder}/ HTTP/1.1\r\n{headers}\r\n".encode()).startswith(
        b"HTTP/1.0 403 "
    )


def test_localhost_is_this_machine_too(client):
    assert client.send("updates", Host=f"LOCALHOST:{client.access.port}")[0].status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://{host}", "http://localhost:{port}"]
)
def test_another_origin_is_refused_even_one_on_this_machine(client, origin):
    origin = origin.format(host=client.host, port=client.access.port)
    for path in ("updates", "trial", ""):
        assert client.send(path, Origin=origin)[0].status == 403
    assert client.ask({}, Origin=origin)[0].status == 403
    assert not client.answers.requests


def test_pages_may_be_linked_to_and_nothing_else(client):
    cross = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert client.send(**cross)[0].status == 200
    assert client.send("updates", **cross)[0].status == 403
    for mode in ("no-cors", "cors", "same-origin"):
        assert client.send(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode)[0].status == 403
    assert client.send("updates", Sec_Fetch_Site="same-site")[0].status == 403  # another port of this machine
    assert client.send("updates", Sec_Fetch_Site="same-origin")[0].status == 200


def test_the_page_may_ask(client):
    answer, content = client.ask({"sweep": "a"})
    assert (answer.status, content) == (200, b'{"sentence": "done"}')
    assert client.ask({}, Origin=None, Sec_Fetch_Site="same-origin")[0].status == 200
    assert len(client.answers.requests) == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Layersweep": None}, 403),
        ({"X_Layersweep": "0"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": None, "Sec_Fetch_Site": "none"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Length": "5000"}, 413),
        ({"Content_Length": "9" * 40}, 413),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "²"}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_a_request_that_the_page_did_not_send_changes_nothing(client, headers, status):
    assert client.ask({"sweep": "a"}, **headers)[0].status == status
    assert not client.answers.requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_other_methods_change_nothing(client, method):
    answer, _ = client.send("request", method=method, Origin=f"http://{client.host}", X_Layersweep="1")
    assert answer.status in (405, 501)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert not client.answers.requests


@pytest.mark.parametrize("path", ["", "updates", "trial", "sweeps"])
def test_pages_are_not_posted_to(client, path):
    assert client.send(path, method="POST", body=b"{}")[0].status == 405


def test_tokens_are_long_random_and_not_shown():
    first, second = Access(port=8400), Access(port=8400)
    assert re.fullmatch("[0-9a-f]{40}", first.token)
    assert first.token != second.token
    assert first.folder != second.folder
    assert first.token not in repr(first)


def test_another_process_serves_the_same_address():
    access = Access(port=8400)
    assert Access.of_values(8400, access.values) == access
    for values in ({"folder": "../x", "token": access.token}, {"folder": access.folder, "token": "x y"}):
        with pytest.raises(ValueError, match="hexadecimal"):
            Access.of_values(8400, values)
