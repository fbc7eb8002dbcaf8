"""A person buys something: the real shop in a real browser, on a desk and on a phone."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

pytestmark = pytest.mark.xdist_group("shop-stores")

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: demo_shop/local/install-stores.sh --tests installs it")
        pytest.skip("no Chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def visit(browser: Browser, shop: dict[str, Any], viewport: ViewportSize, scripts: bool = True) -> Page:
    context = browser.new_context(
        base_url=shop["shop"], viewport=viewport, java_script_enabled=scripts, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    return page


def put_first_product_into_cart(page: Page) -> str:
    page.goto("/")
    page.locator("main a[href^='/product/']").first.click()
    name = page.get_by_role("heading", level=1).inner_text()
    page.get_by_role("button", name="Add to cart").first.click()
    expect(page).to_have_url(re.compile("/cart"))
    expect(page.get_by_role("link", name=name).first).to_be_visible()
    return name


def fill_in(page: Page, payment: str) -> None:
    page.get_by_role("link", name="Go to checkout").click()
    page.get_by_label("E-mail").fill("you@example.org")
    page.get_by_label("Name").fill("Ada Example")
    page.get_by_label("Street and number").fill("1 Main Street")
    page.get_by_label("Postcode and town").fill("12345 Example")
    page.locator(f"input[name=payment][value={payment}]").check()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_the_front_page_to_the_confirmation(
    browser: Browser, shop: dict[str, Any], viewport: ViewportSize, scripts: bool
) -> None:
    page = visit(browser, shop, viewport, scripts)
    name = put_first_product_into_cart(page)
    fill_in(page, "card")
    page.get_by_role("button", name="Order and pay").click()
    expect(page).to_have_url(re.compile(r"/order/[0-9a-f-]{36}"))
    expect(page.get_by_text(name).first).to_be_visible()
    expect(page.get_by_text(re.compile("thank you|confirmed", re.IGNORECASE)).first).to_be_visible(timeout=15_000)
    page.context.close()


def test_a_refused_card_says_so_and_keeps_the_cart(browser: Browser, shop: dict[str, Any]) -> None:
    page = visit(browser, shop, PHONE)
    name = put_first_product_into_cart(page)
    fill_in(page, "declined")
    page.get_by_role("button", name="Order and pay").click()
    expect(page.get_by_text(re.compile("declined|refused", re.IGNORECASE)).first).to_be_visible()
    page.goto("/cart")
    expect(page.get_by_role("link", name=name).first).to_be_visible()
    page.context.close()


def test_search_finds_and_pages_fit_a_phone(browser: Browser, shop: dict[str, Any]) -> None:
    page = visit(browser, shop, PHONE)
    page.goto("/")
    word = page.locator("main a[href^='/product/']").first.inner_text().split()[-1]
    page.goto(f"/search?q={word}")
    expect(page.locator("main a[href^='/product/']").first).to_be_visible()
    for path in ("/", f"/search?q={word}", "/cart"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], f"{path} is wider than a phone"
    page.context.close()


def test_pages_break_none_of_their_own_security_rules(browser: Browser, shop: dict[str, Any]) -> None:
    page = visit(browser, shop, DESK)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    put_first_product_into_cart(page)
    for path in ("/", "/cart", "/search?q=lamp"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert complaints == []
    page.context.close()


def test_pictures_of_the_pages_for_people(browser: Browser, shop: dict[str, Any], tmp_path: Path) -> None:
    """SHOP_SCREENSHOTS=folder keeps them for somebody to look at."""
    folder = Path(os.environ.get("SHOP_SCREENSHOTS", tmp_path))
    for viewport, device in ((DESK, "desk"), (PHONE, "phone")):
        page = visit(browser, shop, viewport)
        put_first_product_into_cart(page)
        for path, name in (("/", "front"), ("/product/1", "product"), ("/cart", "cart"), ("/checkout", "checkout")):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            picture = folder / f"{device}-{name}.png"
            page.screenshot(path=picture, full_page=device == "phone")
            assert picture.stat().st_size > 5_000
        page.context.close()
