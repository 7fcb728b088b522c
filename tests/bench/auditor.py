"""The auditor, started on an agent as a user would start it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from typing import Self

from tests.bench import processes
from tests.bench.stream import Stream
from tests.bench.toolkit import BenchError, Toolkit, python

_PATIENCE_S = 30


class Auditor:
    """`auditor run` on one agent, writing every event."""

    def __init__(self, toolkit: Toolkit, agent: int, *, cpu: int | None = None, module: Sequence[str] = ()) -> None:
        """Start it, and wait until it watches. `module` is run instead of the command line, with its arguments."""
        command = module or ("auditor", "run", "--agent", f"pid:{agent}", "--format", "json", "--events", "all")
        self._errors = tempfile.TemporaryFile(dir=toolkit.folder)  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            toolkit.leash(*python("-m", *command), cpu=cpu),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=toolkit.folder,
        )
        assert self._process.stdout is not None
        self.stream = Stream(self._process.stdout)
        if not self.stream.wait(lambda: self.stream.events["tick"] > 0, _PATIENCE_S):
            complaint = self.close()
            raise BenchError(f"the auditor did not start: {complaint}")

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return processes.family(self._process.pid)

    def close(self) -> str:
        """Stop it as an administrator would, read all that it still writes, and return what it complained of."""
        self._process.terminate()
        code = self._process.wait()
        self.stream.close()
        with self._errors:
            self._errors.seek(0)
            return self._errors.read().decode(errors="replace").strip() or f"exit code {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
