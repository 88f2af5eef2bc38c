"""The Dask operator's own schemas, as the dask-kubernetes wheel ships them, made strict."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml


def operator_schema(kind: str) -> dict[str, Any]:
    """The schema of a custom resource: ``daskcluster``, ``daskautoscaler``, ``daskjob``...

    Where it names properties, no others are allowed: a misspelt key is an error.
    """
    folder = files("dask_kubernetes") / "operator/deployment/helm/dask-kubernetes-operator/crds"
    definition = yaml.safe_load((folder / f"{kind}.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    schema: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"metadata": {"type": "object"}}
    schema["properties"].setdefault("apiVersion", {"type": "string"})
    schema["properties"].setdefault("kind", {"type": "string"})
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items()}
    named = isinstance(result.get("properties"), dict) and "additionalProperties" not in result
    if named and not result.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    return result
