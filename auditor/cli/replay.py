"""`auditor replay`: run the rules over what was seen before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from auditor.cli.options import check_rules, empty, open_output
from auditor.errors import AuditorError, CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditor.pipeline import Pipeline, Sink

    _Show = Callable[[int], None]

_LONG: Final = 32 << 20
"""Bytes of a file from which on progress is shown."""
_ACTIONS_NAMED: Final = 5
_OPENING: Final = 64


@click.command("replay")
@click.option(
    "--rules",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Rule file or directory, instead of the rules that come with auditor. Repeatable.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(("json", "text")),
    help="JSON lines or a line of text an alert; on a terminal text, else JSON.",
)
@click.option(
    "--events",
    type=click.Choice(("alerts", "all")),
    default="alerts",
    show_default=True,
    help="Write alerts only, or every event.",
)
@click.option("--output", metavar="FILE", help="Write there instead of standard output; - is standard output.")
@click.argument("file")
def replay(*, file: str, rules: tuple[Path, ...], format_: str | None, events: str, output: str | None) -> int:
    """Judge FILE once more: a capture, or JSON lines of events. A dash is standard input.

    Needs no privileges, and gives the same alerts on any machine.
    """
    from auditor import assets  # noqa: PLC0415 - keeps `auditor --help` quick
    from auditor.pipeline import Pipeline  # noqa: PLC0415
    from auditor.rules.engine import Engine  # noqa: PLC0415
    from auditor.rules.sigma import read_pack  # noqa: PLC0415

    paths = check_rules(rules) or (assets.default_rules(),)
    with ExitStack() as stack:
        stream = stack.enter_context(_input(file))
        engine = Engine(read_pack(paths))
        target = open_output(output, 1)
        empty(target)
        sink = _sink(target, output or "standard output", format_, events)
        pipeline = Pipeline(engine, sinks=[sink])
        try:
            try:
                _feed(pipeline, stream, "standard input" if file == "-" else file)
            finally:
                pipeline.close()  # what was found before a capture's damage is told
        except AuditorError as error:
            if isinstance(error.__cause__, BrokenPipeError):  # whoever read the output has seen enough
                raise BrokenPipeError from error
            raise
    return 0


@contextmanager
def _input(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening may fail here
    except OSError as error:
        raise CaptureError(f"cannot read {file}: {error.strerror or error}") from error
    with stream:
        yield stream


def _sink(target: int, name: str, format_: str | None, events: str) -> Sink:
    from auditor.sinks.jsonl import JsonLines  # noqa: PLC0415 - see above
    from auditor.sinks.text import TextSink  # noqa: PLC0415

    on_terminal = os.isatty(target)
    if format_ == "text" or (format_ is None and on_terminal):
        text = os.fdopen(target, "w", encoding="utf-8", closefd=False)
        return TextSink(text, events=events, colour=on_terminal, name=name)
    return JsonLines(os.fdopen(target, "wb", buffering=0, closefd=False), events=events == "all", name=name)


def _feed(pipeline: Pipeline, stream: BinaryIO, name: str) -> None:
    from auditor.capture.format import is_capture  # noqa: PLC0415 - see above

    try:
        opening = stream.peek(_OPENING)[:_OPENING] if hasattr(stream, "peek") else b""
    except OSError as error:
        raise CaptureError(f"cannot read {name}: {error.strerror or error}") from error
    if is_capture(opening):
        _feed_capture(pipeline, stream, name)
    elif opening.lstrip()[:1] == b"{":
        _feed_documents(pipeline, stream, name)
    elif opening:
        raise CaptureError(f"{name} is neither a capture nor JSON lines of events")
    else:
        raise CaptureError(f"{name} is empty: it should be a capture, or JSON lines of events")


def _feed_capture(pipeline: Pipeline, stream: BinaryIO, name: str) -> None:
    from auditor.capture.tape import Reader  # noqa: PLC0415 - see above

    reader = Reader(stream, name)
    with _progress(stream) as show:
        for place, block in reader.blocks():
            pipeline.feed(block, place)
            show(place + len(block))
    if reader.cut:
        _note(f"{name} ends within a record; everything before that was judged")


def _feed_documents(pipeline: Pipeline, stream: BinaryIO, name: str) -> None:
    from auditor.decode.ecs import DocumentReader  # noqa: PLC0415 - see above

    reader = DocumentReader(name)
    with _progress(stream) as show:
        pipeline.feed_events(reader.read(_lines(stream, name, show)))
    if reader.cut:
        _note(f"{name} ends within a line; everything before that was judged")
    if reader.skipped:
        most = ", ".join(f"{action} ({count})" for action, count in reader.skipped.most_common(_ACTIONS_NAMED))
        _note(f"{name}: {reader.skipped.total()} events of other kinds were passed over: {most}")


def _lines(stream: BinaryIO, name: str, show: _Show) -> Iterator[bytes]:
    place = 0
    try:
        for number, line in enumerate(stream):
            place += len(line)
            if number % 4096 == 0:
                show(place)
            yield line
    except OSError as error:
        raise CaptureError(f"cannot read {name}: {error.strerror or error}") from error


@contextmanager
def _progress(stream: BinaryIO) -> Iterator[_Show]:
    """Show on standard error how far a long file was read, if that is a terminal and the output goes elsewhere."""
    size = os.fstat(stream.fileno()).st_size
    if size < _LONG or not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - loaded for a long file on a terminal alone
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=size)
        yield lambda place: progress.update(task, completed=place)


def _note(message: str) -> None:
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    click.echo(f"auditor: {printable}", err=True)
