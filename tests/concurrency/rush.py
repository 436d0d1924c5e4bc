"""Many shoppers at once, each over a connection of his own that already stands."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tests.factories import at_once

# An answer must come within 45 s, however slow Stripe is.
ANSWER_SECONDS = 45.0


@dataclass(frozen=True)
class Answer:
    """What the API said to one shopper, and by which cookie it will know him again."""

    status: int
    body: dict[str, Any]
    cookie: str = ""


def check_out(
    connection: http.client.HTTPConnection, cart: Mapping[int, int]
) -> Answer:
    items = [{"product_id": key, "quantity": units} for key, units in cart.items()]
    connection.request(
        "POST",
        "/api/checkout",
        body=json.dumps({"items": items}),
        headers={"Content-Type": "application/json"},
    )
    response = connection.getresponse()
    cookie = response.getheader("Set-Cookie", "").partition(";")[0]
    return Answer(response.status, json.loads(response.read()), cookie)


def rush(url: str, carts: Sequence[Mapping[int, int]]) -> list[Answer | Exception]:
    """
    Check out all *carts* at the same moment; return what each shopper got.

    A shopper whose connection broke got an exception.
    """
    connections = [
        http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)
        for _ in carts
    ]
    try:
        for connection in connections:
            connection.connect()
        return at_once(
            [
                partial(check_out, connection, cart)
                for connection, cart in zip(connections, carts, strict=True)
            ]
        )
    finally:
        for connection in connections:
            connection.close()


def answers(outcomes: Sequence[Answer | Exception]) -> list[Answer]:
    """Leave out the shoppers whose connection broke."""
    return [each for each in outcomes if isinstance(each, Answer)]


def statuses(outcomes: Sequence[Answer | Exception]) -> list[int]:
    return [answer.status for answer in answers(outcomes)]
