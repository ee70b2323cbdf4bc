from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amity.web.markup import Html, h, join


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text, self.attributes = [], "", []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.tags.append(tag)
        self.attributes += attrs

    handle_startendtag = handle_starttag

    def handle_data(self, data: str):
        self.text += data


def parsed(markup: str) -> Elements:
    parser = Elements()
    parser.feed(markup)
    parser.close()
    return parser


@given(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_whatever_a_meter_says_stays_text(text: str):
    elements = parsed(h("p", text, title=text))
    assert elements.tags == ["p"]
    assert elements.text == text
    assert elements.attributes == [("title", text)]


def test_markup_is_nested_and_not_escaped_twice():
    assert h("p", "a & ", h("b", "<c>")) == "<p>a &amp; <b>&lt;c&gt;</b></p>"
    assert isinstance(h("p"), Html)


def test_attributes_that_are_none_or_false_are_left_out():
    assert h("button", disabled=False, hidden=True, class_="x", data_key=None) == '<button hidden class="x"></button>'


def test_empty_elements_close_themselves_also_in_a_drawing():
    assert h("path", d="M0,0") == '<path d="M0,0"/>'


def test_lists_are_opened_and_nothing_is_nothing():
    assert join(["a", None, [h("i"), 3], 1.5]) == "a<i></i>31.5"


def test_what_has_no_place_in_a_page_is_refused():
    with pytest.raises(TypeError):
        h("p", object())
