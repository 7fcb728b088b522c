"""What a user can type, read or write is in the documents: README.md and docs/*.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import orjson
import pytest

from auditor.cli import COMMANDS, cli
from auditor.lineage.table import Table
from auditor.model.alerts import Alert, Evidence, Quality, RuleInfo
from auditor.model.events import Event
from auditor.model.processes import Process
from auditor.model.records import Flag, Kind, LabelSource
from auditor.rules.block import JOINS, ONCE
from auditor.rules.fields import CATEGORIES, FIELDS
from auditor.sinks import ecs
from auditor.sinks.documents import Documents
from tests.builders import (
    SECOND,
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

INHERITED_OPTIONS = {"--help", "--version"}


def options(name: str) -> set[str]:
    """List a command's long options, those of the commands below it included."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    parameters = [each for command in commands for each in command.params]
    return {word for each in parameters for word in (*each.opts, *each.secondary_opts) if word.startswith("--")}


def code(text: str) -> list[str]:
    """List what stands as code in a document: what backticks enclose, and each line of a fenced block."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [*spans, *(line for block in fenced for line in block.splitlines())]


def words(text: str) -> set[str]:
    """List the words that stand as code in a document: `join: descendant` is two, `auditor.tree[].pid` is one."""
    return {word for span in code(text) for word in re.findall(r"[\w@.-]+", span.replace("[]", ""))}


def uses(text: str) -> Iterator[tuple[str, str]]:
    """Find (command, option) of each use of auditor that a document shows; after ` -- ` they are another program's."""
    for line in code(text):
        for name, rest in re.findall(r"\bauditor (\w+)([^|]*)", line):
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest.split(" -- ")[0]):
                yield name, option


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """List a document's fields in dotted form; the objects of a list count as one."""
    for name, value in document.items():
        values = value if isinstance(value, list) else [value]
        objects = [each for each in values if isinstance(each, dict)]
        for each in objects:
            yield from flat(each, f"{prefix}{name}.")
        if len(objects) < len(values) or not values:
            yield prefix + name


def stream() -> list[Event]:
    """Make one event of each kind at least, with everything in it that can be."""
    agent = make_exec(99, ("agent",), parent_tgid=1, call=0, flags=Flag.AGENT)
    strange = make_exec(
        101,
        ("ssh", "-R", "1:h:2"),
        parent_tgid=100,
        call=100,
        flags=Flag.MEMFD | Flag.DELETED | Flag.ARGV_TRUNCATED,
        mode=0o106755,
        euid=0,
        egid=0,
        comm="renamed",
        tty="pts0",
        env=("A=b",),
        label_source=LabelSource.REGISTERED,
    )
    facts = make_executable(strange, marks=("client:openssh",), interpreter="/lib/ld.so", static=True)
    return [
        make_start(),
        make_session(),
        agent,
        make_tool_call(),
        make_exec(100, flags=Flag.CALL_ROOT),
        make_fork(101, 100, call=100),
        facts,
        strange,
        make_exec(102, kind=Kind.SEED, call=100),
        make_connect(101, call=100),
        make_connect(101, call=100, kind=Kind.SEND, transport="udp", ip="2001:db8::1"),
        make_gpu_open(101, call=100),
        make_gpu_use(101, call=100, result=-22),
        make_gpu_summary(101, call=100, errors=1),
        make_exit(101, call=100, status=9),
        make_exit(100, status=256),
        make_loss(),
        make_tick(),
        make_end(),
    ]


def alert(acted: list[tuple[Event, Process]]) -> Alert:
    """Make an alert that rests on all of these."""
    offender = acted[-1][1]
    return Alert(
        id="a1",
        time_ns=SECOND,
        rule=RuleInfo("r1", "Rule", "high", ("attack.t1572",), "author", "description", ("reference",), ("admins",)),
        process=offender,
        tree=(offender,),
        session=offender.session,
        call=offender.call,
        evidence=tuple(Evidence(event, process, "r1", process.args, process.executable) for event, process in acted),
        quality=Quality((("ring.exec", 1),), lineage_complete=True, args_truncated=False, label_source="inherited"),
    )


@pytest.fixture(scope="session")
def documents(root: Path) -> dict[str, str]:
    """Read README.md and docs/*.md, by name."""
    return {path.name: path.read_text() for path in (root / "README.md", *sorted((root / "docs").glob("*.md")))}


@pytest.fixture(scope="session")
def said(documents: dict[str, str]) -> str:
    """Join all documents."""
    return "\n".join(documents.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_documented(said: str, name: str) -> None:
    """Each command is shown as a user types it, and each of its options is named."""
    assert re.search(rf"\bauditor {name}\b", said)
    assert [option for option in sorted(options(name)) if not re.search(rf"{option}(?![\w-])", said)] == []


def test_documents_show_no_invented_option(said: str) -> None:
    """Each use of auditor in the documents has only options that the command knows."""
    known = {name: options(name) | INHERITED_OPTIONS for name in COMMANDS}
    assert [(name, option) for name, option in uses(said) if name in known and option not in known[name]] == []


def test_stream_has_every_kind() -> None:
    """The stream that stands for all events leaves no kind of event out."""
    assert {event.kind for event in stream()} == set(ecs.ACTIONS)


def test_every_event_field_is_documented(documents: dict[str, str]) -> None:
    """Each field of an event or alert document is in docs/events.md, with its full name."""
    table, renderer, fields, acted = Table(), Documents(), set[str](), []
    for event in stream():
        process = table.apply(event)
        fields.update(flat(orjson.loads(renderer.event(event, process))))
        if process is not None:
            acted.append((event, process))
    fields.update(flat(orjson.loads(renderer.alert(alert(acted)))))
    assert sorted(fields - words(documents["events.md"])) == []


@pytest.mark.parametrize(
    "table", [ecs.ACTIONS, ecs.FLAGS, ecs.LABEL_SOURCES], ids=["actions", "flags", "label sources"]
)
def test_every_word_of_ours_is_documented(documents: dict[str, str], table: dict[Any, Any]) -> None:
    """Each word that we made up for a value is in docs/events.md."""
    spoken = {word for pair in table.items() for word in pair if isinstance(word, str)}
    assert sorted(spoken - words(documents["events.md"])) == []


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_rule_field_is_documented(documents: dict[str, str], category: str) -> None:
    """Each log source category and each field that a rule may use is in docs/rules.md."""
    assert sorted({category, *FIELDS[category]} - words(documents["rules.md"])) == []


def test_every_word_of_the_block_is_documented(documents: dict[str, str]) -> None:
    """What the `auditor:` block adds to Sigma is in docs/rules.md."""
    assert sorted({"auditor", "join", "suppress", "examples", *JOINS, ONCE} - words(documents["rules.md"])) == []
