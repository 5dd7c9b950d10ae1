"""Why a server is not trusted, in one sentence each that says what to do. Pure."""

from __future__ import annotations

import ssl

CLEAR_TEXT = "asked for the password in clear text"
MD5 = "asked for the password as MD5"
ROUNDS = "asked for a SCRAM proof by which the password can be guessed"
NO_POSTGRESQL = "did not answer as PostgreSQL does"
UNGUARDED = (
    "This version of asyncpg does not let warouter protect the password:"
    " install the one that requirements.lock names."
)
_REJECTED = "rejected SSL upgrade"  # asyncpg's words where a server has no TLS; a test holds them


def unknown(code: int) -> str:
    return f"asked for authentication of an unknown kind ({code})"


def refused(where: str, what: str) -> str:
    """The sentence about a server that asked for the password in a way that gives it away."""
    if what == NO_POSTGRESQL:
        return f"PostgreSQL at {where} {what}: check WA_DB_HOSTNAME and WA_DB_PORT."
    return (
        f"PostgreSQL at {where} {what} outside of verified TLS, and was not told: let its"
        " pg_hba.conf say scram-sha-256 and set the role's password again, or turn TLS on there"
        " and set WA_DB_SSL_CA."
    )


def untrusted(where: str, ca: str, error: OSError) -> str:
    """The sentence about a server without verified TLS; "" if ``error`` is something else."""
    found = _reason(ca, error)
    if not found:
        return ""
    what, remedy = found
    way_out = "accept any server with WAROUTER_DB_SSL=off" + (" and no WA_DB_SSL_CA" if ca else "")
    return f"PostgreSQL at {where} is not trusted, since {what}: {remedy}, or {way_out}."


def lacks_tls(error: OSError) -> bool:
    """True for a server that answered, and would or could not begin TLS."""
    return isinstance(error, ssl.SSLError) or _REJECTED in str(error)


def _reason(ca: str, error: OSError) -> tuple[str, str] | None:
    """The reason why a server is not trusted, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(ca, error)
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})", "see its log"
    if _REJECTED in str(error):
        return "it offers no TLS", "turn ssl on there and set WA_DB_SSL_CA to its authority"
    return None


def _of_certificate(ca: str, error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    match error.verify_code:  # X509_V_ERR_* of OpenSSL
        case 9:
            return "its certificate is not valid yet", "compare the clocks"
        case 10:
            return "its certificate has expired", "renew it there"
        case 62 | 64:
            return (
                "its certificate is for another name",
                "write WA_DB_HOSTNAME as the certificate has it",
            )
    authority = f"WA_DB_SSL_CA ({ca})" if ca else "the system (WA_DB_SSL_CA is not set)"
    return (
        f"no authority of {authority} vouches for its certificate ({error.verify_message})",
        "set WA_DB_SSL_CA to the PEM file of the one that does",
    )
