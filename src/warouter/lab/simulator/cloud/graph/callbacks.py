"""Where webhooks go: the callback URLs of the number and of the account, and the subscription."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from warouter.lab.simulator.cloud.graph.account_node import AccountNode
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import SUCCESS, Given, NumberNode

_FAILED = 2200
_LONGEST_URL = 200

Handshake = Callable[[str, str], Awaitable[bool]]


class CallbackEdge:
    """``handshake`` says whether a URL answers to a verify token; ``changed`` is called when
    another URL may be in force.
    """

    def __init__(
        self,
        number: NumberNode,
        account: AccountNode,
        handshake: Handshake,
        changed: Callable[[], None],
    ) -> None:
        self._number = number
        self._account = account
        self._handshake = handshake
        self._changed = changed

    async def post_number(self, given: Given) -> Given:
        """POST of the number's node: its callback URL, or else its pin."""
        callback = given.get("webhook_configuration")
        if not isinstance(callback, dict):
            return self._number.set_pin(given)
        self._number.callbacks.number = await self._verified(callback)
        self._changed()
        return SUCCESS

    async def subscribe(self, given: Given) -> Given:
        """Subscribe the app, with the account's override of its URL, or without one."""
        self._number.callbacks.account = await self._verified(given)
        self._account.subscribed = True
        self._changed()
        return SUCCESS

    def unsubscribe(self, given: Given) -> Given:
        self._account.unsubscribe(given)
        self._changed()
        return SUCCESS

    async def _verified(self, given: Given) -> str:
        """The URL, "" for none; GraphError unless it answers the handshake."""
        url = str(given.get("override_callback_uri", ""))
        if len(url) > _LONGEST_URL:
            raise GraphError(PARAMETER, "Param override_callback_uri is too long.")
        if url and not await self._handshake(url, str(given.get("verify_token", ""))):
            raise GraphError(PARAMETER, f"({_FAILED}) Callback verification failed.")
        return url
