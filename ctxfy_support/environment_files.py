"""Files that the environment names; one that cannot be read as it should stops the start.

A message never has a line of the file nor its path: a secret may have been put in the path's place.
"""

import io
import os
import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

# More is neither a secret nor a list of variables, but a wrong file.
LARGEST_BYTES = 64 * 1024
_NOTHING = re.compile(r"\s*(#.*)?")
_ASSIGNMENT = re.compile(r"(export )?[A-Za-z_0-9]+=.*")


def read_env_file(base_dir: Path) -> None:
    """Read `.env` (or the file that ENV_FILE names; empty: none) below what is set already.

    Raises ImproperlyConfigured where the file that ENV_FILE names is not there, where either cannot
    be read, and for a line that sets nothing: all of them would be passed over.
    """
    chosen = os.environ.get("ENV_FILE")
    name = ".env" if chosen is None else chosen.strip()
    path = base_dir / name
    if not name or (chosen is None and not os.path.lexists(path)):
        return
    variable = ".env" if chosen is None else "ENV_FILE"
    lines = read_text(variable, path).splitlines()
    for number, line in enumerate(lines, start=1):
        if not (_NOTHING.fullmatch(line) or _ASSIGNMENT.fullmatch(line)):
            raise ImproperlyConfigured(f"{variable}: line {number} is not NAME=value")
    environ.Env.read_env(io.StringIO("\n".join(filter(_ASSIGNMENT.fullmatch, lines))))


def read_text(variable: str, path: Path) -> str:
    """What the file says that this variable names; a pipe or a device, which may not end, is none.

    Raises ImproperlyConfigured, which names the variable.
    """
    try:
        if not path.is_file():
            reason = "is not a file" if path.exists() else "does not exist"
            raise ImproperlyConfigured(f"{variable}: the file {reason}")
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as exc:
        raise ImproperlyConfigured(f"{variable}: cannot be read: {exc.strerror}") from None
    except ValueError:  # Of a path with a NUL in it, too.
        raise ImproperlyConfigured(f"{variable}: the file is not text in UTF-8") from None
    if len(content) > LARGEST_BYTES:
        raise ImproperlyConfigured(f"{variable}: the file is larger than 64 KiB")
    return text
