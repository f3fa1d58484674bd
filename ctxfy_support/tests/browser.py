"""Headless Chromium on pages of the service; a page's complaint fails the test that opened it."""

import asyncio
import contextlib
import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PHONE_WIDTH = 375
TIMEOUT_MS = 30_000


def find_chromium():
    """The browser's path; without one the test is skipped, or fails where CI must try it."""
    if path := next(filter(None, map(shutil.which, NAMES)), None):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is missing, and CI must try the pages")
    return pytest.skip("chromium is not installed")


def find_violations(page):
    """Axe's serious and critical findings, each as (rule, impact, elements)."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], rule["impact"], [node["target"] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


class Browser:
    """One Chromium; every page has a context, and so cookies and storage, of its own.

    `complaints` are what its consoles, their scripts and requests to any other host have left.
    """

    def __init__(self):
        self.complaints = []

    def __enter__(self):
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=find_chromium(), args=ARGUMENTS
            )
        except BaseException:
            self._playwright.stop()
            raise
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        return self

    def __exit__(self, *exc_info):
        asyncio._set_running_loop(self._loop)
        self._browser.close()
        self._playwright.stop()

    @contextlib.contextmanager
    def running(self):
        """Let pages be opened, and close them in the end; give what they complain of.

        Playwright's event loop would count as running in this thread for as long as the browser is
        there, and to Django that is another context, with a database connection of its own.
        """
        self.complaints.clear()
        asyncio._set_running_loop(self._loop)
        try:
            yield self.complaints
        finally:
            for context in self._browser.contexts:
                context.close()
            asyncio._set_running_loop(None)

    def open(self, url, *, theme="light", width=1280, height=900, may_fail=None, **options):
        """Open a page and return it, loaded.

        `theme` is "light" or "dark"; `may_fail` is a regular expression for addresses that may
        answer with 4xx, 5xx or not at all; `options` are Playwright's for a context.
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, **options
        )
        context.set_default_timeout(TIMEOUT_MS)
        origin = urlsplit(url)[:2]

        def stop(route):
            self.complaints.append(f"request to {route.request.url}")
            route.abort()

        def listen(message):
            failed = message.text.startswith("Failed to load resource")
            if failed and may_fail and re.search(may_fail, message.location["url"]):
                return
            if message.type in {"error", "warning"}:
                self.complaints.append(f"{message.type}: {message.text}")

        context.route(lambda address: urlsplit(address)[:2] != origin, stop)
        context.on("console", listen)
        context.on("weberror", lambda error: self.complaints.append(f"exception: {error.error}"))
        page = context.new_page()
        page.goto(url)
        return page
