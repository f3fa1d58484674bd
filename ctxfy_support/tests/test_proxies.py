"""deploy/nginx.conf and deploy/Caddyfile: the real proxies, over TLS, before the real service."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.api_keys import generate as generate_api_key
from accounts.models import User
from accounts.tests.factories import APIKeyFactory
from ctxfy_support.security_headers import API_HEADERS
from ctxfy_support.tests.loopback import HOST, Close, Silence, free_port
from ctxfy_support.tests.processes import ServiceProcess
from ctxfy_support.tests.proxies import NAME, Caddy, Nginx, Upstream

PATH = "/v1/support/tickets"
TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}
LIMIT = 256 * 1024
HALF = f"POST {PATH} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 4\r\n\r\nab".encode()
both = pytest.mark.parametrize("proxy_class", [Nginx, Caddy])


def assert_is_envelope(answer, status):
    assert answer.status == status
    body = json.loads(answer.body)
    keys = {"error", "message", "code"} | ({"requestId"} if status >= 500 else set())
    assert set(body) == keys
    assert body["code"] == status
    assert answer.getheader("Content-Type") == "application/json"
    if status >= 500:
        assert body["requestId"] == answer.getheader("X-Request-Id")


def assert_is_proxys_own(answer, status):
    """The proxy's own words, yet nothing tells them from the service's."""
    assert_is_envelope(answer, status)
    assert re.fullmatch(r"req_[0-9a-f-]{24,36}", answer.getheader("X-Request-Id"))
    assert answer.getheader("Strict-Transport-Security") == "max-age=31536000"
    for name, value in API_HEADERS.items():
        assert answer.headers.get_all(name) == [value]


def address(server):
    return f"{HOST}:{server.port}"


@pytest.fixture
def upstream():
    with Upstream() as server:
        yield server


@pytest.fixture
def known_service(service):
    """The service that trusts a proxy on this machine."""
    return service(ALLOWED_HOSTS=NAME, TRUSTED_PROXIES=HOST)


@pytest.fixture
def bearer(transactional_db):
    return {
        "Authorization": f"Bearer {APIKeyFactory().secret}",
        "Content-Type": "application/json",
    }


@both
def test_takes_a_ticket_over_tls(proxy_class, known_service, bearer):
    with proxy_class(address(known_service)) as proxy:
        answer = proxy.request("POST", PATH, json.dumps(TICKET), bearer)
    assert (answer.status, json.loads(answer.body)["status"]) == (201, "stored")
    assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert answer.getheader("Location").startswith(f"{PATH}/")


@both
def test_refuses_keys_in_the_clear_and_redirects_people(proxy_class, known_service, bearer):
    with proxy_class(address(known_service)) as proxy:
        refused = proxy.request("POST", PATH, json.dumps(TICKET), bearer, tls=False)
        redirected = proxy.request("GET", "/docs", tls=False)
    assert_is_envelope(refused, 403)
    assert redirected.status == 301
    assert redirected.getheader("Location") == f"https://{NAME}/docs"


@both
def test_leaves_the_services_own_errors_alone(proxy_class):
    nowhere = f"postgres://nobody@{HOST}:{free_port()}/none"
    env = {"DATABASE_URL": nowhere, "ALLOWED_HOSTS": NAME, "TRUSTED_PROXIES": HOST}
    headers = {"Authorization": f"Bearer {generate_api_key()}"}
    with ServiceProcess(env=env) as service, proxy_class(address(service)) as proxy:
        away = proxy.request("GET", PATH, headers=headers)
        wrong = proxy.request("GET", "/v1/nothing")
    assert_is_envelope(away, 503)
    assert away.getheader("Retry-After") == "1"
    assert wrong.status in {401, 404}
    assert wrong.headers.get_all("Cache-Control") == ["no-store"]


@both
def test_says_who_is_asking_whatever_the_client_says(proxy_class, upstream):
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "gopher", "X-Request-Id": "x"}
    with proxy_class(address(upstream)) as proxy:
        proxy.request("GET", "/v1/account?a=%2F", headers=lies)
        proxy.request("GET", "/", tls=False)
    first, second = upstream.messages
    assert first.headers["x-forwarded-for"] == HOST
    assert first.headers["x-forwarded-proto"] == "https"
    assert first.headers["x-request-id"].startswith("req_")
    assert first.headers["host"] == NAME
    assert first.path == "/v1/account?a=%2F"
    assert second.headers["x-forwarded-proto"] == "http"


@both
def test_keeps_its_connection_to_the_service(proxy_class, upstream):
    with proxy_class(address(upstream)) as proxy:
        for _ in range(3):
            proxy.request("POST", PATH, b"{}")
    assert {request.connection for request in upstream.messages} == {1}


@both
@pytest.mark.parametrize("chunked", [False, True])
def test_takes_a_body_of_256_kib_and_no_more(proxy_class, upstream, chunked):
    def body(size):
        whole = b"x" * size
        return iter([whole[:100_000], whole[100_000:]]) if chunked else whole

    with proxy_class(address(upstream)) as proxy:
        assert proxy.request("POST", PATH, body(LIMIT)).status == 200
        answer = proxy.request("POST", PATH, body(LIMIT + 1))
    assert_is_proxys_own(answer, 413)
    (request,) = upstream.messages
    assert len(request.body) == LIMIT


@both
def test_takes_mail_with_attachments(proxy_class, upstream):
    path = "/anymail/sendgrid/inbound/"
    with proxy_class(address(upstream)) as proxy:
        assert proxy.request("POST", path, b"x" * 29_000_000).status == 200
        head = f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 32000000\r\n\r\n"
        assert proxy.send_raw(head.encode()).status == 413
    (request,) = upstream.messages
    assert len(request.body) == 29_000_000


@both
def test_passes_a_request_on_once_it_is_whole(proxy_class, upstream):
    with proxy_class(address(upstream)) as proxy, proxy.connect() as slow:
        slow.sendall(HALF)
        assert proxy.request("GET", PATH).status == 200
        assert [request.method for request in upstream.messages] == ["GET"]
        slow.sendall(b"cd")
        assert slow.recv(12) == b"HTTP/1.1 200"
    assert upstream.messages[1].body == b"abcd"


@both
def test_never_makes_a_request_whole_that_broke_off(proxy_class, upstream):
    with proxy_class(address(upstream)) as proxy:
        with proxy.connect() as connection:
            connection.sendall(HALF)
        assert proxy.request("GET", PATH).status == 200
    assert [request.method for request in upstream.messages] == ["GET"]


@both
def test_says_that_the_service_is_out_of_reach(proxy_class):
    with proxy_class(f"{HOST}:{free_port()}") as proxy:
        answer = proxy.request("POST", PATH, b"{}")
        head = proxy.request("HEAD", PATH)
    assert_is_proxys_own(answer, 502)
    assert answer.getheader("Retry-After") == "1"
    assert head.status in {502, 503}  # Caddy says 503 of hosts that it knows to be away.
    assert (head.getheader("Retry-After"), head.body) == ("1", b"")


def test_shows_people_a_page():
    with Nginx(f"{HOST}:{free_port()}") as proxy:
        answer = proxy.request("GET", "/admin/support/ticket/")
    assert answer.status == 502
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    assert b"<h1>Bad Gateway</h1>" in answer.body


@both
def test_says_that_the_service_did_not_answer(proxy_class, upstream):
    upstream.faults["request"] = Silence()
    with proxy_class(address(upstream), patience=1) as proxy:
        answer = proxy.request("POST", PATH, b"{}")
    assert_is_proxys_own(answer, 504)
    assert answer.getheader("Retry-After") == "1"


@both
def test_asks_another_host_where_nothing_was_sent(proxy_class, upstream):
    with proxy_class(f"{HOST}:{free_port()}", address(upstream)) as proxy:
        answers = [proxy.request("POST", PATH, b"{}").status for _ in range(6)]
    assert answers == [200] * 6
    assert len(upstream.messages) == 6


@both
def test_sends_no_post_twice(proxy_class):
    with Upstream() as first, Upstream() as second:
        first.faults["request"] = second.faults["request"] = Close()
        with proxy_class(address(first), address(second)) as proxy:
            answer = proxy.request("POST", PATH, b"{}")
    assert_is_proxys_own(answer, 502)
    assert len(first.messages + second.messages) == 1


@both
def test_asks_again_for_what_changes_nothing(proxy_class):
    with Upstream() as first, Upstream() as second:
        first.faults["request"] = Close()
        with proxy_class(address(first), address(second)) as proxy:
            answers = [proxy.request("GET", PATH).status for _ in range(4)]
    assert answers == [200] * 4
    assert first.messages


def test_nobody_notices_a_restart_of_one_after_the_other(service, bearer):
    env = {"ALLOWED_HOSTS": NAME, "TRUSTED_PROXIES": HOST}
    services = [service(**env), service(**env)]
    body = json.dumps(TICKET)
    account = User.objects.get()
    account.plan.requests_per_minute = 100_000
    account.plan.save()
    with Nginx(*map(address, services)) as proxy, ThreadPoolExecutor() as pool:
        statuses, done = [], threading.Event()

        def post():
            while not done.is_set():
                statuses.append(proxy.request("POST", PATH, body, bearer).status)

        clients = [pool.submit(post) for _ in range(2)]
        for instance in services:
            instance.stop()
            instance.start()
        done.set()
        for client in clients:
            client.result()
    assert set(statuses) == {201}


@both
def test_keeps_metrics_inside(proxy_class, upstream):
    with proxy_class(address(upstream)) as proxy:
        answer = proxy.request("GET", "/metrics")
    assert_is_proxys_own(answer, 404)
    assert not upstream.messages


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /v1/account HTTP/1.1\r\n", 400),  # HTTP/1.1 without a Host
        ("nonsense\r\n", 400),
        (f"GET /v1/{'x' * 9000} HTTP/1.1\r\nHost: {NAME}\r\n", 414),
        (f"GET /v1/account HTTP/1.1\r\nHost: {NAME}\r\nX-Long: {'x' * 9000}\r\n", 431),
        (f"TRACE /v1/account HTTP/1.1\r\nHost: {NAME}\r\n", 405),
        (f"GET /v1/account HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: odd\r\n", 501),
    ],
    ids=["no host", "nonsense", "long address", "long head", "trace", "odd encoding"],
)
def test_answers_in_the_envelope_what_nobody_can_read(upstream, request_line, status):
    with Nginx(address(upstream)) as proxy:
        answer = proxy.send_raw(f"{request_line}\r\n".encode())
    assert_is_proxys_own(answer, status)
    assert not upstream.messages


def test_answers_plain_http_on_the_tls_port(upstream):
    with Nginx(address(upstream)) as proxy:
        proxy.plain_port = proxy.tls_port
        answer = proxy.request("GET", "/v1/account", tls=False)
    assert_is_envelope(answer, 400)
