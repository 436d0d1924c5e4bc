"""The orders by status, money that went back, and money that a bank wants back."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import records
from core.clock import utcnow
from core.database.engine import Database
from core.models.refunds import FAILED, REQUESTED
from core.refunds import views as refund_views
from tests.admin_dashboard import situations
from tests.admin_dashboard.page import button, labels, opened, press, rows
from tests.factories import add_product, to_dos_of

SPACE = "\N{NO-BREAK SPACE}"

pytestmark = pytest.mark.usefixtures("owner")


@pytest.fixture
def number(database: Database) -> int:
    mug = add_product(database, stock_units=9, price_cents=1000, name="Kop")
    checkout_id = situations.sold(database, {mug: 2}, amount_cents=2000)
    return situations.order_of(database, checkout_id).number


def statuses(database: Database) -> list[tuple[int, str]]:
    with database.read() as session:
        return [
            (each.amount_cents, each.status) for each in refund_views.refunds(session)
        ]


def test_orders_are_picked_by_status(database: Database, number: int):
    mug = add_product(database, price_cents=1000, name="Vaas")
    situations.sold(database, {mug: 1}, amount_cents=900)
    page = opened("orders")

    page.selectbox(key="status").set_value("Nakijken").run()
    to_review = rows(page)
    page.text_input(key="order").set_value("kop").run()

    assert [row["Wat"] for row in to_review] == ["1 \N{MULTIPLICATION SIGN} Vaas"]
    assert "Geen bestelling gevonden." in [info.value for info in page.info]


def test_a_picked_row_opens_its_order(number: int):
    page = opened("orders")

    pick(page, row=0)

    assert page.title[0].value == f"Bestelling {number}"


def pick(page: AppTest, *, row: int) -> None:
    """Pick a row of the orders that are on the screen, as the browser tells it."""
    key, _ids = page.session_state["drawn orders"]
    picks = {"selection": {"rows": [row], "columns": [], "cells": []}}
    page.session_state[key] = picks
    page.run()


def test_an_order_that_came_since_the_table_was_drawn_is_not_opened_instead(
    database: Database, number: int
):
    page = opened("orders")
    mug = add_product(database, price_cents=1000)
    situations.sold(database, {mug: 1}, amount_cents=1000)
    st.cache_data.clear()

    pick(page, row=0)

    assert page.title[0].value == f"Bestelling {number}"


def test_a_pick_in_a_table_that_is_not_on_the_screen_any_more_opens_nothing(
    database: Database, number: int
):
    page = opened("orders")
    key, _ids = page.session_state["drawn orders"]
    mug = add_product(database, price_cents=1000)
    situations.sold(database, {mug: 1}, amount_cents=1000)
    st.cache_data.clear()
    page.run()

    page.session_state[key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    page.run()

    assert page.title[0].value == "Bestellingen"


def test_the_list_of_refunds_names_causes_and_statuses(database: Database, number: int):
    situations.stripe_says(database, number, "succeeded", amount_cents=100)
    late = add_product(database, price_cents=1295)
    situations.refund_requested(database, {late: 1})

    listed = rows(opened("orders"), 1)

    assert [(row["Waarom"], row["Status"], row["Bestelling"]) for row in listed] == [
        ("Automatisch: betaald toen de goederen al weg waren", "Aangevraagd", ""),
        ("Bij Stripe", "Gedaan", str(number)),
    ]


def test_disputes_are_listed_with_their_deadline(database: Database, number: int):
    situations.disputed(database, number, amount_cents=2000)

    [row] = rows(opened("orders"), 1)

    assert row["Antwoord voor"] != "geen termijn"
    assert (row["Status"], row["Bestelling"]) == ("Wacht op uw antwoord", str(number))


def failed(database: Database, number: int) -> AppTest:
    situations.refund_failed(database, number, amount_cents=500)
    return opened("orders")


def test_a_failed_refund_says_that_the_customer_is_owed(
    database: Database, number: int
):
    page = failed(database, number)

    assert f"van €{SPACE}5,00 van bestelling {number} is mislukt" in (
        page.error[0].value
    )
    [row] = rows(page, 1)
    assert row["Mislukt door"] == "kaart verlopen of opgezegd"


def test_a_failed_refund_is_tried_again_after_a_question_and_once(
    database: Database, number: int
):
    page = press(failed(database, number), "Opnieuw proberen")
    before = statuses(database)
    yes = button(page, f"Ja, betaal €{SPACE}5,00 terug")
    yes.click().run()

    yes.click().run()

    assert before == [(500, FAILED)]
    assert statuses(database) == [(500, REQUESTED), (500, FAILED)]
    assert "Opnieuw proberen" not in " ".join(labels(page))


def test_two_tabs_that_try_a_refund_again_do_so_once(database: Database, number: int):
    first = press(failed(database, number), "Opnieuw proberen")
    second = press(opened("orders"), "Opnieuw proberen")
    press(first, "Ja, betaal")

    press(second, "Ja, betaal")

    assert statuses(database) == [(500, REQUESTED), (500, FAILED)]
    assert len(second.warning) == 1


def test_a_failed_refund_that_was_ticked_off_is_told_no_more(
    database: Database, number: int
):
    situations.refund_failed(database, number, amount_cents=500)
    [entry] = to_dos_of(database)
    database.write(
        lambda session: records.tick_off(session, entry.id, who="owner", now=utcnow())
    )

    page = opened("orders")

    assert [error.value for error in page.error] == []
    assert "Opnieuw proberen" not in " ".join(labels(page))
    [row] = rows(page, 1)
    assert row["Status"] == "Mislukt"


def test_a_failed_refund_may_be_left_alone(database: Database, number: int):
    page = press(failed(database, number), "Opnieuw proberen")

    press(page, "Nee")

    assert statuses(database) == [(500, FAILED)]
    assert "Nee" not in labels(page)
