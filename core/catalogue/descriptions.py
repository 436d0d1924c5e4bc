"""Descriptions: the harmless part of the HTML that a product file has."""

import nh3

HTML_TAGS = {
    *("p", "br", "div", "ul", "ol", "li", "strong", "em", "b", "i", "h3", "h4", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def clean_description(html: str) -> str:
    """Return *html* with only harmless tags left; safe to repeat."""
    # Badly nested tags take several rounds; a second import must find nothing to do.
    for _ in range(5):
        dirty = html
        html = nh3.clean(
            dirty,
            tags=HTML_TAGS,
            attributes={"a": {"href"}},
            url_schemes={"http", "https"},
            url_relative="deny",
            link_rel="noopener noreferrer",
        ).strip()
        if html == dirty:
            break
    return html
