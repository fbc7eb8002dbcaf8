"""Which class a request is of."""

from __future__ import annotations

import pytest

from demo_shop.gateway.priorities import Priority, classify, is_asset

CHROME = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
GOOGLEBOT = b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def of_visitor(path: str, method: str = "GET", *more: tuple[bytes, bytes]) -> Priority:
    return classify(path, method, [(b"host", b"shop"), (b"user-agent", CHROME), *more])


@pytest.mark.parametrize(
    ("path", "method", "priority"),
    [
        ("/", "GET", Priority.BROWSE),
        ("/category/lamps", "GET", Priority.BROWSE),
        ("/product/7", "GET", Priority.BROWSE),
        ("/search", "GET", Priority.BROWSE),
        ("/images/7.svg", "GET", Priority.BROWSE),
        ("/cart", "GET", Priority.CART),
        ("/cart/add", "POST", Priority.CART),
        ("/checkout", "GET", Priority.CHECKOUT),
        ("/checkout", "POST", Priority.CHECKOUT),
        ("/order/5f0c", "GET", Priority.CHECKOUT),
        ("/api/v1/products", "GET", Priority.BROWSE),
        ("/api/v1/carts", "POST", Priority.CART),
        ("/api/v1/carts/abc/lines", "POST", Priority.CART),
        ("/api/v1/orders", "POST", Priority.CHECKOUT),
        ("/api/v1/orders/5f0c", "GET", Priority.CHECKOUT),
        ("/orderly", "GET", Priority.BROWSE),
        ("/api/", "GET", Priority.BROWSE),
        ("", "GET", Priority.BROWSE),
        ("*", "OPTIONS", Priority.BROWSE),
    ],
)
def test_the_path_says_what_a_visit_is_worth(path: str, method: str, priority: Priority) -> None:
    assert of_visitor(path, method) is priority


def test_checkout_goes_before_cart_before_browse_before_bots() -> None:
    assert Priority.CHECKOUT > Priority.CART > Priority.BROWSE > Priority.BOT
    assert [priority.label for priority in Priority] == ["bot", "browse", "cart", "checkout"]


@pytest.mark.parametrize(
    "agent",
    [
        GOOGLEBOT,
        b"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        b"AdsBot-Google (+http://www.google.com/adsbot.html)",
        b"Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
        b"Baiduspider+(+http://www.baidu.com/search/spider.htm)",
        b"Scrapy/2.11 (+https://scrapy.org)",
        b"Wget/1.21",
        b"SomeCrawler/1",
        b"UPTIMEROBOT/2.0",
    ],
)
def test_crawlers_are_bots_by_their_own_word(agent: bytes) -> None:
    assert classify("/product/7", "GET", [(b"user-agent", agent)]) is Priority.BOT


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        CHROME.replace(b"Chrome", b"HeadlessChrome"),
        b"Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 40) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
        b"Python/3.11 aiohttp/3.14",
        b"curl/8.5.0",
        b"Mozilla/5.0 (Robotics Lab Browser)",
    ],
)
def test_people_their_telephones_and_tools_are_not_bots(agent: bytes) -> None:
    assert classify("/product/7", "GET", [(b"user-agent", agent)]) is Priority.BROWSE


def test_a_crawler_that_reads_the_cart_is_still_a_crawler() -> None:
    assert classify("/cart", "GET", [(b"user-agent", GOOGLEBOT)]) is Priority.BOT


def test_an_order_is_an_order_whoever_sends_it() -> None:
    assert classify("/api/v1/orders", "POST", [(b"user-agent", GOOGLEBOT)]) is Priority.CHECKOUT
    assert classify("/checkout", "POST", []) is Priority.CHECKOUT


def test_pages_without_a_user_agent_are_for_bots_but_the_api_needs_none() -> None:
    assert classify("/product/7", "GET", []) is Priority.BOT
    assert classify("/api/v1/products/7", "GET", []) is Priority.BROWSE
    assert classify("/images/7.svg", "GET", []) is Priority.BROWSE


def test_the_synthetic_probe_is_treated_like_the_visitor_it_plays() -> None:
    probe = (b"x-synthetic", b"probe")

    assert classify("/product/7", "GET", [probe]) is Priority.BROWSE
    assert classify("/product/7", "GET", [(b"user-agent", GOOGLEBOT), probe]) is Priority.BROWSE
    assert classify("/checkout", "GET", [probe, (b"user-agent", b"probe-bot/1")]) is Priority.CHECKOUT
    assert classify("/product/7", "GET", [(b"x-synthetic", b"something"), (b"user-agent", GOOGLEBOT)]) is Priority.BOT


def test_a_page_that_nobody_looks_at_yet_can_wait() -> None:
    assert of_visitor("/product/7", "GET", (b"sec-purpose", b"prefetch;prerender")) is Priority.BOT


def test_a_very_long_user_agent_is_judged_by_its_beginning() -> None:
    assert classify("/", "GET", [(b"user-agent", b"Googlebot/2.1 " + b"x" * 10_000)]) is Priority.BOT
    assert classify("/", "GET", [(b"user-agent", b"x" * 10_000 + b" Googlebot/2.1")]) is Priority.BROWSE


def test_assets_are_told_from_pages() -> None:
    assert is_asset("/images/7.svg")
    assert is_asset("/static/shop.css")
    assert not is_asset("/product/7")
