from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from core.config import Config
from core.errors import ShopError
from storefront import create_app
from storefront.problems import MESSAGES, STATUSES, message_of, status_of
from tests.postgres import free_port

# What the pages show is found by core, whose own tests use both databases.
pytestmark = pytest.mark.daily_on("sqlite")


def family(kind: type[ShopError]) -> Iterator[type[ShopError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("kind", sorted(family(ShopError), key=str)[1:], ids=str)
def test_every_shop_error_has_a_status_and_words(
    app: Flask, kind: type[ShopError]
) -> None:
    if kind is ShopError:
        return
    error = kind.__new__(kind)

    with app.test_request_context():
        assert 400 <= status_of(error) < 600
        assert any(each in MESSAGES for each in kind.__mro__)
        assert kind in STATUSES or kind.__mro__[1] in STATUSES
    assert callable(message_of)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/orders/x"),
        ("GET", "/api/products"),
        ("POST", "/api/checkout"),
        ("GET", "/metrics"),
    ],
)
def test_while_the_database_is_away_everybody_is_told_to_come_back(
    config: Config, method: str, path: str
) -> None:
    nobody = f"postgresql+psycopg://shop@127.0.0.1:{free_port()}/shop"
    app = create_app(replace(config, database_url=nobody))
    items = {"items": [{"product_id": 1, "quantity": 1}]}

    answer = app.test_client().open(path, method=method, json=items)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_visitor_who_was_about_to_pay_is_told_the_same_while_the_database_is_away(
    config: Config,
) -> None:
    nobody = f"postgresql+psycopg://shop@127.0.0.1:{free_port()}/shop"
    client = create_app(replace(config, database_url=nobody)).test_client()
    with client.session_transaction() as session:
        session.update(visitor="anna", cart={"1": 2}, checkout=1)

    answer = client.get("/cart", headers={"Accept-Language": "en"})
    nowhere = client.get("/nothing")

    assert nowhere.status_code == 404
    assert answer.status_code == 503
    assert 'class="count">2</span>' in answer.text
