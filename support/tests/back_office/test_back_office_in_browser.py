"""A day of an agent, in a real browser: every page works by itself and harms nobody."""

import csv
import re
from functools import cache

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from accounts.tests.factories import APIKeyFactory, PlanFactory, UserFactory
from ctxfy_support.tests.browser import find_violations
from ctxfy_support.tests.loopback import HOST
from support.delivery.composing import compose
from support.models import CannedReply, Message, Tag, Ticket
from support.tests.factories import TicketFactory, make_staff
from support.tests.payloads import PAYLOADS
from support.timeline import EventKind, make_event

pytestmark = pytest.mark.timeout(240)

PASSWORD = "correct horse battery"
hash_once = cache(make_password)
# Seconds each, and the pages are the same whatever the database is.
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="looked at on SQLite")


@pytest.fixture
def bea(transactional_db, django_db_serialized_rollback):
    agent = make_staff("Agents", "bea")
    agent.password = hash_once(PASSWORD)
    agent.save()
    return agent


@pytest.fixture
def browse(bea, open_page):
    """`open_page`, for tests that look into the database too.

    While a browser's event loop runs, Django has another connection: the test's rows are given
    back to the one before it, so `bea` comes first, and nobody else would close this one.
    """
    yield open_page
    connection.close()


def assert_good(page):
    """No serious finding of axe, and nothing wider than the screen."""
    assert find_violations(page) == []
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) <= 0


def log_in(browse, server, **options):
    """Log in as `bea` with her password; give her first page."""
    page = browse(f"{server.url}/admin/", **options)
    page.get_by_label("Username").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    return page


def come_back(browse, server, agent, **options):
    """The agent's first page in a browser that is logged in already."""
    client = Client()
    client.force_login(agent)
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    cookie = {"name": session.key, "value": session.value, "domain": HOST, "path": "/"}
    cookie |= {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    state = {"cookies": [cookie], "origins": []}
    return browse(f"{server.url}/admin/", storage_state=state, **options)


def see(page, text):
    page.get_by_text(text).first.wait_for()
    page.wait_for_load_state()  # Its script runs by then: before, a chosen reply is not filled in.


def test_gets_an_agent_through_the_day(bea, service, smtp_server, browse):
    failed = TicketFactory(message="Key rotation\n\nHow?", email_status="failed", priority=4)
    ticket = TicketFactory(message="Charged twice\n\nIn October.", email_status="sent")
    CannedReply.objects.create(name="Refund", text="Hello {{ account }}, the refund is on its way.")
    server = service(**smtp_server.env)

    page = log_in(browse, server)
    assert_good(page)
    page.get_by_role("link", name="2 Open").click()
    page.wait_for_url("**/support/ticket/?tab=open")
    page.wait_for_load_state()

    page.keyboard.press("j")
    page.keyboard.press("j")
    assert_good(page)
    page.keyboard.press("Enter")
    see(page, "In October.")
    assert_good(page)

    page.keyboard.press("c")
    see(page, "You have this ticket")
    page.keyboard.press("n")
    page.get_by_placeholder("Only colleagues see it.").fill("Finance confirms it.")
    page.get_by_role("button", name="Keep note").click()
    see(page, "Finance confirms it.")

    page.keyboard.press("r")
    page.get_by_label("Insert a canned reply").select_option("Refund")
    # Its text is asked for, and an empty answer is not sent.
    expect(page.get_by_label("Your answer")).to_have_value(re.compile("the refund is on its way"))
    page.get_by_role("button", name="Send and wait").click()
    see(page, "Your answer went to ada@example.com")
    assert len(smtp_server.messages) == 1
    assert "the refund is on its way" in Message.objects.get().text

    page.get_by_label("State").select_option("solved")
    page.get_by_role("button", name="Save").click()
    see(page, "Saved.")
    assert_good(page)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.assignee) == ("solved", bea)

    page.get_by_role("link", name="Back to the queue").click()
    page.get_by_role("link", name="Key rotation").click()
    page.get_by_role("button", name="Send the mail now").click()
    see(page, "The mail provider accepted it.")
    failed.refresh_from_db()
    assert failed.email_status == "sent"

    page.goto(f"{server.url}/admin/support/ticket/?tab=all")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    see(page, "2 of 2 tickets, done")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines(keepends=True)))
    assert {row["id"] for row in rows} == {str(failed.pk), str(ticket.pk)}
    page.get_by_role("button", name="Close").click()

    page.get_by_text("bea@example.com").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{server.url}/admin/support/ticket/")
    assert "/admin/login/" in page.url


@pytest.fixture
def broken_export(bea):
    """501 tickets, and a database that refuses to note the second batch's only one."""
    first, *_ = TicketFactory.create_batch(501, user=UserFactory(), email_status="sent")
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON support_ticket_events WHEN NEW.ticket_id = "
    with connection.cursor() as cursor:
        cursor.execute(f"{refuse}'{first.pk.hex}' BEGIN SELECT RAISE(ABORT, 'gone'); END")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse")


@on_sqlite
def test_shows_that_an_export_is_not_whole(bea, broken_export, shared_service, browse):
    page = come_back(browse, shared_service, bea, may_fail="/export/")
    page.goto(page.url + "support/ticket/?tab=all")
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.get_by_role("button", name="Export").click()
    see(page, "The export is not whole, and nothing was saved.")
    assert_good(page)
    assert downloads == []


def test_asks_before_a_second_claim(bea, shared_service, browse):
    colleague = make_staff("Agents", "cem")
    TicketFactory(assignee=colleague, email_status="sent")
    page = come_back(browse, shared_service, bea)
    page.goto(page.url + "support/ticket/")
    page.get_by_role("link", name="Charged twice in October.").click()
    page.get_by_role("button", name="I take this").click()
    see(page, "Take it over only if you have agreed")
    assert_good(page)
    page.get_by_role("button", name="Take it over").click()
    see(page, "You have this ticket")


def open_ticket(page, ticket):
    origin = page.url.partition("/admin/")[0]
    page.goto(origin + reverse("admin:support_ticket_change", args=[ticket.pk]))


def kept_drafts(page):
    return page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('cx-draft:'))")


def test_keeps_what_was_typed_until_it_is_sent(bea, service, smtp_server, browse):
    ticket, other = TicketFactory.create_batch(2, email_status="sent")
    page = come_back(browse, service(**smtp_server.env), bea)
    open_ticket(page, ticket)
    page.get_by_label("Your answer").fill("It is mended.")
    page.get_by_label("State").select_option("open")
    page.get_by_role("button", name="Save").click()
    see(page, "Saved.")
    see(page, "Draft restored")
    assert page.get_by_label("Your answer").input_value() == "It is mended."
    assert_good(page)
    page.get_by_role("button", name="Discard").click()
    page.reload()
    assert page.get_by_label("Your answer").input_value() == ""

    page.get_by_label("Your answer").fill("It is mended.\n\nBea")
    page.keyboard.press("Tab")
    page.keyboard.press("n")
    page.get_by_label("Internal note").fill("Finance confirms it.")
    open_ticket(page, other)
    assert page.get_by_label("Your answer").input_value() == ""
    open_ticket(page, ticket)
    assert page.get_by_label("Your answer").input_value() == "It is mended.\n\nBea"

    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Send and wait").click()
    page.get_by_label("Username").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    see(page, "Nothing was sent or changed.")
    see(page, "Draft restored")
    assert not Message.objects.exists()
    page.get_by_role("button", name="Send and wait").click()
    see(page, "Your answer went to ada@example.com")
    assert Message.objects.get().text == "It is mended.\n\nBea"
    assert page.get_by_label("Your answer").input_value() == ""

    assert page.get_by_label("Internal note").input_value() == "Finance confirms it."
    page.get_by_role("button", name="Keep note").click()
    see(page, "The note is kept")
    assert kept_drafts(page) == []


def test_shows_a_draft_to_its_agent_alone(bea, service, smtp_server, browse):
    cem = make_staff("Agents", "cem")
    cem.password = hash_once(PASSWORD)
    cem.save()
    ticket = TicketFactory(email_status="sent")
    page = come_back(browse, service(**smtp_server.env), bea)
    open_ticket(page, ticket)
    page.get_by_label("Your answer").fill("Bea's own words")
    page.context.clear_cookies()
    page.reload()
    page.get_by_label("Username").fill("cem")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/change/")
    assert page.get_by_label("Your answer").input_value() == ""
    page.get_by_text("cem@example.com").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_load_state()
    assert kept_drafts(page) == []


def test_says_first_that_somebody_answered(bea, service, smtp_server, browse):
    colleague = make_staff("Agents", "cem")
    ticket = TicketFactory(email_status="sent")
    page = come_back(browse, service(**smtp_server.env), bea)
    open_ticket(page, ticket)
    page.get_by_label("Your answer").fill("Second answer")
    ticket.claim_for(colleague, instead_of=None)
    reply = Message.objects.create(ticket=ticket, to="a@x.example", text="x", email_status="sent")
    make_event(ticket.pk, colleague, EventKind.REPLY, message_id=reply.pk).save()
    page.get_by_role("button", name="Send and wait").click()
    question = page.get_by_role("alertdialog")
    assert "cem answered a moment ago" in question.inner_text()
    assert question.evaluate("(element) => element === document.activeElement")
    assert question.bounding_box()["y"] < 300
    assert_good(page)
    question.get_by_role("link", name="Leave it unsent").click()
    see(page, "Draft restored")
    # What was begun before the colleague's answer asks again, however often the page was seen.
    page.get_by_role("button", name="Send and wait").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Send anyway").click()
    see(page, "Your answer went to ada@example.com")
    assert kept_drafts(page) == []


@on_sqlite
def test_works_on_an_empty_list(bea, shared_service, browse):
    page = come_back(browse, shared_service, bea)
    page.goto(page.url + "support/ticket/")
    see(page, "Nothing here. Well done.")
    assert_good(page)
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    page.get_by_label("State", exact=True).select_option("unsolved")
    page.wait_for_url("**state=unsolved**")
    with page.expect_download():
        page.get_by_role("button", name="Export").click()
    see(page, "0 tickets, done")


@on_sqlite
def test_works_without_script(bea, service, smtp_server, browse):
    ticket = TicketFactory(email_status="sent")
    CannedReply.objects.create(name="Refund", text="Hello {{ account }}")
    page = log_in(browse, service(**smtp_server.env), java_script_enabled=False)
    open_ticket(page, ticket)
    page.get_by_label("Insert a canned reply").select_option("Refund")
    page.get_by_role("button", name="Insert").click()
    assert page.get_by_label("Your answer").input_value() == f"Hello {ticket.user.username}"
    page.get_by_role("button", name="Send and wait").click()
    see(page, "Your answer went to ada@example.com")


@on_sqlite
def test_bears_long_words_on_a_phone(bea, service, smtp_server, browse):
    address = f"{'a' * 300}@x.example"
    ticket = TicketFactory(email_status="sent", reply_address=address, message="A" * 20_000)
    CannedReply.objects.create(name="N" * 80, text="x")
    page = come_back(browse, service(**smtp_server.env), bea, width=375)
    open_ticket(page, ticket)
    assert_good(page)
    # With kerning and ligatures these letters take seconds to lay out.
    style = page.locator("[data-message]").evaluate(
        "(element) => [getComputedStyle(element).fontKerning,"
        " getComputedStyle(element).fontVariantLigatures]"
    )
    assert style == ["none", "none"]


@on_sqlite
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 375)])
def test_shows_readable_errors(bea, shared_service, browse, theme, width):
    page = come_back(browse, shared_service, bea, theme=theme, width=width, may_fail="/admin/")
    origin = page.url.removesuffix("/admin/")
    for path in ("/admin/nothing/", "/admin/logout/"):
        page.goto(origin + path)
        assert_good(page)
    page.get_by_role("link", name="Back to the start").click()
    page.wait_for_url("**/admin/")
    page.context.clear_cookies()
    page.goto(f"{origin}/admin/login/")
    page.context.clear_cookies()
    page.get_by_label("Username").fill("bea")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    see(page, "This form is too old")
    assert_good(page)


def test_changes_what_is_ticked(bea, shared_service, browse):
    Tag.objects.create(name="outage")
    TicketFactory.create_batch(3, email_status="sent")
    page = come_back(browse, shared_service, bea)
    page.goto(page.url + "support/ticket/")
    page.get_by_label("Tick every ticket").check()
    page.get_by_label("Set the priority").select_option("High")
    page.get_by_label("Add tags").fill("outage")
    assert_good(page)
    page.get_by_role("button", name="Apply").click()
    see(page, "3 of 3 changed.")
    assert Ticket.objects.filter(priority=3, tags__name="outage").count() == 3


def test_saves_a_view(bea, shared_service, browse):
    TicketFactory(type="technical", email_status="sent")
    page = come_back(browse, shared_service, bea)
    page.goto(page.url + "support/ticket/")
    page.get_by_label("Type", exact=True).select_option("technical")
    page.wait_for_url("**type=technical**")
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Save these filters as").fill("Technical")
    page.get_by_role("button", name="Save").click()
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="Technical", exact=True).click()
    page.wait_for_url("**type=technical**")


@on_sqlite
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 375)])
def test_is_readable_for_everybody(bea, shared_service, browse, theme, width):
    ticket = TicketFactory(email_status="failed", last_error="message 554: refused")
    ticket.add_note(bea, "A note")
    Message.objects.create(ticket=ticket, to="a@x.example", text="x", email_status="failed")
    APIKeyFactory(user=ticket.user)
    bea.is_superuser = True
    bea.save()
    page = come_back(browse, shared_service, bea, theme=theme, width=width)
    assert_good(page)
    models = ["accounts_user", "accounts_plan", "accounts_apikey", "auth_group"]
    models += ["support_cannedreply", "support_tag", "support_savedview"]
    names = [f"{model}_{kind}" for model in models for kind in ("changelist", "add")]
    paths = [reverse(f"admin:{name}") for name in names]
    paths += [reverse("admin:support_ticket_changelist") + "?tab=all", "/admin/password_change/"]
    paths += [reverse("admin:support_ticket_change", args=[ticket.pk])]
    paths += [reverse("admin:axes_accessattempt_changelist")]
    origin = page.url.removesuffix("/admin/")
    for path in paths:
        page.goto(origin + path)
        assert_good(page)


@on_sqlite
def test_shows_a_readable_lockout(bea, service, browse):
    page = browse(f"{service().url}/admin/login/", may_fail="/admin/login/")
    for _ in range(5):
        page.get_by_label("Username").fill("bea")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
    see(page, "Too many wrong passwords")
    assert_good(page)


@on_sqlite
def test_runs_no_script_that_came_through_the_api(bea, service, smtp_server, browse):
    PlanFactory(slug="flood", requests_per_minute=1_000)
    key = APIKeyFactory(user=UserFactory(plan_id="flood"))
    client = Client(HTTP_AUTHORIZATION=f"Bearer {key.secret}")
    for payload in PAYLOADS:
        ticket = {
            "type": payload[:64],
            "reply_address": payload.replace("@", ""),
            "message": payload,
        }
        answer = client.post("/v1/support/tickets", ticket, content_type="application/json")
        assert answer.status_code == 201, payload
    page = come_back(browse, service(**smtp_server.env), bea)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    origin = page.url.removesuffix("/admin/")
    tickets = list(Ticket.objects.all())
    urls = [reverse("admin:support_ticket_change", args=[ticket.pk]) for ticket in tickets]
    lists = [reverse("admin:support_ticket_changelist") + f"?tab={tab}" for tab in ("all", "open")]
    for url in ["/admin/", *lists, *urls]:
        page.goto(origin + url)
        assert page.evaluate("window.pwned") is None, url
    page.goto(origin + lists[0])
    assert page.locator("[data-row]").count() == len(PAYLOADS)
    for ticket in tickets:
        page.set_content(compose(ticket).alternatives[0][0])
        assert page.evaluate("window.pwned") is None
        assert page.locator("script, img, svg, iframe, object, form").count() == 0


def test_arms_no_cell_of_the_export(bea):
    for payload in PAYLOADS:
        TicketFactory(message=payload, type=payload[:64])
    client = Client()
    client.force_login(bea)
    answer = client.post(reverse("admin:support_ticket_export"), {"queue": "tab=all"})
    rows = csv.DictReader(answer.getvalue().decode().splitlines(keepends=True))
    for row in rows:
        for cell in row.values():
            assert not re.match(r"\s*[=+@\t\r]|-\D", cell), cell
