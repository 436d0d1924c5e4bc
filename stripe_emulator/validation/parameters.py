"""Checking the types of a request's parameters, with Stripe's error texts."""

from typing import Any

from stripe_emulator.validation.checks import check_metadata
from stripe_emulator.validation.errors import ApiError
from stripe_emulator.validation.stripe_types import Problem, check_request

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


def judged(tree: dict[str, Any], params: Any) -> dict[str, Any]:
    """Return the parameters converted to their types; raise ApiError for a problem."""
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
