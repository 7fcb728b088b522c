"""Alerts folded by rule and tool call, and their trees."""

import dataclasses

from auditor.sinks.folds import CHAIN_ENDS, MAX_OFFENDERS, MAX_ROWS, MAX_TREE_OFFENDERS, Folds
from tests.builders import SECOND
from tests.unit.view.scene import (
    GPU,
    MINER,
    TRUSTED,
    TUNNEL,
    connect,
    make_agent,
    make_alert,
    make_call,
    make_process,
    run,
)


def fold(*alerts):
    """Fold alerts and freeze the rows."""
    folds = Folds()
    for alert in alerts:
        folds.add(alert)
    return folds.freeze()


def walk(nodes):
    """List all nodes of trees, each above its children."""
    return [found for node in nodes for found in (node, *walk(node.children))]


def test_alerts_of_a_rule_in_a_call_are_one_row():
    """The row counts them, and keeps when they began and when they last came."""
    shell = make_call()
    ssh = make_process(101, ("ssh",), shell)
    rows = fold(*(make_alert(TUNNEL, ssh, connect(ssh), time=second) for second in (20.0, 25.0, 23.0)))
    assert [(row.count, row.first_ns, row.last_ns) for row in rows] == [(3, 20 * SECOND, 25 * SECOND)]


def test_other_calls_and_other_rules_are_rows_of_their_own():
    """Newest first, each with the call that it is charged to."""
    agent = make_agent()
    one, two = make_call("t1", 100, agent=agent), make_call("t2", 200, agent=agent)
    rows = fold(make_alert(TUNNEL, one, time=1.0), make_alert(TUNNEL, two, time=3.0), make_alert(MINER, one, time=2.0))
    assert [(row.rule_id, row.call_id) for row in rows] == [
        ("rule-tunnel", "t2"),
        ("rule-miner", "t1"),
        ("rule-tunnel", "t1"),
    ]
    assert len({row.key for row in rows}) == 3


def test_the_tree_goes_from_the_call_to_the_offender():
    """Each process on the way is a node, and only the offender is marked."""
    shell = make_call(args=("bash", "-c", "x"))
    python = make_process(101, ("python3", "x.py"), shell)
    ssh = make_process(102, ("ssh", "-R"), python)
    (row,) = fold(make_alert(TUNNEL, ssh, run(ssh), connect(ssh)))
    nodes = walk(row.tree.roots)
    assert [node.pid for node in nodes] == [100, 101, 102]
    assert [[mark.rule for mark in node.marks] for node in nodes] == [[], [], [TUNNEL.name]]
    assert [(proof.pid, proof.line.verb) for proof in nodes[2].marks[0].evidence] == [(102, "exec"), (102, "connect")]
    assert (row.tree.session_id, row.tree.call_id, row.target) == ("s1", "t1", "203.0.113.66:22")


def test_rules_of_one_call_share_a_tree():
    """Two offenders below one shell hang on one tree, in the order in which they were born."""
    shell = make_call()
    miner = make_process(102, ("miner",), shell, start=12.0)
    ssh = make_process(101, ("ssh",), shell, start=11.0)
    rows = fold(make_alert(MINER, miner), make_alert(TUNNEL, ssh))
    assert rows[0].tree is rows[1].tree
    (root,) = rows[0].tree.roots
    assert [(node.pid, node.marks[0].level) for node in root.children] == [(101, "high"), (102, "critical")]


def test_two_rules_on_one_process_are_two_marks():
    """A process that breaks two rules is one node."""
    process = make_call()
    rows = fold(make_alert(GPU, process), make_alert(MINER, process))
    (node,) = rows[0].tree.roots
    assert {mark.rule_id for mark in node.marks} == {"rule-gpu", "rule-miner"}


def test_a_process_that_ends_later_is_shown_as_ended():
    """Frozen trees follow their processes, and a tree handed out before does not change."""
    ssh = make_call()
    folds = Folds()
    folds.add(make_alert(TUNNEL, ssh))
    (before,) = folds.freeze()
    ssh.exit_ns, ssh.exit_status = 30 * SECOND, 9
    (after,) = folds.freeze()
    assert before.tree.roots[0].exit_ns is None
    assert (after.tree.roots[0].exit_ns, after.tree.roots[0].exit_status) == (30 * SECOND, 9)


def test_a_call_that_gets_its_name_later_is_shown_with_it():
    """The agent may tell a tool call's id after its first process was seen."""
    process = make_call("4121")
    folds = Folds()
    folds.add(make_alert(TUNNEL, process))
    assert folds.freeze()[0].call_id == "4121"
    process.call.id = "toolu_7"
    row = folds.freeze()[0]
    assert (row.call_id, row.tree.call_id) == ("toolu_7", "toolu_7")


def test_what_a_process_ran_stays_as_it_was():
    """An offender that executes something harmless afterwards is still shown with what it did."""
    process = make_call(args=("ssh", "-R", "1:2:3", "h"))
    alert = make_alert(TUNNEL, process, connect(process))
    process.args, process.executable = ("sleep", "1"), "/usr/bin/sleep"
    (row,) = fold(alert)
    assert row.args == ("ssh", "-R", "1:2:3", "h")
    assert row.tree.roots[0].args == ("ssh", "-R", "1:2:3", "h")


def test_rows_that_did_not_change_are_not_built_again():
    """A snapshot four times a second costs little while nothing happens."""
    process = make_call()
    folds = Folds()
    folds.add(make_alert(TUNNEL, process))
    assert folds.freeze()[0] is folds.freeze()[0]


def test_a_flood_of_mild_alerts_pushes_out_no_critical_one():
    """Rows are bounded; the mildest that has been quiet longest goes, and is counted."""
    agent = make_agent()
    folds = Folds()
    folds.add(make_alert(MINER, make_call("first", 100, agent=agent), time=1.0))
    for number in range(MAX_ROWS + 50):
        folds.add(make_alert(GPU, make_call(f"t{number}", 1000 + number, agent=agent), time=2.0 + number))
    rows = folds.freeze()
    assert len(rows) == MAX_ROWS
    assert (folds.alerts, folds.evicted) == (MAX_ROWS + 51, 51)
    assert rows[0].call_id == f"t{MAX_ROWS + 49}"
    assert rows[-1].call_id == "first"


def test_a_call_with_a_thousand_offenders_has_a_bounded_tree():
    """The latest offenders are kept, and the tree says how many are not in it."""
    shell = make_call()
    rules = [dataclasses.replace(MINER, id=f"rule-{number}") for number in range(10)]
    alerts = [
        make_alert(rule, make_process(1000 + number, parent=shell), time=float(number))
        for rule in rules
        for number in range(100)
    ]
    tree = fold(*alerts)[0].tree
    offenders = {node.pid for node in walk(tree.roots) if node.marks}
    marks = sum(len(node.marks) for node in walk(tree.roots))
    assert marks == MAX_TREE_OFFENDERS
    assert offenders <= set(range(1100 - MAX_OFFENDERS, 1100))
    assert marks + tree.left_out == 1000


def test_a_long_chain_keeps_its_ends():
    """Of a chain of a hundred processes the middle is left out, and how many it was is told."""
    process = make_call()
    for number in range(99):
        process = make_process(101 + number, parent=process)
    process.elided = 5
    nodes = walk(fold(make_alert(TUNNEL, process))[0].tree.roots)
    assert len(nodes) == 2 * CHAIN_ENDS
    assert (nodes[0].pid, nodes[-1].pid) == (100, 199)
    assert nodes[CHAIN_ENDS].elided == 100 - 2 * CHAIN_ENDS
    assert nodes[-1].elided == 5


def test_a_tree_that_runs_in_a_circle_ends():
    """A process that stands twice in a tree, as only a damaged stream can make it, is one node."""
    shell = make_call()
    child = make_process(101, parent=shell)
    alert = dataclasses.replace(make_alert(TUNNEL, child), tree=(shell, child, shell, child))
    assert [node.pid for node in walk(fold(alert)[0].tree.roots)] == [100, 101]


def test_the_agent_itself_can_offend():
    """Without a tool call an alert is charged to the session; without a session to the process."""
    agent, stray = make_agent(), make_process(500)
    rows = fold(make_alert(TUNNEL, agent, time=2.0), make_alert(TUNNEL, stray, time=1.0))
    assert [(row.session_id, row.call_id, row.pid) for row in rows] == [("s1", "", 99), ("", "", 500)]


def test_an_alert_without_evidence_points_at_the_executable():
    """There is always something to show."""
    assert fold(make_alert(TUNNEL, make_call(args=("ssh",))))[0].target == "/usr/bin/ssh"


def test_quality_is_of_the_latest_alert():
    """Doubts about the latest alert are shown with its row."""
    process = make_call()
    poor = dataclasses.replace(TRUSTED, losses=(("ring.exec", 3),), lineage_complete=False, args_truncated=True)
    (row,) = fold(make_alert(TUNNEL, process), make_alert(TUNNEL, process, quality=poor))
    assert (row.losses, row.lineage_complete, row.args_truncated) == ((("ring.exec", 3),), False, True)
