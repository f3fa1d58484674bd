"""The page that shows a new key, as an administrator sees it."""

import os

import pytest
from django.db import connection

from accounts.admission import admit
from accounts.tests.factories import UserFactory
from ctxfy_support.tests.browser import find_violations

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="looked at on SQLite"),
]

PASSWORD = "correct horse battery"
LOOKS = [("light", 1280), ("dark", 1280), ("light", 375), ("dark", 375)]


@pytest.fixture
def root(transactional_db, django_db_serialized_rollback, django_user_model):
    UserFactory(username="ada")
    return django_user_model.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def browse(root, open_page):
    yield open_page
    connection.close()


def issue(browse, server, **options):
    page = browse(f"{server.url}/admin/accounts/apikey/add/", **options)
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/apikey/add/")
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").fill("ada")
    page.locator(".select2-results__option", has_text="ada").click()
    page.get_by_label("Name").fill("Production")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("it is shown this once").wait_for()
    return page


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_fits_and_is_read_aloud(browse, live_server, theme, width):
    page = issue(browse, live_server, theme=theme, width=width)
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/issued-{theme}-{width}.png")
    assert find_violations(page) == []
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) <= 0


def test_copies_the_key_and_says_so(browse, live_server):
    page = issue(browse, live_server, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("The key is on the clipboard.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copied").wait_for()
    assert admit(copied).name == "Production"


def test_copies_where_there_is_no_clipboard_to_write_to(browse, live_server):
    page = issue(browse, live_server)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy").click()
    selected = page.evaluate("getSelection().toString()")
    assert selected == page.locator("[data-issued-key]").text_content()
