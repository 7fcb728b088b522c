"""Marks: telling strings, and what is not telling enough."""

from collections.abc import Iterable

import pytest

from auditor.host import marks
from auditor.host.marks import LOADED, OVERLAP, SIGNS, search

XMRIG_LIKE = (
    b"stratum+tcp://\0stratum+ssl://\0mining.subscribe\0mining.authorize\0RandomX\x03\0cryptonight/0\0cn-heavy/0\0"
    b"cn/half\0kawpow\0donate.v2.xmrig.com\0--donate-level\0NiceHash"
)


def found(*windows: bytes, loads: bool = False) -> set[str]:
    """Search windows for marks."""
    return search(lambda: iter(windows), loads=loads)


def test_miner_is_told_by_all_that_it_holds() -> None:
    """A miner's protocol, algorithms and beneficiaries are all named."""
    assert found(XMRIG_LIKE) == {
        "miner:stratum",
        "miner:randomx",
        "miner:cryptonight",
        "miner:kawpow",
        "miner:donation",
        "miner:nicehash",
        "miner:xmrig",
    }


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":1,"method":"mining.subscribe","params":[]} {"method":"mining.submit"}',
        b"stratum+tcp://%s mining.authorize",
        b"stratum+ssl:// job_id keepalived",
        b"eth_submitLogin eth_getWork",
    ],
)
def test_pool_protocol_is_a_mark(text: bytes) -> None:
    """Two words of the pool protocol that differ in kind make a miner."""
    assert "miner:stratum" in found(text)


@pytest.mark.parametrize(
    "text",
    [
        b"stratum 2, refid %s, leap second: ntp",
        b"stratum+tcp://",
        b"mining.subscribe",
        b"data mining.service ethash randomx cryptonight kawpow nicehash donate xmrig",
        b"xmrig minerd cpuminer ccminer ethminer phoenixminer lolminer nbminer",
        b"scrypt argon2 blake3 sha256 nonce difficulty hashrate accepted",
        b"OpenSSH_9.2p1 ssh-connection tcpip-forward",
        b"golang.org/x/crypto/ssh",
    ],
)
def test_ordinary_words_are_no_marks(text: bytes) -> None:
    """Time servers, lists of names, hash libraries and SSH servers hold single words, which are not enough."""
    assert found(text) == set()


def test_list_of_rivals_is_told_beside_the_miner() -> None:
    """Many miners' names in one miner-like file are a mark of their own and take no other away."""
    names = b" ".join(marks.RIVALS)
    assert {"list:miners", "miner:stratum"} <= found(XMRIG_LIKE + names)
    assert "list:miners" not in found(XMRIG_LIKE)


def test_words_may_lie_in_different_windows() -> None:
    """A sign's strings are looked for over all windows, in front of its gate's too."""
    assert found(b"mining.authorize", b"", b"mining.subscribe") == {"miner:stratum"}


@pytest.mark.parametrize("name", sorted(LOADED))
def test_library_is_marked_only_where_it_can_be_loaded(name: bytes) -> None:
    """A GPU library's name counts in a program that loads libraries by name."""
    assert found(name + b".1", loads=True) == {LOADED[name]}
    assert found(name + b".1") == set()
    assert marks.of_libraries([f"{name.decode()}.1", "libc.so.6"]) == {LOADED[name]}


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.mark)
def test_every_sign_can_hold(sign: marks.Sign) -> None:
    """Every sign's own strings make its mark, with any of the gates that they do not hold themselves."""
    texts: Iterable[bytes] = (*sign.gates, *(text for _, clause in sign.clauses for text in clause))
    assert sign.mark in found(b"\0".join(texts))


def test_no_string_is_longer_than_the_overlap() -> None:
    """The longest string fits into the overlap of two windows."""
    assert max(len(text) for sign in SIGNS for text in sign.gates) <= OVERLAP
