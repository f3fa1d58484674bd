"""What `manage.py doctor` says of the mail: it logs in as the service would, and sends nothing."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from ctxfy_support.doctor.findings import Outcome
from ctxfy_support.tests.loopback import Silence
from ctxfy_support.tests.scripted_smtp_server import Answer
from support.delivery import diagnosis, transport
from support.mail_channel import MailChannel, channel_name
from support.models import Sender
from support.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


def told(check):
    return [(finding.outcome, finding.what) for finding in check()]


def wrongs(check):
    return [finding.what for finding in check() if finding.outcome is Outcome.WRONG]


@pytest.mark.parametrize("kind", ["scripted_smtp", "sendgrid"])
def test_logs_in_and_sends_nothing(request, use_mail, kind):
    server = use_mail(request.getfixturevalue(f"{kind}_server"))
    [(outcome, what)] = told(diagnosis.check_channel)
    assert outcome == "well"
    assert "takes our log-in" in what
    assert server.messages == []


def test_says_that_a_password_is_refused(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server, GOOGLE_SMTP_PASSWORD="hunter2hunter2")
    [what] = wrongs(diagnosis.check_channel)
    assert "refused the user name or password (channel 535)" in what
    assert "hunter2" not in what


@pytest.mark.parametrize(
    ("key", "scopes", "words"),
    [
        ("SG.other", ["mail.send"], "refused the API key"),
        ("SG.made-up", ["stats.read"], "lacks the permission to send"),
    ],
)
def test_says_that_a_key_is_of_no_use(use_mail, sendgrid_server, key, scopes, words):
    sendgrid_server.scopes = scopes
    use_mail(sendgrid_server, SENDGRID_API_KEY=key)
    [what] = wrongs(diagnosis.check_channel)
    assert words in what


@pytest.mark.parametrize("kind", ["scripted_smtp", "sendgrid"])
@pytest.mark.parametrize("trouble", ["gone", "silent"])
def test_waits_for_nobody_for_ever(request, use_mail, monkeypatch, kind, trouble):
    server = use_mail(request.getfixturevalue(f"{kind}_server"), SUPPORT_EMAIL_DEADLINE="0.3")
    monkeypatch.setattr(transport, "PATIENCE", timedelta(0))
    server.faults["connect"] = Silence()
    if trouble == "gone":
        server.stop()
    [what] = wrongs(diagnosis.check_channel)
    assert "(transient " in what
    if trouble == "gone":
        server.start()  # Its fixture stops it.


@pytest.mark.parametrize(
    ("env", "outcome"),
    [
        ({"SUPPORT_EMAIL": ""}, "notice"),
        ({"SUPPORT_EMAIL_SENDER": "console"}, "notice"),
        ({"GOOGLE_SMTP_PASSWORD": ""}, "wrong"),
    ],
)
def test_says_that_nothing_is_mailed(use_mail, scripted_smtp_server, env, outcome):
    use_mail(scripted_smtp_server, **env)
    assert [found for found, _ in told(diagnosis.check_channel)] == [outcome]
    assert told(diagnosis.send_test_mail)[0][0] == ("notice" if "SENDER" in str(env) else "wrong")


def test_sends_one_test_mail(provider):
    assert [outcome for outcome, _ in told(diagnosis.send_test_mail)] == ["well"]
    [mail] = provider.messages
    assert mail.recipients == [settings.SUPPORT_EMAIL]
    assert mail.header("Auto-Submitted") == "auto-generated"


def test_says_what_became_of_the_test_mail(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server).faults["RCPT"] = Answer(550, "5.1.1 No such user")
    [what] = wrongs(diagnosis.send_test_mail)
    assert "refused the recipient (SUPPORT_EMAIL) (channel 550)" in what


def test_says_that_nobody_sends(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server, SUPPORT_EMAIL_DELIVERY="background")
    assert "No worker was seen" in wrongs(diagnosis.check_senders)[0]
    Sender.objects.see("elsewhere:1")
    [(outcome, what), *others] = told(diagnosis.check_senders)
    assert (outcome, what) == ("well", "1 at work: elsewhere:1")
    is_sqlite = "sqlite" in settings.DATABASES["default"]["ENGINE"]
    assert [outcome for outcome, _ in others] == ["wrong"] * is_sqlite


def test_knows_that_requests_send(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    assert [outcome for outcome, _ in told(diagnosis.check_senders)] == ["notice"]


def test_says_what_waits_and_why(use_mail, scripted_smtp_server):
    use_mail(scripted_smtp_server)
    assert told(diagnosis.check_queue) == [("well", "0 mails wait")]
    TicketFactory(email_status="pending", created_at=timezone.now() - timedelta(minutes=11))
    TicketFactory(email_status="failed")
    TicketFactory(email_status="stored")
    MailChannel.objects.create(
        name=channel_name(), failing_since=timezone.now(), last_error="channel 535: refused"
    )
    breaker, late, given_up = wrongs(diagnosis.check_queue)
    assert "channel 535: refused" in breaker
    assert late.startswith("1 mails wait, the oldest for 0:11:0")
    assert given_up == "1 mails were given up"
    assert "1 tickets were only stored" in str(told(diagnosis.check_queue))
