"""The unprivileged side: a process that judges the stream and can do nothing else.

It is forked from the privileged side before anything is loaded, reads the rules, gives up root for good, and then folds
over the blocks that come. What it may still touch was opened before: its end of the link, the output, the capture.
"""

from __future__ import annotations

import ctypes
import locale
import os
import pwd
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NoReturn

from auditor import assets
from auditor.capture.tape import Writer
from auditor.errors import AuditorError
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

_PR_SET_NAME: Final = 15


def unprivileged_ids() -> tuple[int, int]:
    """User and group that everything unprivileged runs as: `auditor` where that user exists, else `nobody`."""
    for name in ("auditor", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def start_engine(options: Options) -> tuple[int, socket.socket]:
    """Fork the engine; returns its pid and this side's end of the link."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _main(options, theirs)
    theirs.close()
    return pid, ours


def _main(options: Options, link: socket.socket) -> NoReturn:
    code = 0
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end of the stream is what ends this process
        ctypes.CDLL(None).prctl(_PR_SET_NAME, b"auditor-engine", 0, 0, 0)
        _serve(options, link)
    except AuditorError as error:
        code = error.exit_code
        _tell(link, {"error": str(error), "exit_code": code})
    except BaseException as error:  # noqa: BLE001 - a child of fork must not unwind into its parent's code
        code = 1
        _tell(link, {"error": f"the engine failed: {type(error).__name__}: {error}", "exit_code": code})
    finally:
        os._exit(code)


def _tell(link: socket.socket, word: dict[str, object]) -> None:
    try:
        send_word(link, word)
    except OSError:
        return  # the other side is gone; there is nobody to tell


def _serve(options: Options, link: socket.socket) -> None:
    pack = load_pack(options.rules or (assets.rules(),))
    view, sinks = _open_sinks(options, lambda: _tell(link, {"quit": "quit"}))
    writer = None
    if options.capture is not None:
        writer = Writer(os.fdopen(options.capture, "wb", buffering=0, closefd=False), _name(options.capture))
    pipeline = Pipeline(Engine(pack), sinks=sinks)
    # Before any thread is started, because rights are a thread's own; after the last import, because this user may not
    # be allowed to read where the program is installed.
    drop_privileges(*unprivileged_ids())
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
