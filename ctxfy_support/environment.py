"""The environment, read once and typed; a wrong value names its variable and stops the start.

django-environ reads what has a syntax of its own: the file `.env` (environment_files.py) and the
database's URL. A single value is read here, for there django-environ takes one that begins with a
dollar sign (a password may) for another variable's name, and its errors leave out which variable
was wrong.
"""

import base64
import contextlib
import os
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from ctxfy_support.environment_files import read_text

T = TypeVar("T")
# As Django's DATABASES has them.
DatabaseConfig: TypeAlias = dict[str, Any]

# A relative path is taken from here, whatever directory a process starts in.
_PROJECT_DIRECTORY = Path(__file__).resolve().parent.parent


def is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def parse(name: str, default: str, convert: Callable[[str], T]) -> T:
    """The variable's value, converted.

    Raises ImproperlyConfigured, which names the variable, where `convert` raises ValueError.
    """
    text = os.environ.get(name, default).strip()
    try:
        return convert(text)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{name}: {exc}") from None


def secret(name: str, convert: Callable[[str], T], default: str = "") -> T:
    """The value of the variable, or of the file that NAME_FILE names, converted.

    Raises ImproperlyConfigured where both are set, and where the file is not there, is empty or
    cannot be read: a secret that failed to mount is not the same as none. The message names the
    variable and nothing else, for a secret may have been put in the path's place.
    """
    file = f"{name}_FILE"
    if not is_set(file):
        return parse(name, default, convert)
    if is_set(name):
        raise ImproperlyConfigured(f"{file}: {name} is set as well; one of them must go")
    text = read_text(file, _PROJECT_DIRECTORY / os.environ[file].strip()).strip()
    if not text:
        raise ImproperlyConfigured(f"{file}: the file is empty")
    try:
        return convert(text)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{file}: {exc}") from None


def boolean(name: str, *, default: bool) -> bool:
    def convert(text: str) -> bool:
        if text.lower() in {"1", "true", "yes", "on"}:
            return True
        if text.lower() in {"0", "false", "no", "off", ""}:
            return False
        raise ValueError(f"{text!r} is not one of true, false")

    return parse(name, str(default), convert)


def line(name: str, default: str = "") -> str:
    """A name or a host: one line of printable text."""

    def convert(text: str) -> str:
        if not text.isprintable():
            raise ValueError(f"{text!r} has characters that are not printable")
        return text or default

    return parse(name, "", convert)


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    def convert(text: str) -> str:
        if (text or default) not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text or default

    return parse(name, default, convert)


def number(name: str, default: float, *, minimum: float, maximum: float) -> float:
    def convert(text: str) -> float:
        if text and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
            raise ValueError(f"{text!r} is not a number")
        value = float(text or default)
        if not minimum <= value <= maximum:
            raise ValueError(f"{text} is not between {minimum:g} and {maximum:g}")
        return value

    return parse(name, "", convert)


def whole_number(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = number(name, default, minimum=minimum, maximum=maximum)
    if not value.is_integer():
        raise ImproperlyConfigured(f"{name}: {value:g} is not a whole number")
    return int(value)


def email_address(name: str, default: str = "", *, longest_local_part: int = 64) -> str:
    """One e-mail address, with at most so many characters before its `@`."""

    def convert(text: str) -> str:
        value = text or default
        if value:
            try:
                validate_email(value)
            except ValidationError:
                raise ValueError(f"{value!r} is not one e-mail address") from None
            if len(value.rpartition("@")[0]) > longest_local_part:
                raise ValueError(f"more than {longest_local_part} characters before the @")
        return value

    return parse(name, default, convert)


def credential(name: str) -> str:
    """A user name, key or password as mail protocols carry it; the error does not show it.

    Also from the file that NAME_FILE names.
    """

    def convert(text: str) -> str:
        if not (text.isascii() and text.isprintable()):
            raise ValueError("has characters other than printable ASCII (curly quotes, a space?)")
        return text

    return secret(name, convert)


def secret_key(name: str) -> str:
    """A key of Django's: one line; also from the file that NAME_FILE names."""

    def convert(text: str) -> str:
        if not text.isprintable():
            raise ValueError("is more than one line of printable text")
        return text

    return secret(name, convert)


def secret_keys(name: str) -> list[str]:
    """Keys between commas or line breaks; also from the file that NAME_FILE names."""

    def convert(text: str) -> list[str]:
        return [key.strip() for key in re.split(r"[,\r\n]", text) if key.strip()]

    return secret(name, convert)


def name_and_password(name: str) -> str:
    """`user:password`, as HTTP's basic authentication carries it; the error does not show it."""

    def convert(text: str) -> str:
        user, _, password = text.partition(":")
        if text and not (user and password and text.isascii() and text.isprintable()):
            raise ValueError("is not user:password, in printable ASCII")
        return text

    return secret(name, convert)


def public_key(name: str) -> str:
    """A public key of an elliptic curve, as base64 of its DER form; or nothing."""

    def convert(text: str) -> str:
        if text:
            # Slow to import, and few need it.
            from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
            from cryptography.hazmat.primitives.serialization import load_der_public_key

            try:
                key = load_der_public_key(base64.b64decode(text, validate=True))
            except Exception:
                key = None
            if not isinstance(key, EllipticCurvePublicKey):
                raise ValueError("is not an elliptic curve's public key in base64")
        return text

    return parse(name, "", convert)


def http_url(name: str, default: str) -> str:
    def convert(text: str) -> str:
        value = text or default
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{value!r} is not an http:// or https:// address")
        return value

    return parse(name, default, convert)


def http_url_template(name: str, placeholder: str) -> str:
    """An address with a placeholder behind its host, or nothing."""

    def convert(text: str) -> str:
        if not text:
            return ""
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{text!r} is not an http:// or https:// address")
        if placeholder not in text:
            raise ValueError(f"{text!r} does not contain {placeholder}")
        if placeholder in parts.netloc:
            raise ValueError(f"{placeholder} must stand behind the host")
        return text

    return parse(name, "", convert)


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated list, blanks left out."""
    return [item.strip() for item in parse(name, default, str).split(",") if item.strip()]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """A comma-separated list of addresses and networks in CIDR notation."""

    def convert(text: str) -> list[IPv4Network | IPv6Network]:
        return [ip_network(item.strip()) for item in text.split(",") if item.strip()]

    return parse(name, "", convert)


def database(name: str, default: str, base_dir: Path) -> DatabaseConfig:
    """Django's DATABASES entry; a relative SQLite path is taken from the project's folder."""

    def convert(text: str) -> DatabaseConfig:
        config: DatabaseConfig = {}
        with contextlib.suppress(ValueError, KeyError, ImproperlyConfigured):
            config = dict(environ.Env.db_url_config(text or default))
        if config.get("ENGINE") == "django.db.backends.sqlite3":
            if config["NAME"] != ":memory:":
                config["NAME"] = str(base_dir / config["NAME"])
        elif config.get("ENGINE") != "django.db.backends.postgresql" or not config.get("NAME"):
            # The value itself may hold a password, so the message leaves it out.
            raise ValueError("not a sqlite:///… or postgres://… address")
        return config

    return secret(name, convert, default)
