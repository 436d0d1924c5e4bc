"""Form bodies as Stripe reads them: `a[b][0][c]=1` is a tree."""

import re
from typing import Any
from urllib.parse import parse_qsl

from stripe_emulator.errors import ApiError

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_DEEPEST = 12


def parse(body: str) -> dict[str, Any]:
    """A list stays a tree of digits here: only the types tell it from a mapping."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        _put(tree, _steps(name), value, name=name)
    return tree


def _steps(name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ApiError(f"Invalid request: cannot read the parameter {name!r}")
    return [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])][:_DEEPEST]


def _put(tree: dict[str, Any], steps: list[str], value: str, *, name: str) -> None:
    node = tree
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        key = step if step else str(len(node))
        if following is None:
            node[key] = value
            return
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise ApiError(f"Invalid request: {name} is both a value and a hash")
