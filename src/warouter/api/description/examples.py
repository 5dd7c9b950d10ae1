"""Example bodies for the API description, by route and name. A test decodes each. Pure."""

from __future__ import annotations

from typing import Any

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/users/login"): {
        "set a new password": {"new_password": "N3w!passw"},
    },
    ("POST", "/v1/users"): {
        "a user": {"username": "worker", "password": "Us3r!passw"},
    },
    ("PUT", "/v1/users/{username}"): {
        "a new password": {"password": "N3w!passw"},
    },
    ("POST", "/v1/messages"): {
        "text": {
            "to": "16315551000",
            "type": "text",
            "text": {"body": "Hello"},
        },
        "image by link": {
            "to": "16315551000",
            "type": "image",
            "image": {"link": "https://example.com/a.jpg", "caption": "A picture"},
        },
        "template": {
            "to": "16315551000",
            "type": "template",
            "template": {
                "namespace": "shop",
                "name": "order_sent",
                "language": {"policy": "deterministic", "code": "en_US"},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": "4711"}]},
                ],
            },
        },
        "reply buttons": {
            "to": "16315551000",
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "Shall we call you?"},
                "action": {
                    "buttons": [
                        {"type": "reply", "reply": {"id": "yes", "title": "Yes"}},
                        {"type": "reply", "reply": {"id": "no", "title": "No"}},
                    ]
                },
            },
        },
    },
    ("PUT", "/v1/messages/{message}"): {
        "read": {"status": "read"},
    },
    ("POST", "/v1/contacts"): {
        "two numbers": {
            "blocking": "wait",
            "contacts": ["+1 (631) 555-1000", "16315551001"],
            "force_check": True,
        },
    },
    ("PATCH", "/v1/settings/application"): {
        "the webhook": {"webhooks": {"url": "https://example.com/webhook"}},
    },
    ("POST", "/v1/account/shards"): {
        "four shards": {"cc": "1", "phone_number": "6315550000", "shards": 4},
    },
}
