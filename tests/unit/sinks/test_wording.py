"""Events in a few words."""

from typing import get_args

import pytest

from auditor.model.events import Event
from auditor.model.records import Kind
from auditor.sinks.wording import Line, args_then, describe, ending, endpoint, target
from tests.builders import (
    make_connect,
    make_end,
    make_exec,
    make_executable,
    make_exit,
    make_fork,
    make_gpu_open,
    make_gpu_summary,
    make_gpu_use,
    make_loss,
    make_session,
    make_start,
    make_tick,
    make_tool_call,
)
from tests.unit.view.scene import TUNNEL, make_alert, make_call

WORDS = [
    (make_connect(), Line("connect", "203.0.113.66:22", ("tcp", "external"))),
    (make_connect(kind=Kind.SEND, transport="udp"), Line("send", "203.0.113.66:22", ("udp", "external"))),
    (make_connect(ip="2001:db8::1"), Line("connect", "[2001:db8::1]:22", ("tcp", "external"))),
    (make_exec(args=("id", "-u")), Line("exec", "/usr/bin/id", ("id", "-u"))),
    (make_exec(kind=Kind.SEED, args=("id",)), Line("running", "/usr/bin/id", ("id",))),
    (make_fork(), Line("fork", "", ("bash",))),
    (make_exit(status=0x300), Line("exit", "", ("exit 3",))),
    (make_gpu_open(), Line("gpu-open", "/dev/nvidia0", ("read,write",))),
    (make_gpu_use(), Line("gpu-use", "/dev/nvidiactl", ("NV_ESC_RM_ALLOC", "result 0"))),
    (
        make_gpu_summary(),
        Line("gpu-summary", "/dev/nvidiactl", ("5 requests", "0 failed", "NV_ESC_RM_CONTROL 3", "NV_ESC_RM_ALLOC 2")),
    ),
    (make_executable(marks=("miner:stratum",)), Line("facts", "c0ffee", ("ok", "miner:stratum"))),
    (make_session(), Line("session", "s1", ("exe:*/agent",))),
    (make_tool_call(), Line("tool-call", "t1", ())),
    (make_loss(ring_exec=3), Line("loss", "", ("ring.exec:3",))),
    (make_start(), Line("start", "node-1", ("6.18.0", "0.1.0"))),
    (make_end(), Line("end", "", ("interrupted",))),
    (make_tick(), Line("tick", "", ())),
]


@pytest.mark.parametrize(("event", "words"), WORDS, ids=lambda value: getattr(value, "verb", ""))
def test_an_event_in_words(event, words):
    """Each kind of event says what was done to what."""
    assert describe(event) == words


def test_every_kind_of_event_has_words():
    """No type is forgotten here when one is added."""
    assert {type(event) for event, _ in WORDS} == set(get_args(Event))


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit 0"), (0x100, "exit 1"), (9, "SIGKILL"), (0x8B, "SIGSEGV"), (70, "signal 70")]
)
def test_how_a_process_ended(status, words):
    """A wait status reads as an exit code or a signal's name."""
    assert ending(status) == words


def test_an_endpoint_can_be_read_back():
    """An IPv6 address stands in brackets, so that its port can be told from it."""
    assert endpoint("::1", 80) == "[::1]:80"
    assert endpoint("10.0.0.1", 80) == "10.0.0.1:80"


def test_an_alert_points_at_its_most_outward_connection():
    """A connection to elsewhere tells more than one to this host, that more than a device, that more than an exec."""
    process = make_call()
    outward, inward = make_connect(), make_connect(ip="127.0.0.1")
    device, program = make_gpu_open(), make_exec()
    assert target(make_alert(TUNNEL, process, inward, outward, device, program)) is outward
    assert target(make_alert(TUNNEL, process, device, inward, program)) is inward
    assert target(make_alert(TUNNEL, process, device, program)) is device
    assert target(make_alert(TUNNEL, process, program)) is program
    assert target(make_alert(TUNNEL, process)) is None


def test_of_two_connections_the_latest_counts():
    """Where an alert rests on several, the one that completed it is shown."""
    first, second = make_connect(port=22), make_connect(port=23)
    assert target(make_alert(TUNNEL, make_call(), first, second)) is second


def test_arguments_are_those_of_the_moment():
    """What an offender runs later does not change what it is accused of."""
    process = make_call(args=("ssh", "-R"))
    alert = make_alert(TUNNEL, process, make_connect())
    process.args = ("sleep",)
    assert args_then(alert) == ("ssh", "-R")
    assert args_then(make_alert(TUNNEL, process)) == ("sleep",)
