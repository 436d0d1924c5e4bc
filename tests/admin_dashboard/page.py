"""A page of the dashboard that runs in this process, within its frame."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

MAIN = Path(__file__).resolve().parents[2] / "admin_dashboard" / "main.py"


def opened(name: str, **query: str) -> AppTest:
    """Open a page by the name of its file, with the parameters of its address."""
    frame = AppTest.from_file(str(MAIN), default_timeout=30).run()
    if name != "overview":
        for key, value in query.items():
            frame.query_params[key] = value
        frame.switch_page(f"app_pages/{name}.py").run()
    assert not frame.exception
    return frame


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def infos(page: AppTest) -> list[str]:
    return [info.value for info in page.info]


def rows(page: AppTest, table: int = 0) -> list[dict[str, object]]:
    found: list[dict[str, object]] = page.dataframe[table].value.to_dict("records")
    return found


def holds(page: AppTest) -> list[dict[str, object]]:
    found: list[dict[str, object]] = page.table[0].value.to_dict("records")
    return found


def texts(page: AppTest) -> str:
    """Return all that is written on the page, but not in its tables."""
    written = (*page.title, *page.markdown, *page.caption, *page.info)
    told = (*page.success, *page.warning, *page.error)
    return "\n".join(str(each.value) for each in (*written, *told))


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def button(page: AppTest, label: str) -> Button:
    [found] = [each for each in page.button if each.label.startswith(label)]
    return found


def press(page: AppTest, label: str) -> AppTest:
    button(page, label).click().run()
    assert not page.exception
    return page
