"""Strict JSON: one object in UTF-8, its size bounded before it is parsed."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.http import UnreadablePostError
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from ctxfy_support.envelope import Refusal

NOT_JSON = "The request body is not valid JSON in UTF-8"


class EncodedBody(Refusal):
    """The body is compressed, which would hide how large it is."""

    status_code = 415
    default_detail = "The request body must not be encoded: send it without Content-Encoding"
    default_code = "encoded_body"
    headers = {"Accept-Encoding": "identity"}  # RFC 9110, 15.5.16


class BodyTooLarge(APIException):
    """The body is over MAX_BODY_BYTES."""

    status_code = 413
    default_code = "body_too_large"


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _find_length(environ: Mapping[str, Any]) -> int:
    """What the client says its body's length is, in bytes; 0 if it does not."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return 0
    return int(environ.get("CONTENT_LENGTH") or 0)


def _is_encoded(environ: Mapping[str, Any]) -> bool:
    """Whether Content-Encoding names anything but `identity`, which says that nothing was done."""
    codings = environ.get("HTTP_CONTENT_ENCODING", "").lower().split(",")
    return any(coding.strip() not in {"", "identity"} for coding in codings)


def _read_object(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        # The exception's own text would echo the body, down to its lone surrogates.
        raise ParseError(NOT_JSON) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ParseError("The request body must be a JSON object")
    return data


class StrictJSONParser(BaseParser):
    """Takes RFC 8259 objects; refuses duplicate keys, NaN, a BOM and any other encoding.

    `null` is as good as an object without anything in it: many clients send it for no body.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, object]:
        """Raise UnsupportedMediaType, EncodedBody (415), BodyTooLarge (413) or ParseError (400)."""
        _, parameters = parse_header_parameters(media_type or "")
        if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(media_type or "")
        request = (parser_context or {}).get("request")
        environ: Mapping[str, Any] = request.META if request is not None else {}
        if _is_encoded(environ):
            raise EncodedBody
        length = _find_length(environ)
        if length > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            body = stream.read(settings.MAX_BODY_BYTES + 1)
        except UnreadablePostError:
            raise ParseError("The request body did not arrive whole and in time") from None
        if len(body) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        if len(body) < length:
            raise ParseError("The request body was cut short")
        return _read_object(body)
