"""manage.py fetch_replies: what is unseen in the mailbox is taken in, once, and then seen."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ctxfy_support.tests.processes import run_command
from support.delivery.stop_request import StopRequest
from support.fetchers import Fetcher
from support.inbound_mail import InboundMail
from support.inbox import fetching, imap
from support.reply_addresses import find_reply_address
from support.tests.factories import TicketFactory
from support.tests.inbox.imap.imap_server import ScriptedIMAPServer
from support.tests.inbox.imap.mails import make_mail

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fetch():
    """`fetch()`: (exit status, last line of the output)."""

    def fetch():
        output, status = StringIO(), 0
        try:
            call_command("fetch_replies", stdout=output)
        except SystemExit as exc:
            status = exc.code
        except CommandError as exc:
            status = exc.returncode
        return status, (output.getvalue().splitlines() or [""])[-1]

    return fetch


def subjects():
    return list(InboundMail.objects.order_by("received_at", "id").values_list("subject", flat=True))


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_takes_in_what_is_unseen_oldest_first(mailbox, use_mailbox, fetch, security):
    use_mailbox(mailbox, security)
    mailbox.append(*map(make_mail, range(3)))
    assert fetch() == (0, "stored=0 unmatched=3 ignored=0")
    assert subjects() == ["mail 0", "mail 1", "mail 2"]
    assert mailbox.find("UNSEEN") == []
    assert fetch() == (0, "stored=0 unmatched=0 ignored=0")
    assert InboundMail.objects.count() == 3


def test_brings_an_answer_to_its_ticket(mailbox, use_mailbox, fetch, settings):
    settings.SUPPORT_EMAIL_REPLIES = "replies@ctxfy.example"
    use_mailbox(mailbox)
    ticket = TicketFactory(state="waiting")
    mailbox.append(make_mail(1, to=find_reply_address(ticket.pk)))
    assert fetch() == (0, "stored=1 unmatched=0 ignored=0")
    assert ticket.messages.get().text.strip() == "Still broken."


def test_leaves_alone_what_was_seen(mailbox, use_mailbox, fetch):
    use_mailbox(mailbox)
    mailbox.append(*map(make_mail, range(2)))
    with mailbox.session() as client:
        client.store("1", "+FLAGS", r"(\Seen)")
    assert fetch() == (0, "stored=0 unmatched=1 ignored=0")
    assert subjects() == ["mail 1"]


def test_reads_the_folder_that_is_set(mailbox, use_mailbox, settings, fetch):
    use_mailbox(mailbox)
    settings.IMAP_FOLDER = "Antworten & Grüße"
    with mailbox.session() as client:
        client.create('"Antworten &- Gr&APwA3w-e"')
        client.append('"Antworten &- Gr&APwA3w-e"', None, None, make_mail(7))
    assert fetch() == (0, "stored=0 unmatched=1 ignored=0")


def test_takes_more_than_a_round(mailbox, use_mailbox, fetch, monkeypatch):
    monkeypatch.setattr(fetching, "ROUND", 3)
    monkeypatch.setattr(imap, "MAILS_SEARCHED_AT_ONCE", 4)
    use_mailbox(mailbox)
    mailbox.append(*map(make_mail, range(10)))
    assert fetch() == (0, "stored=0 unmatched=10 ignored=0")
    assert mailbox.find("UNSEEN") == []


def test_takes_of_a_huge_mail_its_headers_and_says_so(mailbox, use_mailbox, fetch, monkeypatch):
    monkeypatch.setattr(imap, "LARGEST_MAIL_OCTETS", 10_000)
    use_mailbox(mailbox)
    huge = make_mail(1, text="x" * 20_000, header="Content-Type: text/plain\r\n")
    mailbox.append(huge, make_mail(2))
    assert fetch() == (0, "stored=0 unmatched=2 ignored=0")
    mail = InboundMail.objects.get(subject="mail 1")
    assert f"{len(huge):,} octets, more than the 10,000" in mail.text
    assert "xxx" not in mail.text


def test_tries_a_mail_that_fails_again_and_holds_up_no_other(
    mailbox, use_mailbox, fetch, monkeypatch, caplog
):
    receive_raw = fetching.receive_raw

    def fail_with_poison(raw, way):
        if b"mail 1" in raw:
            raise ZeroDivisionError
        return receive_raw(raw, way)

    monkeypatch.setattr(fetching, "receive_raw", fail_with_poison)
    use_mailbox(mailbox)
    mailbox.append(*map(make_mail, range(3)))
    assert fetch() == (1, "stored=0 unmatched=2 ignored=0")
    assert mailbox.find("UNSEEN") == [2]
    assert "could not be taken in" in caplog.text
    monkeypatch.undo()
    use_mailbox(mailbox)
    assert fetch() == (0, "stored=0 unmatched=1 ignored=0")
    assert subjects() == ["mail 0", "mail 2", "mail 1"]


def test_tries_last_what_another_had_in_hand_when_it_died(mailbox, use_mailbox, fetch):
    use_mailbox(mailbox)
    mailbox.append(*map(make_mail, range(3)))
    with mailbox.session() as client:
        uid_validity = client.response("UIDVALIDITY")[1][0].decode()
    Fetcher.objects.create(name="killed:1", mail_in_hand=f"{uid_validity}:1")
    assert fetch()[0] == 0
    assert subjects() == ["mail 1", "mail 2", "mail 0"]


def test_knows_a_mailbox_that_was_made_anew(mailbox, use_mailbox, settings, fetch):
    """Its first mail has the UID that another had before."""
    use_mailbox(mailbox)
    settings.IMAP_FOLDER = "Replies"
    for number in (1, 2):
        with mailbox.session() as client:
            client.delete("Replies")
            client.create("Replies")
            client.append("Replies", None, None, make_mail(number))
        assert fetch() == (0, "stored=0 unmatched=1 ignored=0")
    assert subjects() == ["mail 1", "mail 2"]


def test_goes_on_where_a_mail_is_deleted_under_it(mailbox, use_mailbox, fetch, monkeypatch):
    receive_raw = fetching.receive_raw

    def delete_the_next(raw, way):
        if b"mail 0" in raw:
            mailbox.delete(2)
        return receive_raw(raw, way)

    monkeypatch.setattr(fetching, "receive_raw", delete_the_next)
    use_mailbox(mailbox)
    mailbox.append(*map(make_mail, range(3)))
    assert fetch() == (0, "stored=0 unmatched=2 ignored=0")
    assert subjects() == ["mail 0", "mail 2"]


def test_finds_what_came_while_it_is_connected(mailbox, use_mailbox):
    use_mailbox(mailbox)
    with imap.Mailbox(StopRequest()) as session:
        assert session.find_unseen() == []
        mailbox.append(make_mail(1))
        assert session.find_unseen() == [1]


def test_stores_once_what_cannot_be_marked(fetch, use_mailbox):
    with ScriptedIMAPServer([make_mail(1)]) as server:
        server.refused = "STORE"
        use_mailbox(server)
        assert fetch() == (0, "stored=0 unmatched=1 ignored=0")
        assert fetch() == (0, "stored=0 unmatched=1 ignored=0")
    assert InboundMail.objects.count() == 1


@pytest.mark.parametrize("missing", ["IMAP_HOST", "IMAP_USER", "IMAP_PASSWORD"])
def test_cannot_run_without_a_setting(mailbox, use_mailbox, settings, missing):
    use_mailbox(mailbox)
    setattr(settings, missing, "")
    with pytest.raises(CommandError, match=f"set {missing} ") as failure:
        call_command("fetch_replies", stdout=StringIO())
    assert failure.value.returncode == 2


def test_says_that_the_log_in_was_refused_and_not_the_password(mailbox, process_env):
    env = process_env | mailbox.env | {"IMAP_PASSWORD": "correct-horse"}
    run = run_command("fetch_replies", env=env)
    assert run.returncode == 2
    assert run.stdout.splitlines()[-1] == "stored=0 unmatched=0 ignored=0"
    assert "log-in was refused" in run.stderr
    assert "correct-horse" not in run.stderr + run.stdout


def test_says_that_there_is_no_such_folder(mailbox, use_mailbox, settings):
    use_mailbox(mailbox)
    settings.IMAP_FOLDER = "Nowhere"
    with pytest.raises(CommandError, match="Nowhere") as failure:
        call_command("fetch_replies", stdout=StringIO())
    assert failure.value.returncode == 2


def test_believes_no_certificate_that_it_cannot_check(mailbox, use_mailbox, monkeypatch):
    use_mailbox(mailbox, "tls")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(CommandError, match="CERTIFICATE_VERIFY_FAILED"):
        call_command("fetch_replies", stdout=StringIO())


def test_leaves_the_mailbox_alone_without_tls_where_that_is_asked_for(use_mailbox):
    """Nothing is sent to log in with when a server (or whoever sits between) offers no STARTTLS."""
    with ScriptedIMAPServer([]) as server:
        use_mailbox(server, "starttls")
        with pytest.raises(CommandError, match="STARTTLS"):
            call_command("fetch_replies", stdout=StringIO())
        assert not server.heard("LOGIN", "AUTHENTICATE")
