"""What the entries for the owner mean, and what to do about them."""

from admin_dashboard.words import orders as words
from core.models.records import (
    AMOUNT,
    DISPUTED,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_WAITS,
    RESTOCK,
    TOO_LATE,
    UNKNOWN_SESSION,
)
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER, DISPUTE_PREVENTED
from core.owner.to_dos import ToDoView

TITLES = {
    AMOUNT: "Ander bedrag betaald dan gevraagd",
    TOO_LATE: "Betaald toen de goederen al weg waren",
    PAID_TWICE: "Twee keer betaald",
    REFUND_FAILED: "Terugbetaling mislukt",
    REFUND_WAITS: "Terugbetaling wacht al een dag",
    RESTOCK: "Terugbetaald bij Stripe: komen er goederen terug?",
    DISPUTED: "Klant betwist een betaling",
    UNKNOWN_SESSION: "Betaling zonder bestelling",
}
EXPLANATIONS = {
    AMOUNT: (
        "De klant betaalde een ander bedrag, of in een andere valuta, dan de winkel had"
        " gevraagd. Kijk de bestelling na en geef akkoord, of betaal terug."
    ),
    TOO_LATE: (
        "Iemand anders had de goederen al gekocht toen deze betaling kwam. Wat er"
        " betaald is, gaat vanzelf terug en de klant krijgt bericht; u hoeft niets te"
        " doen zolang dat lukt."
    ),
    PAID_TWICE: (
        "De klant betaalde dezelfde winkelwagen twee keer. De bestelling blijft"
        " staan; de tweede betaling gaat vanzelf terug en de klant krijgt bericht."
    ),
    REFUND_FAILED: (
        "Stripe of de bank kon het geld niet terugbetalen, dus de klant heeft het nog"
        " tegoed. Probeer het opnieuw op de pagina waar de link hieronder naartoe gaat,"
        " of betaal het op een andere manier terug."
    ),
    REFUND_WAITS: (
        "Stripe neemt deze terugbetaling al een dag niet aan. De winkel blijft het"
        " proberen. Kijk bij Stripe of er genoeg saldo is en of de sleutel van de"
        " winkel mag terugbetalen."
    ),
    RESTOCK: (
        "Er is bij Stripe zelf geld teruggestuurd, en daar wordt niet naar de goederen"
        " gevraagd. Zeg bij de bestelling wat er terugkomt in de voorraad, als er iets"
        " terugkomt."
    ),
    DISPUTED: (
        "De bank van de klant vraagt het geld terug. Antwoord bij Stripe voor de"
        " termijn om is: zonder antwoord bent u het geld kwijt."
    ),
    UNKNOWN_SESSION: (
        "Bij Stripe staat een betaling met het merk van deze winkel, maar de winkel"
        " kent die afrekening niet, bijvoorbeeld omdat een oude database is"
        " teruggezet. Zoek hem op bij Stripe en betaal terug, of lever wat er gekocht"
        " is."
    ),
}
LOST = (
    "Betwiste betaling verloren",
    "De bank gaf de klant gelijk: het bedrag hieronder is terug bij de klant.",
)
UNPAID = (
    LOST[0],
    "De bank gaf de klant gelijk: het geld is terug bij de klant, en de bestelling is"
    " niet meer betaald. Wat u nog niet verzonden hebt, hoeft u niet te verzenden.",
)
PREVENTED = (
    "Betwiste betaling voorkomen",
    "De betwisting is gestopt voordat ze begon. Kijk bij Stripe of het bedrag daarvoor"
    " is teruggegeven.",
)
KEPT = (
    "Betwiste betaling afgelopen",
    "Het is zonder verlies afgelopen: u houdt het geld.",
)


def words_of(entry: ToDoView) -> tuple[str, str]:
    """Return the title of an entry and what it means, as it stands now."""
    if entry.dispute is not None and entry.dispute.status in DISPUTE_OVER:
        ended = {DISPUTE_LOST: LOST, DISPUTE_PREVENTED: PREVENTED}
        is_unpaid = entry.dispute.status == DISPUTE_LOST and entry.is_order_unpaid
        return UNPAID if is_unpaid else ended.get(entry.dispute.status, KEPT)
    return TITLES[entry.kind], EXPLANATIONS[entry.kind]


def facts_of(entry: ToDoView) -> str:
    """Return when, who and how much, and the names at Stripe, on a line."""
    facts = [words.moment(entry.created_at), entry.customer]
    if entry.amount_cents:
        facts.append(words.money(entry.amount_cents, entry.currency))
    dispute = entry.dispute
    if dispute is not None and dispute.due_by and dispute.status not in DISPUTE_OVER:
        facts.append(f"antwoord voor {words.moment(dispute.due_by)}")
    ids = dict.fromkeys((entry.stripe_id, entry.payment_intent))
    return words.plain(" \N{MIDDLE DOT} ".join(filter(None, [*facts, *ids])))
