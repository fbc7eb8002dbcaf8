import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.catalog.search_text import SearchText, read_search_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("running sho", SearchText("running sho", "running", "sho"), id="last-word-may-be-unfinished"),
        pytest.param("  Running\tSHO ", SearchText("running sho", "running", "sho"), id="case-and-space-do-not-matter"),
        pytest.param('"trail shoes"', SearchText('"trail shoes"', '"trail shoes"', None), id="quoted-is-finished"),
        pytest.param('"trail sho', SearchText('"trail sho', '"trail sho', None), id="open-quote-is-finished"),
        pytest.param("shoes -red", SearchText("shoes -red", "shoes -red", None), id="excluded-word-is-whole"),
        pytest.param("-red", SearchText("-red", "-red", None), id="only-an-excluded-word"),
        pytest.param("t-shi", SearchText("t-shi", "t-", "shi"), id="hyphen-within-a-word-excludes-nothing"),
        pytest.param("usb c", SearchText("usb c", "usb c", None), id="one-letter-is-no-beginning"),
        pytest.param("kett -!", SearchText("kett", "", "kett"), id="trailing-signs-fall-off"),
        pytest.param("&|:*()'\\", SearchText("&|:*()'\\"[:0], "", None), id="signs-alone-are-nothing"),
        pytest.param("", SearchText("", "", None), id="empty"),
    ],
)
def test_reads_what_was_meant(text: str, expected: SearchText) -> None:
    assert read_search_text(text) == expected


@given(st.text(max_size=200))
def test_any_text_is_read_without_control_characters(text: str) -> None:
    read = read_search_text(text)

    assert not any(character < " " for character in read.whole + read.head + (read.prefix or ""))
    assert read.prefix is None or read.prefix.replace("_", "").isalnum()


@given(st.text(max_size=50))
def test_reading_again_changes_nothing_that_the_cache_key_shows(text: str) -> None:
    once = read_search_text(text)

    assert read_search_text(f"  {once.whole} ") == once
