"""Hosts that lack something, and users who ask for what cannot be: one clear line each, and the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from auditor.kernel.catalog import HOOKS
from tests.kernel.auditors import PATIENCE_S, PROGRAM, audit

RUN = ("run", "--agent", "pid:1", "--duration", "0.1")

NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all,+dac_read_search",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search", "--",
)  # fmt: skip
"""An ordinary user, who may read this checkout wherever it lies."""

# Both hide the probes that an earlier run compiled, too.
_NEW_STORE = "mkdir -p /var/cache/auditor && mount -t tmpfs none /var/cache/auditor"
NO_BCC = f"{_NEW_STORE}; for at in $(find /usr/lib/python3 -maxdepth 2 -name bcc); do mount -t tmpfs none $at; done"
NO_BTF = f"{_NEW_STORE}; mount -t tmpfs none /sys/kernel/btf"
LOCKED_TRACEFS = "mount -t tmpfs -o mode=700 none /sys/kernel/tracing"


def on_host(changes: str, *arguments: str, user: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the program in a mount namespace of its own, after these changes to what is mounted."""
    command = ["unshare", "--mount", "bash", "-ec", f'{changes}\nexec "$@"', "-", *user, *PROGRAM, *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Give the one line that a failed run says, without the program's name."""
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("auditor: ")
    return done.stderr[len("auditor: ") : -1]


@pytest.mark.parametrize(
    ("changes", "user", "says"),
    [
        ("", NOBODY, "watching needs root, because it loads BPF programs: run it with sudo"),
        (NO_BCC, (), "bcc is not installed; install the distribution's package: apt-get install python3-bpfcc"),
        (NO_BTF, (), "/sys/kernel/btf/vmlinux: No such file or directory. The kernel must carry its type information"),
    ],
    ids=["not root", "no bcc", "no BTF"],
)
def test_run_says_what_the_host_lacks(changes: str, user: tuple[str, ...], says: str) -> None:
    """Where the host lacks something, a run is one line that says what to do about it, and exit code 1."""
    for what in (RUN, ("exec", "--", "echo", "never")):
        done = on_host(changes, *what, user=user)
        assert complaint(done).startswith(says)
        assert done.returncode == 1


@pytest.mark.parametrize(
    ("changes", "user", "missing"),
    [
        ("", NOBODY, {"root", "capabilities", "probes"}),
        (LOCKED_TRACEFS, NOBODY, {"root", "capabilities", "probes", "tracefs"}),
        (NO_BCC, (), {"bcc", "probes"}),
        (NO_BTF, (), {"btf", "probes"}),
    ],
    ids=["not root", "closed tracefs", "no bcc", "no BTF"],
)
def test_doctor_says_what_the_host_lacks(changes: str, user: tuple[str, ...], missing: set[str]) -> None:
    """`doctor` fails there too, names what is missing, and leaves no hook out."""
    done = on_host(changes, "doctor", "--json", user=user)
    told = json.loads(done.stdout)
    assert (done.returncode, told["works"], done.stderr) == (1, False, "")
    failed = {check["name"] for check in told["checks"] if not check["ok"]}
    assert missing <= failed
    hooks = {check["name"]: check for check in told["checks"] if check["name"].startswith("hook ")}
    assert list(hooks) == [f"hook {hook.target}" for hook in HOOKS]
    assert not any(check["ok"] for check in hooks.values())


def test_doctor_as_a_table() -> None:
    """Without --json the same is a table for people, in which what is missing stands out."""
    done = on_host(NO_BTF, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    table = done.stdout.splitlines()
    assert {line.split()[1] for line in table if line.startswith("MISSING")} == {"btf", "probes", "hook"}
    assert table[-1].startswith("auditor run does not work here")


def test_doctor_is_content_here() -> None:
    """Where these tests run, everything that is needed is there: exit code 0, each hook tried, with what it costs."""
    done = audit("doctor", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["works"], done.stderr) == (0, True, b"")
    checks = {check["name"]: check for check in told["checks"]}
    assert [name for name, check in checks.items() if check["needed"] and not check["ok"]] == []
    for hook in HOOKS:
        assert checks[f"hook {hook.target}"]["costs"] == hook.costs
    assert checks["self-test"]["ok"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name at least one agent to watch"),
        (("--agent", "name:bash"), "unknown selector 'name:bash': use one of pid:NUMBER, exe:GLOB, cmdline:REGEX"),
        (("--agent", "pid:x"), "selector 'pid:x': not a process id"),
        (("--agent", "cmdline:("), "selector 'cmdline:(': not a regular expression"),
        (("--agent", "pid:4194303"), "pid:4194303: there is no such process"),
        (("--agent", "pid:1", "--rules", "/nowhere/rule.yml"), "--rules /nowhere/rule.yml: no such file or directory"),
        (("--agent", "pid:1", "--duration", "0"), "--duration 0: give a number of seconds above 0"),
        (("--agent", "pid:1", "--duration", "soon"), "Invalid value for '--duration'"),
        (("--agent", "pid:1", "--format", "tui"), "--format tui needs a terminal"),
        (("--agent", "pid:1", "--format", "xml"), "Invalid value for '--format'"),
        (("--agent", "pid:1", "--colour"), "No such option"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], says: str) -> None:
    """What makes no sense as it stands is one line and exit code 2."""
    done = audit("run", *arguments, text=True)
    assert done.returncode == 2
    assert complaint(done).startswith(says)


@pytest.mark.parametrize("option", ["--output", "--capture"])
def test_file_that_cannot_be_opened(option: str) -> None:
    """A file in a directory that is not there is one line and exit code 1."""
    done = audit(*RUN, option, "/nowhere/file", text=True)
    assert done.returncode == 1
    assert complaint(done) == f"{option} /nowhere/file: No such file or directory"


def test_broken_rule(tmp_path: Path) -> None:
    """A rule that cannot be used is named with its file and line, and nothing is run without it."""
    rule = tmp_path / "broken.yml"
    rule.write_text("title: Broken\nid: no-uuid\ndetection:\n  a:\n    Image: x\n  condition: b\n")
    done = audit("exec", "--rules", rule, "--", "touch", tmp_path / "never", text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    problems = done.stderr.splitlines()
    assert problems
    assert all(problem.startswith(f"auditor: {rule}:") for problem in problems)
    assert all(problem[len(f"auditor: {rule}:")].isdigit() for problem in problems)
    assert not (tmp_path / "never").exists()


def test_process_that_is_gone() -> None:
    """An agent that has ended is as one that never was."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    done = audit("run", "--agent", f"pid:{pid}", text=True)
    assert (done.returncode, complaint(done)) == (2, f"pid:{pid}: there is no such process")
