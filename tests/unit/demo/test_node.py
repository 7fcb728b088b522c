"""The machine that the agent runs on, but for what takes a room."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from auditor.demo import node
from auditor.demo.addresses import GPU_DEVICE


def test_home_is_furnished(tmp_path: Path) -> None:
    """The home holds a key that ssh takes, the programs of the calls, and belongs to the agent."""
    home = tmp_path / "agent"
    node.furnish(home, pwd.getpwuid(os.getuid()))
    shown = subprocess.run(["ssh-keygen", "-l", "-f", home / ".ssh/id"], capture_output=True, text=True, check=True)
    assert "ED25519" in shown.stdout
    assert (home / ".ssh/id").stat().st_mode & 0o077 == 0
    assert str(home) in (home / "ssh_config").read_text()
    assert {path.stat().st_uid for path in home.rglob("*") if path.parent.name != "dev"} == {os.getuid()}


def test_miner_burns_nothing_without_a_pool(tmp_path: Path) -> None:
    """The stand-in miner under its harmless name starts, finds no pool in its arguments, and ends."""
    arguments = [] if node.make_miner(tmp_path) else ["sync.py"]
    done = subprocess.run([tmp_path / "kworkerd", *arguments], cwd=tmp_path, capture_output=True, env={}, check=False)
    assert done.returncode == 2
    assert b"url" in done.stderr.lower()


def test_miner_is_python_without_a_compiler(tmp_path: Path) -> None:
    """Where nothing can be compiled, the miner is Python under another name, with a script."""
    assert not node.make_miner(tmp_path, path=str(tmp_path))
    done = subprocess.run([tmp_path / "kworkerd", "-c", "print(6 * 7)"], capture_output=True, env={}, check=True)
    assert done.stdout == b"42\n"
    assert "url" in (tmp_path / "sync.py").read_text()


def test_gpu_is_the_agreed_device(tmp_path: Path) -> None:
    """What plays the GPU is the device that the auditor is told of, by node or, where none can be made, by link."""
    node.make_gpu(tmp_path / "nvidiactl")
    number = (tmp_path / "nvidiactl").stat().st_rdev
    assert (os.major(number), os.minor(number)) == GPU_DEVICE
    os.close(os.open(tmp_path / "nvidiactl", os.O_RDWR))
