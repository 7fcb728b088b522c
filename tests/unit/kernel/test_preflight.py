"""What this host allows, looked at one by one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.errors import HostError
from auditor.kernel import preflight
from auditor.kernel.catalog import HOOKS
from auditor.kernel.preflight import CAPABILITIES, Check, check_host, check_tracefs


def check(name: str) -> Check:
    """Give one of the checks of this host."""
    return next(check for check in check_host() if check.name == name)


def at(release: str = "6.1.0-32-amd64", machine: str = "x86_64") -> os.uname_result:
    """Give what uname(2) says on another host."""
    return os.uname_result(("Linux", "host", release, "#1 SMP", machine))


def test_every_check_says_something() -> None:
    """Each thing is looked at once, and has words for what was found."""
    checks = check_host()
    assert len({one.name for one in checks}) == len(checks)
    assert all(one.found and "\n" not in one.found for one in checks)


@pytest.mark.parametrize(
    ("release", "ok"),
    [
        ("5.7.19", False),
        ("5.8.0", True),
        ("5.10.0-35-amd64", True),
        ("6.1.0", True),
        ("4.19.0", False),
        ("6.18.44-fc-v595", True),
        ("7.0-rc1", True),
        ("6.12+", True),
        ("10.0", True),
    ],
)
def test_kernel_must_be_new_enough(monkeypatch: pytest.MonkeyPatch, release: str, ok: bool) -> None:
    """Kernels are told from each other by number, not as text."""
    monkeypatch.setattr(os, "uname", lambda: at(release))
    found = check("kernel")
    assert (found.ok, found.needed) == (ok, True)
    assert found.found.startswith(release)


@pytest.mark.parametrize(("machine", "ok"), [("x86_64", True), ("aarch64", False)])
def test_architecture(monkeypatch: pytest.MonkeyPatch, machine: str, ok: bool) -> None:
    """The architecture is one that is supported, or named."""
    monkeypatch.setattr(os, "uname", lambda: at(machine=machine))
    found = check("architecture")
    assert (found.ok, machine in found.found) == (ok, True)


def test_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user is told how to become root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert check("root") == Check("root", False, "no: run with sudo")


def test_missing_capabilities_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each capability that a run needs and this process lacks is named; what it needs elsewhere is not."""
    monkeypatch.setattr(preflight, "CAPABILITIES", {"CAP_OF_NOBODY": 63, "CAP_OF_NOBODY_EITHER": 62})
    assert check("capabilities") == Check("capabilities", False, "missing CAP_OF_NOBODY, CAP_OF_NOBODY_EITHER")
    monkeypatch.setattr(preflight, "CAPABILITIES", {})
    assert check("capabilities").ok


def test_capabilities_are_numbered_as_in_the_kernel() -> None:
    """The numbers are those of the kernel's header, where it is installed."""
    header = Path("/usr/include/linux/capability.h")
    if not header.exists():
        pytest.skip("needs the kernel's user headers (apt-get install linux-libc-dev)")
    lines = [line.split() for line in header.read_text().splitlines() if line.startswith("#define CAP_")]
    numbers = {line[1]: line[2] for line in lines if len(line) == 3}
    assert {name: numbers[name] for name in CAPABILITIES} == {name: str(bit) for name, bit in CAPABILITIES.items()}


@pytest.mark.parametrize(
    ("text", "ok", "found"),
    [
        ("[none] integrity confidentiality\n", True, "none"),
        ("none [integrity] confidentiality\n", True, "integrity"),
        ("none integrity [confidentiality]\n", False, "confidentiality: BPF may not read kernel memory"),
        ("", True, "none"),
    ],
)
def test_lockdown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, ok: bool, found: str) -> None:
    """A kernel that is locked down allows the probes up to integrity, and not beyond."""
    path = tmp_path / "lockdown"
    path.write_text(text)
    monkeypatch.setattr(preflight, "_LOCKDOWN", path)
    told = check("lockdown")
    assert (told.ok, told.found) == (ok, found)


def test_lockdown_may_not_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where securityfs is not mounted nothing is held against the host."""
    monkeypatch.setattr(preflight, "_LOCKDOWN", tmp_path / "none")
    assert check("lockdown") == Check("lockdown", True, "not told (securityfs is not mounted)", needed=False)


def test_missing_bcc_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What bcc's import complains of is what the check says."""

    def fail() -> None:
        raise HostError("bcc is not installed; install it")

    monkeypatch.setattr(preflight, "import_bcc", fail)
    assert check("bcc") == Check("bcc", False, "bcc is not installed; install it")


def test_tracefs_that_is_not_there() -> None:
    """Where there is no tracefs, the check says why."""
    assert check_tracefs(HostError("cannot reach tracefs: no")) == Check("tracefs", False, "cannot reach tracefs: no")


def test_tracepoints_that_are_missing_are_named(tmp_path: Path) -> None:
    """A tracefs without a tracepoint is told with its name; with all it is well."""
    directory = os.open(tmp_path, os.O_RDONLY)
    targets = [hook.target for hook in HOOKS if hook.kind == "tracepoint"]
    assert check_tracefs(directory) == Check("tracefs", False, f"without {', '.join(targets)}")
    for target in targets:
        folder = tmp_path / "events" / target
        folder.mkdir(parents=True)
        (folder / "id").write_text("7\n")
    assert check_tracefs(directory).ok
    os.close(directory)
