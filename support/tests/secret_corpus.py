"""Texts with and without secrets, as data/secrets.toml and data/no_secrets.toml describe them.

The random parts are drawn here, so that no scanner takes this tree for a leak.
"""

import base64
import json
import random
import re
import string
import tomllib
from pathlib import Path

from accounts import api_keys

DATA = Path(__file__).parent / "data"
ALNUM = string.ascii_letters + string.digits
ALPHABETS = {
    "alnum": ALNUM,
    "letters": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "base32": string.ascii_uppercase + "234567",
    "base64": ALNUM + "+/",
    "url": ALNUM + "_-",
}


def _draw(rng, alphabet, length):
    return "".join(rng.choices(alphabet, k=length))


def _encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def fill_in(template, rng):
    """The template with its random parts drawn."""
    own = api_keys.generate()
    words = {
        "own": own,
        "shown": f"{own[:12]}…",
        "private": "PRIVATE" + " KEY",
        "nothing": "",
        "basic": base64.b64encode(f"ada:{_draw(rng, ALNUM, 12)}".encode()).decode(),
        "jwt": ".".join(
            (_encode({"alg": "HS256"}), _encode({"sub": "ada"}), _draw(rng, ALPHABETS["url"], 43))
        ),
    }

    def replace(match):
        if match[1]:
            return match[1][0]
        name, _, length = match[2].partition(":")
        if name in words:
            return words[name]
        if name in {"lines", "escaped"}:
            lines = [_draw(rng, ALPHABETS["base64"], 64) for _ in range(int(length))]
            return ("\n" if name == "lines" else "\\n").join(lines)
        return _draw(rng, ALPHABETS[name], int(length))

    filled = {}
    for key in ("text", "becomes"):
        if key in template:
            filled[key] = re.sub(r"(\{\{|\}\})|\{([^{}]+)\}", replace, template[key])
    return template | filled


def read_secrets(seed=1):
    """Rows (text, pattern of what must become of it, how many secrets it holds)."""
    rng = random.Random(seed)
    for template in tomllib.loads((DATA / "secrets.toml").read_text())["secret"]:
        row = fill_in(template, rng)
        parts = re.split("⟦[^⟧]*⟧", row["text"])
        becomes = row.get("becomes_match") or re.escape(row["becomes"])
        text = row["text"].replace("⟦", "").replace("⟧", "")
        yield text, becomes.join(re.escape(part) for part in parts), len(parts) - 1


def read_no_secrets(seed=1):
    rng = random.Random(seed)
    for text in tomllib.loads((DATA / "no_secrets.toml").read_text())["text"]:
        yield fill_in({"text": text}, rng)["text"]
