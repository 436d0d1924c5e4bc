"""
The types inside the `stripe` package, as a judge of requests and of answers.

Stripe generates them for exactly the API version that the package sends. A request
is walked along the TypedDicts of `stripe.params`, an answer along the annotations of
the classes. Not covered: limits, totals, states, the parameters a mode demands.
"""

import ast
import functools
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Union, get_args, get_origin

import stripe
import typing_extensions
from stripe._list_object import ListObject
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject, UntypedStripeObject

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


@dataclass(frozen=True)
class Field:
    annotation: Any
    required: bool


@dataclass(frozen=True)
class Verdict:
    """The value with its strings turned into numbers and lists, and what is wrong."""

    value: Any
    problems: tuple[Problem, ...] = ()


def check_request(tree: Mapping[str, Any], params: Any) -> Verdict:
    """Judge the parsed form *tree* against the TypedDict *params*."""
    return _Walk(is_form=True).visit(tree, params, ())


def check_answer(answer: Any, cls: type) -> list[str]:
    """All that is wrong with the JSON *answer* as an object of *cls*."""
    return [str(p) for p in _Walk(is_form=False).visit(answer, cls, ()).problems]


def blank(cls: type) -> dict[str, Any]:
    """Every field of *cls* that may be null, as null."""
    return {name: None for name, field in fields(cls).items() if not field.required}


@functools.cache
def fields(cls: Any) -> dict[str, Field]:
    if typing_extensions.is_typeddict(cls):
        found = {
            name: _resolve(annotation, sys.modules[cls.__module__])
            for name, annotation in cls.__annotations__.items()
            if name not in RequestOptions.__annotations__
        }
        return {name: _param(annotation) for name, annotation in found.items()}
    return {
        name: Field(annotation, required=type(None) not in _members(annotation))
        for base in reversed(cls.__mro__)
        for name, annotation in _annotations(base).items()
    }


def _annotations(base: type) -> dict[str, Any]:
    if not issubclass(base, StripeObject):
        return {}
    module = sys.modules[base.__module__]
    return {
        name: _resolve(annotation, module)
        for name, annotation in inspect.get_annotations(base).items()
        if not name.startswith("_")
        and name not in ("OBJECT_NAME", "deleted")
        and not _is_class_var(annotation)
    }


def _is_class_var(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is ClassVar


def _param(annotation: Any) -> Field:
    if get_origin(annotation) is typing_extensions.NotRequired:
        return Field(get_args(annotation)[0], required=False)
    return Field(annotation, required=True)


def _resolve(annotation: Any, module: types.ModuleType) -> Any:
    holder: Any = types.SimpleNamespace(__annotations__={"it": annotation})
    hints = typing.get_type_hints(
        holder,
        globalns={**_guarded_imports(module), **vars(module)},
        include_extras=True,
    )
    return hints["it"]


@functools.cache
def _guarded_imports(module: types.ModuleType) -> dict[str, Any]:
    """The names that *module* imports for type checkers only."""
    names: dict[str, Any] = {**vars(typing), **vars(typing_extensions), **vars(stripe)}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module:
            source = importlib.import_module(node.module)
            for alias in node.names:
                names[alias.asname or alias.name] = getattr(source, alias.name, Any)
    return names


def _members(annotation: Any) -> list[Any]:
    """The members of a Union; the `str` that keeps an enum open is left out."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    members = [m for arg in get_args(annotation) for m in _members(arg)]
    is_enum = any(get_origin(m) is typing.Literal and any(get_args(m)) for m in members)
    return [m for m in members if not (is_enum and m is str)]


class _Walk:
    def __init__(self, *, is_form: bool) -> None:
        self._is_form = is_form

    def visit(self, value: Any, annotation: Any, path: Path) -> Verdict:
        members = _members(annotation)
        if len(members) > 1:
            return self._any_of(value, members, path)
        annotation = members[0]
        if annotation is Any or isinstance(annotation, typing.TypeVar):
            return Verdict(value)
        if annotation is type(None):
            return _judge(value, value is None, path, "null")
        origin = get_origin(annotation) or annotation
        if origin is typing.Literal:
            return self._literal(value, get_args(annotation), path)
        if origin in _SCALARS:
            return self._scalar(value, origin, path)
        return self._container(value, origin, annotation, path)

    def _any_of(self, value: Any, members: list[Any], path: Path) -> Verdict:
        """The member that fits, else the one whose problem lies deepest."""
        verdicts = [self.visit(value, member, path) for member in members]
        for verdict in verdicts:
            if not verdict.problems:
                return verdict
        return max(verdicts, key=lambda v: (_depth(v), _has_shape(value, v)))

    def _literal(self, value: Any, allowed: tuple[Any, ...], path: Path) -> Verdict:
        if self._is_form and isinstance(value, dict):
            return Verdict(value, (Problem(path, "string"),))
        kind = "empty" if self._is_form and value == "" else "enum"
        return _judge(value, value in allowed, path, kind, _listed(allowed))

    def _scalar(self, value: Any, wanted: Any, path: Path) -> Verdict:
        kind = _SCALARS[wanted]
        if not self._is_form:
            return _judge(value, _is_json(value, wanted), path, kind, repr(value))
        if not isinstance(value, str):
            return Verdict(value, (Problem(path, kind, str(value)),))
        if value == "":
            return Verdict(value, (Problem(path, "empty"),))
        match = re.fullmatch(_PATTERNS[wanted], value, re.DOTALL)
        if match is None:
            return Verdict(value, (Problem(path, kind, value),))
        return Verdict(value == "true" if wanted is bool else wanted(value))

    def _container(self, value: Any, origin: Any, full: Any, path: Path) -> Verdict:
        args = get_args(full)
        if origin is list:
            return self._list(value, args[0], path)
        if origin is ListObject:
            return self._page(value, args[0], path)
        if origin in (dict, UntypedStripeObject):
            return self._mapping(value, args[-1] if args else Any, path)
        if origin is object:
            return Verdict(value)
        return self._record(value, fields(origin), path)

    def _list(self, value: Any, wanted: Any, path: Path) -> Verdict:
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

    def _page(self, value: Any, wanted: Any, path: Path) -> Verdict:
        shape = {"object": typing.Literal["list"], "data": list[wanted]}
        shape |= {"has_more": bool, "url": str}
        known = {name: Field(annotation, True) for name, annotation in shape.items()}
        return self._record(value, known, path)

    def _mapping(self, value: Any, wanted: Any, path: Path) -> Verdict:
        if not isinstance(value, dict):
            return Verdict(value, (Problem(path, "object"),))
        # An empty value in free data takes the key away; it is not a fault.
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
            name: self.visit(item, known[name].annotation, (*path, name))
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
_PATTERNS: dict[Any, str] = {
    str: ".*",
    int: r"-?[0-9]{1,18}",
    bool: "true|false",
    float: r"-?[0-9]+(\.[0-9]+)?",
    Decimal: r"-?[0-9]+(\.[0-9]{1,12})?",
}


def _is_json(value: Any, wanted: Any) -> bool:
    if wanted is Decimal:
        return isinstance(value, str) and bool(re.fullmatch(_PATTERNS[Decimal], value))
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


def _has_shape(value: Any, verdict: Verdict) -> bool:
    """A scalar is best judged by a scalar member, not told that it is no object."""
    return verdict.problems[0].kind not in ("array", "object", "null", "enum")


def _listed(allowed: tuple[Any, ...]) -> str:
    names = [str(name) for name in allowed if name != ""]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])}, or {names[-1]}"
