"""Compiling and loading in a child process that hands its descriptors over and ends.

bcc brings a compiler of well over 100 MB into the process that uses it, for a third of a second. The programs and maps
live on in the kernel as long as someone holds their descriptors; the child sends those to its parent and is gone.
"""

from __future__ import annotations

import json
import os
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from auditor.errors import AuditorError, HostError
from auditor.kernel.bpf import lift_memory_limit
from auditor.kernel.btf import constants
from auditor.kernel.catalog import HOOKS, LIMITS, MAPS, OFFSETS, SIZES, SOURCES
from auditor.kernel.image import Image, Loaded, load
from auditor.kernel.store import Store, image_key

_MESSAGE_BYTES: Final = 256 * 1024
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Loader:
    """A child that is compiling. `finish()` waits for it."""

    def __init__(self, sources: Path, limits: Mapping[str, int] = LIMITS, store: Store | None = None) -> None:
        """Start loading the probes in `sources` (the directory bpf/) with table sizes as in `catalog.LIMITS`.

        They are compiled unless `store` has them.
        """
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MESSAGE_BYTES)
        self._pid = os.fork()
        if self._pid == 0:
            self._ours.close()
            _child(sources, limits, store, theirs)
        theirs.close()

    def fileno(self) -> int:
        """Readable when `finish()` will not have to wait."""
        return self._ours.fileno()

    def finish(self) -> Loaded:
        """Wait for the child and take its descriptors.

        Raises:
            HostError: what kept it from loading, in one line.

        """
        try:
            message, fds, _, _ = socket.recv_fds(self._ours, _MESSAGE_BYTES, 64)
        finally:
            self._ours.close()
            os.waitpid(self._pid, 0)
        for fd in fds:  # recv_fds() pays no heed to MSG_CMSG_CLOEXEC, and a command must not get hold of these
            os.set_inheritable(fd, False)
        if not message:
            raise HostError(
                "the process that compiles the probes died; is there enough memory? (it needs 200 MB for a second)"
            )
        answer = json.loads(message)
        if "error" in answer:
            raise HostError(answer["error"])
        programs, maps = answer["programs"], answer["maps"]
        return Loaded(
            dict(zip(programs, fds[: len(programs)], strict=True)),
            dict(zip(maps, fds[len(programs) :], strict=True)),
            answer["refused"],
        )


def _child(sources: Path, limits: Mapping[str, int], store: Store | None, out: socket.socket) -> NoReturn:
    """Load, answer, end; never returns."""
    log = os.memfd_create("compiler-output")
    os.dup2(log, 2)  # the compiler writes there, and must not write into the view
    os.dup2(log, 1)
    fds: list[int] = []
    try:
        lift_memory_limit()
        programs, maps, refused = load(_image(sources, limits, store), HOOKS)
        wanted = {name: maps[name] for name in MAPS}
        fds = [*programs.values(), *wanted.values()]
        answer: dict[str, object] = {"programs": [*programs], "maps": [*wanted], "refused": refused}
    except AuditorError as error:
        answer = {"error": f"{error}{_first_complaint(log)}"}
    except BaseException:  # noqa: BLE001 - a child of fork must not unwind into its parent's code
        answer = {"error": f"loading the probes failed: {traceback.format_exc().strip().splitlines()[-1]}"}
    try:
        socket.send_fds(out, [json.dumps(answer).encode()[: _MESSAGE_BYTES - 1]], fds)
    finally:
        os._exit(0)


def _image(sources: Path, limits: Mapping[str, int], store: Store | None) -> Image:
    """Take the compiled probes from the store, or compile and keep them."""
    text = join_sources(sources)
    key = image_key(text, limits, _BOOT_ID.read_text().strip())
    image = None if store is None else store.find(key)
    if image is None or not _is_whole(image):
        from auditor.kernel.compile import compile_probes  # noqa: PLC0415 - bcc is loaded in this child alone

        image = compile_probes(text, {**constants(OFFSETS, SIZES), **limits}, HOOKS)
        if store is not None:
            store.keep(key, image)
    return image


def _is_whole(image: Image) -> bool:
    names = {shape.name for shape in image.maps}
    return names.issuperset(MAPS) and all(hook.function in image.programs for hook in HOOKS)


def join_sources(directory: Path) -> str:
    """Join the probes into one text: bcc rewrites map calls in the main text only, never in what it includes."""
    return "".join(f'#line 1 "bpf/{name}"\n{(directory / name).read_text()}\n' for name in SOURCES)


def _first_complaint(log: int) -> str:
    """Return the compiler's first error, to append to a message."""
    os.lseek(log, 0, os.SEEK_SET)
    lines = os.read(log, 64 * 1024).decode("utf-8", "backslashreplace").splitlines()
    return next((f" ({line.strip()})" for line in lines if "error:" in line), "")
