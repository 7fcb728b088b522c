"""A command that is run as one tool call: started stopped, let go once it is under watch."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final, NoReturn

from auditor.errors import AuditorError
from auditor.live.options import Command

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_HEEDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""What is ignored stays so across exec, unlike what is handled."""


class CommandProcess:
    """The command's process. It is a child of the privileged side and keeps standard input, output and error."""

    def __init__(self, command: Command) -> None:
        """Get ready."""
        self._argv = command.argv
        self._go_read, self._go_write = os.pipe2(os.O_CLOEXEC)
        self._error_read, self._error_write = os.pipe2(os.O_CLOEXEC)
        self._status: int | None = None
        self._let_go = False
        self._ignored = {number for number in _HEEDED if signal.getsignal(number) is signal.SIG_IGN}
        self.pid = 0
        """Zero before `start()`."""

    def start(self) -> int:
        """Fork the process, which waits for `go()` before it runs anything of the command's; returns its pid."""
        self.pid = os.fork()
        if self.pid == 0:
            self._run()
        os.close(self._go_read)
        os.close(self._error_write)
        return self.pid

    def go(self) -> None:
        """Let it run.

        Raises:
            AuditorError: it cannot be run, with the exit code that shells use for it.

        """
        self._let_go = True
        os.write(self._go_write, b"!")
        os.close(self._go_write)
        answer = os.read(self._error_read, 16)  # ends without a byte when exec closes the other end
        os.close(self._error_read)
        if answer:
            os.waitpid(self.pid, 0)
            code = int(answer)
            error = AuditorError(f"cannot run {self._argv[0]!r}: {os.strerror(code)}")
            error.exit_code = _NOT_FOUND if code == 2 else _NOT_EXECUTABLE
            raise error

    @property
    def ended(self) -> bool:
        """`exit_code()` or `wait()` has returned its exit code."""
        return self._status is not None

    def exit_code(self) -> int | None:
        """Return the command's exit code once it has ended; if a signal ended it, 128 and its number, as shells do."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._status = status
        return _exit_code(self._status)

    def wait(self) -> int:
        """Wait until the command has ended, watched or not; returns its exit code."""
        if self._status is None:
            self._status = os.waitpid(self.pid, 0)[1]
        return _exit_code(self._status)

    def send(self, number: int) -> None:
        """Send the command a signal, if it still runs."""
        if self._status is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def leave(self) -> None:
        """End a command that was never let go. One that runs is waited for, watched or not: it is the user's work."""
        if self._status is not None or self.pid == 0:
            return
        with contextlib.suppress(ChildProcessError):
            if not self._let_go:
                os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def _run(self) -> NoReturn:
        code = 1
        try:
            for number in (*_HEEDED, *_IGNORED_BY_PYTHON):
                signal.signal(number, signal.SIG_IGN if number in self._ignored else signal.SIG_DFL)
            os.close(self._go_write)
            os.close(self._error_read)
            if os.read(self._go_read, 1):
                os.execvp(self._argv[0], self._argv)  # noqa: S606 - no shell is wanted
        except OSError as error:
            code = error.errno or 1
            os.write(self._error_write, str(code).encode())
        finally:
            os._exit(_NOT_FOUND)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
