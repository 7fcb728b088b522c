"""Text that a watched process chose, made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from auditor.sinks.escape import command, escape, quote

ANY_TEXT = st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None))
TRICKS = [
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0x200B,
    0x200C,
    0x200D,
    0x200E,
    0x200F,
    0x061C,
    0x2028,
    0x2029,
]
TRICKS += [
    0xFEFF,
    0x00AD,
    0x034F,
    0xFE0F,
    0x180E,
    0xE000,
    0xE0041,
    0xD800,
    0xDC80,
    0x3164,
    0x115F,
    0x2800,
    0x05D0,
    0x0661,
]


@given(ANY_TEXT)
def test_only_printable_characters_are_left(text):
    """Whatever goes in, what comes out is printable and on one line."""
    shown = escape(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@given(ANY_TEXT)
def test_every_character_has_its_own_width(text):
    """A shown text is as wide as its characters together, so no layout can be thrown out of line by it."""
    shown = escape(text)
    assert all(wcwidth(char) in {1, 2} for char in shown)
    assert wcswidth(shown) == sum(map(wcwidth, shown))


@given(ANY_TEXT)
def test_shown_text_reads_in_the_order_written(text):
    """Nothing is left that makes a terminal reorder a line."""
    assert not {unicodedata.bidirectional(char) for char in escape(text)} & {
        "R",
        "AL",
        "AN",
        "LRO",
        "RLO",
        "LRE",
        "RLE",
    }


@given(ANY_TEXT)
def test_ascii_only_is_ascii(text):
    """For a terminal without UTF-8 nothing but printable ASCII is left."""
    shown = escape(text, ascii_only=True)
    assert shown.isascii()
    assert shown.isprintable()


@given(ANY_TEXT)
def test_escaping_twice_changes_nothing(text):
    """Text that was already made safe is left as it is."""
    assert escape(escape(text)) == escape(text)


@pytest.mark.parametrize("point", TRICKS, ids=hex)
def test_tricks_are_shown_as_escapes(point):
    """Invisible, reordering and combining characters are shown by their number."""
    number = f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    expected = f"\\x{point:02x}" if point < 0x100 else number
    assert escape(f"a{chr(point)}b") == f"a{expected}b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[2J\x07\x00\x7f", r"\x1b[2J\x07\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("grep -E '\\d+'", "grep -E '\\d+'"),
        ("größe 模型 🚀", "größe 模型 🚀"),
        ("e\u0301", r"e\u0301"),
        ("[bold red]x[/]", "[bold red]x[/]"),
    ],
)
def test_known_texts(text, shown):
    """Ordinary text stays, control characters take their usual escapes."""
    assert escape(text) == shown


def unquote(word):
    """Read a word as `quote` wrote it, up to the escapes that `escape` makes."""
    if not word.startswith('"'):
        return word
    read, position = "", 1
    while word[position] != '"':
        position += word[position] == "\\" and word[position + 1] in '"\\'
        read += word[position]
        position += 1
    assert position == len(word) - 1
    return read


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_a_quoted_word_ends_where_it_should(text):
    """No text can close its own quotation marks and go on as another field."""
    assert unquote(quote(text)) == text


def test_quoting_is_only_where_needed():
    """Paths, options and addresses stay bare; blanks, quotes, emptiness and arrows do not."""
    assert (
        command(["ssh", "-R", "8080:localhost:22", "root@203.0.113.66"]) == "ssh -R 8080:localhost:22 root@203.0.113.66"
    )
    assert command(["bash", "-c", 'echo "hi"; id', ""]) == r'bash -c "echo \"hi\"; id" ""'
    assert quote("a>b") == '"a>b"'
    assert quote("x\n") == r'"x\n"'
