"""Each page by itself: with nothing to show, with something, and searched."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
import streamlit as st

from admin_dashboard.words import figures
from core.clock import utcnow
from core.database.engine import Database
from core.models.limits import UNPAID
from core.owner import reports
from core.stock import limits
from tests.admin_dashboard import situations
from tests.admin_dashboard.page import (
    holds,
    infos,
    metrics,
    opened,
    press,
    rows,
    texts,
)
from tests.factories import add_product, reserved

pytestmark = pytest.mark.usefixtures("pages")


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("overview", ["Er zijn nog geen producten.", "Er zijn nog geen producten."]),
        (
            "reservations",
            ["Er is nu niets gereserveerd: alle voorraad is beschikbaar."],
        ),
        (
            "orders",
            [
                "Er is nog niets verkocht.",
                "Er hoefde niets terugbetaald te worden.",
                "Er wordt geen betaling betwist.",
            ],
        ),
        ("to_do", ["Er is niets te doen."]),
    ],
)
@pytest.mark.usefixtures("database")
def test_an_empty_shop_is_told_in_a_sentence(name: str, sentences: list[str]):
    page = opened(name)

    assert infos(page) == sentences


@pytest.mark.parametrize(
    "name", ["overview", "to_do", "reservations", "orders", "letters"]
)
def test_a_database_without_tables_is_told_in_a_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    st.cache_resource.clear()

    page = opened(name)

    assert "niet bereikbaar" in page.error[0].value


def test_the_overview_counts_units_checkouts_and_money(database: Database):
    mug = add_product(database, stock_units=5, price_cents=1295, name="Kop")
    situations.sold(database, {mug: 1}, amount_cents=1295)
    reserved(database, {mug: 3}, utcnow())

    page = opened("overview")

    assert metrics(page) == {
        "Beschikbaar": "1",
        "Gereserveerd": "3",
        "Voorraad": "4",
        "Lopende afrekeningen": "1",
        "Bestellingen": "1",
        "Betaald": "€\N{NO-BREAK SPACE}12,95",
    }


def test_the_figures_name_the_most_reserved_product_first(database: Database):
    add_product(database, stock_units=9, name="Vaas")
    mug = add_product(database, stock_units=5, name="Kop")
    reserved(database, {mug: 2}, utcnow())

    page = opened("overview")

    figures = [tuple(row.values()) for row in rows(page)]
    assert [figure[0] for figure in figures] == ["Kop", "Vaas"]
    assert [figure[2:] for figure in figures] == [(5, 2, 3), (9, 0, 9)]


def test_the_overview_shows_the_chart_once_there_are_products(database: Database):
    before = opened("overview").get("vega_lite_chart")
    add_product(database)
    st.cache_data.clear()

    after = opened("overview").get("vega_lite_chart")

    assert (len(before), len(after)) == (0, 1)


def test_the_figures_are_searched_by_name_and_sku(database: Database):
    add_product(database, name="Vaas")
    add_product(database, name="Kop")
    page = opened("overview")

    page.text_input(key="product").set_value("vAa").run()

    assert [row["Product"] for row in rows(page)] == ["Vaas"]


def test_a_search_that_finds_no_product_says_so(database: Database):
    add_product(database, name="Vaas")
    page = opened("overview")

    page.text_input(key="product").set_value("100%").run()

    assert infos(page) == ["Geen product gevonden."]


def test_the_overview_warns_of_a_hold_that_nobody_closed(database: Database):
    mug = add_product(database)
    reserved(database, {mug: 1}, utcnow() - timedelta(minutes=30))

    page = opened("overview")

    assert "Verlopen en nog niet afgesloten: 1." in page.warning[0].value


def test_more_than_an_owner_counts_is_not_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reports, "MOST_COUNTED", 1)
    monkeypatch.setattr(figures, "MOST_COUNTED", 1)
    mug = add_product(database)
    for _ in range(3):
        reserved(database, {mug: 1}, utcnow() - timedelta(minutes=30))

    page = opened("overview")

    assert metrics(page)["Lopende afrekeningen"] == "meer dan 1"
    assert "Verlopen en nog niet afgesloten: meer dan 1." in page.warning[0].value


def test_the_overview_warns_of_a_refund_on_its_way(database: Database):
    mug = add_product(database)
    situations.refund_requested(database, {mug: 1})

    page = opened("overview")

    assert any("Terugbetalingen onderweg: 1" in each.value for each in page.warning)


def test_the_overview_warns_of_an_order_with_another_amount(database: Database):
    mug = add_product(database, price_cents=1295)
    situations.sold(database, {mug: 1}, amount_cents=1200)

    page = opened("overview")

    assert any("om na te kijken: 1" in each.value for each in page.warning)


def test_nothing_is_warned_of_in_a_shop_in_order(database: Database):
    mug = add_product(database, price_cents=1295)
    situations.sold(database, {mug: 1}, amount_cents=1295)
    reserved(database, {mug: 1}, utcnow())

    page = opened("overview")

    assert not page.warning
    assert not page.error


def test_a_reservation_is_shown_with_its_time_left(database: Database):
    mug = add_product(database, price_cents=1295, name="Kop")
    checkout_id = reserved(database, {mug: 2}, utcnow(), minutes=10)

    [row] = holds(opened("reservations"))

    assert re.fullmatch(r"09:\d\d|10:00", str(row["Nog"]))
    assert (row["Product"], row["Aantal"]) == ("Kop", 2)
    assert row["Bedrag"] == "€\N{NO-BREAK SPACE}25,90"
    assert row["Afrekening"] == checkout_id


def test_what_a_network_holds_is_shown_and_can_be_let_go(
    owner: str, database: Database
):
    mug = add_product(database, stock_units=20, name="Kop")
    for _ in range(3):
        reserved(database, {mug: 2}, utcnow(), network="192.0.2.1/32")
    page = opened("reservations")
    assert "houdt **6** van de 20 stuks Kop vast, in 3 afrekeningen" in texts(page)

    page.checkbox[0].check().run()
    press(page, "Vrijgeven")

    assert any("Vrijgegeven" in each.value for each in page.success)
    assert {row["Nog"] for row in holds(page)} == {"verlopen, wordt afgesloten"}


def test_who_was_refused_is_shown_with_the_reason(database: Database):
    for _ in range(2):
        database.write(
            lambda session: limits.note_refusal(
                session, "2001:db8::/64", UNPAID, now=utcnow()
            )
        )

    [row] = holds(opened("reservations"))

    assert (row["Waarom"], row["Keer"]) == ("te vaak niet betaald", 2)


def test_an_ended_hold_is_said_to_be_closing(database: Database):
    mug = add_product(database)
    reserved(database, {mug: 1}, utcnow() - timedelta(minutes=20))

    [row] = holds(opened("reservations"))

    assert row["Nog"] == "verlopen, wordt afgesloten"


def test_a_delayed_payment_is_said_to_be_awaited(database: Database):
    mug = add_product(database)
    situations.awaiting_payment(database, {mug: 1})

    [row] = holds(opened("reservations"))

    assert row["Nog"] == "wacht op betaling"


def test_an_order_is_shown_with_what_was_bought(database: Database):
    mug = add_product(database, price_cents=1295, name="Kop")
    situations.sold(database, {mug: 2}, amount_cents=2590, name="Een klant")

    [row] = rows(opened("orders"))

    assert (row["Klant"], row["Status"]) == ("Een klant", "Betaald")
    assert row["Wat"] == "2 \N{MULTIPLICATION SIGN} Kop"
    assert row["Bedrag"] == "€\N{NO-BREAK SPACE}25,90"
    assert row["Btw"] == "€\N{NO-BREAK SPACE}4,50 (21%)"


def test_an_order_with_another_amount_explains_itself_in_dutch(database: Database):
    mug = add_product(database, price_cents=1295)
    situations.sold(database, {mug: 1}, amount_cents=1200)

    [row] = rows(opened("orders"))

    assert row["Status"] == "Nakijken"
    assert row["Opmerking"] == (
        "betaald €\N{NO-BREAK SPACE}12,00, gevraagd €\N{NO-BREAK SPACE}12,95"
    )


def test_the_newest_order_comes_first(database: Database):
    mug = add_product(database, price_cents=100)
    for name in ("Eerste", "Tweede"):
        situations.sold(database, {mug: 1}, amount_cents=100, name=name)

    found = rows(opened("orders"))

    assert [row["Klant"] for row in found] == ["Tweede", "Eerste"]


@pytest.mark.parametrize("text", ["tweede", "vaas", "#2", "2", "CS_TEST_2"])
def test_an_order_is_found_by_number_customer_product_and_session(
    database: Database, text: str
):
    mug = add_product(database, price_cents=100, name="Kop")
    vase = add_product(database, price_cents=100, name="Vaas")
    situations.sold(database, {mug: 1}, amount_cents=100, name="Eerste")
    situations.sold(database, {vase: 1}, amount_cents=100, name="Tweede")
    page = opened("orders")

    page.text_input(key="order").set_value(text).run()

    assert [row["Klant"] for row in rows(page)] == ["Tweede"]


def test_a_search_that_finds_no_order_says_so(database: Database):
    mug = add_product(database, price_cents=100)
    situations.sold(database, {mug: 1}, amount_cents=100)
    page = opened("orders")

    page.text_input(key="order").set_value("9" * 30).run()

    assert "Geen bestelling gevonden." in infos(page)


def test_money_without_goods_has_a_list_of_its_own(database: Database):
    mug = add_product(database)
    situations.refund_requested(database, {mug: 1})

    [row] = rows(opened("orders"))

    assert (row["Status"], row["Terugbetaling"]) == ("Aangevraagd", "nog geen")
