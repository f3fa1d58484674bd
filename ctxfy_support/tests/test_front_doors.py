"""The API's way is short, the back-office's is Django's; each keeps its promises."""

import json

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model

from accounts.tests.factories import APIKeyFactory

pytestmark = pytest.mark.django_db

PATH = "/v1/support/tickets"
TICKET = {"type": "billing", "reply_address": "x", "message": "x"}


@pytest.fixture
def send(client):
    key = APIKeyFactory()
    client.raise_request_exception = False

    def send(method, path, data=None, **headers):
        return client.generic(
            method,
            path,
            data or b"",
            content_type="application/json",
            headers={"Authorization": f"Bearer {key.secret}"} | headers,
        )

    return send


def test_knows_no_session(send, client, django_assert_num_queries):
    """Somebody who is logged in to the back-office calls the API from its page."""
    client.force_login(get_user_model().objects.create_user("bo"))
    answer = send("GET", PATH)
    assert answer.status_code == 200
    assert not answer.cookies
    assert "Vary" not in answer
    with django_assert_num_queries(2):  # key and limit, the ticket: no session is looked up
        assert send("POST", PATH, '{"type": "x", "reply_address": "x", "message": "x"}')


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", PATH, {}, 200),
        ("GET", PATH, {"Host": "elsewhere.example"}, 400),
        ("GET", PATH, {"Authorization": "Bearer x"}, 401),
        ("GET", f"{PATH}/", {}, 404),
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/v1", {}, 404),
        ("PUT", PATH, {}, 405),
        ("GET", PATH, {"Accept": "image/png"}, 406),
        ("POST", PATH, {"Content-Type": "text/plain"}, 415),
    ],
)
def test_answers_in_json_with_its_length(send, settings, method, path, headers, status):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = send(method, path, "{}" if method != "GET" else None, **headers)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == str(len(answer.content))
    assert answer["X-Request-Id"].startswith("req_")
    assert answer["Cache-Control"] == "no-store"
    assert status < 400 or answer.json()["code"] == status
    assert answer.content == json.dumps(answer.json(), separators=(",", ":")).encode()


def test_answers_a_crash_in_json(send, monkeypatch):
    def crash(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ctxfy_support.front_doors.resolve", crash)
    answer = send("GET", PATH)
    assert (answer.status_code, answer.json()["code"]) == (500, 500)
    assert answer.json()["requestId"] == answer["X-Request-Id"]
    assert b"secret" not in answer.content


def test_leaves_the_back_office_to_django(client):
    answer = client.get("/admin/login/")
    assert answer.status_code == 200
    assert "csrftoken" in answer.cookies
    assert client.get("/admin").status_code in {301, 302}  # its own common middleware


def test_is_short():
    """Whatever is added to the chain is paid by every request of the API."""
    before_the_door = settings.MIDDLEWARE.index("ctxfy_support.front_doors.APIDoor")
    names = settings.MIDDLEWARE[:before_the_door] + settings.API_MIDDLEWARE
    assert all(name.startswith(("ctxfy_support.", "accounts.")) for name in names)
    assert len(names) == 7


@pytest.mark.parametrize(
    ("path", "status"), [("/admin/login/", 413), ("/anymail/sendgrid/inbound/", 404)]
)
def test_bounds_a_form_under_any_server(client, path, status):
    """All but the address that takes large ones, which sees to it itself."""
    form = b"x=" + b"a" * 2_700_000
    answer = client.post(path, form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == status
