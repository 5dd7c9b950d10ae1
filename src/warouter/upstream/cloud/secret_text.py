"""Checks the text of a secret, whether it came from a variable or from a file. Pure.

Everything raises ValueError with a sentence that does not show the text.
"""

from __future__ import annotations

MOST_CHARS = 16 * 1024
SHORTEST_SECRET = 6  # characters, for it to be hidden: a shorter one could be part of any word
MOST_APP_SECRETS = 8  # each signature of a webhook is checked against all of them


def token_of(text: str) -> str:
    """An access token, which goes into a header field."""
    return _word(text, "an access token")


def verify_token_of(text: str) -> str:
    return _word(text, "a verify token")


def app_secrets_of(text: str) -> tuple[str, ...]:
    """App secrets, one a line: several while Meta's app changes from one to the next."""
    found = tuple(_word(line, "an app secret") for line in text.split("\n") if line.strip())
    if not 0 < len(found) <= MOST_APP_SECRETS:
        raise ValueError(f"there must be 1 to {MOST_APP_SECRETS} app secrets, one a line")
    return found


def _word(text: str, what: str) -> str:
    word = text.strip()
    if not word:
        raise ValueError(f"{what} is expected, but there is none")
    if len(word) > MOST_CHARS or not word.isascii() or not word.isprintable() or " " in word:
        raise ValueError(f"{what} is one word of printable ASCII")
    return word
