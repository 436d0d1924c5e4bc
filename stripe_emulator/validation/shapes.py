"""
The types inside the `stripe` package, resolved for use at run time.

Stripe generates them for exactly the API version that the package sends. Many names in
them are imported for type checkers only, so they are looked up in the source.
"""

import ast
import functools
import importlib
import inspect
import sys
import types
import typing
from typing import Any, ClassVar, NamedTuple, Union, get_args, get_origin

import stripe
import typing_extensions
from stripe._list_object import ListObject
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject


class Shape:
    """An annotation, analysed once: `typing` is too slow to ask on every call."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    @functools.cached_property
    def members(self) -> list["Shape"]:
        return [Shape(member) for member in _members(self._annotation)]

    @functools.cached_property
    def origin(self) -> Any:
        return get_origin(self._annotation) or self._annotation

    @functools.cached_property
    def allowed(self) -> tuple[Any, ...]:
        """The values of a Literal."""
        return get_args(self._annotation)

    @functools.cached_property
    def inner(self) -> "Shape":
        """What a list, a page or a mapping holds."""
        return Shape((get_args(self._annotation) or (Any,))[-1])

    @functools.cached_property
    def fields(self) -> dict[str, "Field"]:
        if self.origin is ListObject:
            return _page_fields(get_args(self._annotation)[0])
        return fields(self.origin)


class Field(NamedTuple):
    shape: Shape
    required: bool


shape_of = functools.cache(Shape)


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
        name: Field(Shape(annotation), required=type(None) not in _members(annotation))
        for base in reversed(cls.__mro__)
        for name, annotation in _annotations(base).items()
    }


def _page_fields(held: Any) -> dict[str, Field]:
    known = {"object": typing.Literal["list"], "data": list[held]}
    known |= {"has_more": bool, "url": str}
    return {name: Field(Shape(kind), required=True) for name, kind in known.items()}


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
        return Field(Shape(get_args(annotation)[0]), required=False)
    return Field(Shape(annotation), required=True)


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
