"""What a request asks for, judged as Stripe judges it before anything begins."""

from typing import Any

from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import Problem, check_request

# From this version on create refuses `payment_method_types`; a request without a
# version counts as older, as an account's default version may be.
WITHOUT_METHOD_TYPES = "2026-09-30"

TEXTS: dict[str, tuple[str, str | None]] = {
    "unknown": ("Received unknown parameter: {param}", "parameter_unknown"),
    "missing": ("Missing required param: {param}.", "parameter_missing"),
    "integer": ("Invalid integer: {detail}", "parameter_invalid_integer"),
    "decimal": ("Invalid decimal: {detail}", None),
    "number": ("Invalid number: {detail}", None),
    "boolean": ("Invalid boolean: {detail}", None),
    "string": ("Invalid string: {detail}", None),
    "enum": ("Invalid {param}: must be one of {detail}", None),
    "array": ("Invalid array", None),
    "object": ("Invalid object", None),
    "null": ("Invalid {param}: must be empty", None),
    "empty": (
        "You passed an empty string for '{param}'. We assume empty values are an "
        "attempt to unset a parameter; however '{name}' cannot be unset. You should "
        "remove '{param}' from your request or supply a non-empty value.",
        "parameter_invalid_empty",
    ),
}
_MOST_KEYS, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500


def judged(tree: dict[str, Any], params: Any) -> dict[str, Any]:
    """The parameters in their own types; the first problem is refused."""
    verdict = check_request(tree, params)
    if verdict.problems:
        raise _refusal(verdict.problems)
    if "metadata" in verdict.value:
        check_metadata(verdict.value["metadata"], "metadata")
    return dict(verdict.value)


def _refusal(problems: tuple[Problem, ...]) -> ApiError:
    unknown = [p.param for p in problems if p.kind == "unknown"]
    if len(unknown) > 1:
        text = f"Received unknown parameters: {', '.join(unknown)}"
        return ApiError(text, code="parameter_unknown", param=unknown[0])
    first = next((p for p in problems if p.kind == "unknown"), problems[0])
    text, code = TEXTS[first.kind]
    name = first.path[-1] if first.path else ""
    message = text.format(param=first.param, name=name, detail=first.detail)
    return ApiError(message, code=code, param=first.param)


def demand(params: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in params:
            raise _refusal((Problem((name,), "missing"),))


def check_metadata(metadata: Any, param: str) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _MOST_KEYS:
        text = f"Metadata can have up to {_MOST_KEYS} keys; you passed {len(metadata)}."
        raise ApiError(text, param=param)
    for key, value in metadata.items():
        check_length(key, _LONGEST_KEY, f"{param}[{key}]", what="Metadata keys")
        check_length(value, _LONGEST_VALUE, f"{param}[{key}]", what="Metadata values")


def check_length(
    text: str, longest: int, param: str, *, what: str | None = None
) -> None:
    if len(text) <= longest:
        return
    message = f"Invalid string: {text[:10]}...; must be at most {longest} characters"
    if what is not None:
        message = (
            f"{what} can have up to {longest} characters, but you passed in "
            f"one that is {len(text)} characters. Invalid: {text[:60]}"
        )
    raise ApiError(message, param=param)


def merged_metadata(old: dict[str, str], new: Any) -> dict[str, str]:
    """Empty values take a key away; an empty whole takes all of them away."""
    if new == "":
        return {}
    return {key: value for key, value in {**old, **new}.items() if value != ""}
