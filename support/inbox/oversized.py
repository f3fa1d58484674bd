"""What is taken in of a mail that is too large: its headers, and a text that says so.

The result is the same whenever the mail is fetched, so its copies are recognised.
"""

import re

# A field of a header, with the lines that it goes on in (RFC 5322, section 2.2.3).
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n?")
# They describe the body that is left out.
_OF_THE_BODY = (b"content-", b"mime-version")


def make_notice(header: bytes, octets: int, largest: int) -> bytes:
    """A mail with these headers whose text says that it had so many octets, more than `largest`."""
    fields = _FIELD.findall(header)
    kept = [field for field in fields if not field.lower().startswith(_OF_THE_BODY)]
    if any(b"multipart/report" in field.lower() for field in fields):
        # A bounce is automatic by its content type, which goes with its body.
        kept.append(b"Auto-Submitted: auto-replied\r\n")
    text = (
        f"This mail has {octets:,} octets, more than the {largest:,} that are taken in. Only its "
        "headers were; the whole of it is in the mailbox.\r\n"
    )
    lines = [field.rstrip(b"\r\n") + b"\r\n" for field in kept]
    lines.append(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
    return b"".join(lines) + text.encode()
