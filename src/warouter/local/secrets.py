"""The secrets of a local cluster: in files of its data directory.

Those that were given by value go there (0600), and the processes get their paths: none stands in
cluster.json, or in the environment of what is started later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from warouter.config import SECRETS

_ALIAS = "WAROUTER_DB_PASSWORD_FILE"


def kept_secrets(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables, with given secrets in files of ``folder``, and paths of others in full."""
    kept = dict(given)
    for name in SECRETS:
        if value := kept.pop(name, ""):
            kept[f"{name}_FILE"] = str(keep(folder / _file(name), value))
    for variable in (_ALIAS, *(f"{name}_FILE" for name in SECRETS)):
        if path := kept.get(variable):
            kept[variable] = str(Path(path).absolute())
    return kept


def joined(cluster: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The variables of a cluster and, over them, those of a process that joins it: a secret that it
    has by value takes the place of a file.
    """
    replaced = {f"{name}_FILE" for name in SECRETS if own.get(name)}
    if own.get("WA_DB_PASSWORD") or own.get("WA_DB_PASSWORD_FILE"):
        replaced.add(_ALIAS)
    if own.get(_ALIAS):
        replaced.add("WA_DB_PASSWORD_FILE")
    return {n: v for n, v in cluster.items() if n not in replaced} | dict(own)


def keep(path: Path, value: str) -> Path:
    """Write a secret to a file that nobody else may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)  # of one that was there as well
        file.write(value + "\n")
    return path


def _file(variable: str) -> str:
    """`cloud-token` of ``WAROUTER_CLOUD_TOKEN``."""
    return variable.removeprefix("WAROUTER_").removeprefix("WA_").lower().replace("_", "-")
