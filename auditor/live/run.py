"""A live run from start to end: the processes, in the order in which they come and go.

privileged side ── fork ──► engine (unprivileged: rules, lineage, sinks, view)
      ├────────── fork ──► facts worker (unprivileged: parses executables)
      ├────────── fork ──► loader (compiles, hands its descriptors over, ends)
      ├─ attach, self-test, take the agents in
      ├────────── fork ──► the command, where there is one: labelled by that fork, then let go
      └─ read the ring
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress

from auditor import __version__, assets
from auditor.decode.encode import encode
from auditor.errors import AuditorError, HostError, UsageError
from auditor.host import procfs
from auditor.host.cgroups import Root
from auditor.host.facts_worker import FactsWorker
from auditor.host.selectors import Selector
from auditor.host.snapshots import read_process
from auditor.kernel.loader import Loader
from auditor.kernel.probes import Probes
from auditor.kernel.store import Store
from auditor.live.command import CommandProcess
from auditor.live.devices import DeviceTable
from auditor.live.engine import start_engine, unprivileged_ids
from auditor.live.facts import FactsGate
from auditor.live.link import BlockSender, WordReader
from auditor.live.options import Options
from auditor.live.reader import Reader
from auditor.live.selftest import self_test
from auditor.live.sessions import Sessions, now
from auditor.live.terminal import kept_terminal
from auditor.model.events import Start
from auditor.model.records import Kind, LabelSource


def run(options: Options) -> int:
    """Watch until stopped; returns the exit code: 0, or the command's own.

    Raises:
        AuditorError: what kept it from running, or from running on.

    """
    require_root()
    with ExitStack() as last, ExitStack() as stack:
        stack.enter_context(kept_terminal())
        engine, link = start_engine(options)
        stack.callback(os.waitpid, engine, 0)
        stack.callback(link.close)
        worker = FactsWorker(*unprivileged_ids())
        stack.callback(worker.close)
        loader = Loader(assets.probes(), store=Store())
        cgroups = Root()
        stack.callback(cgroups.close)
        words, sender = WordReader(link), BlockSender(link)

        probes = Probes(loader.finish(), cgroups.fd)
        stack.callback(probes.close)
        devices = DeviceTable(probes, options.stand_in_devices)
        self_test(probes)
        _await_engine(words)

        gate = FactsGate(worker, sender.put, now)
        sessions = Sessions(probes, cgroups, devices.is_gpu)
        reader = Reader(
            probes,
            sender,
            words,
            gate,
            sessions,
            devices,
            selectors=options.selectors,
            cgroups=cgroups,
            processes=lambda: (os.getpid(), engine, worker.pid),
            summary_interval_ns=options.summary_interval_ns,
        )
        command = None if options.command is None else CommandProcess(options.command)
        if command is not None:
            last.callback(command.leave)
        _stop_on_signals(reader.stop, command)
        reader.emit(_start_record())
        if command is not None and options.command is not None:
            reader.emit(sessions.register(command.start, options.command.session, options.command.tool_call))
            command.go()
        else:
            _adopt(options.selectors, sessions, probes, reader, cgroups)
        if options.on_ready is not None:
            options.on_ready()
        with suppress(ConnectionError):  # the engine is gone; what it has said is read next
            reader.run(_ending(options, probes, command))
            reader.finish()
            sender.finish()
        _await_end(words, engine)
    return 0 if command is None else command.wait()


def require_root() -> None:
    """Raise HostError where this process is not root."""
    if os.geteuid() != 0:
        raise HostError("watching needs root, because it loads BPF programs: run it with sudo")


def _adopt(selectors: tuple[Selector, ...], sessions: Sessions, probes: Probes, reader: Reader, cgroups: Root) -> None:
    """Take the agents in: first have new ones shown, then look for those that run, so that none falls in between."""
    probes.show_candidates(any(selector.kind != "pid" for selector in selectors))
    for selector in selectors:
        if selector.kind != "pid":
            continue
        root = read_process(int(selector.value), cgroups)
        frames = b"" if root is None else sessions.adopt(root, selector.text, LabelSource.SEEDED)
        if not frames:
            raise UsageError(f"{selector.text}: there is no such process")
        reader.emit(frames)
    if any(selector.kind != "pid" for selector in selectors):
        reader.emit(sessions.adopt_matching(selectors))
    reader.watch_holders()


def _ending(options: Options, probes: Probes, command: CommandProcess | None) -> Callable[[], bool]:
    deadline = None if options.duration_ns is None else now() + options.duration_ns

    def finished() -> bool:
        if deadline is not None and now() >= deadline:
            return True
        # A command is over when nothing is left of what it started.
        return command is not None and command.exit_code() is not None and not any(True for _ in probes.labels())

    return finished


def _await_engine(words: WordReader) -> None:
    """Wait until the engine has its rules, or raise what it complains of."""
    for word in words.read(wait=True):
        if "error" in word:
            raise _complaint(word)
        return
    raise AuditorError("the engine process died while it started")


def _await_end(words: WordReader, engine: int) -> None:
    """Wait until the engine has written everything out, or raise what it complains of."""
    while not words.closed:
        for word in words.read(wait=True):
            if "error" in word:
                raise _complaint(word)
    ended = os.waitid(os.P_PID, engine, os.WEXITED | os.WNOWAIT)
    if ended is None or ended.si_code != os.CLD_EXITED or ended.si_status != 0:
        raise AuditorError("the engine process died before it had judged and written everything")


def _complaint(word: dict[str, object]) -> AuditorError:
    error = AuditorError(str(word["error"]))
    error.exit_code = int(str(word.get("exit_code", 1)))
    return error


def _start_record() -> bytes:
    header = (Kind.START, 0, os.getpid(), now(), 0, os.getpid(), 0, 0, 0, LabelSource.NONE)
    start = Start(
        *header,
        wall_offset_ns=procfs.wall_offset_ns(),
        boot_id=procfs.boot_id(),
        host=procfs.host_name(),
        kernel=procfs.kernel_release(),
        version=__version__,
    )
    return encode(start)


def _stop_on_signals(stop: Callable[[str], None], command: CommandProcess | None) -> None:
    """Have signals stop the run. As long as a command runs they are the command's to heed, and the run ends with it.

    A terminal's Ctrl-C reaches the command by itself; what is sent to this process alone is passed on to it.
    """

    def heed(number: int, reason: str) -> None:
        if command is None or command.ended:
            stop(reason)
        elif number != signal.SIGINT:
            command.send(number)

    signal.signal(signal.SIGINT, lambda number, _: heed(number, "interrupted"))
    signal.signal(signal.SIGTERM, lambda number, _: heed(number, "terminated"))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) has it ignored
        signal.signal(signal.SIGHUP, lambda number, _: heed(number, "hung up"))
