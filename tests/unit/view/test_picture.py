"""A picture of the view."""

import re
from xml.etree import ElementTree as ET

import pytest

from auditor.sinks.tally import Tally
from auditor.view.picture import picture
from auditor.view.screen import Selection
from tests.unit.view.scene import TUNNEL, make_alert, make_call, make_rome

HOSTILE = ("</text><script>alert(1)</script>", "&amp;", "{unique_id}", "\x1b]0;x\x07")


@pytest.fixture
def rome():
    """Give a snapshot with a tunnel and a miner."""
    return make_rome()[0].snapshot()


def text_of(svg):
    """Read the words of a picture."""
    return " ".join("".join(node.itertext()) for node in ET.fromstring(svg).findall(".//{*}text")).replace("\xa0", " ")


def test_the_picture_shows_the_view(rome):
    """It has the words of the screen, in colours."""
    svg = picture(rome, Selection(rome.rows[1].key), 100, 16, "auditor run")
    words = text_of(svg)
    for what in ("Reverse SSH tunnel to an external address", "203.0.113.66:22", "tool call", "t7", "auditor run"):
        assert what in words
    assert len(set(re.findall(r"fill: (#\w+)", svg))) > 3


def test_the_picture_needs_nothing_else(rome):
    """No font, style or script is fetched from anywhere, and the same snapshot gives the same picture."""
    svg = picture(rome, Selection(), 100, 16, "auditor run")
    assert re.findall(r"https?://[^\"']+", svg) == ["http://www.w3.org/2000/svg"]
    assert svg == picture(rome, Selection(), 100, 16, "auditor run")


def test_hostile_text_stays_text():
    """What an agent chose cannot become part of the picture's markup."""
    tally = Tally()
    tally.alert(make_alert(TUNNEL, make_call(args=HOSTILE)))
    svg = picture(tally.snapshot(), Selection(), 160, 16, "x")
    assert not ET.fromstring(svg).findall(".//{*}script")
    assert "<script>alert(1)</script>" in text_of(svg)
    assert "{unique_id}" in text_of(svg)
