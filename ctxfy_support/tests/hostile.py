"""Hostile requests: a corpus kept as data, and bodies generated without end from a seed.

A request of the corpus is sent as it is written, byte by byte, over a connection of its own.
"""

import json
import random
from pathlib import Path

CORPUS = json.loads((Path(__file__).parent / "data" / "hostile_requests.json").read_text())
TICKET = {"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice."}


def make_body(body):
    """The bytes that a row of the corpus stands for: text, latin-1 text, or a repetition."""
    if isinstance(body, str):
        return body.encode()
    if "latin1" in body:
        return body["latin1"].encode("latin-1")
    then = body.get("then", {})
    text = body.get("before", "") + body["repeat"] * body["times"] + body.get("after", "")
    return (text + then.get("repeat", "") * then.get("times", 0) + then.get("after", "")).encode()


def make_request(row, api_key):
    """The whole request as bytes; an `authorization` of null leaves the header out."""
    body = make_body(row["body"])
    headers = {"Host": "127.0.0.1", "Connection": "close", "Content-Length": str(len(body))}
    authorization = row.get("authorization", f"Bearer {api_key}")
    if authorization is not None:
        headers["Authorization"] = authorization
    headers |= row["headers"]
    lines = [f"{row['method']} {row['path']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def parse_answer(raw):
    """(status, headers with lower-case names, body) of one HTTP/1.1 answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in headers.items()}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    return int(first.split()[1]), headers, body


def _chunks(data):
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        yield data[:length]
        data = data[length + 2 :]


_TEXTS = ["", "a", "ada@example.com", "\x00", "é", "\U0001f600", "@", "x" * 400, "\u2028", "\r\n"]
_TOKENS = ["{", "}", "[", "]", ":", ",", '"', "\\", "\\ud800", "\\u0000", "null", "NaN", "1e999"]


def _make_value(rng, depth=0):
    kind = rng.randrange(8 if depth < 4 else 6)
    if kind < 3:
        return rng.choice(_TEXTS) + rng.choice(_TEXTS)
    if kind == 3:
        return rng.choice([None, True, False, 0, -1, 1.5, 10**30, 1e300])
    if kind in (4, 5):
        return chr(rng.choice([*range(0xD800), *range(0xE000, 0xE100)][:: rng.randint(1, 99)]))
    if kind == 6:
        return [_make_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(_TEXTS): _make_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def generate_body(rng: random.Random):
    """Bytes that range from a good ticket to noise."""
    ticket = dict(TICKET)
    for _ in range(rng.randrange(3)):
        ticket[rng.choice([*TICKET, "other"])] = _make_value(rng)
    if rng.random() < 0.1:
        ticket.pop(rng.choice(list(TICKET)))
    text = json.dumps(ticket, ensure_ascii=rng.random() < 0.5)
    body = bytearray(text.encode())
    mutation = rng.random()
    if mutation < 0.3:
        for _ in range(rng.randint(1, 4)):
            position = rng.randrange(len(body) + 1)
            body[position:position] = rng.choice(_TOKENS).encode()
    elif mutation < 0.5:
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
    elif mutation < 0.6:
        del body[rng.randrange(len(body)) :]
    return bytes(body)
