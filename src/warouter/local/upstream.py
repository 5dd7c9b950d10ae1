"""The simulator of a local cluster, as the authority that its number is registered with."""

from __future__ import annotations

import aiohttp


async def certificate(control_url: str, cc: str, phone_number: str) -> str:
    """A verified-name certificate of the number."""
    body = {"cc": cc, "phone_number": phone_number, "name": "warouter demo"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{control_url}/certificates", json=body) as answer,
    ):
        return str((await answer.json())["cert"])


async def authority_key(control_url: str) -> str:
    """The public key (base64) that certificates are checked with."""
    async with aiohttp.ClientSession() as http, http.get(f"{control_url}/authority") as answer:
        return str((await answer.json())["public_key"])
