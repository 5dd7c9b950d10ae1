"""The exceptions of warouter. Pure.

Behaviour travels as class attributes: an error that may reach an API client says which HTTP status
and which application code it has (titles: the product's own), one that ends a command carries a
sentence that says what was wrong and what to do.
"""

from __future__ import annotations


class WarouterError(Exception):
    """Base of all exceptions that warouter raises."""


class CommandError(WarouterError):
    """Ends a command: the message is one sentence for people, with an exit code."""

    exit_code = 1


class ConfigError(CommandError):
    """A setting is missing or its value cannot be used."""

    exit_code = 2


class FrameTooLarge(WarouterError):
    """A length prefix is above the limit; raised before anything is allocated."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"frame of {length} bytes is above the limit of {limit}")
        self.length = length
        self.limit = limit


class ProtocolError(WarouterError):
    """The peer of a link or of the upstream broke the protocol; the connection is closed."""


class NoCommonVersion(ProtocolError):
    """The builds at the two ends of a link share no version of it."""


class FencedError(WarouterError):
    """A write was refused because its (slot, epoch, incarnation) is not the owner, or no longer."""


class UnfitDatabase(WarouterError, ConnectionError):
    """A session with PostgreSQL has settings that would break a promise."""


class UntrustedDatabase(WarouterError, ConnectionError):
    """A server that TLS has not verified, or that asked for the password in a way that would give
    it away; or a file of WA_DB_SSL_* that cannot be used. The message says what to do.
    """


class OutcomeUnknown(WarouterError):
    """A write was sent to PostgreSQL and no answer came: it may or may not be committed."""


class ApiError(WarouterError):
    """An error that an API client gets in the product's envelope.

    ``status`` is the HTTP status, ``code`` and ``title`` the product's application error,
    ``details`` says what was wrong with this very request.
    """

    status = 500
    challenge = "Bearer"  # of a 401
    code = 1014
    title = "Internal error"
    retry_after: int | None = None

    def __init__(self, details: str, *, retry_after: int | None = None) -> None:
        super().__init__(details)
        self.details = details
        if retry_after is not None:
            self.retry_after = retry_after


class GenericError(ApiError):
    status, code, title = 400, 1000, "Generic error"


class MessageTooLong(ApiError):
    status, code, title = 400, 1001, "Message too long"


class InvalidRecipientType(ApiError):
    status, code, title = 400, 1002, "Invalid recipient type"


class NumberTaken(ApiError):
    """Another number is registered: one cluster serves one number."""

    status, code, title = 409, 1004, "Resource already exists"


class KeyTaken(ApiError):
    """An Idempotency-Key was used before with another request."""

    status, code, title = 409, 1004, "Resource already exists"


class AccessDenied(ApiError):
    status, code, title = 401, 1005, "Access denied"


class LoginRefused(AccessDenied):
    """A failed log-in; Basic is for clients that wait to be asked (``curl --anyauth``, .NET)."""

    challenge = "Basic"


class Forbidden(ApiError):
    status, code, title = 403, 1005, "Access denied"


class NotFound(ApiError):
    status, code, title = 404, 1006, "Resource not found"


class MethodNotAllowed(ApiError):
    status, code, title = 405, 1000, "Generic error"


class ParameterMissing(ApiError):
    status, code, title = 400, 1008, "Required parameter is missing"


class ParameterInvalid(ApiError):
    status, code, title = 400, 1009, "Parameter value is not valid"


class BodyTooLarge(ApiError):
    status, code, title = 413, 1009, "Parameter value is not valid"


class HeadTooLarge(ApiError):
    status, code, title = 431, 1009, "Parameter value is not valid"


class RequestTooSlow(ApiError):
    status, code, title = 408, 1000, "Generic error"


class NotReady(ApiError):
    status, code, title = 503, 1011, "Service not ready"
    retry_after = 1


class ChangeRefused(ApiError):
    """A change of shards that cannot run now: another one is under way, or no master leads."""

    status, code, title = 403, 1011, "Service not ready"
    retry_after = 1


class MediaRefused(ApiError):
    """Content that does not match its type, or a link that fails; a retry does not help."""

    status, code, title = 400, 1014, "Internal error"


class MediaFull(ApiError):
    """The quota or the disk is used up: not the client's fault, and a retry does not help."""

    status, code, title = 507, 1014, "Internal error"


class MediaAway(ApiError):
    """The storage of media cannot be read or written, or media of a customer cannot be fetched yet;
    the code is the product's.
    """

    status, code, title = 503, 1005, "Access denied"
    retry_after = 10


class UserNotCreated(ApiError):
    status, code, title = 400, 1014, "Internal error"


class TooManyRequests(ApiError):
    status, code, title = 429, 1015, "Too many requests"
    retry_after = 1


class TooManyKeys(ApiError):
    """A number has as many keys as it may have: one must end, or be removed."""

    status, code, title = 429, 1015, "Too many requests"
    retry_after = 60


class Overloaded(ApiError):
    status, code, title = 503, 1016, "System overloaded"
    retry_after = 1


class PasswordChangeRequired(ApiError):
    status, code, title = 401, 1024, "Password change required"


def lacking(what: str) -> str:
    """A sentence on a right that a login lacks; ``what`` may have lines of PostgreSQL's detail."""
    first, _, _ = what.partition("\n")
    return (
        f"A right is missing in the database ({first}): give this command or process the login that"
        " is meant for it (WA_DB_USERNAME), or see `warouter migrate --check-roles` for what is"
        " wrong and run `warouter migrate --roles`."
    )
