"""Routes for payments, refunds and disputes."""

from stripe import params as types

from stripe_emulator.api.route import Call, Route, many, new, one
from stripe_emulator.money import refunds
from stripe_emulator.state.account import Json

_INTENTS = "/v1/payment_intents"
_CHARGES = "/v1/charges"
_REFUNDS = "/v1/refunds"
_DISPUTES = "/v1/disputes"


def _update_refund(call: Call) -> Json:
    found = call.account.get("refunds", call.object_id)
    return refunds.update(call.account, found, call.params, request=call.request)


ROUTES = (
    Route(
        "list_payment_intents",
        "GET",
        _INTENTS,
        types.PaymentIntentListParams,
        many("payment_intents", _INTENTS),
    ),
    Route(
        "retrieve_payment_intent",
        "GET",
        f"{_INTENTS}/<object_id>",
        types.PaymentIntentRetrieveParams,
        one("payment_intents"),
    ),
    Route(
        "retrieve_charge",
        "GET",
        f"{_CHARGES}/<object_id>",
        types.ChargeRetrieveParams,
        one("charges"),
    ),
    Route("refund", "POST", _REFUNDS, types.RefundCreateParams, new(refunds.create)),
    Route(
        "list_refunds",
        "GET",
        _REFUNDS,
        types.RefundListParams,
        many("refunds", _REFUNDS),
    ),
    Route(
        "retrieve_refund",
        "GET",
        f"{_REFUNDS}/<object_id>",
        types.RefundRetrieveParams,
        one("refunds"),
    ),
    Route(
        "update_refund",
        "POST",
        f"{_REFUNDS}/<object_id>",
        types.RefundModifyParams,
        _update_refund,
    ),
    Route(
        "list_disputes",
        "GET",
        _DISPUTES,
        types.DisputeListParams,
        many("disputes", _DISPUTES),
    ),
    Route(
        "retrieve_dispute",
        "GET",
        f"{_DISPUTES}/<object_id>",
        types.DisputeRetrieveParams,
        one("disputes"),
    ),
)
