"""The templates of deploy/aws as data, and what CloudFormation's functions in them resolve to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "aws"


class _Loader(yaml.SafeLoader):
    """``!Ref x`` becomes {"Ref": "x"}, ``!GetAtt a.b`` and the others {"Fn::...": ...}."""


def _short(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short)


def load(name: str) -> dict[str, Any]:
    """deploy/aws/NAME.yml."""
    template: dict[str, Any] = yaml.load((FOLDER / f"{name}.yml").read_text(), _Loader)
    return template


class Resolver:
    """Resolves a template's functions for given parameters.

    ``others`` has what CloudFormation alone knows: resources by their name, their attributes as
    ``NAME.ATTRIBUTE``, and exports by their name. What is not there comes out as its name in <>.
    """

    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], others: Mapping[str, str]
    ) -> None:
        declared = template["Parameters"]
        wrong = [name for name in parameters if name not in declared]
        assert not wrong, f"the template has no parameter {wrong}"
        self._template = template
        self._known = {name: row.get("Default", f"<{name}>") for name, row in declared.items()}
        self._known |= {**others, **parameters}

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.resolve(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, body),) = value.items()
            function = getattr(self, "_" + name.removeprefix("Fn::").lower(), None)
            if function is not None and (name.startswith("Fn::") or name == "Ref"):
                return function(body)
        return {name: self.resolve(body) for name, body in value.items()}

    def condition(self, body: Any) -> bool:
        if isinstance(body, str):
            return self.condition(self._template["Conditions"][body])
        ((name, words),) = body.items()
        if name == "Condition":
            return self.condition(words)
        if name == "Fn::Equals":
            one, other = self.resolve(words)
            return bool(one == other)
        found = [self.condition(word) for word in words]
        return {"Fn::Not": not found[0], "Fn::And": all(found), "Fn::Or": any(found)}[name]

    def _ref(self, name: str) -> str:
        return self._known.get(name, f"<{name}>")

    def _getatt(self, name: str) -> str:
        return self._ref(name)

    def _importvalue(self, name: Any) -> str:
        return self._ref(self.resolve(name))

    def _base64(self, text: Any) -> Any:
        return self.resolve(text)  # as cloud-init gets it

    def _findinmap(self, words: list[Any]) -> Any:
        name, first, second = self.resolve(words)
        return self._template["Mappings"][name][first][second]

    def _if(self, words: list[Any]) -> Any:
        name, then, otherwise = words
        return self.resolve(then if self.condition(name) else otherwise)

    def _join(self, words: list[Any]) -> str:
        between, parts = self.resolve(words)
        return str(between.join(str(part) for part in parts))

    def _split(self, words: list[Any]) -> list[str]:
        between, text = self.resolve(words)
        return str(text).split(between)

    def _select(self, words: list[Any]) -> Any:
        index, found = self.resolve(words)
        return found[index]

    def _sub(self, body: str | list[Any]) -> str:
        text, own = (body, {}) if isinstance(body, str) else body
        values = {name: self.resolve(value) for name, value in own.items()}
        found = re.sub(r"\$\{([\w:.]+)\}", lambda m: str(values.get(m[1], self._ref(m[1]))), text)
        return found.replace("${!", "${")
