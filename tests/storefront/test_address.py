"""The shop answers at SHOP_URL alone, and machines wherever they reach it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.config import Config
from core.database.engine import Database
from storefront import create_app
from storefront.extensions import db
from tests.factories import add_product, levels
from tests.storefront.conftest import COMPILED, json_of, token_in
from tests.storefront.test_pages import ENGLISH

pytestmark = pytest.mark.daily_on("sqlite")

HERE = "http://127.0.0.1:8000"
PUBLIC = "https://shop.example"


@pytest.fixture
def public_app(config: Config, database: Database) -> Iterator[Flask]:
    """Give a shop behind a proxy with https."""
    offer = replace(config.offer, shop_url=PUBLIC)
    made = create_app(replace(config, shop_url=PUBLIC, offer=offer))
    made.jinja_env.bytecode_cache = COMPILED
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    "path", ["/", "/cart", "/products/a%20b%2Fc?q=%C3%A9&x", "/nothing", "/checkout"]
)
@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "evil.example"])
def test_a_page_at_another_host_leads_to_the_same_page_of_the_shop(
    client: FlaskClient, host: str, path: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = client.open(path, method=method, base_url=f"http://{host}")

        assert answer.status_code == 308
        assert answer.location == HERE + path.replace("%2F", "/")
        assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_at_another_host_are_not_remembered_as_moved(
    client: FlaskClient,
) -> None:
    answer = client.get("/static/shop.css", base_url="http://localhost:8000")

    assert answer.location == f"{HERE}/static/shop.css"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_form_sent_to_another_host_changes_nothing_and_names_the_address(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    token = token_in(client.get("/cart"))

    answer = client.post(
        "/cart/add",
        base_url="http://localhost:8000",
        data={"csrf_token": token, "product_id": mug, "quantity": 1},
        headers=ENGLISH,
    )

    assert answer.status_code == 421
    assert f"The shop is at {HERE}" in answer.text


def test_the_api_at_another_host_reserves_nothing_and_names_the_address(
    client: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    items = {"items": [{"product_id": mug, "quantity": 1}]}
    elsewhere = "http://localhost:8000"

    refused = client.post("/api/checkout", base_url=elsewhere, json=items)
    listed = client.get("/api/products", base_url=elsewhere)

    assert [refused.status_code, listed.status_code] == [421, 421]
    assert refused.mimetype == "application/problem+json"
    assert HERE in json_of(refused)["detail"]
    assert levels(database, mug) == (5, 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 503),
        ("GET", "/metrics", 200),
        ("GET", "/api/cron/cleanup-stock-reservations", 401),
        ("POST", "/api/cron/cleanup-stock-reservations", 401),
        ("POST", "/api/stripe/webhook", 400),
    ],
)
def test_machines_are_answered_wherever_they_reach_the_shop(
    public_app: Flask, method: str, path: str, status: int
) -> None:
    answer = public_app.test_client().open(
        path, method=method, base_url="http://127.0.0.1:8000"
    )

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("shop.example", {"X-Forwarded-Proto": "https"}),
        ("shop.example", {}),
        ("Shop.Example:443", {"X-Forwarded-Proto": "https"}),
        ("voorraad", {"X-Forwarded-Host": "shop.example"}),
        ("127.0.0.1:8000", {"X-Forwarded-For": "203.0.113.7"}),
        ("localhost:8000", {"X-Forwarded-For": "203.0.113.7"}),
    ],
)
def test_a_proxy_may_say_in_several_ways_that_it_was_asked_for_the_shop(
    public_app: Flask, host: str, headers: dict[str, str]
) -> None:
    answer = public_app.test_client().get(
        "/", base_url=f"http://{host}", headers=headers
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("shop.example", {"X-Forwarded-Proto": "http"}),
        ("www.shop.example", {"X-Forwarded-Proto": "https"}),
        ("127.0.0.1:8000", {"X-Forwarded-Host": "www.shop.example"}),
        ("127.0.0.1:8000", {}),
    ],
)
def test_another_scheme_or_name_leads_to_the_shops_own(
    public_app: Flask, host: str, headers: dict[str, str]
) -> None:
    answer = public_app.test_client().get(
        "/cart?a=1", base_url=f"http://{host}", headers=headers
    )

    assert (answer.status_code, answer.location) == (308, f"{PUBLIC}/cart?a=1")


@pytest.mark.parametrize("host", ["", "[::", "a b", "127.0.0.1:8000@x", "a" * 300])
def test_a_host_that_is_none_leads_to_the_shop_as_well(
    client: FlaskClient, host: str
) -> None:
    answer = client.get("/cart", environ_overrides={"HTTP_HOST": host})

    assert (answer.status_code, answer.location) == (308, f"{HERE}/cart")
