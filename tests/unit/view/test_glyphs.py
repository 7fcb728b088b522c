"""The signs that the view draws with."""

import dataclasses

import pytest
from wcwidth import wcswidth

from auditor.view.glyphs import ASCII, UNICODE, glyphs_for


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8", "utf_8"])
def test_utf8_gets_lines_and_arrows(encoding):
    """A terminal that knows UTF-8 is drawn on with it, however it spells the name."""
    assert glyphs_for(encoding) is UNICODE


@pytest.mark.parametrize("encoding", ["ascii", "ANSI_X3.4-1968", "iso8859-1", "", None])
def test_all_others_get_ascii(encoding):
    """Whatever else a terminal claims to know, ASCII is what it surely shows."""
    assert glyphs_for(encoding) is ASCII


def test_both_sets_are_equally_wide():
    """A layout that fits with one set fits with the other; the second one is ASCII."""
    for field in dataclasses.fields(UNICODE)[1:]:
        fine, plain = getattr(UNICODE, field.name), getattr(ASCII, field.name)
        assert wcswidth(fine) == wcswidth(plain) == len(plain)
        assert plain.isascii()
