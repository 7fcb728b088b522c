"""Marks: what telling strings in an executable say about it, as `family:name`.

A mark needs strings that come together in the program it names and not in an ordinary one, so most need two that differ
in kind. Who wants to hide strings can; the marks catch programs that are used as they come, under whatever name.

Looking for a string costs about 0.3 ms a MiB, so each sign has a gate, one or few strings of which at least
one must be there for the sign to hold; the rest is only looked for behind an open gate.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

Windows = Callable[[], Iterable[bytes]]
"""Gives the bytes to search, once for every call, in windows that overlap by OVERLAP."""


# libc's search takes half the time of bytes.find (python3.11's constants: 1.1 ms against 2.3 for one word of eight).
_memmem: Final = ctypes.CDLL(None).memmem
_memmem.restype = ctypes.c_void_p
_memmem.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)


class Sign(NamedTuple):
    """A mark, and what it takes: of each clause's strings at least so many."""

    mark: str
    gates: tuple[bytes, ...]
    clauses: tuple[tuple[int, tuple[bytes, ...]], ...]


# Names of the pool protocol's calls: Stratum V1 as slush0 published it, its extension for extra nonces by NiceHash, and
# EthereumStratum/ETHPROXY. Schemes as pools and miners write them in addresses.
_CALLS: Final = (
    b"mining.subscribe",
    b"mining.authorize",
    b"mining.submit",
    b"mining.notify",
    b"mining.set_difficulty",
    b"mining.set_target",
    b"mining.extranonce.subscribe",
    b"eth_submitLogin",
    b"eth_submitWork",
    b"eth_submitHashrate",
    b"eth_getWork",
)
_SCHEMES: Final = (b"stratum+tcp", b"stratum+ssl", b"stratum+tls", b"stratum1+tcp", b"stratum2+tcp")
_WORK: Final = (
    b"extranonce",
    b"job_id",
    b"seed_hash",
    b"keepalived",
    b"hashrate",
    b"Hashrate",
    b"HASHRATE",
    b"/s accepted",
)
_POOL: Final = (b"mining.s", b"stratum+", b"eth_submit")

_RANDOMX: Final = b"RandomX\x03"
"""Salt of RandomX's first Argon2 pass (its configuration.h): no implementation can do without it."""

_CRYPTONIGHT: Final = (
    b"cryptonight_",
    b"cryptonight/",
    b"cryptonight-lite",
    b"cryptonight-heavy",
    b"cn_slow_hash",
    b"cn/half",
    b"cn/gpu",
    b"cn/zls",
    b"cn-heavy/",
    b"cn-lite/",
    b"cn-pico",
)

# Texts of ssh.c and clientloop.c that the client alone holds, the same since OpenSSH 6.
_OPENSSH: Final = b"Pseudo-terminal will not be allocated because stdin is not a terminal."
_OPENSSH_FORWARD: Final = (b"remote port forwarding failed for listen", b"Could not request local forwarding.")
_DROPBEAR: Final = b"Dropbear SSH client"
_DROPBEAR_FORWARD: Final = (b"Remote port forwarding", b"remoteport", b"tcpip-forward")
_RUST_LIBRARY: Final = b"library/std/src/"  # where panics in Rust's library come from
_GO_SSH: Final = b"golang.org/x/crypto/ssh"

RUST: Final = "language:rust"
"""Stands in what `search` returns for the caller to make a language of."""

SIGNS: Final = (
    Sign("miner:stratum", _POOL, ((2, _CALLS),)),
    Sign("miner:stratum", _POOL, ((1, _SCHEMES), (1, _CALLS))),
    Sign("miner:stratum", _POOL, ((1, _SCHEMES), (2, _WORK))),
    Sign("miner:randomx", (_RANDOMX,), ((1, (_RANDOMX,)),)),
    Sign("miner:cryptonight", (b"cryptonight",), ((2, _CRYPTONIGHT),)),
    Sign("client:openssh", (_OPENSSH,), ((1, _OPENSSH_FORWARD),)),
    Sign("client:dropbear", (_DROPBEAR,), ((1, _DROPBEAR_FORWARD),)),
    Sign(RUST, (_RUST_LIBRARY,), ((1, (_RUST_LIBRARY,)),)),
    Sign("client:go-ssh", (_GO_SSH,), ((1, (b"tcpip-forward",)), (1, (b"ssh-connection", b"ssh-userauth")))),
)
"""Signs that stand for themselves."""

LOADED: Final = {
    b"libcuda.so": "gpu:cuda",
    b"libcudart.so": "gpu:cuda",
    b"libOpenCL.so": "gpu:opencl",
    b"libamdhip64.so": "gpu:hip",
    b"libnvidia-ml.so": "gpu:nvml",
}
"""Libraries by which a program reaches a GPU, whether linked or loaded by name while it runs."""

MINED: Final = {
    b"xmrig": "miner:xmrig",
    b"nicehash": "miner:nicehash",
    b"donate": "miner:donation",
    b"randomx": "miner:randomx",
    b"ethash": "miner:ethash",
    b"etchash": "miner:ethash",
    b"kawpow": "miner:kawpow",
    b"progpow": "miner:progpow",
    b"equihash": "miner:equihash",
    b"ZcashPoW": "miner:equihash",
    b"autolykos": "miner:autolykos",
    b"kheavyhash": "miner:kheavyhash",
    b"verushash": "miner:verushash",
    b"ghostrider": "miner:ghostrider",
    b"yescrypt": "miner:yescrypt",
    b"cuckatoo": "miner:cuckatoo",
    b"sha256d": "miner:sha256d",
}
"""What a program mines, and for whom: words that say so only in a program that is known to be a miner."""

RIVALS: Final = (
    b"bfgminer",
    b"ccminer",
    b"cgminer",
    b"claymore",
    b"coinhive",
    b"cpuminer",
    b"ethminer",
    b"kinsing",
    b"lolminer",
    b"minergate",
    b"nanominer",
    b"nbminer",
    b"phoenixminer",
    b"srbminer",
    b"teamredminer",
    b"xmrig",
)
RIVALS_NEEDED: Final = 5
"""So many products' names in one miner-like file make `list:miners`: a detector's list, or a killer of rivals.

It comes beside the miner's marks and never instead: a few names stuck to a miner's end must not hide it.
"""


def search(windows: Windows, *, loads: bool) -> set[str]:
    """Return the marks of what `windows` gives. With `loads`, names of libraries to be loaded count too."""
    marks: set[str] = set()
    wanted = {gate for sign in SIGNS for gate in sign.gates}
    found = _present(windows(), wanted | set(LOADED) if loads else wanted)
    marks.update(mark for name, mark in LOADED.items() if name in found)
    open_signs = [sign for sign in SIGNS if not found.isdisjoint(sign.gates)]
    if not open_signs:
        return marks
    found |= _present(windows(), {text for sign in open_signs for text in _texts(sign)})
    marks.update(sign.mark for sign in open_signs if _holds(sign, found))
    if any(mark.startswith("miner:") for mark in marks):
        marks |= _described(windows)
    return marks


def of_libraries(names: Iterable[str]) -> set[str]:
    """Return the marks that the names of linked libraries give."""
    return {mark for name in names for stem, mark in LOADED.items() if name.startswith(stem.decode())}


def _described(windows: Windows) -> set[str]:
    words = _present(map(bytes.lower, windows()), {word.lower() for word in (*MINED, *RIVALS)})
    marks = {mark for word, mark in MINED.items() if word.lower() in words}
    if len(words.intersection(RIVALS)) >= RIVALS_NEEDED:
        marks.add("list:miners")
    return marks


def _present(windows: Iterable[bytes], wanted: set[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    left = sorted(wanted)
    for window in windows:
        found.update(text for text in left if _memmem(window, len(window), text, len(text)))
        left = [text for text in left if text not in found]
        if not left:
            break
    return found


def _texts(sign: Sign) -> Iterator[bytes]:
    for _, texts in sign.clauses:
        yield from texts


def _holds(sign: Sign, found: set[bytes]) -> bool:
    return all(len(found.intersection(texts)) >= needed for needed, texts in sign.clauses)


OVERLAP: Final = max(
    len(text) for text in (*LOADED, *MINED, *RIVALS, *(text for sign in SIGNS for text in (*sign.gates, *_texts(sign))))
)
"""Bytes by which windows must overlap, so that no string is lost between two."""
