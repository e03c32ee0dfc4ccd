"""Drives aioice: one agent that has the server, and one without any that sends back what it gets."""

import asyncio
import json
import re
import ssl
import sys
import threading

import aioice


def say(name: str, **what) -> None:
    print(json.dumps({"is": name, **what}), flush=True)


def place(url: str) -> tuple[str, int]:
    """The host and port of a URL."""
    host, port = re.fullmatch(r"[a-z]+:\[?([^\]]*?)\]?:(\d+)(?:\?.*)?", url).groups()
    return host, int(port)


def options(task: dict) -> dict:
    """What `Connection` takes: one STUN server and one TURN server."""
    given = {}
    for server in task["servers"]:
        url = server["url"]
        if url.startswith("stun:"):
            given.setdefault("stun_server", place(url))
        elif "turn_server" not in given:
            given |= {
                "turn_server": place(url),
                "turn_username": server["username"],
                "turn_password": server["password"],
                "turn_transport": "tcp" if "transport=tcp" in url else "udp",
                "turn_ssl": url.startswith("turns:"),
            }
    if task["is_relay_only"]:
        given["transport_policy"] = aioice.TransportPolicy.RELAY
    return given


async def commands(loop: asyncio.AbstractEventLoop) -> asyncio.Queue:
    """What comes on the standard input."""
    queue: asyncio.Queue = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(queue.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(queue.put_nowait, {"do": "close"})

    threading.Thread(target=read, daemon=True).start()
    return queue


async def ping(near: aioice.Connection) -> None:
    async def hear() -> None:
        while True:
            await near.recv()
            say("echo")

    hearing = asyncio.create_task(hear())
    try:
        while True:
            await near.send(b"ping")
            await asyncio.sleep(0.5)
    finally:
        hearing.cancel()


async def echo(far: aioice.Connection) -> None:
    while True:
        await far.send(await far.recv())


async def watch(near: aioice.Connection) -> None:
    while (event := await near.get_event()) is not None:
        say("state", state=type(event).__name__)


async def talk(near: aioice.Connection, far: aioice.Connection) -> None:
    await near.gather_candidates()
    for candidate in near.local_candidates:
        say("candidate", kind=candidate.type, address=f"{candidate.host}:{candidate.port}")
    say("gathered")
    await far.gather_candidates()
    for one, other in ((near, far), (far, near)):
        for candidate in one.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
        other.remote_username, other.remote_password = one.local_username, one.local_password
    await asyncio.gather(near.connect(), far.connect())
    say("state", state="connected")
    await asyncio.gather(ping(near), echo(far), watch(near))


async def main() -> None:
    task = json.loads(sys.argv[1])
    if task["wants_both_families"]:
        say("no-api", what="the family of the relayed address")
        return
    queue = await commands(asyncio.get_running_loop())
    near = aioice.Connection(ice_controlling=True, **options(task))
    far = aioice.Connection(ice_controlling=False)

    async def guarded() -> None:
        try:
            await talk(near, far)
        except Exception as error:
            say("error", text=f"{type(error).__name__}: {error}")

    talking = asyncio.create_task(guarded())
    while (command := await queue.get())["do"] != "close":
        say("no-api", what="other credentials")
    talking.cancel()
    await asyncio.gather(near.close(), far.close())
    # The allocation is given back by a task that `close` has begun.
    await asyncio.sleep(1)
    say("closed")


asyncio.run(main())
