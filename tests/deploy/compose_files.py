"""Compose files as Compose reads them: their variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class Unset(Exception):
    """A variable that the file insists on is empty."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Fill ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` as Compose does."""

    def value(match: re.Match[str]) -> str:
        found = variables.get(match["name"], "")
        if found or not match["kind"]:
            return found
        if match["kind"] == ":?":
            raise Unset(match["rest"])
        return match["rest"]

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}", value, text)


def composed(file: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """A file with its variables filled in; comments are no part of it."""
    lines = file.read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return yaml.safe_load(interpolated(text, variables))


def example(folder: Path) -> dict[str, str]:
    """What ``.env.example`` beside a file sets."""
    lines = (folder / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
