"""What a letter consists of; the templates give it its form."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    label: str
    figure: str
    detail: str = ""
    is_sum: bool = False


@dataclass(frozen=True)
class Place:
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """A letter's content, in the language of whoever gets it."""

    recipients: tuple[str, ...]
    subject: str
    opening: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    places: tuple[Place, ...] = ()
    order_url: str = ""
    closing: tuple[str, ...] = ()
