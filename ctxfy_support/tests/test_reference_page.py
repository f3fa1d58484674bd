"""/docs in headless Chromium: read it, copy from it, send from it, with any theme and any hand."""

import gzip
import json
import os
import re
import subprocess
import time
from html.parser import HTMLParser

import pytest
import requests
from django.db import connection

from ctxfy_support.error_answers import get_errors
from ctxfy_support.openapi import get_document
from ctxfy_support.reference import page as reference_page
from ctxfy_support.reference import postman, views
from ctxfy_support.reference import text as reference_text
from ctxfy_support.tests.browser import PHONE_WIDTH, find_violations
from ctxfy_support.tests.processes import ServiceProcess, run_command
from ctxfy_support.tests.test_published_clients import COMMANDS, go_env, require  # noqa: F401

# The service has a database of its own, and the page is the same whatever the database is.
pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="looked at on SQLite")

LANGUAGES = {"Python": "py", "JavaScript": "js", "Go": "go", "Ruby": "rb", "curl": "sh"}
SERVED = {"python": "Python", "javascript": "JavaScript", "go": "Go", "ruby": "Ruby"}
# What each language must escape, and what it must leave as it is.
AWKWARD = 'It\'s "$HOME" `x` #{y} \\n %s ${z} \U0001f600\n\ttab </script>'
AWKWARD_TICKET = {"type": "x", "reply_address": "123 Main St", "message": AWKWARD}
AWKWARD_KEY = 'it\'s "$1" `x` #{y}!'
MADE_UP_KEY = f"ctxfy_{'x' * 38}"


class Account:
    """An account on a service of its own, and what the API says of it."""

    def __init__(self, url, secret):
        self.url, self.secret = url, secret

    def ask(self, method, path, **json):
        answer = requests.request(
            method,
            f"{self.url}{path}",
            json=json or None,
            headers={"Authorization": f"Bearer {self.secret}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def newest_ticket(self):
        return self.ask("GET", "/v1/support/tickets?per_page=1")["tickets"][0]

    def issue_key(self):
        return self.ask("POST", "/v1/api-keys", name="to be revoked")["id"]

    def is_revoked(self, key_id):
        keys = self.ask("GET", "/v1/api-keys?per_page=100")["api_keys"]
        return next(key["revoked_at"] for key in keys if key["id"] == key_id) is not None


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """Made as an operator makes one; the page is the same whatever the database."""
    path = tmp_path_factory.mktemp("reference") / "reference.sqlite3"
    env = {"DATABASE_URL": f"sqlite:///{path}"}
    for command in (
        ("migrate",),
        ("set_plan", "unlimited", "--requests-per-minute", "1000000"),
        ("set_account", "ada", "--plan", "unlimited"),
        ("create_api_key", "ada"),
    ):
        done = run_command(*command, env=env)
        assert done.returncode == 0, done.stderr
    with ServiceProcess(env=env) as service:
        yield Account(service.url, done.stdout.strip())


@pytest.fixture
def docs(account, open_page):
    """Open the page: `docs(theme="dark", width=375)`."""
    return lambda **options: open_page(f"{account.url}/docs", may_fail="/v1/|/health$", **options)


def give_key(page, secret):
    page.locator(".key-button").click()
    page.get_by_label("API key", exact=True).fill(secret)
    page.get_by_role("button", name="Use this key").click()


def open_console(page, operation):
    section = page.locator(f"#{operation}")
    section.get_by_text("Try it").click()
    return section


def send(section):
    """Press the button and return the card with what came back."""
    section.get_by_role("button", name="Send").click()
    result = section.locator(".result")
    result.locator(".result-head").wait_for()
    return result


# --- What anybody gets, without a browser --------------------------------------------------------


class Markup(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.fixture
def markup(client):
    return Markup(client.get("/docs").content.decode())


def test_needs_no_key_and_no_query(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        response = client.get("/docs")
    assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_allows_nothing_that_the_service_does_not_serve(client):
    policy = client.get("/docs")["Content-Security-Policy"].split("; ")
    assert sorted(policy) == [
        "base-uri 'none'",
        "connect-src 'self'",
        "default-src 'none'",
        "font-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self'",
    ]


def test_has_no_script_and_no_style_within(markup):
    for tag, attributes in markup.tags:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            assert re.match(r"#|/|https?://www\.w3\.org/", attributes.get(name) or "#")
        assert tag != "script" or attributes["src"].startswith("/static/ctxfy_support/")


def test_is_sent_again_only_when_it_has_changed(client):
    etag = client.get("/docs")["ETag"]
    assert client.get("/docs", headers={"If-None-Match": etag}).status_code == 304


PATHS = ["/docs", "/docs.md", "/llms.txt", "/openapi.json", "/postman.json"]


@pytest.mark.parametrize("path", PATHS)
def test_is_rendered_once_whatever_the_host(client, monkeypatch, path):
    made = []
    for module in (views, postman, reference_text, reference_page):
        for name in {"render_to_string", "get_document"} & set(vars(module)):
            real = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *a, real=real: made.append(1) or real(*a))
    client.get(path)
    made.clear()
    answers = [client.get(path, headers={"Host": f"localhost:{port}"}) for port in range(1, 41)]
    for port, answer in enumerate(answers, 1):
        assert f"http://localhost:{port}".encode() in answer.content
        assert b"origin.invalid" not in answer.content
    assert len({answer["ETag"] for answer in answers}) == len(answers)
    assert made == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ['x"><script>', "x'", "x&y", 'x","a":"b', "x y", "x:80<b>", "x\\"])
def test_takes_no_markup_from_the_host(client, settings, path, host):
    settings.ALLOWED_HOSTS = ["*"]
    assert client.get(path, headers={"Host": host}).status_code == 400


def test_is_sent_compressed(client):
    response = client.get("/docs", headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"
    assert b"Open a ticket" in gzip.decompress(response.content)


def test_makes_no_markup_of_what_it_quotes():
    text = reference_page.render("<b> `<i>` **<u>** [x](javascript:x) [y](#z)\n\n- <s>")
    assert set(re.findall(r"<(\w+)", text)) == {"p", "code", "strong", "a", "ul", "li"}
    assert re.findall('href="(.*?)"', text) == ["#z"]


def test_has_a_place_for_every_operation_and_error(markup):
    ids = [attributes["id"] for _, attributes in markup.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    operations = {
        operation["operationId"]
        for methods in get_document()["paths"].values()
        for operation in methods.values()
    }
    assert operations | {f"error-{status}" for status in get_errors()} <= set(ids)
    links = {attributes["href"] for tag, attributes in markup.tags if tag == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_says_what_the_document_says(client):
    text = client.get("/docs").content.decode()
    for methods in get_document()["paths"].values():
        for operation in methods.values():
            assert operation["summary"] in text
    for limit in ("1 to 64", "1 to 320", "1 to 20,000", "1 to 255"):
        assert f"string, {limit} characters" in text


# --- Reading -------------------------------------------------------------------------------------


def open_everything(page):
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, PHONE_WIDTH])
def test_is_accessible(docs, theme, width):
    page = docs(theme=theme, width=width)
    send(open_console(page, "getLiveness"))
    open_everything(page)
    assert find_violations(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_asks_for_the_key_accessibly(docs, theme):
    page = docs(theme=theme)
    give_key(page, "ctxfy_short")
    assert "Is it whole?" in page.locator("#key-error").inner_text()
    assert find_violations(page) == []


def test_fits_every_window(docs):
    page = docs()
    open_everything(page)
    for width in (320, PHONE_WIDTH, 768, 1024, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_is_readable_without_scripts(docs):
    page = docs(java_script_enabled=False)
    assert page.get_by_role("heading", name="Open a ticket").is_visible()
    for name in ("quick-start", "createTicket", "listApiKeys"):
        assert page.locator(f"#{name} .sample").get_by_text("curl", exact=True).is_visible()
        assert page.locator(f"#{name} .sample pre").first.is_visible()
        page.locator(f"#{name} .sample").get_by_text("Ruby", exact=True).click()
        assert "net/http" in page.locator(f"#{name} .sample pre").last.inner_text()
    assert page.get_by_text("Try it", exact=True).count() == 0
    assert not page.get_by_role("button").first.is_visible()


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_follows_the_system_until_told_otherwise(docs):
    light, dark = (background(docs(theme=theme)) for theme in ("light", "dark"))
    assert light != dark
    page = docs(theme="light")
    page.get_by_role("button", name="Switch to the dark theme").click()
    assert background(page) == dark
    page.reload()
    assert background(page) == dark
    page.get_by_role("button", name="Switch to the light theme").click()
    assert background(page) == light


def focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


def test_is_used_with_the_keyboard(docs):
    page = docs()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the reference"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#createTicket").get_by_role("tab", name="curl").focus()
    for key, name in (("ArrowRight", "Python"), ("End", "Ruby"), ("ArrowRight", "curl")):
        page.keyboard.press(key)
        assert focused(page) == name
    page.keyboard.press("ArrowLeft")
    assert "Net::HTTP" in sample(page, "createTicket")


def test_has_a_menu_on_a_phone(docs):
    page = docs(width=PHONE_WIDTH)
    link = page.get_by_role("navigation").get_by_role("link", name="Get a ticket")
    menu = page.get_by_role("button", name="Menu")
    assert not link.is_visible()
    menu.click()
    page.keyboard.press("Escape")
    assert not link.is_visible()
    menu.click()
    link.click()
    assert not link.is_visible()
    assert page.url.endswith("#getTicket")


def test_shows_where_the_reader_is(docs):
    page = docs()
    page.evaluate("document.querySelector('#revokeApiKey').scrollIntoView()")
    page.locator(".side a[href='#revokeApiKey'][aria-current]").wait_for()
    page.evaluate("document.querySelector('#error-404').scrollIntoView()")
    page.locator(".side a[href='#errors'][aria-current]").wait_for()


def test_opens_at_the_place_that_was_linked(docs, account):
    page = docs()
    page.goto(f"{account.url}/docs#getTicket")
    page.reload()
    # Fonts and the script's own sections may still move it for a moment.
    top = "document.querySelector('#getTicket').getBoundingClientRect().top"
    end = time.monotonic() + 30
    while not 0 < page.evaluate(top) < 150:
        assert time.monotonic() < end


# --- Sending -------------------------------------------------------------------------------------


def test_sends_with_the_readers_key(docs, account):
    page = docs()
    give_key(page, account.secret)
    section = open_console(page, "createTicket")
    section.get_by_label("Body").fill(json.dumps(AWKWARD_TICKET))
    result = send(section).inner_text()
    ticket = account.newest_ticket()
    assert ticket["message"] == AWKWARD
    for part in ("201", "Created", " ms", " bytes", ticket["id"], "of 1000000 requests left"):
        assert part in result


def test_shows_the_headers_of_an_answer(docs):
    result = send(open_console(docs(), "getLiveness"))
    result.get_by_text(re.compile("headers$")).click()
    shown = result.locator("dl").inner_text()
    assert re.search(r"x-request-id\s+req_[0-9a-f]{24}", shown)


def test_fills_in_path_query_and_header(docs, account):
    page = docs()
    give_key(page, account.secret)
    section = open_console(page, "createTicket")
    section.get_by_role("button", name="Make one up").click()
    first, second = (send(section).locator("code").inner_text() for _ in range(2))
    assert first == second
    section = open_console(page, "listTickets")
    section.get_by_label("per_page").fill("1")
    assert '"per_page": 1,' in send(section).inner_text()
    section = open_console(page, "getTicket")
    section.get_by_label("id").fill(json.loads(first)["id"])
    assert '"state": "new"' in send(section).inner_text()


def test_leads_from_an_error_to_its_meaning(docs, account):
    page = docs()
    give_key(page, account.secret)
    section = open_console(page, "getTicket")
    section.get_by_label("id").fill("../nonsense?#")
    result = send(section)
    assert "Not Found" in result.inner_text()
    result.get_by_role("link", name="What 404 means").click()
    assert page.url.endswith("/docs#error-404")


def test_asks_for_what_is_missing(docs, account):
    page, key_id = docs(), account.issue_key()
    section = open_console(page, "revokeApiKey")
    section.get_by_role("button", name="Send").click()
    assert section.get_by_role("alert").inner_text() == "id is missing."
    section.get_by_label("id").fill(key_id)
    section.get_by_role("button", name="Send").click()
    page.get_by_label("API key", exact=True).fill("ctxfy_short")
    page.get_by_role("button", name="Use this key").click()
    assert "Is it whole?" in page.locator("#key-error").inner_text()
    page.get_by_label("API key", exact=True).fill(account.secret)
    page.get_by_role("button", name="Use this key").click()
    assert "204" in section.locator(".result-head").inner_text()
    assert account.is_revoked(key_id)


MISTAKES = [
    ('{\n  "type": "x",\n  "message": oops\n}', 3, 14, '"message": oops'),
    ('{"a": 1,}', 1, 9, '{"a": 1,}'),
    ("[\n1\n2\n]", 3, 1, "2"),
    ('{"a": "two\nlines"}', 1, 7, '{"a": "two'),
    ("{'a': 1}", 1, 2, "{'a': 1}"),
    ('{"a": 1} x', 1, 10, '{"a": 1} x'),
    ('{"a": 01}', 1, 7, '{"a": 01}'),
    ('\n\n{"a": [1, {"b": nul}]}', 3, 17, '{"a": [1, {"b": nul}]}'),
    ("{", 1, 2, "{"),
    ('{"a": "\\x"}', 1, 7, '{"a": "\\x"}'),
    ("{\n", 2, 1, "the end"),
]


def test_shows_where_a_body_is_not_json(docs):
    section = open_console(docs(), "createTicket")
    note = section.locator(".field-note")
    for text, line, column, shown in MISTAKES:
        section.get_by_label("Body").fill(text)
        expected = f"This is not JSON from line {line}, column {column} on: {shown}"
        assert (text, note.inner_text()) == (text, expected)
    section.get_by_label("Body").fill(
        '{"a": [1, -2.5e3, true, null, {"b": "\\u00e9\\""}], "c": {}}'
    )
    assert note.inner_text() == ""


def test_opens_what_an_answer_leads_to(docs, account):
    page = docs()
    give_key(page, account.secret)
    send(open_console(page, "createTicket")).get_by_role("button", name="Get a ticket").click()
    section, ticket = page.locator("#getTicket"), account.newest_ticket()
    assert section.get_by_label("id").input_value() == ticket["id"]
    assert f"/v1/support/tickets/{ticket['id']}" in sample(page, "getTicket")
    assert focused(page) == "Send"
    page.keyboard.press("Enter")
    section.locator(".result-head").wait_for()
    assert json.loads(section.locator(".result code").inner_text()) == ticket


def test_warns_of_a_body_that_is_not_json(docs, account):
    page = docs()
    give_key(page, account.secret)
    section = open_console(page, "createTicket")
    section.get_by_label("Body").fill("{")
    assert "This is not JSON" in section.locator(".field-note").inner_text()
    assert "The request body is not valid JSON" in send(section).inner_text()


def test_says_so_when_no_answer_comes(docs):
    page = docs()
    page.route("**/health", lambda route: route.abort())
    section = open_console(page, "getHealth")
    section.get_by_role("button", name="Send").click()
    assert "No answer" in section.locator(".failure").inner_text()


# --- The key -------------------------------------------------------------------------------------

# Where a page could keep something.
KEPT = """async () => JSON.stringify([
  {...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state,
  await indexedDB.databases(), await caches.keys(),
  [...document.querySelectorAll("input, textarea")].map((input) => input.value),
])"""


def test_keeps_the_key_in_memory_alone(docs, account):
    page, addresses = docs(), []
    page.on("request", lambda request: addresses.append(request.url))
    give_key(page, account.secret)
    send(open_console(page, "listTickets"))
    assert account.secret in sample(page, "listTickets")
    assert account.secret not in page.evaluate(KEPT)
    assert addresses
    assert not [address for address in addresses if account.secret in address]
    page.reload()
    assert account.secret not in page.content()
    assert page.locator(".key-button").inner_text() == "Use your key"


def test_forgets_the_key_when_told(docs):
    page = docs()
    give_key(page, MADE_UP_KEY)
    assert MADE_UP_KEY in sample(page, "listTickets")
    page.locator(".key-button").click()
    page.get_by_role("button", name="Forget it").click()
    assert MADE_UP_KEY not in page.content()


def test_forgets_the_key_when_left(docs):
    page = docs()
    give_key(page, MADE_UP_KEY)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert MADE_UP_KEY not in page.content()


# --- Samples -------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, go_env):  # noqa: F811
    """Run a sample as pasted into a file of its own; return what it printed."""

    def run(language, code, **env):
        suffix = LANGUAGES[language]
        command = COMMANDS[f"client.{suffix}"]
        require(command[0])
        if language == "curl":
            require("curl")
        path = tmp_path / f"sample.{suffix}"
        path.write_text(code)
        env = os.environ | go_env | env
        process = subprocess.run(
            [*command, path], env=env, capture_output=True, text=True, timeout=90
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def sample(page, operation):
    return page.locator(f"#{operation} .sample [role=tabpanel]:not([hidden]) code").inner_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_has_samples_that_run_as_pasted(docs, account, run, language):
    page, key_id = docs(), account.issue_key()
    page.get_by_role("tab", name=language).first.click()
    printed = run(language, sample(page, "createTicket"), API_KEY=account.secret)
    assert account.newest_ticket()["id"] in printed
    assert "database" in run(language, sample(page, "getHealth"))
    # From here on the key, the body, the header, the query and the path are the reader's own.
    give_key(page, account.secret)
    section = open_console(page, "createTicket")
    section.get_by_label("Body").fill(json.dumps(AWKWARD_TICKET))
    section.get_by_label("Idempotency-Key").fill(f"{AWKWARD_KEY} {language}")
    printed = [run(language, sample(page, "createTicket")) for _ in range(2)]
    assert printed[0] == printed[1]
    assert account.newest_ticket()["message"] == AWKWARD
    open_console(page, "listTickets").get_by_label("per_page").fill("1")
    assert '"per_page":1' in run(language, sample(page, "listTickets"))
    open_console(page, "revokeApiKey").get_by_label("id").fill(key_id)
    assert "204" in run(language, sample(page, "revokeApiKey"))
    assert account.is_revoked(key_id)


def test_writes_the_samples_that_were_served(docs, account):
    text = requests.get(f"{account.url}/docs.md", timeout=30).text
    page = docs()
    for language, name in (("sh", "curl"), *SERVED.items()):
        page.get_by_role("tab", name=name).first.click()
        shown = page.locator(".sample [role=tabpanel]:not([hidden]) code").all_text_contents()
        served = re.findall(rf"^```{language}\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
        assert [code.rstrip() for code in shown] == served


def test_shows_every_sample_in_the_language_that_was_chosen(docs):
    page = docs()
    page.locator("#getTicket").get_by_role("tab", name="Ruby").click()
    assert "Net::HTTP" in sample(page, "listApiKeys")
    page.reload()
    assert "Net::HTTP" in sample(page, "createTicket")


def test_copies_a_sample(docs, account):
    page = docs(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#createTicket .sample").get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").first.wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == sample(page, "createTicket")
    assert copied.startswith(f'curl -X POST "{account.url}/v1/support/tickets"')
