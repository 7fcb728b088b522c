"""Strips: lines of styled text, measured in cells."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from wcwidth import wcswidth

from auditor.sinks.escape import escape
from auditor.view.strips import Frame, Strip, change, joined, piece, spread

ANY_TEXT = st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None), max_size=30)


def render(thing, **options):
    """Render for a terminal."""
    console = Console(file=io.StringIO(), force_terminal=True, width=20, **options)
    console.print(thing, end="", soft_wrap=True)
    return console.file.getvalue()


@given(st.lists(ANY_TEXT, max_size=4), ANY_TEXT, st.integers(1, 40))
def test_a_spread_line_fills_its_width_exactly(texts, right, width):
    """Whatever an agent writes, a line is as wide as a terminal makes it, and as wide as the screen."""
    left = joined((piece(escape(text)) for text in texts), " ")
    line = spread(left, piece(escape(right)), width, "~")
    assert line.width == wcswidth(line.text) == width


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd~"),
        ("模型训练", 5, "模型~"),
        ("模型训练", 4, "模~"),
        ("ab", 1, "~"),
        ("ab", 0, ""),
    ],
)
def test_cropping_is_by_cells(text, width, cut):
    """A wide character that would be cut in half is left out."""
    assert piece(text).cropped(width, "~").text == cut


def test_cropping_keeps_styles():
    """Each piece keeps its own style, and the ellipsis takes that of the piece it cuts."""
    line = piece("ab", "bold") + piece("cdef", "dim")
    assert line.cropped(4, "~").pieces == (("ab", "bold"), ("c", "dim"), ("~", "dim"))


def test_the_right_side_is_kept_whole():
    """What stands at the end of a line is cut last."""
    assert spread(piece("a long command line"), piece("exit 0"), 16, "~").text == "a long c~ exit 0"


def test_markup_is_never_read():
    """Text that looks like rich's markup, a link or an emoji name is shown as it is."""
    text = "[red]x[/red] :boom: https://example.org"
    assert text in render(Frame(60, (piece(text),)), color_system="truecolor")


def test_only_changed_lines_are_drawn():
    """A frame is compared with what is on the screen, line by line; a larger one has new lines."""
    one, two, three = piece("one"), piece("two", "bold"), piece("three")
    assert change(Frame(5, (one, two)), (one, two)).lines == ()
    assert change(Frame(5, (one, three)), (one, two)).lines == ((1, three),)
    assert change(Frame(5, (one, piece("two"))), (one, two)).lines == ((1, piece("two")),)
    assert change(Frame(5, (one, two)), ()).lines == ((0, one), (1, two))


def test_a_change_is_drawn_in_its_place():
    """The cursor goes to the line's begin, and styles end with their piece."""
    assert render(change(Frame(5, (Strip(), piece("two", "bold"))), (Strip(),)), color_system="standard") == (
        "\x1b[2;1H\x1b[1mtwo\x1b[0m"
    )
