"""The text sink: one line an alert."""

import dataclasses
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import AuditorError
from auditor.sinks.text import TextSink
from tests.builders import SECOND, make_connect, make_exec, make_fork, make_start, make_tick
from tests.unit.view.scene import (
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

ANY_TEXT = st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None), max_size=40)


def make_tunnel(**fields):
    """Make an alert on an ssh below a shell."""
    shell = make_call("t7", 4121, ("bash", "-c", "x"))
    ssh = make_process(4122, ("ssh", "-fN", "-R", "8080:localhost:22", "root@203.0.113.66"), shell)
    return make_alert(TUNNEL, ssh, run(ssh), connect(ssh), time=11.123, **fields)


def write(*alerts, encoding="utf-8", **options):
    """Write alerts to a stream and read the lines back."""
    raw = io.BytesIO()
    sink = TextSink(io.TextIOWrapper(raw, encoding=encoding), **options)
    sink.event(make_start(), None)
    for alert in alerts:
        sink.alert(alert)
    text = raw.getvalue().decode(encoding)
    sink.close()
    return text


def test_an_alert_is_one_line():
    """It says when, what, in which tool call, who, where to, below what, and with which command."""
    assert write(make_tunnel()) == (
        '2026-11-21T10:00:11.123Z HIGH rule="Reverse SSH tunnel to an external address" session=s1 tool_call=t7 '
        "pid=4122 to=203.0.113.66:22 transport=tcp scope=external tree=bash>ssh "
        "cmd=ssh -fN -R 8080:localhost:22 root@203.0.113.66\n"
    )


def test_doubts_are_told():
    """Losses in the alert's window, missing births and cut arguments stand on its line."""
    poor = dataclasses.replace(
        TRUSTED, losses=(("ring.exec", 3), ("label.full", 1)), lineage_complete=False, args_truncated=True
    )
    assert " lost=ring.exec:3,label.full:1 doubt=lineage,args tree=" in write(make_tunnel(quality=poor))


def test_what_is_not_known_is_a_dash():
    """A process without session, call or arguments still makes a whole line."""
    line = write(make_alert(MINER, make_process(500, (), executable="/x")))
    assert line.endswith(" session=- tool_call=- pid=500 to=/x tree=x cmd=-\n")


def test_a_long_tree_is_shortened_in_the_middle():
    """Its first and last programs stay."""
    process = make_call(args=("first",))
    for number in range(40):
        process = make_process(200 + number, (f"p{number}",), process)
    (tree,) = re.findall(r"tree=(\S+ more\)\S+)", write(make_alert(TUNNEL, process)))
    assert tree.startswith("first>p0>")
    assert tree.endswith(">p38>p39")
    assert ">(25 more)>" in tree


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_can_add_a_line_or_reach_the_terminal(text, name):
    """Whatever an agent puts into arguments, names and ids, an alert is one printable line, its own fields first."""
    agent = make_agent(id=text)
    process = make_process(7, (text, name), make_call(text, args=(name,), agent=agent), executable=f"/tmp/{name}")
    line = write(make_alert(TUNNEL, process, run(process), connect(process)))
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert re.match(r"\S+ HIGH rule=\"[^\"]*\" session=", line)


@given(ANY_TEXT)
def test_a_stream_that_knows_ascii_gets_ascii(text):
    """Nothing that an agent writes can make the stream's encoding fail."""
    process = make_call(args=(text,))
    assert write(make_alert(TUNNEL, process), encoding="ascii").isascii()


def test_a_quoted_value_cannot_end_early():
    """An id with a quotation mark and a forged field stays inside its own quotes."""
    line = write(make_alert(TUNNEL, make_call('x" tool_call=innocent \\')))
    assert r'tool_call="x\" tool_call=innocent \\" pid=' in line


def test_colour_only_where_asked_for():
    """Colour wraps the level, the rule and where to; without it no escape code is written."""
    assert "\x1b" not in write(make_tunnel())
    coloured = write(make_tunnel(), colour=True)
    assert "\x1b[1;31mHIGH\x1b[0m" in coloured
    assert "to=\x1b[1m203.0.113.66:22\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == write(make_tunnel())


def test_events_are_written_only_if_asked_for():
    """With `all` each event is a line, ticks excepted; without, none is."""
    process = make_call("t1", 100)
    events = [make_start(), make_fork(100), make_exec(100, ("id", "a b")), make_connect(100), make_tick(3 * SECOND)]
    written = {}
    for choice in ("alerts", "all"):
        stream = io.StringIO()
        sink = TextSink(stream, events=choice)
        for event in events:
            sink.event(event, process if event.tgid else None)
        written[choice] = stream.getvalue().splitlines()
    assert written["alerts"] == []
    at, call = "2026-11-21T10:00:02.000Z EVENT", "session=s1 tool_call=t1 pid=100"
    assert written["all"] == [
        '2026-11-21T10:00:00.000Z EVENT action=start session=- tool_call=- pid=- to=node-1 details="6.18.0 0.1.0"',
        f"{at} action=fork {call} to=- details=bash",
        f'{at} action=exec {call} to=/usr/bin/id cmd=id "a b"',
        f'{at} action=connect {call} to=203.0.113.66:22 details="tcp external"',
    ]


@pytest.mark.parametrize("offset", [-(10**21), 10**21], ids=["before", "after"])
def test_a_time_out_of_range_is_no_failure(offset):
    """A damaged stream may name any time."""
    stream = io.StringIO()
    sink = TextSink(stream, events="all")
    sink.event(make_start(wall_offset_ns=offset), None)
    assert re.match(r"(1970-01-01|9999-12-31)T", stream.getvalue())


def test_a_full_disk_is_told_once():
    """The first line that cannot be written raises; what comes after is dropped in silence."""
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        sink = TextSink(stream, name="alerts.txt")
        with pytest.raises(AuditorError, match=r"^cannot write alerts\.txt: No space left on device$"):
            sink.alert(make_tunnel())
        sink.alert(make_tunnel())
        sink.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_closed_pipe_is_told_once():
    """The reader that went away is one clear error."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        sink = TextSink(stream, events="all", name="<stdout>")
        sink.event(make_connect(), None)
        with pytest.raises(AuditorError, match=r"^cannot write <stdout>: Broken pipe$"):
            sink.close()
        sink.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_no_sink_loads_what_draws():
    """Only the view needs rich; whoever writes lines or counts does not pay for it."""
    program = (
        "import sys, pkgutil, importlib, auditor.sinks as room\n"
        "for module in pkgutil.iter_modules(room.__path__): importlib.import_module(f'auditor.sinks.{module.name}')\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
