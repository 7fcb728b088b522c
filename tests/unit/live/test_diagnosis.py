"""The parts of a diagnosis that need no kernel."""

from __future__ import annotations

import os

import pytest

from auditor.errors import HostError
from auditor.kernel.catalog import HOOKS
from auditor.kernel.image import Loaded
from auditor.live import diagnosis

CONNECT = next(hook for hook in HOOKS if hook.target == "connect4")
IOCTL = next(hook for hook in HOOKS if hook.kind == "tracepoint")


def loaded(**refused: str) -> Loaded:
    """Give programs of which these were refused."""
    return Loaded({}, {}, refused)


def test_refused_program_is_named() -> None:
    """A hook whose program the kernel refused says what the kernel said."""
    assert diagnosis._attach_once(CONNECT, loaded(on_connect4="invalid argument"), 3, 4) == "invalid argument"


@pytest.mark.parametrize(("hook", "reason"), [(CONNECT, "no cgroups"), (IOCTL, "no tracefs")])
def test_missing_place_is_named(hook: diagnosis.Hook, reason: str) -> None:
    """A hook whose place the host lacks says which."""
    places = (HostError("no cgroups"), HostError("no tracefs"))
    assert diagnosis._attach_once(hook, loaded(), *places) == reason


def test_hook_says_what_it_yields_or_why_not() -> None:
    """A hook that works is described with its cost; one that does not with the refusal."""
    works, refused = diagnosis._hook(CONNECT, ""), diagnosis._hook(CONNECT, "refused")
    assert (works.ok, works.found, works.costs) == (True, "connect over IPv4; always attached", CONNECT.costs)
    assert (refused.ok, refused.found) == (False, "refused")
    assert diagnosis._hook(IOCTL, "").found.endswith("; attached when needed")


def test_what_may_not_be_opened_is_a_finding() -> None:
    """A file system that is closed to this user is a finding with its path, like one that is not there."""

    def closed() -> int:
        return os.open("/proc/nowhere", os.O_RDONLY)

    def missing() -> int:
        raise HostError("not mounted")

    assert str(diagnosis._opened(closed)) == "/proc/nowhere: No such file or directory"
    assert str(diagnosis._opened(missing)) == "not mounted"
    assert diagnosis._opened(lambda: 7) == 7


def test_self_test_needs_cgroups() -> None:
    """Without cgroup v2 the self-test is not tried."""
    check = diagnosis._self_test(loaded(), HostError("none"))
    assert not check.ok
    assert "not tried" in check.found
