"""The texts of the login pages, in Dutch and English."""

from collections.abc import Mapping

DUTCH = {
    "lang": "nl",
    "title": "Inloggen",
    "lead": "Het overzicht van de winkel is voor de eigenaar.",
    "email": "E-mailadres",
    "password": "Wachtwoord",
    "log_in": "Inloggen",
    "leave_title": "Uitloggen",
    "leave_lead": "Daarna vraagt het overzicht weer om het wachtwoord.",
    "log_out": "Uitloggen",
    "back": "Terug naar het overzicht",
    "wrong": "Dit e-mailadres en wachtwoord horen niet bij elkaar.",
    "too_often": "Te vaak geprobeerd. Wacht even en probeer het dan weer.",
    "form_ended": "Het formulier was verlopen. Probeer het nog eens.",
    "unavailable": "De database van de winkel is nu niet bereikbaar."
    " Probeer het zo weer.",
}
ENGLISH = {
    "lang": "en",
    "title": "Log in",
    "lead": "The dashboard of the shop is for its owner.",
    "email": "E-mail address",
    "password": "Password",
    "log_in": "Log in",
    "leave_title": "Log out",
    "leave_lead": "The dashboard will then ask for the password again.",
    "log_out": "Log out",
    "back": "Back to the dashboard",
    "wrong": "This e-mail address and password do not belong together.",
    "too_often": "Too many attempts. Wait a moment, then try again.",
    "form_ended": "The form had expired. Please try again.",
    "unavailable": "The shop's database cannot be reached now. Try again soon.",
}


def words_for(accept_language: str) -> Mapping[str, str]:
    """Return the texts in the language that is preferred; Dutch if neither is."""
    best = max(_weight(accept_language, "en"), 0.0)
    return ENGLISH if best > _weight(accept_language, "nl") else DUTCH


def _weight(accept_language: str, language: str) -> float:
    weights = [0.0]
    for part in accept_language.split(","):
        tag, _, rest = part.strip().partition(";")
        if tag.partition("-")[0].lower() == language:
            try:
                weights.append(float(rest.partition("q=")[2] or 1))
            except ValueError:
                continue
    return max(weights)
