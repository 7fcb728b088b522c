"""The unprivileged side: a process that judges the stream and can do nothing else.

It reads the rules, gives up root for good, and then folds over the blocks that come. What it may still touch was opened
before: its end of the link, the output, the capture.
"""

from __future__ import annotations

import gc
import locale
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from auditor import assets
from auditor.capture.tape import Writer
from auditor.host import procfs
from auditor.host.privileges import drop_privileges
from auditor.live.link import receive_blocks, send_word
from auditor.live.options import Options
from auditor.live.packs import load_pack
from auditor.pipeline import Pipeline, Sink
from auditor.rules.engine import Engine
from auditor.sinks.jsonl import JsonLines
from auditor.sinks.tally import Tally
from auditor.sinks.text import TextSink

_ALLOCATIONS: Final = 50_000
"""Objects made, less those gone, between two searches for cycles."""


def judge(options: Options, link: socket.socket, ids: tuple[int, int], quit_run: Callable[[], None]) -> None:
    """Read the rules, become user and group `ids`, and judge the blocks that come over `link` until they end.

    Raises:
        AuditorError: rules that cannot be used, an output that cannot be written.

    """
    pack = load_pack(options.rules or (assets.default_rules(),))
    view, sinks = _open_sinks(options, quit_run)
    writer = None
    if options.capture is not None:
        writer = Writer(os.fdopen(options.capture, "wb", buffering=0, closefd=False), _name(options.capture))
    pipeline = Pipeline(Engine(pack), sinks=sinks)
    # Before any thread is started, because rights are a thread's own; after the last import, because this user may not
    # be allowed to read where the program is installed.
    drop_privileges(*ids)
    # Events are born and die by the thousand, and almost none is in a cycle: looking for cycles among them as often as
    # Python does by default took a quarter of the time. What is here by now stays, and need not be looked at.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
    with view:
        send_word(link, {"ready": True})
        for block in receive_blocks(link):
            if writer is not None:
                writer.write(block)
            pipeline.feed(block)
        pipeline.close()


def _open_sinks(options: Options, quit_run: Callable[[], None]) -> tuple[AbstractContextManager[object], list[Sink]]:
    """Open the sinks; the view among them, if there is one, is to be entered before the first event."""
    sinks: list[Sink] = []
    view: AbstractContextManager[object] = nullcontext()
    if options.format == "json":
        stream = os.fdopen(options.output, "wb", buffering=1 << 16, closefd=False)
        sinks.append(JsonLines(stream, events=options.events == "all", name=_name(options.output)))
    elif options.format == "text":
        text = os.fdopen(options.output, "w", encoding=_encoding(options.output), closefd=False)
        colour, name = os.isatty(options.output), _name(options.output)
        sinks.append(TextSink(text, events=options.events, colour=colour, name=name))
    else:
        from auditor.view.app import LiveView  # noqa: PLC0415 - rich is loaded for the view alone

        tally = Tally()
        sinks.append(tally)
        screen = os.fdopen(options.output, "w", encoding=_encoding(options.output), closefd=False)
        view = live = LiveView(screen, tally.snapshot, quit_run, keys=0)
        live.warm_up()
    if options.alerts is not None:
        sinks.append(JsonLines(os.fdopen(options.alerts, "wb", buffering=0, closefd=False), events=False))
    return view, sinks


def _name(fd: int) -> str:
    """Name what a descriptor writes to, for errors."""
    return {1: "standard output", 2: "standard error"}.get(fd) or procfs.link(f"/proc/self/fd/{fd}")


def _encoding(fd: int) -> str:
    """Give a terminal what its locale says that it shows; files and pipes get UTF-8 whatever the locale."""
    return locale.getencoding() if os.isatty(fd) else "utf-8"
