"""HTML that cannot be broken by what a meter says: text is escaped unless it is already `Html`."""

from collections.abc import Iterable
from html import escape

Child = object  # str, int, float, Html, None, or an iterable of them: checked when the markup is made

_EMPTY = frozenset({"br", "circle", "hr", "img", "input", "line", "link", "meta", "path", "rect", "use"})


class Html(str):
    """Markup that was built here and needs no escaping any more."""

    __slots__ = ()


def h(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element: `h("a", "text", href="/x", class_="y")`.

    A trailing underscore of an attribute is dropped, other underscores become dashes; None and False leave it out,
    True writes it without a value.
    """
    opening = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}"
    return Html(f"{opening}/>" if tag in _EMPTY else f"{opening}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other; strings are escaped, None is nothing, lists are opened."""
    return Html("".join(_text(child) for child in children))


def _text(child: object) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int | float):
        return escape(str(child), quote=False)
    if isinstance(child, Iterable):
        return join(child)
    raise TypeError(f"{type(child).__name__} has no place in a page")


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(str(value))}"'
