"""``interactive.action`` as JSON text, which some clients send for the object. Pure.

Chatwoot does. The message goes on with the object, and is judged with it from the beginning: by the
limits of depth and characters too.
"""

from __future__ import annotations

import msgspec

from warouter.errors import ParameterInvalid

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_PATH = "interactive.action"


def with_object(body: bytes) -> bytes:
    """The JSON of a message whose ``interactive.action`` is text, with the object that it spells.

    All other fields are those of ``body``, byte for byte. ParameterInvalid if the text is not the
    JSON of an object.
    """
    message = _FIELDS.decode(body)
    interactive = _FIELDS.decode(message["interactive"])
    text = _TEXT.decode(interactive["action"]).encode()
    try:
        _FIELDS.decode(text)
    except msgspec.ValidationError:
        raise ParameterInvalid(f"{_PATH} must be an object, or the JSON of one as text") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise ParameterInvalid(f"{_PATH} is text that is not valid JSON: {reason}") from None
    interactive["action"] = msgspec.Raw(text)
    message["interactive"] = msgspec.Raw(msgspec.json.encode(interactive))
    return msgspec.json.encode(message)
