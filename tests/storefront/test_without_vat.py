"""A shop that charges no VAT says so, and shows none anywhere."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.config import Config, Limits, Vat
from core.database.engine import Database
from core.models.catalogue import Product
from core.models.mail import Mail
from storefront import create_app
from storefront.extensions import db
from storefront.letters.writer import writer
from tests.emulator import EmulatorServer
from tests.factories import add_product, ask, open_sessions, orders_of
from tests.storefront.conftest import COMPILED, token_in

# What the pages show is found by core, whose own tests use both databases.
pytestmark = pytest.mark.daily_on("sqlite")

DUTCH = {"Accept-Language": "nl"}
EXEMPT = "Vrijgesteld van omzetbelasting op grond van artikel 25 Wet OB"


@pytest.fixture
def exempt_app(config: Config, database: Database) -> Iterator[Flask]:
    made = create_app(
        replace(
            config,
            limits=Limits(checkouts_per_minute=0),
            vat=Vat(is_exempt=True),
            offer=replace(config.offer, is_vat_exempt=True),
        )
    )
    made.testing = False
    made.jinja_env.bytecode_cache = COMPILED
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def exempt(exempt_app: Flask) -> FlaskClient:
    exempt_app.test_cli_runner().invoke(args=["seed"])
    return exempt_app.test_client()


def bought(client: FlaskClient, product_id: int, stripe: EmulatorServer) -> str:
    """Buy a unit and pay it; return the page that shows the receipt."""
    wanted = {"product_id": product_id, "quantity": 1}
    for path, fields in (("/cart/add", wanted), ("/checkout", {})):
        token = token_in(client.get("/cart", headers=DUTCH))
        client.post(path, data={"csrf_token": token, **fields}, headers=DUTCH)
    (session_id,) = open_sessions(stripe)
    stripe.pay(session_id)
    path = f"/checkout/success?session_id={session_id}"
    return client.get(path, headers=DUTCH).text


def test_a_start_gives_the_products_the_vat_of_the_settings(
    exempt: FlaskClient, app: Flask, database: Database
) -> None:
    mug = add_product(database)
    app.test_cli_runner().invoke(args=["seed"])
    with_vat = ask(database, lambda s: s.get(Product, mug).vat_bp)  # type: ignore[union-attr]
    exempt.application.test_cli_runner().invoke(args=["seed"])

    without = ask(database, lambda s: s.get(Product, mug).vat_bp)  # type: ignore[union-attr]

    assert (with_vat, without) == (2100, 0)


def test_product_and_cart_do_not_speak_of_vat(
    exempt: FlaskClient, database: Database
) -> None:
    mug = add_product(database)
    slug = ask(database, lambda s: s.scalars(select(Product.slug)).first())
    token = token_in(exempt.get("/cart", headers=DUTCH))
    fields = {"csrf_token": token, "product_id": mug, "quantity": 1}
    exempt.post("/cart/add", data=fields, headers=DUTCH)

    for path in ("/", f"/products/{slug}", "/cart"):
        assert "btw" not in exempt.get(path, headers=DUTCH).text.lower()


def test_an_order_and_its_letter_say_why_there_is_no_vat_and_do_so_for_ever(
    exempt: FlaskClient,
    exempt_app: Flask,
    client: FlaskClient,
    app: Flask,
    database: Database,
    stripe: EmulatorServer,
) -> None:
    mug = add_product(database)
    exempt_app.test_cli_runner().invoke(args=["seed"])

    receipt = bought(exempt, mug, stripe)
    app.test_cli_runner().invoke(args=["seed"])

    (order,) = orders_of(database)
    later = client.get(f"/orders/{order.token}", headers=DUTCH).text
    with database.read() as session:
        row = session.scalars(select(Mail).where(Mail.kind == "ORDER")).one()
        letter = writer(app)(session, row)
    assert letter is not None
    for text in (receipt, later, letter.text):
        assert EXEMPT in text
        assert "waarvan btw" not in text


def test_an_order_from_before_keeps_its_vat(
    exempt: FlaskClient,
    exempt_app: Flask,
    client: FlaskClient,
    database: Database,
    stripe: EmulatorServer,
) -> None:
    mug = add_product(database)
    bought(client, mug, stripe)
    exempt_app.test_cli_runner().invoke(args=["seed"])

    (order,) = orders_of(database)
    page = exempt.get(f"/orders/{order.token}", headers=DUTCH).text

    assert EXEMPT not in page
    assert "waarvan btw 21%" in page.replace("\N{NO-BREAK SPACE}", "")
