"""Decodes the JSON body of a request into a Struct; an ApiError says what is wrong with it.

Pure. Everything that JSON can do to a parser ends here as 400: malformed text, bytes that are no
UTF-8, lone surrogates, NUL (PostgreSQL's text cannot hold it), nesting that a recursive reader
further on would die of, numbers out of range.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any, TypeVar

import msgspec

from warouter.errors import ApiError, ParameterInvalid, ParameterMissing

T = TypeVar("T")

MAX_DEPTH = 32
_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_MISSING = "Object missing required field `"
_NUL = b"\\u0000"
_TOO_DEEP = f"the body is nested more than {MAX_DEPTH} levels deep"


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """``body`` as the decoder's type; ParameterMissing or ParameterInvalid naming the path if not.

    Of a key that appears twice the last value counts, here as in every reader further on.
    """
    try:
        value = decoder.decode(body)
        if _may_be_deep(body) or _NUL in body:
            _inspect(msgspec.json.decode(body))
        if not body.isascii():
            body.decode()  # unknown keys are skipped without a look at their bytes
    except msgspec.ValidationError as error:
        raise explained(error) from None
    except RecursionError:
        raise ParameterInvalid(_TOO_DEEP) from None
    except UnicodeDecodeError as error:
        raise ParameterInvalid(f"the body is not UTF-8 at byte {error.start}") from None
    except ValueError as error:  # msgspec.DecodeError is one; so is what int() has to say
        raise _malformed(body, str(error)) from None
    return value


def _may_be_deep(body: bytes) -> bool:
    """False if the body has too few brackets for too deep a nesting; those in strings count."""
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH


def explained(error: msgspec.ValidationError) -> ApiError:
    """msgspec's error as a sentence with the API's path: ``text.body must be a string``."""
    reason, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").removeprefix(".")
    if reason.startswith(_MISSING):
        name = reason.removeprefix(_MISSING).rstrip("`")
        return ParameterMissing(f"{path}.{name} is required" if path else f"{name} is required")
    return ParameterInvalid(f"{path or 'the body'} {_in_words(reason)}")


def _malformed(body: bytes, reason: str) -> ApiError:
    if body.startswith(BOM_UTF8):
        return ParameterInvalid(
            "the body begins with a byte order mark, which JSON must not have (RFC 8259, 8.1):"
            " send it as UTF-8 without one"
        )
    if not body.strip():
        return ParameterMissing("the request has no body, a JSON object is required")
    reason = reason.removeprefix("JSON is malformed: ")
    return ParameterInvalid(f"the body is not valid JSON: {reason}")


def _inspect(value: Any) -> None:
    """Refuse a value that is nested too deep or has a NUL; iterative: depth costs no stack."""
    level = [value]
    for depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if "\0" in item:
                    raise ParameterInvalid("a string in the body contains the character U+0000")
            elif isinstance(item, dict | list):
                if depth == MAX_DEPTH:
                    raise ParameterInvalid(_TOO_DEEP)
                below.extend(item)
                if isinstance(item, dict):
                    below.extend(item.values())
        level = below


def _in_words(reason: str) -> str:
    expected, _, got = reason.partition(", got ")
    if not expected.startswith("Expected `"):
        if reason.startswith("Invalid enum value "):
            return f"has a value that is not allowed: {reason.removeprefix('Invalid enum value ')}"
        return f"is not valid: {reason[:1].lower()}{reason[1:]}"
    kinds, _, bound = expected.removeprefix("Expected `").partition("`")
    allowed = " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")
    sentence = f"must be {allowed}{bound}"
    kind = got.strip("`")
    return f"{sentence}, not {_WORDS.get(kind, kind)}" if kind else sentence
