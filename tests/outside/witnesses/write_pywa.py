"""pywa as a client of the Graph API, at a host of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from pywa import WhatsApp, types
from pywa.types.templates import BodyText, TemplateLanguage
from writing import Where, write

LINK = "https://example.org/a.jpg"


class Elsewhere(httpx.HTTPTransport):
    """Sends to another host what is meant for Meta's."""

    def __init__(self, graph: str) -> None:
        super().__init__()
        self._graph = httpx.URL(graph)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(
            scheme=self._graph.scheme, host=self._graph.host, port=self._graph.port
        )
        request.headers["Host"] = request.url.netloc.decode()
        return super().handle_request(request)


def verbs(where: Where) -> dict[str, Callable[[], Any]]:
    session = httpx.Client(transport=Elsewhere(where.graph))
    wa = WhatsApp(phone_id=where.number, token=where.token, waba_id=where.account, session=session)
    to, wamid = where.to, where.wamid
    buttons = [types.Button("Yes", "yes"), types.Button("No", "no")]
    rows = [types.SectionRow("One", "1", "first"), types.SectionRow("Two", "2")]
    listed = types.SectionList("Open", [types.Section("all", rows)])
    link = types.URLButton("Open", "https://example.org")
    name = types.Contact.Name(formatted_name="Ann B", first_name="Ann")
    card = types.Contact(name=name, phones=[types.Contact.Phone(phone="+4915112345")])

    def upload() -> str:
        return str(wa.upload_media(Path(where.file), mime_type="image/jpeg").id)

    sent: dict[str, Callable[[], Any]] = {
        "text": lambda: wa.send_message(to, "hi", preview_url=True, tracker="of pywa"),
        "reply": lambda: wa.send_message(to, "re", reply_to_message_id=wamid),
        "image by link": lambda: wa.send_image(to, LINK, caption="c"),
        "image by id": lambda: wa.send_image(to, upload()),
        "image by upload": lambda: wa.send_image(to, Path(where.file), mime_type="image/jpeg"),
        "voice": lambda: wa.send_audio(to, upload(), is_voice=True),
        "document": lambda: wa.send_document(to, LINK, filename="f.pdf", caption="c"),
        "video": lambda: wa.send_video(to, LINK, caption="c"),
        "sticker": lambda: wa.send_sticker(to, LINK),
        "reaction": lambda: wa.send_reaction(to, "\U0001f44d", wamid),
        "reaction taken back": lambda: wa.remove_reaction(to, wamid),
        "location": lambda: wa.send_location(to, 52.5, -13.25, "n", "a"),
        "location request": lambda: wa.request_location(to, "where"),
        "contacts": lambda: wa.send_contact(to, card),
        "buttons": lambda: wa.send_message(to, "b", header="h", footer="f", buttons=buttons),
        "buttons with an image": lambda: wa.send_image(to, LINK, caption="c", buttons=buttons),
        "list": lambda: wa.send_message(to, "b", buttons=listed),
        "url button": lambda: wa.send_message(to, "b", buttons=link),
        "catalog": lambda: wa.send_catalog(to, "b", "f", thumbnail_product_sku="p"),
        "product": lambda: wa.send_product(to, "1", "p", "b"),
        "template": lambda: wa.send_template(
            to, "t", TemplateLanguage.ENGLISH, [BodyText.params("4711")]
        ),
    }
    return {
        **{name: (lambda send=send: {"id": send().id}) for name, send in sent.items()},
        "upload": lambda: {"media": upload()},
        "look up": lambda: {"bytes": len(wa.get_media_bytes(wa.get_media_url(upload()).url))},
        "delete": lambda: {"success": bool(wa.delete_media(upload()))},
        "read": lambda: {"success": bool(wa.mark_message_as_read(wamid))},
        "typing": lambda: {"success": bool(wa.indicate_typing(wamid))},
        **asked(wa, where),
    }


def asked(wa: WhatsApp, where: Where) -> dict[str, Callable[[], Any]]:
    """Calls about the number and its account."""
    check = types.UserIdentityChangeSettings(enable_identity_key_check=True)
    hook = where.listener, where.verify

    def templates() -> dict[str, Any]:
        found = wa.get_templates()
        return {
            "counted": found.total_count == len(list(found)),
            "limit": found.message_template_limit,
        }

    def profile() -> dict[str, Any]:
        wa.update_business_profile(about="open", description="d", websites=["https://example.org"])
        return {"about": wa.get_business_profile().about}

    return {
        "account": lambda: {"name": wa.get_business_account().name},
        "number": lambda: {"status": wa.get_business_phone_number().status},
        "numbers": lambda: {"ids": [one.id for one in wa.get_business_phone_numbers()]},
        "templates": templates,
        "profile": profile,
        "settings": lambda: {
            "success": bool(wa.update_business_phone_number_settings(user_identity_change=check)),
            "checked": wa.get_business_phone_number_settings() is not None,
        },
        "register": lambda: {"success": bool(wa.register_phone_number(pin="123456"))},
        "override": lambda: {
            "of the account": bool(wa.override_waba_callback_url(*hook)),
            "of the number": bool(wa.override_phone_callback_url(*hook)),
            "gone": bool(wa.delete_phone_callback_url()) and bool(wa.delete_waba_callback_url()),
        },
    }


write(verbs)
