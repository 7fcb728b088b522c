"""A stream such as coding agents make on a training node, for the rules to judge."""

from __future__ import annotations

import random
from collections.abc import Iterator

from auditor.decode.ecs import read_documents
from auditor.lineage.table import Table
from auditor.model.events import Event, Exec
from auditor.model.processes import Process
from auditor.model.records import Flag
from auditor.rules.examples import lines
from auditor.rules.pack import Pack
from tests.builders import make_connect, make_exec, make_executable, make_gpu_open, make_gpu_use, make_session

Acted = tuple[Event, Process]

SHARES = {"exec": 40, "connect": 15, "gpu": 5}
"""Of a hundred events of the mix that the rules are measured on. Thirty of files and ten of names are missing: the
auditor has no such events yet."""
OFFENCES = 0.005
"""The share of execs that do what a rule's example shows."""

_WORDS = ("train", "data", "model", "loss", "utils", "test_api", "config", "README", "layers", "optim", "sched", "eval")
_SUFFIXES = (".py", ".md", ".json", ".c", ".yaml", ".txt", ".cu", ".log")
_ADDRESSES = ("10.1.2.3", "127.0.0.1", "::1", "140.82.112.3", "151.101.1.6", "192.168.7.20", "2606:50c0:8000::154")
_PORTS = (443, 443, 443, 80, 22, 8080, 5432, 29500, 6379)


def make_stream(count: int, pack: Pack, seed: int = 1) -> list[Acted]:
    """Make `count` events, each with its process as lineage knows it; the same ones for the same seed."""
    chance = random.Random(seed)
    table = Table()
    table.apply(make_session())
    table.apply(make_exec(99, ("agent",), call=0, flags=Flag.AGENT))
    offences = list(_offences(pack))
    known: set[int] = set()
    calls = {99: 0}
    running: list[int] = []
    acted: list[Acted] = []
    tgid = 100
    while len(acted) < count:
        what = chance.choices(list(SHARES), list(SHARES.values()))[0] if running else "exec"
        event: Event
        if what == "exec":
            tgid += 1
            shell = chance.choice(running) if running and chance.random() < 0.7 else 99
            calls[tgid] = calls[shell] or tgid
            if offences and chance.random() < OFFENCES:
                args, executable = chance.choice(offences)
            else:
                args, executable = _command(chance), ""
            uid = chance.choice((0, 1000, 1000))
            ran = event = make_exec(tgid, args, executable, parent_tgid=shell, call=calls[tgid], uid=uid)
            if ran.ino not in known:
                known.add(ran.ino)
                table.apply(make_executable(ran))
            running = [*running[-63:], tgid]
        else:
            who = chance.choice(running)
            if what == "connect":
                ip, port = chance.choice(_ADDRESSES), chance.choice(_PORTS)
                event = make_connect(who, ip, port, call=calls[who])
            else:
                event = chance.choice((make_gpu_open, make_gpu_use))(who, call=calls[who])
        process = table.apply(event)
        assert process is not None
        acted.append((event, process))
    return acted


def _offences(pack: Pack) -> Iterator[tuple[tuple[str, ...], str]]:
    for example in pack.examples:
        if example.match:
            for event in read_documents(lines(example)):
                if isinstance(event, Exec) and event.args and event.executable:
                    yield event.args, event.executable


def _command(chance: random.Random) -> tuple[str, ...]:
    file = f"src/{chance.choice(_WORDS)}{chance.randrange(1000)}{chance.choice(_SUFFIXES)}"
    word, number = chance.choice(_WORDS), chance.randrange(1, 400)
    script = f"import json\nrows = [json.loads(line) for line in open('{file}')]\n" * chance.choice((1, 1, 2, 20))
    return chance.choice(
        (
            ("bash", "-lc", f"cd /srv/work && grep -rn '{word}' {file} | head -{number}"),
            ("bash", "-c", f"python -m pytest -q tests/{word} -k {word} 2>&1 | tail -{number}"),
            ("bash", "-c", f"cat > {file} <<'EOF'\n{script}EOF"),
            ("git", "diff", "--stat", f"HEAD~{number % 7}", "--", file),
            ("git", "commit", "-m", f"Make {word} read {file}"),
            ("python3", "-c", script),
            ("python3", file, "--epochs", str(number), "--lr", "0.001", "--out", f"runs/{word}"),
            ("grep", "-rn", "--include=*.py", word, "src"),
            ("sed", "-n", f"{number},{number + 40}p", file),
            ("ls", "-la", f"src/{word}"),
            ("gcc", "-O2", "-Wall", "-Iinclude", "-c", file, "-o", f"build/{word}.o"),
            ("nvcc", "-O3", "-arch=sm_90", file, "-o", f"build/{word}"),
            ("pip", "install", "-q", f"{word}=={number}.0"),
            ("find", "src", "-name", f"*{word}*", "-newer", file),
            ("node", "node_modules/.bin/tsc", "--noEmit", "-p", f"packages/{word}"),
        )
    )
