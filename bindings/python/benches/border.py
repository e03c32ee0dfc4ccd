"""What a datagram costs over the border, in nanoseconds, as one line of JSON.

A peer with one socket takes 1,200 bytes that are not for it, from somebody who has proven nothing: it counts and drops them,
so that what is measured is the way there and back.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from frazil import HostSocket, Path, Peer

ROUNDS = 20
CALLS = 20_000
BATCH = 16


def best(work: Callable[[int], None], calls: int) -> float:
    """The best of several rounds, for each call."""
    work(calls)
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        work(calls)
        rounds.append((time.perf_counter_ns() - start) / calls)
    return min(rounds)


def main() -> None:
    """Measures, and prints."""
    now = time.monotonic_ns()
    peer = Peer(seed=os.urandom(32), now=now)
    socket = HostSocket(
        protocol="udp",
        ip="192.0.2.1",
        port=4000,
        interface="ethernet",
        index=2,
        cost=0,
        temporary=False,
        deprecated=False,
    )
    peer.handle_network_change([socket], now)
    path = peer.path_id(
        Path(protocol="udp", local_ip="192.0.2.1", local_port=4000, remote_ip="192.0.2.2", remote_port=4000)
    )
    datagram = bytes([23]) + bytes(1199)

    def drain() -> None:
        while peer.poll_transmits():
            pass
        while peer.poll_event():
            pass
        peer.poll_timeout()

    def alone(calls: int) -> None:
        for _ in range(calls):
            peer.handle_datagram(path, datagram, now)
            while peer.poll_transmit():
                pass
            while peer.poll_event():
                pass
            peer.poll_timeout()

    def batch(calls: int) -> None:
        for _ in range(calls):
            peer.handle_datagrams([(path, datagram)] * BATCH, now)
            drain()

    def empty(calls: int) -> None:
        for _ in range(calls):
            peer.poll_timeout()

    drain()
    result = {
        "language": "python",
        "alone": round(best(alone, CALLS)),
        "batch": round(best(batch, CALLS // BATCH) / BATCH),
        "empty": round(best(empty, CALLS)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
