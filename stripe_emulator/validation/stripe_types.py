"""
Checks requests and answers against the types inside the `stripe` package.

Requests are checked against the TypedDicts of `stripe.params`, answers against the
annotations of the classes. Limits, totals, states and the parameters that a mode needs
are not covered.
"""

import functools
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from stripe._stripe_object import UntypedStripeObject

from stripe_emulator.validation.shapes import Field, Shape, fields, shape_of

Path = tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where; *kind* is one of the keys in `parameters.TEXTS`."""

    path: Path
    kind: str
    detail: str = ""

    @property
    def param(self) -> str:
        head, *rest = self.path or ("",)
        return head + "".join(f"[{step}]" for step in rest)

    def __str__(self) -> str:
        return f"{self.param}: {self.kind} {self.detail}".rstrip()


class Verdict(NamedTuple):
    """The value, with strings converted to their types, and its problems."""

    value: Any
    problems: tuple[Problem, ...] = ()


def check_request(tree: Mapping[str, Any], params: Any) -> Verdict:
    """Check the parsed form *tree* against the TypedDict *params*."""
    return _Walk(is_form=True).visit(tree, shape_of(params), ())


def check_answer(answer: Any, cls: type) -> list[str]:
    """List the problems of the JSON *answer* as an object of *cls*."""
    verdict = _Walk(is_form=False).visit(answer, shape_of(cls), ())
    return [str(problem) for problem in verdict.problems]


def blank(cls: type) -> dict[str, Any]:
    """Return every field of *cls* that may be null, as None."""
    return dict.fromkeys(_nullable(cls))


@functools.cache
def _nullable(cls: type) -> tuple[str, ...]:
    return tuple(name for name, field in fields(cls).items() if not field.required)


class _Walk:
    def __init__(self, *, is_form: bool) -> None:
        self._is_form = is_form

    def visit(self, value: Any, shape: Shape, path: Path) -> Verdict:
        if len(shape.members) > 1:
            return self._any_of(value, shape.members, path)
        shape = shape.members[0]
        origin = shape.origin
        if origin in _SCALARS:
            return self._scalar(value, origin, path)
        if origin is typing.Literal:
            return self._literal(value, shape.allowed, path)
        if origin is type(None):
            return _judge(value, value is None, path, "null")
        if origin in (Any, object) or isinstance(origin, typing.TypeVar):
            return Verdict(value)
        return self._container(value, shape, path)

    def _any_of(self, value: Any, members: list[Shape], path: Path) -> Verdict:
        """The verdict of the member that fits, else that with the deepest problem."""
        verdicts = []
        for member in members:
            verdict = self.visit(value, member, path)
            if not verdict.problems:
                return verdict
            verdicts.append(verdict)
        return max(verdicts, key=lambda v: (_depth(v), _is_scalar(v)))

    def _literal(self, value: Any, allowed: tuple[Any, ...], path: Path) -> Verdict:
        if self._is_form and isinstance(value, dict):
            return Verdict(value, (Problem(path, "string"),))
        if value in allowed:
            return Verdict(value)
        kind = "empty" if self._is_form and value == "" else "enum"
        return Verdict(value, (Problem(path, kind, _listed(allowed)),))

    def _scalar(self, value: Any, wanted: Any, path: Path) -> Verdict:
        kind = _SCALARS[wanted]
        if not self._is_form:
            return _judge(value, _is_json(value, wanted), path, kind, repr(value))
        if not isinstance(value, str):
            return Verdict(value, (Problem(path, kind, str(value)),))
        if value == "":
            return Verdict(value, (Problem(path, "empty"),))
        if wanted is str:
            return Verdict(value)
        if _PATTERNS[wanted].fullmatch(value) is None:
            return Verdict(value, (Problem(path, kind, value),))
        return Verdict(value == "true" if wanted is bool else wanted(value))

    def _container(self, value: Any, shape: Shape, path: Path) -> Verdict:
        if shape.origin is list:
            return self._list(value, shape.inner, path)
        if shape.origin in (dict, UntypedStripeObject):
            return self._mapping(value, shape.inner, path)
        return self._record(value, shape.fields, path)

    def _list(self, value: Any, wanted: Shape, path: Path) -> Verdict:
        if self._is_form and isinstance(value, dict) and all(map(str.isdigit, value)):
            value = [value[key] for key in sorted(value, key=int)]
        if not isinstance(value, list):
            return Verdict(value, (Problem(path, "array"),))
        return _joined(
            {
                str(index): self.visit(item, wanted, (*path, str(index)))
                for index, item in enumerate(value)
            },
            as_list=True,
        )

    def _mapping(self, value: Any, wanted: Shape, path: Path) -> Verdict:
        if not isinstance(value, dict):
            return Verdict(value, (Problem(path, "object"),))
        # An empty value in free-form data removes the key; it is no problem.
        return _joined(
            {
                key: Verdict(item)
                if item == ""
                else self.visit(item, wanted, (*path, key))
                for key, item in value.items()
            }
        )

    def _record(self, value: Any, known: dict[str, Field], path: Path) -> Verdict:
        if not isinstance(value, dict):
            return Verdict(value, (Problem(path, "object"),))
        verdicts = {
            name: self.visit(item, known[name].shape, (*path, name))
            if name in known
            else Verdict(item, (Problem((*path, name), "unknown"),))
            for name, item in value.items()
        }
        absent = [
            Problem((*path, name), "missing")
            for name, field in known.items()
            if field.required and name not in value
        ]
        joined = _joined(verdicts)
        return Verdict(joined.value, (*joined.problems, *absent))


_SCALARS: dict[Any, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    Decimal: "decimal",
}
_PATTERNS: dict[Any, re.Pattern[str]] = {
    int: re.compile(r"-?[0-9]{1,18}"),
    bool: re.compile("true|false"),
    float: re.compile(r"-?[0-9]+(\.[0-9]+)?"),
    Decimal: re.compile(r"-?[0-9]+(\.[0-9]{1,12})?"),
}


def _is_json(value: Any, wanted: Any) -> bool:
    if wanted is Decimal:
        return isinstance(value, str) and bool(_PATTERNS[Decimal].fullmatch(value))
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is wanted


def _judge(value: Any, fits: bool, path: Path, kind: str, detail: str = "") -> Verdict:
    return Verdict(value, () if fits else (Problem(path, kind, detail),))


def _joined(verdicts: dict[str, Verdict], *, as_list: bool = False) -> Verdict:
    values = {name: verdict.value for name, verdict in verdicts.items()}
    problems = tuple(p for verdict in verdicts.values() for p in verdict.problems)
    return Verdict(list(values.values()) if as_list else values, problems)


def _depth(verdict: Verdict) -> int:
    return max(len(problem.path) for problem in verdict.problems)


def _is_scalar(verdict: Verdict) -> bool:
    """Whether the problem is about a scalar, and not "this should be an object"."""
    return verdict.problems[0].kind not in ("array", "object", "null", "enum")


def _listed(allowed: tuple[Any, ...]) -> str:
    names = [str(name) for name in allowed if name != ""]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])}, or {names[-1]}"
