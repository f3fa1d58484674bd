"""What Schemathesis must know of the API that JSON Schema cannot say."""

import re
from datetime import UTC, datetime, timedelta

import schemathesis

from support.mailboxes import is_email_address

TRIMMED = {"type", "reply_address", "name"}
TEXTS = TRIMMED | {"message", "context"}
C1_CONTROLS = re.compile("[\x80-\x9f]")
FUTURE = "2100-01-01T00:00:00Z"
used_keys = set()


def is_past(text):
    """Whether this is a time that is not in the future, give or take an offset."""
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        return False
    return moment < datetime.now(UTC) + timedelta(days=2)


def replace_c1_controls(value):
    """The same without what no pattern can exclude in every language."""
    if isinstance(value, str):
        return C1_CONTROLS.sub("x", value)
    if isinstance(value, list):
        return [replace_c1_controls(row) for row in value]
    if isinstance(value, dict):
        return {name: replace_c1_controls(row) for name, row in value.items()}
    return value


def mend_body(body):
    """Trim what the service trims before it counts; let keys expire in the future.

    No pattern says which addresses with an `@` are taken: the others lose it.
    """
    body |= {name: replace_c1_controls(body[name]) for name in TEXTS & body.keys()}
    for name in TRIMMED & body.keys():
        if isinstance(body[name], str):
            body[name] = body[name].strip()
    address = str(body.get("reply_address"))
    if re.fullmatch(r"[^@]+@[^@]+", address) and not is_email_address(address):
        body["reply_address"] = address.replace("@", "")
    if is_past(body.get("expiration_date")):
        body["expiration_date"] = FUTURE


def mend_headers(headers):
    """Send no Idempotency-Key twice: with another content that is a 422."""
    key = headers.get("Idempotency-Key", "").strip('"')
    if key in used_keys:
        del headers["Idempotency-Key"]
    elif key:
        used_keys.add(key)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Mend the request; Schemathesis looks anew at whether it fits the document."""
    if case.body is None:  # null, for which the service reads {}; as a type it breaks generators
        case.body = {}
    if case.query and case.meta.generation.mode.is_positive:
        # Whether a row is the caller's, and that it goes with no `page`, no schema can say.
        case.query.pop("after", None)
    if isinstance(case.body, dict):
        mend_body(case.body)
    if case.headers and case.meta.generation.mode.is_positive:
        mend_headers(case.headers)
