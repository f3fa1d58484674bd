"""Takes the README's pictures: `python -m support.tests.back_office.take_screenshots` → docs/*.png.

Shows the real pages, with the demonstration's tickets, in a database of their own.
"""

import struct
import tempfile
import zlib
from pathlib import Path

from ctxfy_support.tests.browser import Browser
from ctxfy_support.tests.processes import PROJECT_DIRECTORY, ServiceProcess, run_command

DOCS = PROJECT_DIRECTORY / "docs"
PASSWORD = "for-this-picture-alone"
QUEUE = "/admin/support/ticket/?tab=open"
# Rows (file, address or None for a ticket's page, theme, width, height).
PICTURES = [
    ("queue", QUEUE, "light", 1360, 850),
    ("queue-dark", QUEUE, "dark", 1360, 850),
    ("ticket", None, "light", 1360, 980),
    ("ticket-dark", None, "dark", 1360, 980),
    ("mail-without-a-ticket", "/admin/support/ticket/mail/", "light", 1360, 820),
    ("dashboard", "/admin/", "light", 1360, 820),
    ("queue-phone", QUEUE, "light", 375, 780),
]


def run(env, *arguments):
    done = run_command(*arguments, env=env)
    assert done.returncode == 0, done.stderr


def squeeze(path):
    """Write the PNG's pixels again at zlib's best level, and nothing but pixels."""
    data = path.read_bytes()
    chunks, position = [], 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunks.append(
            (data[position + 4 : position + 8], data[position + 8 : position + 8 + length])
        )
        position += length + 12
    pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    header = next(body for kind, body in chunks if kind == b"IHDR")
    kept = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    with path.open("wb") as file:
        file.write(data[:8])
        for kind, body in kept:
            checksum = zlib.crc32(kind + body)
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum))


def take(browser, url, name, address, theme, width, height):
    page = browser.open(f"{url}/admin/", theme=theme, width=width, height=height)
    page.get_by_label("Username").fill("robin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    page.goto(url + (address or "/admin/support/ticket/?tab=all&state=solved"))
    if address is None:
        open_a_ticket_with_everything(page, url)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=DOCS / f"{name}.png")
    squeeze(DOCS / f"{name}.png")


def open_a_ticket_with_everything(page, url):
    """Go to the first ticket that has a note, an answer and a customer's mail."""
    links = [link.get_attribute("href") for link in page.locator("[data-open]").all()]
    for link in links:
        page.goto(url + link)
        parts = (".cx-note", ".cx-reply", ".cx-quoted")
        if all(page.locator(part).count() for part in parts):
            return
    raise AssertionError("no ticket has a note, an answer and a mail")


def main():
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        env = {
            "DATABASE_URL": f"sqlite:///{Path(directory) / 'tour.sqlite3'}",
            "DEBUG": "true",
            "SUPPORT_EMAIL": "support@ctxfy.example",
            "SUPPORT_EMAIL_SENDER": "console",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        run(env, "migrate")
        run(env, "createsuperuser", "--no-input", "--username=robin", "--email=robin@ctxfy.example")
        run(env, "create_demo_tickets")
        with ServiceProcess(env=env) as server, Browser() as browser, browser.running():
            for picture in PICTURES:
                take(browser, server.url, *picture)
        assert not browser.complaints, browser.complaints
    for path in sorted(DOCS.glob("*.png")):
        print(f"{path.relative_to(PROJECT_DIRECTORY)}  {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
