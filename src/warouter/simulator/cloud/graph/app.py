"""The node of the app, to which the token belongs: ``app`` stands for its id."""

from __future__ import annotations

from warouter.simulator.cloud.facts import Facts
from warouter.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.simulator.cloud.graph.number import Given


class AppNode:
    """Handlers as in ``number``."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def fields(self, given: Given) -> Given:
        """GET of the node."""
        known = {"id": self._facts.app_id, "name": self._facts.name}
        asked = [name for name in str(given.get("fields", "")).split(",") if name]
        if unknown := [name for name in asked if name not in known]:
            raise GraphError(PARAMETER, f"Tried accessing nonexisting field ({unknown[0]})")
        return {name: known[name] for name in ("id", *(asked or ("name",)))}
