"""The errors a user can meet, and the exit code of each.

    AuditorError            exit 1: something that was asked for could not be done
    ├── UsageError          exit 2: what was asked for makes no sense as it stands
    ├── HostError           exit 1: this host lacks something that is needed
    ├── CaptureError        exit 1: a capture or event stream that cannot be read
    └── RuleError           exit 1: one or more rules that cannot be used

Only the command line's outermost function catches them; it prints one line and leaves with `exit_code`.
"""

from __future__ import annotations

from collections.abc import Sequence


class AuditorError(Exception):
    """A failure to tell the user about, in one line that says what is wrong and what to do."""

    exit_code = 1


class UsageError(AuditorError):
    """An argument that cannot be understood: an unknown selector, a bad number."""

    exit_code = 2


class HostError(AuditorError):
    """The host lacks something: root, BTF, bcc, a hook."""


class CaptureError(AuditorError):
    """A capture or event stream that cannot be read."""


class RuleError(AuditorError):
    """Rules that cannot be used. Holds every problem found, each as 'file:line: what is wrong'."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
