import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from flask import Flask
from sqlalchemy import select, update

from core import records
from core.checkout import late_money
from core.config import Config
from core.database.engine import Database
from core.mail import outbox
from core.mail.letter import Letter, copy_of
from core.models.checkout import Checkout
from core.models.mail import Mail
from core.models.records import TO_DO_KINDS
from core.models.refunds import SENT
from core.owner import accounts
from core.owner.to_do_words import WORDS
from core.payments.data import Bill, DisputeReport, Payment
from core.refunds import disputes, progress, refunds
from storefront import create_app
from storefront.extensions import db
from storefront.letters.writer import writer
from tests.core.mailing import SENDER, all_sent
from tests.factories import add_product, payment_of, reserved, sold
from tests.smtp import MailServer

# What the letters tell is found by core, whose own tests use both databases.
pytestmark = pytest.mark.daily_on("sqlite")

NBSP = "\N{NO-BREAK SPACE}"
ADDRESS = {
    "line1": "Dorpsstraat 1",
    "line2": None,
    "postal_code": "1234 AB",
    "city": "Ons Dorp",
    "state": "",
    "country": "NL",
}
Read = Callable[[str], Letter]


@pytest.fixture
def read(app: Flask, database: Database) -> Read:
    """Write the letter of a key as the shop does, outside of any request."""

    def read(key: str) -> Letter:
        with database.read() as session:
            row = session.scalars(select(Mail).where(Mail.key == key)).one()
            found = writer(app)(session, row)
        assert found is not None
        return found

    return read


def plain(text: str) -> str:
    """Return *text* with simple spaces, as a reader sees it."""
    return re.sub(r"[ \n]+", " ", text.replace(NBSP, " "))


def order(
    database: Database, now: datetime, *, locale: str = "nl", bill: Bill | None = None
) -> int:
    """Sell two cups, with a discount and to an address; return the checkout's id."""
    cup = add_product(database, name="Kop <klein>", price_cents=1250)
    checkout_id = reserved(database, {cup: 2}, now)
    speak(database, checkout_id, locale)
    paid = bill or Bill(
        subtotal_cents=2500,
        total_cents=2495,
        currency="eur",
        discount_cents=500,
        shipping_cents=495,
        promotion_code="HERFST",
        shipping_option="PostNL",
        customer_name="Marijke de Vries",
        customer_email="m@klant.example",
        shipping_name="Bakkerij De Vries",
        shipping_address=json.dumps(ADDRESS),
    )
    payment = Payment("cs_test_1", "pi_1", paid)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=now)
    )
    return checkout_id


def speak(database: Database, checkout_id: int, locale: str) -> None:
    change = update(Checkout).where(Checkout.id == checkout_id).values(locale=locale)
    database.write(lambda session: session.execute(change))


def give_back(
    database: Database, cents: int, now: datetime, *, reason: str = ""
) -> None:
    """Ask for the first refund, of the first order, and have Stripe take it."""
    database.write(
        lambda session: refunds.request_by_owner(
            session, 1, cents, reason=reason, who="owner", now=now
        )
    )
    accept(database, now)


def accept(database: Database, now: datetime) -> None:
    """Have Stripe take the first refund."""
    assert database.write(lambda s: progress.become(s, 1, SENT, now=now))


def add_owner(database: Database, email: str, now: datetime) -> None:
    accounts.set_owner(database, email, "a password", now=now)


def enter(database: Database, kind: str, now: datetime, **about: object) -> None:
    database.write(
        lambda session: records.add_to_do(
            session,
            kind,
            f"{kind}-1",
            checkout_id=None,
            now=now,
            **about,
        )
    )


def test_an_order_is_confirmed_in_dutch(
    read: Read, database: Database, config: Config, now: datetime
) -> None:
    order(database, now)

    letter = read("order-1")

    assert letter.recipients == ("m@klant.example",)
    assert letter.subject == "Je bestelling 1 bij Voorraad"
    text = plain(letter.text)
    assert "Dag Marijke de Vries, Bedankt voor je bestelling." in text
    assert "We hebben je betaling van € 24,95 ontvangen." in text
    assert "Kop <klein> (2 × € 12,50): € 25,00" in text  # noqa: RUF001 (times)
    assert "Korting (HERFST): € -5,00" in text
    assert "Verzending (PostNL): € 4,95" in text
    assert "Totaal: € 24,95 waarvan btw 21%: € 4,33" in text
    assert (
        "Bezorgadres: Bakkerij De Vries Dorpsstraat 1 1234 AB Ons Dorp Nederland"
        in text
    )
    assert re.search(rf"{re.escape(config.shop_url)}/orders/\w+", letter.text)
    assert "Heb je een vraag? Antwoord op deze mail" in text


def test_an_order_is_confirmed_in_english(
    read: Read, database: Database, now: datetime
) -> None:
    order(database, now, locale="en")

    letter = read("order-1")

    assert letter.subject == "Your order 1 at Voorraad"
    text = plain(letter.text)
    assert "We have received your payment of €24.95." in text
    assert "Total: €24.95 of which 21% VAT: €4.33" in text
    assert "Ons Dorp Netherlands" in text
    assert '<html lang="en">' in letter.html


def test_the_html_says_the_same_and_trusts_no_name(
    read: Read, database: Database, now: datetime
) -> None:
    order(database, now)

    html = plain(read("order-1").html)

    assert "Kop &lt;klein&gt;" in html
    assert "<klein>" not in html
    for said in ("Korting", "Verzending", "Totaal", "24,95", "Dorpsstraat 1"):
        assert said in html
    assert '<html lang="nl">' in html
    assert "src=" not in html


def test_the_link_leads_to_the_order(
    app: Flask, read: Read, database: Database, config: Config, now: datetime
) -> None:
    order(database, now)

    (address,) = re.findall(r"https?://\S+", read("order-1").text)
    page = app.test_client().get(address.removeprefix(config.shop_url))

    assert page.status_code == 200
    assert f'href="{address}"' in read("order-1").html


def test_an_order_without_extras_names_none(
    read: Read, database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now)

    text = read("order-1").text

    for word in ("Korting", "Verzending", "Bezorgadres"):
        assert word not in text


def test_an_order_of_nothing_thanks_for_no_payment(
    read: Read, database: Database, now: datetime
) -> None:
    free = Bill(subtotal_cents=2500, total_cents=0, currency="eur", discount_cents=2500)
    order(database, now, bill=replace(free, customer_email="m@shop.example"))

    text = plain(read("order-1").text)

    assert "Er hoefde niets betaald te worden" in text
    assert "betaling van" not in text


def test_a_refund_of_all_says_so(read: Read, database: Database, now: datetime) -> None:
    sold(database, {add_product(database): 1}, now)
    give_back(database, 1250, now)

    assert "We betalen alles terug" in plain(read("refund-1").text)


def test_an_order_for_review_says_so(
    read: Read, database: Database, now: datetime
) -> None:
    sold(database, {add_product(database): 1}, now, cents=1)

    assert "Er klopt iets niet" in plain(read("order-1").text)


def test_a_refund_by_the_shop_names_the_order(
    read: Read, database: Database, now: datetime
) -> None:
    order(database, now)
    give_back(database, 1000, now, reason="broken, said on the phone")

    letter = read("refund-1")

    assert plain(letter.subject) == "Je krijgt € 10,00 terug van Voorraad"
    text = plain(letter.text)
    assert "Dag Marijke de Vries" in text
    assert "een deel terug van wat je voor bestelling 1 hebt betaald" in text
    assert "Je krijgt € 10,00 terug" in text
    assert "binnen 5 tot 10 werkdagen" in text
    assert "Kop <klein> (2 × € 12,50): € 25,00" in text  # noqa: RUF001 (times)
    assert "/orders/" in text
    assert "phone" not in letter.text + letter.html


@pytest.mark.parametrize(
    ("kind", "locale", "said"),
    [
        ("TOO_LATE", "nl", "iemand anders had ze gekocht"),
        ("TOO_LATE", "en", "somebody else had bought them"),
        ("PAID_TWICE", "nl", "twee keer betaald voor dezelfde producten"),
        ("PAID_TWICE", "en", "You paid twice for the same products"),
    ],
)
def test_a_refund_by_itself_says_why(
    read: Read, database: Database, now: datetime, kind: str, locale: str, said: str
) -> None:
    vase = add_product(database, name="Vase")
    checkout_id = reserved(database, {vase: 1}, now)
    if kind == "PAID_TWICE":
        first = payment_of()
        database.write(
            lambda s: late_money.confirm_or_retake(s, checkout_id, first, now=now)
        )
    speak(database, checkout_id, locale)
    database.write(
        lambda session: refunds.request_automatic(
            session, checkout_id, payment_of("cs_late"), kind=kind, now=now
        )
    )
    accept(database, now)

    letter = read("refund-1")

    assert letter.recipients == ("m@shop.example",)
    for text in (plain(letter.text), plain(letter.html)):
        assert said in text
        assert "Vase" in text


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("TOO_LATE", "iemand anders had ze gekocht"),
        ("PAID_TWICE", "twee keer betaald voor dezelfde producten"),
    ],
)
def test_who_cannot_be_paid_back_by_itself_is_told_so(
    read: Read, database: Database, now: datetime, kind: str, said: str
) -> None:
    if kind == "PAID_TWICE":
        checkout_id = order(database, now)
    else:
        checkout_id = reserved(database, {add_product(database): 1}, now)
    database.write(
        lambda session: refunds.request_automatic(
            session,
            checkout_id,
            payment_of("cs_late", intent=None),
            kind=kind,
            now=now,
        )
    )

    letter = read("owed-1")

    assert plain(letter.subject) == "Je hebt nog € 12,50 van ons tegoed"
    text = plain(letter.text)
    assert said in text
    assert "We kijken het zelf na en nemen contact met je op" in text
    assert "werkdagen" not in text
    assert ("bestelling 1" in text) == (kind == "PAID_TWICE")


@pytest.mark.parametrize(
    ("locale", "said"),
    [("nl", "Je hebt niets betaald"), ("en", "You have paid nothing")],
)
def test_who_had_nothing_to_pay_is_told_that_the_goods_were_gone(
    read: Read, database: Database, now: datetime, locale: str, said: str
) -> None:
    checkout_id = reserved(database, {add_product(database): 1}, now)
    speak(database, checkout_id, locale)
    payment = payment_of("cs_late", cents=0, intent=None)
    database.write(
        lambda session: refunds.request_automatic(
            session, checkout_id, payment, kind="TOO_LATE", now=now
        )
    )

    letter = read("gone-cs_late")

    assert letter.recipients == ("m@shop.example",)
    assert said in plain(letter.text)
    assert said in plain(letter.html)


def test_a_refund_that_the_bank_sends_back_is_told_too(
    read: Read, database: Database, now: datetime
) -> None:
    order(database, now)
    give_back(database, 1000, now)
    database.write(lambda s: progress.fail(s, 1, failure="declined", now=now))

    letter = read("owed-1")

    assert letter.recipients == ("m@klant.example",)
    assert plain(letter.subject) == "Je hebt nog € 10,00 van ons tegoed"
    assert "bestelling 1" in plain(letter.text)
    assert "/orders/" in letter.text


def test_an_order_tells_its_day_and_the_phone_that_was_given(
    read: Read, database: Database, now: datetime
) -> None:
    checkout_id = reserved(database, {add_product(database): 1}, now)
    bill = replace(payment_of().bill, customer_phone="+31 6 12345678")
    payment = Payment("cs_test_1", "pi_1", bill)
    at = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
    database.write(
        lambda s: late_money.confirm_or_retake(s, checkout_id, payment, now=at)
    )

    text = plain(read("order-1").text)

    assert "Besteld op: 22 november 2026, 15:00" in text
    assert "Telefoon: +31 6 12345678" in text


def test_a_difference_to_what_was_asked_for_has_its_line(
    read: Read, database: Database, now: datetime
) -> None:
    sold(database, {add_product(database, price_cents=1250): 1}, now, cents=1000)

    text = plain(read("order-1").text)

    assert "Verschil: € -2,50" in text
    assert "Totaal: € 10,00 waarvan btw 21%: € 1,74" in text


@pytest.mark.parametrize(
    ("status", "subject", "said"),
    [
        ("lost", "Te doen: Betwiste betaling verloren", "niet meer betaald"),
        ("prevented", "Te doen: Betwiste betaling voorkomen", "Kijk bij Stripe"),
        ("won", "Te doen: Betwiste betaling afgelopen", "u houdt het geld"),
    ],
)
def test_the_owner_is_told_how_a_dispute_has_ended(
    read: Read,
    database: Database,
    now: datetime,
    status: str,
    subject: str,
    said: str,
) -> None:
    order(database, now)
    due_by = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)

    def hear(word: str) -> None:
        report = DisputeReport("du_1", "pi_1", 2495, "eur", "general", word, due_by)
        database.write(lambda s: disputes.take_report(s, report, now=now))

    hear("needs_response")
    asked = plain(read("to-do-1").text)
    assert "Antwoord voor: 30 november 2026, 00:30" in asked
    assert "Klant: Marijke de Vries" in asked
    all_sent(database)
    hear(status)

    letter = read(f"to-do-1-{status}")

    assert letter.subject == subject
    assert said in plain(letter.text)
    assert "Antwoord voor" not in letter.text


def test_a_dispute_that_is_lost_for_a_part_leaves_an_order_to_be_sent(
    read: Read, database: Database, now: datetime
) -> None:
    order(database, now)
    report = DisputeReport("du_1", "pi_1", 100, "eur", "general", "lost", None)
    database.write(lambda s: disputes.take_report(s, report, now=now))

    text = plain(read("to-do-1").text)

    assert "het bedrag hieronder is terug bij de klant" in text
    assert "niet meer betaald" not in text


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_a_letter_that_had_to_wait_tells_how_it_stands_now(
    read: Read, database: Database, now: datetime, *, is_tried_again: bool
) -> None:
    order(database, now)
    give_back(database, 1000, now)
    database.write(lambda s: progress.fail(s, 1, failure="declined", now=now))
    if is_tried_again:
        database.write(lambda s: refunds.request_again(s, 1, who="owner", now=now))

    for key in ("refund-1", "owed-1"):
        subject = plain(read(key).subject)
        assert subject.startswith("Je krijgt" if is_tried_again else "Je hebt nog")


def test_the_owner_is_told_what_had_been_asked_for(
    read: Read, database: Database, now: datetime
) -> None:
    sold(database, {add_product(database, price_cents=1250): 1}, now, cents=1000)

    text = plain(read("to-do-1").text)

    assert "Bedrag: € 10,00 Gevraagd: € 12,50" in text
    assert "Klant: Marijke de Vries" in text


@pytest.mark.parametrize("kind", TO_DO_KINDS)
def test_the_owners_are_told_of_an_entry_in_dutch(
    read: Read, database: Database, now: datetime, kind: str
) -> None:
    add_owner(database, "b@winkel.example", now)
    add_owner(database, "a@winkel.example", now)
    enter(database, kind, now, stripe_id="cs_test_9", amount_cents=1234)

    letter = read("to-do-1")

    assert letter.recipients == ("b@winkel.example", "a@winkel.example")
    assert letter.subject.startswith("Te doen: ")
    text = plain(letter.text)
    assert "Bedrag: € 12,34 Bij Stripe: cs_test_9" in text
    assert "op de pagina “Te doen” van het dashboard" in text
    assert WORDS["en"][kind][1][:20] not in text


def test_an_entry_names_its_order(
    read: Read, database: Database, now: datetime
) -> None:
    add_owner(database, "b@winkel.example", now)
    sold(database, {add_product(database): 1}, now, cents=1)

    assert "Bestelling: 1" in read("to-do-1").text


def test_an_owner_without_a_real_address_gets_no_real_mail(
    config: Config, database: Database, now: datetime, mail_server: MailServer
) -> None:
    add_owner(database, "owner@localhost", now)
    enter(database, "DISPUTED", now)
    app = create_app(replace(config, smtp=mail_server.settings(), mail_from=SENDER))

    sent = send(app)

    assert sent == outbox.Sent(failed=1)
    assert mail_server.seen["MAIL"] == 0
    with database.read() as session:
        assert session.scalars(select(Mail.error)).one() == "no owner has an address"


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


def send(app: Flask) -> outbox.Sent:
    """Send what is due in a thread, as the scheduler does."""
    sent: list[outbox.Sent] = []
    shop = app.extensions["shop"]
    thread = threading.Thread(
        target=lambda: sent.append(outbox.send_due(shop, writer(app)))
    )
    thread.start()
    thread.join()
    with app.app_context():
        db.engine.dispose()
    return sent[0]


def test_the_letters_of_an_order_and_its_refund_arrive(
    config: Config, database: Database, now: datetime, mail_server: MailServer
) -> None:
    order(database, now)
    give_back(database, 1000, now)
    app = create_app(replace(config, smtp=mail_server.settings(), mail_from=SENDER))

    assert send(app) == outbox.Sent(sent=2)
    subjects = [plain(each.message["Subject"]) for each in mail_server.letters]
    assert subjects == [
        "Je bestelling 1 bij Voorraad",
        "Je krijgt € 10,00 terug van Voorraad",
    ]


def test_a_demo_keeps_the_letter_to_its_owner_as_a_file(
    app: Flask, config: Config, database: Database, now: datetime
) -> None:
    add_owner(database, "owner@localhost", now)
    enter(database, "RESTOCK", now)

    assert send(app) == outbox.Sent(sent=1)
    message = message_from_bytes(
        copy_of(config, "to-do-1").read_bytes(), policy=default
    )
    assert message["To"] == "owner@localhost"
    assert (
        message["Subject"]
        == "Te doen: Terugbetaald bij Stripe: komen er goederen terug?"
    )


def test_letters_about_what_is_not_there_are_not_written(
    app: Flask, database: Database, now: datetime
) -> None:
    rows = [
        Mail(key=kind, kind=kind, due_at=now, created_at=now)
        for kind in ("ORDER", "REFUND", "TO_DO")
    ]

    with database.read() as session:
        assert [writer(app)(session, row) for row in rows] == [None] * 3


def test_the_command_sends_and_counts(
    app: Flask, config: Config, database: Database, now: datetime
) -> None:
    order(database, now)

    done = app.test_cli_runner().invoke(args=["send-mail"])

    assert done.exit_code == 0
    assert done.stdout == (
        "1 sent, 0 to be tried again, 0 failed, 0 of which nobody knows\n"
    )
    assert copy_of(config, "order-1").exists()


def test_the_command_says_that_letters_wait(
    config: Config, database: Database, now: datetime
) -> None:
    order(database, now)
    app = create_app(replace(config, stripe_secret_key="sk_live_shop"))

    done = app.test_cli_runner().invoke(args=["send-mail"])
    with app.app_context():
        db.engine.dispose()

    assert done.exit_code == 1
    assert done.stderr == "Error: 1 letters wait: SMTP_URL is not set\n"


def test_a_visitors_language_does_not_reach_a_letter(
    app: Flask, database: Database, now: datetime
) -> None:
    order(database, now)

    visit = app.test_request_context(headers={"Accept-Language": "en"})
    with visit, database.read() as session:
        row = session.scalars(select(Mail)).one()
        letter = writer(app)(session, row)

    assert letter is not None
    assert letter.subject == "Je bestelling 1 bij Voorraad"
