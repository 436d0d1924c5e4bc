"""
Take the README's screenshots: a demo shop with some holds and orders, in Chromium.

    python -m scripts.screenshots

The files go to docs/images. CHROMIUM is the browser's path, by default Debian's.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.parts import ROOT, die_with, is_ok

IMAGES = ROOT / "docs" / "images"
LARGEST_BYTES = 250_000
START_SECONDS = 90
PORTS = ("STOREFRONT_PORT", "DASHBOARD_PORT", "STRIPE_EMULATOR_PORT")
EMAIL, PASSWORD = "owner@localhost", "for the pictures"

SOLD: tuple[Mapping[str, int], ...] = (
    {"KER-KOP": 2, "KER-POT": 1},
    {"TEX-SOK-1": 2},
    {"KER-VAA": 1, "WON-KAA": 2},
    {"TEX-PLA": 5},
)
HELD: tuple[Mapping[str, int], ...] = (
    {"KER-KOP": 2, "TEX-DOE": 3},
    {"KER-POT": 2},
    {"KER-VAA": 4},
    {"WON-KAA": 4, "TEX-SOK-2": 2},
    {"SPE-EEN": 3},
    {"SPE-TRE": 1, "KER-KOP": 1},
    {"KER-SCH": 2},
)


@dataclass(frozen=True)
class DemoShop:
    storefront: str
    dashboard: str
    stripe: str

    def check_out(self, cart: Mapping[str, int]) -> str:
        """Reserve *cart* (SKU to units); return the id of its Stripe session."""
        products = requests.get(f"{self.storefront}/api/products", timeout=30).json()
        ids = {each["sku"]: each["id"] for each in products["products"]}
        items = [
            {"product_id": ids[sku], "quantity": units} for sku, units in cart.items()
        ]
        answer = requests.post(
            f"{self.storefront}/api/checkout", json={"items": items}, timeout=60
        )
        answer.raise_for_status()
        return str(answer.json()["stripe_session_id"])

    def buy(self, cart: Mapping[str, int]) -> None:
        pay = f"{self.stripe}/_emulator/sessions/{self.check_out(cart)}/pay"
        requests.post(pay, json={"method": "ideal"}, timeout=60).raise_for_status()


def free_ports(count: int) -> list[int]:
    with ExitStack() as open_ones:
        probes = [open_ones.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextmanager
def demo_shop(folder: Path) -> Iterator[DemoShop]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    foreign = ("STRIPE_", "DATABASE_URL", "SHOP_URL", "RESERVATION_")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    environ |= {name: str(port) for name, port in ports.items()}
    environ |= {"DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    environ |= {"OWNER_EMAIL": EMAIL, "OWNER_PASSWORD": PASSWORD}
    log = folder / "demo.log"
    with log.open("wb") as output:
        shop = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "serve.py")],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with(os.getpid()),
        )
    try:
        storefront, dashboard, stripe = ports.values()
        deadline = time.monotonic() + START_SECONDS
        while not (is_ok(storefront, "/readyz") and is_ok(dashboard, "/healthz")):
            if shop.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"screenshots: no demo shop\n{log.read_text()}")
            time.sleep(0.2)
        yield DemoShop(
            *(f"http://127.0.0.1:{p}" for p in (storefront, dashboard, stripe))
        )
    finally:
        shop.send_signal(signal.SIGINT)
        shop.wait(30)


def window(browser: Browser, width: int, height: int, *, sharpness: int = 1) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=sharpness,
        locale="nl-NL",
        timezone_id="Europe/Amsterdam",
        reduced_motion="reduce",
    )
    return context.new_page()


def take(page: Page, name: str) -> None:
    path = IMAGES / name
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB")
    if size > LARGEST_BYTES:
        sys.exit(f"screenshots: {name} is too large for a README")


def take_storefront(browser: Browser, shop: DemoShop) -> None:
    page = window(browser, 1280, 1050)
    page.goto(shop.storefront)
    take(page, "storefront.png")


def take_phone(browser: Browser, shop: DemoShop) -> None:
    page = window(browser, 390, 844, sharpness=2)
    page.goto(shop.storefront)
    page.get_by_role("link", name="Theepot met houten beugel").click()
    take(page, "storefront-phone.png")


def take_dashboard(browser: Browser, shop: DemoShop) -> None:
    page = window(browser, 1280, 900)
    page.goto(shop.dashboard)
    page.get_by_label("E-mailadres").fill(EMAIL)
    page.get_by_label("Wachtwoord").fill(PASSWORD)
    page.get_by_role("button", name="Inloggen").click()
    page.locator("[data-testid=stVegaLiteChart] :is(canvas, svg)").first.wait_for()
    take(page, "dashboard.png")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        demo_shop(Path(folder)) as shop,
        sync_playwright() as playwright,
    ):
        for cart in SOLD:
            shop.buy(cart)
        for cart in HELD:
            shop.check_out(cart)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        take_storefront(browser, shop)
        take_phone(browser, shop)
        take_dashboard(browser, shop)
        browser.close()


if __name__ == "__main__":
    main()
