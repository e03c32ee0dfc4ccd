"""What the process keeps, and that it can end."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from calls import NOW
from frazil import ChannelConfig, Connection, Peer
from world import World

LEAK = 16 << 20
"""Bytes that come and go by themselves. A peer that were kept would cost some 50 KiB or more."""

BATCHES = 5
"""What leaks makes the memory grow in each batch of the same work; what only settles does not."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def memory() -> int:
    """The bytes of memory that are the process's own."""
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(kilobytes) << 10


async def grows(batch: Callable[[], Awaitable[None]]) -> bool:
    """Whether the memory grows by each of several batches."""
    for _ in range(BATCHES):
        before = memory()
        await batch()
        if memory() - before < LEAK:
            return False
    return True


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def use_peer() -> None:
    """A peer that has done something."""
    peer = Peer(seed=os.urandom(32), now=NOW)
    peer.create_data_channel(ChannelConfig(label="chat"), NOW)
    peer.set_local_description(peer.create_offer(), NOW)
    while peer.poll_event():
        pass
    peer.close()


@needs_proc
async def test_a_thousand_peers_leave_nothing_behind() -> None:
    async def use_many() -> None:
        for _ in range(1000):
            use_peer()

    use_peer()
    open_before = handles()
    assert not await grows(use_many)
    assert handles() <= open_before


@needs_proc
async def test_peers_that_connected_and_were_not_closed_leave_nothing_behind() -> None:
    def connect() -> None:
        world = World(batched=True)
        channel = world.connect()
        world.run_until(lambda: world.sides[0].peer.connection_state() == "connected")
        world.sides[0].peer.buffered_amount(channel)

    async def connect_many() -> None:
        for _ in range(200):
            connect()

    assert not await grows(connect_many)


@needs_proc
async def test_two_hundred_connections_leave_nothing_behind() -> None:
    async def use() -> None:
        async with Connection(loopback=True) as connection:
            connection.create_data_channel("chat")
            connection.set_local_description(connection.create_offer())
            await asyncio.sleep(0)

    async def use_many() -> None:
        for _ in range(200):
            await use()

    await use()
    open_before = handles()
    assert not await grows(use_many)
    assert handles() <= open_before


IDLE = """
import asyncio, frazil

async def main():
    {work}

asyncio.run(main())
print("over")
"""


@pytest.mark.parametrize(
    "work",
    [
        "pass",
        "await frazil.Connection(loopback=True).close()",
        "connection = frazil.Connection(loopback=True)",
    ],
)
def test_an_idle_process_ends(work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IDLE.format(work=work)],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_a_process_ends_without_a_loop() -> None:
    script = "import frazil; peer = frazil.Peer(seed=bytes(32), now=0); print(peer.connection_state())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=120)
    assert done.stdout == "new\n"
