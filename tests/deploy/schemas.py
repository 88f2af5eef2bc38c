"""Schemas of Dask's operator, made strict: a name that they do not know is an error."""

from __future__ import annotations

import copy
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def operator_schemas() -> dict[str, dict[str, Any]]:
    """The strict schema of each kind that the installed dask-kubernetes defines."""
    folder = files("dask_kubernetes") / "operator/deployment/helm/dask-kubernetes-operator/crds"
    schemas = {}
    for file in folder.iterdir():
        definition = yaml.load(file.read_text(), _Loader)["spec"]
        schema = strict(definition["versions"][0]["schema"]["openAPIV3Schema"])
        for name in ("apiVersion", "kind"):
            schema["properties"][name] = {"type": "string"}
        schema["properties"]["metadata"] = {"type": "object"}
        schemas[definition["names"]["kind"]] = schema
    return schemas


def strict(schema: Any) -> Any:
    """A schema that allows no other properties wherever it names some."""
    schema = copy.deepcopy(schema)

    def tighten(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                tighten(item)
        elif isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                node.setdefault("additionalProperties", False)
            if node.get("x-kubernetes-int-or-string"):
                node.pop("type", None)
            for item in node.values():
                tighten(item)

    tighten(schema)
    return schema
