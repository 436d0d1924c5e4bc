"""What each entry for the owner means and what to do about it, in Dutch and English."""

from collections.abc import Mapping

from core.models import records
from core.models.refunds import DISPUTE_LOST, DISPUTE_OVER, DISPUTE_PREVENTED
from core.owner.to_dos import ToDoView

# How a dispute has ended, for the owner. UNPAID: the order has no money left.
LOST, UNPAID, PREVENTED, KEPT = DISPUTE_ENDS = ("LOST", "UNPAID", "PREVENTED", "KEPT")
# By language, and by the kind of an entry or the end of a dispute.
WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "nl": {
        records.AMOUNT: (
            "Ander bedrag betaald dan gevraagd",
            "De klant betaalde een ander bedrag, of in een andere valuta, dan de"
            " winkel had gevraagd. Kijk de bestelling na en geef akkoord, of betaal"
            " terug.",
        ),
        records.TOO_LATE: (
            "Betaald toen de goederen al weg waren",
            "Iemand anders had de goederen al gekocht toen deze betaling kwam. Wat er"
            " betaald is, gaat vanzelf terug en de klant krijgt bericht; u hoeft niets"
            " te doen zolang dat lukt.",
        ),
        records.PAID_TWICE: (
            "Twee keer betaald",
            "De klant betaalde dezelfde winkelwagen twee keer. De bestelling blijft"
            " staan; de tweede betaling gaat vanzelf terug en de klant krijgt bericht.",
        ),
        records.REFUND_FAILED: (
            "Terugbetaling mislukt",
            "Stripe of de bank kon het geld niet terugbetalen, dus de klant heeft het"
            " nog tegoed. Probeer het opnieuw in het dashboard, of betaal het op een"
            " andere manier terug.",
        ),
        records.REFUND_WAITS: (
            "Terugbetaling wacht al een dag",
            "Stripe neemt deze terugbetaling al een dag niet aan. De winkel blijft het"
            " proberen. Kijk bij Stripe of er genoeg saldo is en of de sleutel van de"
            " winkel mag terugbetalen.",
        ),
        records.RESTOCK: (
            "Terugbetaald bij Stripe: komen er goederen terug?",
            "Er is bij Stripe zelf geld teruggestuurd, en daar wordt niet naar de"
            " goederen gevraagd. Zeg bij de bestelling wat er terugkomt in de"
            " voorraad, als er iets terugkomt.",
        ),
        records.DISPUTED: (
            "Klant betwist een betaling",
            "De bank van de klant vraagt het geld terug. Antwoord bij Stripe voor de"
            " termijn om is: zonder antwoord bent u het geld kwijt.",
        ),
        records.UNKNOWN_SESSION: (
            "Betaling zonder bestelling",
            "Bij Stripe staat een betaling met het merk van deze winkel, maar de"
            " winkel kent die afrekening niet, bijvoorbeeld omdat een oude database is"
            " teruggezet. Zoek de betaling op bij Stripe en betaal terug, of lever wat"
            " er gekocht is.",
        ),
        LOST: (
            "Betwiste betaling verloren",
            "De bank gaf de klant gelijk: het bedrag hieronder is terug bij de klant.",
        ),
        UNPAID: (
            "Betwiste betaling verloren",
            "De bank gaf de klant gelijk: het geld is terug bij de klant, en de"
            " bestelling is niet meer betaald. Wat u nog niet verzonden hebt, hoeft u"
            " niet te verzenden.",
        ),
        PREVENTED: (
            "Betwiste betaling voorkomen",
            "De betwisting is gestopt voordat ze begon. Kijk bij Stripe of het bedrag"
            " daarvoor is teruggegeven.",
        ),
        KEPT: (
            "Betwiste betaling afgelopen",
            "Het is zonder verlies afgelopen: u houdt het geld.",
        ),
    },
    "en": {
        records.AMOUNT: (
            "A different amount was paid than asked for",
            "The customer paid a different amount, or in another currency, than the"
            " shop asked for. Check the order and accept it, or refund the payment.",
        ),
        records.TOO_LATE: (
            "Paid after the products were gone",
            "Somebody else had bought the products by the time this payment came. The"
            " shop refunds it by itself and tells the customer; you need do nothing as"
            " long as that succeeds.",
        ),
        records.PAID_TWICE: (
            "Paid twice",
            "The customer paid twice for the same cart. The order stands; the shop"
            " refunds the second payment by itself and tells the customer.",
        ),
        records.REFUND_FAILED: (
            "A refund failed",
            "Stripe or the bank could not refund the money, so the customer is still"
            " owed it. Try again in the dashboard, or pay it back another way.",
        ),
        records.REFUND_WAITS: (
            "A refund has been waiting for a day",
            "Stripe has not accepted this refund for a day. The shop keeps trying."
            " Check at Stripe that the balance is high enough and that the shop's key"
            " may make refunds.",
        ),
        records.RESTOCK: (
            "Refunded at Stripe: do any products come back?",
            "A refund was made at Stripe itself, which does not ask about the"
            " products. Say at the order which of them come back to the stock, if any"
            " do.",
        ),
        records.DISPUTED: (
            "A customer disputes a payment",
            "The customer's bank claims the money back. Respond at Stripe before the"
            " deadline: without a response the money is lost.",
        ),
        records.UNKNOWN_SESSION: (
            "A payment without an order",
            "Stripe has a payment marked as this shop's, but the shop does not know"
            " its checkout, for example because an old database was restored. Look the"
            " payment up at Stripe and refund it, or deliver what was bought.",
        ),
        LOST: (
            "A dispute was lost",
            "The bank decided for the customer: the amount below is back with the"
            " customer.",
        ),
        UNPAID: (
            "A dispute was lost",
            "The bank decided for the customer: the money is back with the customer,"
            " and the order is no longer paid. What you have not sent yet, you need"
            " not send.",
        ),
        PREVENTED: (
            "A dispute was prevented",
            "The dispute was stopped before it began. Check at Stripe whether the"
            " amount was refunded for that.",
        ),
        KEPT: (
            "A dispute is over",
            "It ended without a loss: you keep the money.",
        ),
    },
}


def words_of(entry: ToDoView, locale: str) -> tuple[str, str]:
    """Return the title and the explanation of *entry* now; *locale* is nl or en."""
    kind, dispute = entry.kind, entry.dispute
    if dispute and dispute.status == DISPUTE_LOST:
        kind = UNPAID if entry.is_order_unpaid else LOST
    elif dispute and dispute.status in DISPUTE_OVER:
        kind = PREVENTED if dispute.status == DISPUTE_PREVENTED else KEPT
    return WORDS[locale][kind]
