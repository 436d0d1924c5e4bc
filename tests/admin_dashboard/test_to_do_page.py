"""What the owner has to look at, ticked off and put back."""

import pytest

from core import records
from core.clock import utcnow
from core.database.engine import Database
from core.models.records import TO_DO_KINDS, UNKNOWN_SESSION, ToDo
from core.owner import to_dos
from core.owner.to_do_words import WORDS
from tests.admin_dashboard import situations
from tests.admin_dashboard.page import infos, labels, opened, press, texts
from tests.factories import add_product

SPACE = "\N{NO-BREAK SPACE}"

pytestmark = pytest.mark.usefixtures("owner")


def entered(database: Database, kind: str, key: str = "a", **facts: object) -> None:
    database.write(
        lambda session: records.add_to_do(
            session,
            kind,
            key,
            checkout_id=None,
            now=utcnow(),
            **facts,
        )
    )


@pytest.mark.parametrize("kind", TO_DO_KINDS)
def test_each_kind_of_entry_explains_itself(database: Database, kind: str):
    entered(database, kind, stripe_id="cs_1", payment_intent="pi_1", amount_cents=1295)

    told = texts(opened("to_do"))

    title, explanation = WORDS["nl"][kind]
    assert f"**{title}**" in told
    assert explanation in told
    assert rf"€{SPACE}12\,95 · cs\_1 · pi\_1" in told


def test_the_oldest_entry_comes_first(database: Database):
    for key in ("first", "second"):
        entered(database, UNKNOWN_SESSION, key, stripe_id=key)

    page = opened("to_do")

    assert [caption.value.rsplit(" ", 1)[1] for caption in page.caption] == [
        "first",
        "second",
    ]


def test_an_entry_is_ticked_off_under_the_owners_name_and_put_back(
    database: Database, owner: str
):
    entered(database, UNKNOWN_SESSION)
    page = press(opened("to_do"), "Afvinken")
    after_tick = infos(page)
    with database.read() as session:
        [done] = to_dos.entries(session, done=True)

    press(page, "Terugzetten")

    assert after_tick == ["Er is niets te doen."]
    assert done.done_by == owner
    assert labels(page) == ["Afvinken"]


def test_an_entry_about_an_order_leads_to_it(database: Database):
    mug = add_product(database, price_cents=1000)
    situations.sold(database, {mug: 1}, amount_cents=900)

    page = opened("to_do")

    [link] = page.page_link
    assert (link.value, link.proto.query_string) == ("Naar bestelling 1", "order=1")


def test_the_overview_warns_of_what_is_to_be_done(database: Database):
    entered(database, UNKNOWN_SESSION)

    page = opened("overview")

    assert "Te doen: 1." in page.warning[0].value


def test_an_entry_names_the_customer_and_the_term_of_a_dispute(database: Database):
    mug = add_product(database, price_cents=1000)
    checkout_id = situations.sold(database, {mug: 1}, amount_cents=1000)
    number = situations.order_of(database, checkout_id).number
    situations.disputed(database, number, amount_cents=1000)

    told = texts(opened("to_do"))

    assert "Een klant · " in told
    assert "antwoord voor " in told


@pytest.mark.parametrize(
    ("status", "title"),
    [("lost", "Betwiste betaling verloren"), ("won", "Betwiste betaling afgelopen")],
)
def test_a_dispute_that_is_over_asks_for_no_answer(
    database: Database, status: str, title: str
):
    mug = add_product(database, price_cents=1000)
    checkout_id = situations.sold(database, {mug: 1}, amount_cents=1000)
    number = situations.order_of(database, checkout_id).number
    situations.disputed(database, number, amount_cents=1000)

    situations.disputed(database, number, amount_cents=1000, status=status)

    told = texts(opened("to_do"))
    assert f"**{title}**" in told
    assert "antwoord voor" not in told


def test_what_the_shop_ticked_off_says_so(database: Database):
    entered(database, UNKNOWN_SESSION)
    database.write(
        lambda session: records.tick_off_all(
            session, ToDo.kind == UNKNOWN_SESSION, now=utcnow()
        )
    )

    assert "door de winkel zelf" in texts(opened("to_do"))
