"""pywa as a reader. It reads the first element of the first change of the first entry only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from answering import fact, run
from pywa import WhatsApp, handlers, types

# Each kind of update that Server knows, with what it says of itself.
HANDLERS = [
    getattr(handlers, name)
    for name in dir(handlers)
    if name.endswith("Handler")
    and name not in ("Handler", "RawUpdateHandler", "FlowRequestHandler")
]
found: list[dict[str, Any]] = []
failed: list[str] = []


class Failures(logging.Handler):
    """pywa answers 200 whatever happens, and logs what it could not read."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        failed.append(f"{type(error).__name__}: {error}" if error else record.getMessage())


def client(secret: str) -> WhatsApp:
    made = WhatsApp(
        phone_id="1",
        token="t",
        app_secret=secret,
        filter_updates=False,
        skip_duplicate_updates=False,
    )
    for handler in HANDLERS:
        if handler in made._handlers_to_updates:
            made.add_handlers(handler(lambda _client, update: found.append(told(update))))
    return made


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    body = asked["body"].encode()
    one = client(asked["secret"])
    found.clear()
    failed.clear()
    signed = one.webhook_update_validator(body, asked["signature"]) is None
    try:
        one.webhook_update_handler(body)
    except Exception as error:  # as of a body without any change
        failed.append(f"{type(error).__name__}: {error}")
    if failed:
        return {"signed": signed, "refused": "; ".join(failed)[:400]}
    return {"signed": signed, "facts": list(found)}


def told(update: Any) -> dict[str, Any]:
    if isinstance(update, types.MessageStatus):
        return fact(
            "status",
            id=update.id,
            party=update.from_user.wa_id or update.from_user.bsuid,
            name=str(update.status.value),
            code=update.error and update.error.code,
            reference=update.tracker,
        )
    if not hasattr(update, "from_user"):
        return fact("notice", name=update._webhook_field)
    error = getattr(update, "error", None)
    # Of an edit the type is that of the message in it.
    kind = "edit" if isinstance(update, types.EditedMessage) else str(update.type.value)
    return fact(
        "message",
        id=update.id,
        party=update.from_user.wa_id or update.from_user.bsuid,
        name=kind,
        code=error and error.code,
        content=content(kind, update),
        media=getattr(getattr(update, kind, None), "id", None),
    )


def content(kind: str, update: Any) -> Any:
    if (of_update := UPDATES.get(type(update))) is not None:
        return of_update(update)
    said = getattr(update, kind, None)
    return CONTENT.get(kind, lambda said: getattr(said, "sha256", None))(said)


def replied(update: types.FlowCompletion) -> str:
    """pywa decodes it, and shows what it was by the whole update."""
    (message,) = update.raw["entry"][0]["changes"][0]["value"]["messages"]
    return str(message["interactive"]["nfm_reply"]["response_json"])


def edited(update: Any) -> str:
    return str(update.original_message_id)


UPDATES: dict[type, Callable[[Any], Any]] = {
    types.CallbackButton: lambda said: said.title if said.type.value == "button" else said.data,
    types.CallbackSelection: lambda said: said.data,
    types.FlowCompletion: replied,
    types.PhoneNumberChange: lambda said: said.new_wa_id or said.new_user_id,
    types.IdentityChange: lambda said: said.identity.hash,
    types.EditedMessage: edited,
    types.DeletedMessage: edited,
}
CONTENT: dict[str, Callable[[Any], Any]] = {
    "text": lambda said: said,
    "location": lambda said: [said.latitude, said.longitude],
    "contacts": lambda said: said[0].name.formatted_name,
    "reaction": lambda said: [said.message_id, said.emoji or ""],
    "order": lambda said: said.catalog_id,
}


logging.getLogger("pywa").addHandler(Failures(logging.WARNING))
run(answer)
