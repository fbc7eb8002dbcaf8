import pytest

from chaos.load.target import TargetRefused, checked_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9:8080/", "http://127.9.9.9:8080"),
        ("http://localhost", "http://localhost:80"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_this_machine_may_be_loaded(url, target):
    assert checked_target(url).url == target


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1:8080",
        "http://0.0.0.0:8080",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://2130706433:80",
    ],
)
def test_everything_else_is_refused_with_the_way_to_allow_it(url):
    with pytest.raises(TargetRefused, match="--allow-host"):
        checked_target(url)


def test_a_host_that_was_allowed_may_be_loaded_and_no_other():
    assert checked_target("http://shop.test:8080", ["Shop.test"]).host == "shop.test"
    with pytest.raises(TargetRefused):
        checked_target("http://other.test:8080", ["shop.test"])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://127.0.0.1", "http://host:port"),
        ("127.0.0.1:8080", "http://host:port"),
        ("http://127.0.0.1/shop", "without a path"),
        ("http://127.0.0.1:99999", "not a URL"),
        ("http://user:secret@127.0.0.1", "user or a password"),
        ("http://", "http://host:port"),
    ],
)
def test_what_is_no_shops_address_is_refused(url, message):
    with pytest.raises(TargetRefused, match=message):
        checked_target(url)


def test_a_password_in_the_address_is_not_repeated():
    with pytest.raises(TargetRefused) as refusal:
        checked_target("http://user:secret@127.0.0.1")

    assert "secret" not in str(refusal.value)
