"""Errors of the API in Stripe's format, with Stripe's texts."""

from typing import Any


class ApiError(Exception):
    """
    An error that the API answers.

    *executed*: the call had begun to act, so the answer is kept under the idempotency
    key. A failed validation is not kept.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.executed = executed
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        fields = {"code": self.code, "message": self.message, "param": self.param}
        known = {name: value for name, value in fields.items() if value is not None}
        return {"error": {**known, "type": self.kind}}


class CardDeclinedError(ApiError):
    """The bank declines the card; *code* is the decline code."""

    def __init__(self, code: str) -> None:
        text = "Your card was declined."
        if code == "insufficient_funds":
            text = "Your card has insufficient funds."
        super().__init__(
            text, status=402, kind="card_error", code="card_declined", executed=True
        )
        self.decline_code = code

    def body(self) -> dict[str, Any]:
        told = super().body()
        told["error"]["decline_code"] = self.decline_code
        return told


def missing(noun: str, object_id: str, *, param: str = "id") -> ApiError:
    return ApiError(
        f"No such {noun}: '{object_id}'",
        status=404 if param == "id" else 400,
        code="resource_missing",
        param=param,
    )


def missing_param(param: str) -> ApiError:
    text = f"Missing required param: {param}."
    return ApiError(text, code="parameter_missing", param=param)


def unknown_route(method: str, path: str) -> ApiError:
    return ApiError(
        f"Unrecognized request URL ({method}: {path}). Please see "
        "https://stripe.com/docs or we can help at https://support.stripe.com/.",
        status=404,
    )


def not_emulated(param: str) -> ApiError:
    """For a parameter that Stripe accepts and the emulator would have to ignore."""
    return ApiError(f"The emulator does not know what to do with {param}.", param=param)


def server_error() -> ApiError:
    return ApiError(
        "An unknown error occurred.", status=500, kind="api_error", executed=True
    )
