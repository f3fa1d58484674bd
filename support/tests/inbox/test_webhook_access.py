"""Nobody comes near a webhook who does not know the secret, and no request is too much."""

import pytest
from django.db import OperationalError, connection
from django.test import Client

from support.inbound_mail import InboundMail
from support.tests.inbox.mails import make_mail
from support.tests.inbox.sendgrid import INBOUND, TRACKING, Signer, make_form, make_raw_form

pytestmark = pytest.mark.django_db
BODIES = {
    INBOUND: (make_raw_form(make_mail("help@ctxfy.example"), "help@ctxfy.example"), None),
    TRACKING: (b"[]", "application/json"),
}


@pytest.fixture(params=BODIES)
def post(request, sendgrid):
    """`post(…)`: a request as it should be to each of the webhooks, and what is different in it."""
    body, kind = BODIES[request.param]
    more = {"content_type": kind} if kind else {}

    def post(sign=lambda body: {}, **changes):
        return sendgrid(request.param, body, **more | sign(body) | changes)

    return post


def test_takes_the_secret(post):
    answer = post()
    assert (answer.status_code, answer.content) == (200, b"")
    assert not answer.cookies


def test_is_not_there_without_one(post, settings):
    settings.ANYMAIL = settings.ANYMAIL | {"WEBHOOK_SECRET": ""}
    assert post().status_code == 404


@pytest.mark.parametrize("secret", ["", "sendgrid:", "sendgrid:wrong", "x", "é:ü"])
def test_says_nothing_to_a_wrong_secret(post, secret):
    answer = post(secret=secret)
    assert (answer.status_code, answer.content) == (403, b"")
    assert not InboundMail.objects.exists()


@pytest.mark.parametrize(
    "header", ["Basic", "Basic x", "Basic \xff", "Bearer x", "Basic " + "A" * 9_000]
)
def test_says_nothing_to_a_strange_header(post, header):
    assert post(secret="", Authorization=header).status_code == 403


def test_lets_nobody_guess_for_long(post):
    assert [post(secret="a:b").status_code for _ in range(31)] == [403] * 30 + [429]
    answer = post()
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60


def test_goes_on_for_whoever_knew_the_secret(post):
    post()
    for _ in range(40):
        post(secret="a:b")
    assert post().status_code == 200


def test_asks_for_a_signature_where_a_key_is_set(post, settings):
    signer, stranger = Signer(), Signer()
    keys = [f"SENDGRID_{name}_WEBHOOK_VERIFICATION_KEY" for name in ("INBOUND", "TRACKING")]
    settings.ANYMAIL = settings.ANYMAIL | dict.fromkeys(keys, signer.public_key)
    assert post().status_code == 400
    assert post(sign=stranger.sign).status_code == 400
    assert post(sign=lambda body: signer.sign(body + b" ")).status_code == 400
    assert post(sign=signer.sign, secret="sendgrid:wrong").status_code == 403
    assert not InboundMail.objects.exists()
    assert post(sign=signer.sign).status_code == 200


def test_is_refused_over_plain_http(settings):
    settings.DEBUG = False
    client = Client(REMOTE_ADDR="203.0.113.9")
    for path in BODIES:
        assert client.post(path).status_code == 403


def test_has_a_mail_brought_again_while_the_database_is_away(sendgrid):
    def away(*args):
        raise OperationalError("gone")

    with connection.execute_wrapper(away):
        answer = sendgrid(INBOUND, BODIES[INBOUND][0])
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert sendgrid(INBOUND, BODIES[INBOUND][0]).status_code == 200
    assert InboundMail.objects.count() == 1


@pytest.mark.parametrize("body", [b"", b"x", b"--xYzZY--\r\n", make_form({"a": "b"})])
def test_takes_no_form_without_a_mail(sendgrid, body):
    assert sendgrid(INBOUND, body).status_code == 400
    assert not InboundMail.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
@pytest.mark.parametrize("path", BODIES)
def test_knows_post_alone(path, method):
    client = Client(raise_request_exception=False)
    assert getattr(client, method)(path).status_code in {403, 405}
