"""A response that was read."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec


class Answer(NamedTuple):
    """``json`` is the decoded body, whatever the status."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"].partition(";")[0] == "application/json", self.body
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The one error, after a check of the envelope."""
        assert self.status >= 400, self.body
        assert set(self.json) == {"meta", "errors"}
        (error,) = self.json["errors"]
        meta = self.json["meta"]
        if "success" in meta:  # 360dialog's dialect
            assert (meta.pop("success"), meta.pop("developer_message")) == (False, error["details"])
        assert meta == {"api_status": "stable", "version": "v2.53.0"}
        assert all((error["title"], error["details"], error["href"])), error
        assert "Traceback" not in self.body.decode()
        found: dict[str, Any] = error
        return found

    @property
    def code(self) -> int:
        code: int = self.error["code"]
        return code

    def refused(self, status: int, code: int, words: str = "") -> dict[str, Any]:
        """The error, which must have this status and code, and these words in its details."""
        assert (self.status, self.code) == (status, code), self.body
        assert words in self.error["details"]
        return self.error

    def done(self, status: int = 200) -> None:
        """It must have this status, and answer with nothing: the call is the effect."""
        assert (self.status, set(self.json)) == (status, {"meta"}), self.body
