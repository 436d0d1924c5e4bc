"""What the entries for the owner mean, and what to do about them."""

from core.models import (
    AMOUNT,
    DISPUTED,
    PAID_TWICE,
    REFUND_FAILED,
    REFUND_WAITS,
    RESTOCK,
    TOO_LATE,
    UNKNOWN_SESSION,
)

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
        "De klant betaalde hetzelfde winkelmandje twee keer. De bestelling blijft"
        " staan; de tweede betaling gaat vanzelf terug en de klant krijgt bericht."
    ),
    REFUND_FAILED: (
        "Stripe of de bank kon het geld niet terugbetalen, dus de klant heeft het nog"
        " tegoed. Probeer het opnieuw bij Bestellingen, of betaal het op een andere"
        " manier terug."
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
