"""One order on a page of its own: its facts, its history, and what an owner can do."""

import pytest
from sqlalchemy.orm import Session
from streamlit.testing.v1 import AppTest

from core.checkout import late_money
from core.clock import utcnow
from core.database.engine import Database
from core.models.orders import FULFILLED, PAID, REFUNDED
from core.models.records import PAID_TWICE
from core.orders.views import OrderView
from core.owner import reports
from core.payments.data import Bill, DisputeReport, Payment
from core.refunds import disputes, progress, refunds
from core.refunds import views as refund_views
from tests.admin_dashboard import situations
from tests.admin_dashboard.page import (
    button,
    infos,
    labels,
    opened,
    press,
    rows,
    texts,
)
from tests.factories import add_product, assert_invariants, levels, payment_of, reserved

SPACE = "\N{NO-BREAK SPACE}"

pytestmark = pytest.mark.usefixtures("owner")


@pytest.fixture
def mug(database: Database) -> int:
    return add_product(database, stock_units=5, price_cents=1000, name="Kop")


@pytest.fixture
def number(database: Database, mug: int) -> int:
    """Sell two mugs; give the order's number."""
    checkout_id = situations.sold(database, {mug: 2}, amount_cents=2000)
    return situations.order_of(database, checkout_id).number


def shown(number: int) -> AppTest:
    return opened("order", order=str(number))


def order_of(database: Database, number: int) -> OrderView:
    with database.read() as session:
        [order] = reports.orders(session, text=f"#{number}")
    return order


def status_of(database: Database, number: int) -> str:
    return order_of(database, number).status


def history(page: AppTest) -> list[dict[str, object]]:
    return rows(page, len(page.dataframe) - 1)


def refunds_in(database: Database) -> list[tuple[int, str, str]]:
    with database.read() as session:
        return [
            (refund.amount_cents, refund.who, refund.reason)
            for refund in refund_views.refunds(session)
        ]


@pytest.mark.parametrize(
    "number", ["", "999", "-1", "x", "9" * 40, "\N{SUPERSCRIPT TWO}"]
)
def test_a_strange_number_in_the_address_is_told_in_a_sentence(number: str):
    page = opened("order", order=number)

    assert infos(page) == ["Deze bestelling is er niet. Kies er een bij Bestellingen."]


def test_all_that_stripe_said_of_an_order_is_shown(database: Database, mug: int):
    checkout_id = reserved(database, {mug: 2}, utcnow())
    bill = Bill(
        subtotal_cents=2000,
        total_cents=2295,
        currency="eur",
        discount_cents=200,
        shipping_cents=495,
        promotion_code="ZOMER_10",
        shipping_option="Pakket",
        customer_name="Een klant",
        customer_email="klant@example.com",
        customer_phone="+31201234567",
        shipping_name="Een *klant*",
        shipping_address='{"line1": "Dorpsstraat 1", "postal_code": "1234 AB",'
        ' "city": "Utrecht", "country": "NL"}',
    )
    payment = Payment("cs_test_1", "pi_1", bill)
    database.write(
        lambda session: late_money.confirm_or_retake(
            session, checkout_id, payment, now=utcnow()
        )
    )

    page = shown(situations.order_of(database, checkout_id).number)

    told = texts(page)
    assert not page.warning
    assert r"Een klant  " in told
    assert r"klant\@example\.com" in told
    assert r"\+31201234567" in told
    assert "Een \\*klant\\*  \nDorpsstraat 1  \n1234 AB Utrecht  \nNederland" in told
    sums = dict(page.table[1].value.itertuples(index=False, name=None))
    assert sums == {
        "Goederen": 2000,
        r"Korting (ZOMER\_10)": -200,
        "Verzending (Pakket)": 495,
        "**Betaald**": 2295,
        "Waarvan btw 21%": 398,
    }


def test_sending_an_order_is_noted_under_the_owners_name(
    database: Database, number: int, owner: str
):
    page = press(shown(number), "Verzonden")

    assert status_of(database, number) == FULFILLED
    assert page.success[0].value == f"Bestelling {number} staat op verzonden."
    [sent] = [row for row in history(page) if row["Wat"] == "Verzonden"]
    assert sent["Wie"] == owner


def test_sending_can_be_taken_back(database: Database, number: int):
    page = press(shown(number), "Verzonden")

    press(page, "Verzonden ongedaan maken")

    assert status_of(database, number) == PAID


def test_what_was_sent_meanwhile_is_not_sent_twice(database: Database, number: int):
    page = shown(number)
    press(shown(number), "Verzonden")

    press(page, "Verzonden")

    assert "Dat was al gebeurd" in page.warning[0].value


def test_an_order_for_review_is_accepted_before_it_is_sent(
    database: Database, mug: int
):
    checkout_id = situations.sold(database, {mug: 2}, amount_cents=1900)
    page = shown(situations.order_of(database, checkout_id).number)
    before = labels(page)

    press(page, "Akkoord")

    assert ("Verzonden" in before, "Verzonden" in labels(page)) == (False, True)


def filled_in(page: AppTest, amount: str, **units: int) -> AppTest:
    """Open the window of a refund and fill it in, up to the question."""
    press(page, "Terugbetalen")
    [field] = [each for each in page.text_input if each.label.startswith("Bedrag")]
    field.set_value(amount)
    for each in page.number_input:
        each.set_value(units.get(each.label.split(" ")[0], 0))
    return press(page, "Verder")


def test_the_window_offers_what_is_left_and_no_unit(number: int):
    page = press(shown(number), "Terugbetalen")

    assert [field.value for field in page.text_input] == ["20,00", ""]
    assert [(each.value, each.min, each.max) for each in page.number_input] == [
        (0, 0, 2)
    ]


def test_money_goes_back_only_after_the_owner_has_said_yes_to_the_amount(
    database: Database, number: int, mug: int, owner: str
):
    page = filled_in(shown(number), "12,34")
    before = refunds_in(database)

    press(page, f"Ja, betaal €{SPACE}12,34 terug")

    assert (before, refunds_in(database)) == ([], [(1234, owner, "")])
    assert levels(database, mug) == (3, 0)
    assert f"€{SPACE}12,34 gaat terug" in page.success[0].value


def test_saying_no_goes_back_to_what_was_filled_in(database: Database, number: int):
    page = filled_in(shown(number), "12.34", Kop=1)

    press(page, "Nee")

    assert page.text_input[0].value == "12,34"
    assert page.number_input[0].value == 1
    assert refunds_in(database) == []


def test_units_come_back_only_if_the_owner_says_so(
    database: Database, number: int, mug: int
):
    page = filled_in(shown(number), "20", Kop=1)
    told = texts(page)

    press(page, "Ja, betaal")

    assert "**1 \N{MULTIPLICATION SIGN} Kop** komt terug in de voorraad." in told
    assert levels(database, mug) == (4, 0)
    assert status_of(database, number) == REFUNDED
    assert_invariants(database)


def test_the_history_tells_of_the_refund_and_the_units(
    database: Database, number: int, owner: str
):
    page = press(filled_in(shown(number), "5", Kop=1), "Ja, betaal")

    steps = {row["Wat"]: row for row in history(page)}
    asked, back = steps["Terugbetaling aangevraagd"], steps["Terug in de voorraad"]
    assert (asked["Waarom"], asked["Wie"]) == ("Door u", owner)
    assert asked["Bedrag"] == f"€{SPACE}5,00"
    assert back["Waarom"] == "1 \N{MULTIPLICATION SIGN} Kop"


def test_goods_come_back_later_without_money(database: Database, number: int, mug: int):
    page = press(shown(number), "Goederen terugnemen")
    fields = [field.label for field in page.text_input]
    page.number_input[0].set_value(2)
    press(page, "Verder")

    press(page, "Ja, terug in de voorraad")

    assert fields == []
    assert levels(database, mug) == (5, 0)
    assert refunds_in(database) == []
    assert "Goederen terugnemen" not in " ".join(labels(page))


@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        ("20,01", "hoogstens"),
        ("twaalf", "Schrijf het bedrag als"),
        ("1.234", "Schrijf het bedrag als"),
        ("-5", "Schrijf het bedrag als"),
        ("0", "Vul in wat er terug moet."),
    ],
)
def test_an_amount_that_cannot_be_is_told_at_once(
    database: Database, number: int, amount: str, sentence: str
):
    page = filled_in(shown(number), amount)

    assert sentence.replace("hoogstens", "niet meer terug") in page.error[0].value
    assert "Ja, betaal" not in " ".join(labels(page))


def test_a_second_tab_that_confirms_the_same_refund_changes_nothing(
    database: Database, number: int, mug: int, owner: str
):
    first, second = (filled_in(shown(number), "5", Kop=1) for _ in range(2))
    press(first, "Ja, betaal")

    press(second, "Ja, betaal")

    assert refunds_in(database) == [(500, owner, "")]
    assert levels(database, mug) == (4, 0)
    assert "intussen veranderd" in second.warning[0].value


def test_a_second_tab_that_takes_the_same_goods_back_changes_nothing(
    database: Database, number: int, mug: int
):
    tabs = [press(shown(number), "Goederen terugnemen") for _ in range(2)]
    for tab in tabs:
        tab.number_input[0].set_value(1)
        press(tab, "Verder")
    press(tabs[0], "Ja, terug")

    press(tabs[1], "Ja, terug")

    assert levels(database, mug) == (4, 0)
    assert "intussen veranderd" in tabs[1].warning[0].value


def test_a_page_that_runs_again_after_yes_refunds_once(
    database: Database, number: int, owner: str
):
    page = filled_in(shown(number), "5")
    yes = button(page, "Ja, betaal")
    yes.click().run()

    yes.click().run()

    assert refunds_in(database) == [(500, owner, "")]


def test_more_than_is_left_meanwhile_is_refused_with_what_is_left(
    database: Database, number: int, mug: int
):
    page = filled_in(shown(number), "20", Kop=1)
    situations.stripe_says(database, number, "succeeded", amount_cents=1500)

    press(page, "Ja, betaal")

    assert f"niet meer terug dan wat er nog over is: €{SPACE}5,00" in (
        page.warning[0].value
    )
    assert levels(database, mug) == (3, 0)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("needs_response", ["Wacht op uw antwoord. Antwoord bij Stripe voor "]),
        ("lost", ["Verloren: het geld is terug naar de klant."]),
        ("won", []),
    ],
)
def test_a_disputed_payment_is_told_on_top(
    database: Database, number: int, status: str, said: list[str]
):
    situations.disputed(database, number, amount_cents=1500, status=status)

    page = shown(number)

    beginning = f"Betwiste betaling van €{SPACE}15,00: klant zegt niets ontvangen te"
    assert len(page.error) == len(said)
    for error, each in zip(page.error, said, strict=True):
        assert error.value.startswith(f"{beginning} hebben. {each}")


@pytest.mark.parametrize(
    ("status", "may_go_back"),
    [
        ("needs_response", False),
        ("under_review", False),
        ("warning_needs_response", True),
        ("won", True),
        ("lost", True),
    ],
)
def test_money_that_a_bank_claims_cannot_be_given_back_too(
    database: Database, number: int, status: str, *, may_go_back: bool
):
    situations.disputed(database, number, amount_cents=1500, status=status)

    page = shown(number)

    assert ("Terugbetalen\N{HORIZONTAL ELLIPSIS}" in labels(page)) == may_go_back
    assert ("Stripe weigert dat" in texts(page)) != may_go_back


def test_a_disputed_second_payment_keeps_no_money_of_the_order(
    database: Database, number: int
):
    order = order_of(database, number)
    second = payment_of("cs_second", intent="pi_second")
    report = DisputeReport(
        "du_1", "pi_second", 1250, "eur", "general", "needs_response", None
    )

    def work(session: Session) -> None:
        refunds.request_automatic(
            session, order.checkout_id, second, kind=PAID_TWICE, now=utcnow()
        )
        disputes.take_report(session, report, now=utcnow())

    database.write(work)

    assert "Terugbetalen\N{HORIZONTAL ELLIPSIS}" in labels(shown(number))


def test_what_a_bank_took_is_not_paid_any_more(database: Database, number: int):
    situations.disputed(database, number, amount_cents=2000, status="lost")

    page = shown(number)

    assert "**Teruggehaald**, betaald op" in texts(page)
    assert "Terugbetalen\N{HORIZONTAL ELLIPSIS}" not in labels(page)
    sums = dict(page.table[1].value.itertuples(index=False, name=None))
    assert sums["Teruggehaald door de bank"] == -2000
    assert sums["**Blijft over**"] == 0
    assert "Waarvan btw 21%" not in sums


def test_the_sums_say_whether_a_refund_has_arrived(database: Database, number: int):
    situations.stripe_says(database, number, "pending", amount_cents=500)
    under_way = dict(shown(number).table[1].value.itertuples(index=False, name=None))
    situations.stripe_says(database, number, "succeeded", amount_cents=500)
    arrived = dict(shown(number).table[1].value.itertuples(index=False, name=None))

    assert under_way["Terugbetaling, onderweg"] == -500
    assert arrived["Terugbetaald"] == -500
    assert arrived["**Blijft over**"] == 1500
    assert arrived["Waarvan btw 21%"] == 260


def test_another_amount_than_asked_for_has_its_line(database: Database, mug: int):
    checkout_id = situations.sold(database, {mug: 2}, amount_cents=1900)

    page = shown(situations.order_of(database, checkout_id).number)

    sums = dict(page.table[1].value.itertuples(index=False, name=None))
    assert sums == {
        "Goederen": 2000,
        "Verschil": -100,
        "**Betaald**": 1900,
        "Waarvan btw 21%": 330,
    }


def test_a_failed_refund_is_tried_again_on_the_orders_page(
    database: Database, number: int
):
    situations.refund_failed(database, number, amount_cents=500)
    page = shown(number)
    told = page.error[0].value

    press(page, "Opnieuw proberen")
    asked = texts(page)
    press(page, "Ja, betaal")

    assert "kaart verlopen of opgezegd. De klant heeft nog" in told
    assert "gaat terug naar Een klant, van bestelling" in asked
    assert [cents for cents, _, _ in refunds_in(database)] == [500, 500]
    assert "Opnieuw proberen" not in " ".join(labels(page))
    assert [error.value for error in page.error] == []


def test_refunds_and_disputes_of_an_order_are_shown_with_it(
    database: Database, number: int
):
    situations.stripe_says(database, number, "pending", amount_cents=500)
    situations.disputed(database, number, amount_cents=1500)

    page = shown(number)

    [refund], [dispute] = rows(page, 0), rows(page, 1)
    assert (refund["Status"], refund["Waarom"], refund["Terugbetaling"]) == (
        "Onderweg bij de bank",
        "Bij Stripe",
        "re_1",
    )
    assert (dispute["Status"], dispute["Reden"], dispute["Betwisting"]) == (
        "Wacht op uw antwoord",
        "klant zegt niets ontvangen te hebben",
        "dp_1",
    )


def test_the_history_names_every_step_in_dutch(database: Database, number: int):
    situations.stripe_says(database, number, "succeeded", amount_cents=500)
    situations.disputed(database, number, amount_cents=1500)

    steps = history(shown(number))

    assert [row["Wat"] for row in steps] == [
        "Goederen gereserveerd",
        "Reservering werd een verkoop",
        "Bestelling betaald",
        "Terugbetaling aangevraagd",
        "Terugbetaling gedaan",
        "Op de lijst Te doen gezet",
        "Betwiste betaling",
        "Op de lijst Te doen gezet",
    ]


def test_a_payment_without_an_order_has_a_history_too(database: Database, mug: int):
    situations.refund_requested(database, {mug: 1})
    with database.read() as session:
        [refund] = refund_views.refunds(session)

    page = opened("order", checkout=str(refund.checkout_id))

    assert r"klant\@example\.com" in texts(page)
    [line] = page.table[0].value.to_dict("records")
    assert (line["Product"], line["Aantal"]) == ("Kop", 1)
    assert page.title[0].value == f"Afrekening {refund.checkout_id}"
    assert "Reservering verlopen, goederen weer vrij" in [
        row["Wat"] for row in history(page)
    ]


@pytest.mark.usefixtures("database")
def test_nothing_is_done_for_somebody_who_is_not_logged_in(
    database: Database, number: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.cookies", {})

    page = press(shown(number), "Verzonden")

    assert "uitgelogd" in page.warning[0].value
    assert status_of(database, number) == PAID


def test_late_money_that_cannot_go_back_is_tried_again_on_its_page(
    database: Database, mug: int
):
    situations.refund_requested(database, {mug: 1})
    with database.read() as session:
        [refund] = refund_views.refunds(session)
    database.write(
        lambda s: progress.fail(s, refund.id, failure="declined", now=utcnow())
    )
    page = opened("order", checkout=str(refund.checkout_id))

    press(page, "Opnieuw proberen")
    asked = texts(page)
    press(page, "Ja, betaal")

    assert r"gaat terug naar klant\@example\.com." in asked
    assert len(refunds_in(database)) == 2
