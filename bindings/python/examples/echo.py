"""Sends random bytes to another peer, which sends them back, and compares the two.

    python echo.py --signaling ws://127.0.0.1:8080/ws --room demo --part answerer
    python echo.py --signaling ws://127.0.0.1:8080/ws --room demo --part offerer

The two find each other in a room of the signalling server, in whichever order they come.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from typing import Any

import frazil
import websockets

LANGUAGE = "python"
LABEL = "echo"
PROTOCOL = "frazil-echo"
MESSAGE = 16_384
LIMIT = 120.0
"""How many seconds everything may last."""

Json = dict[str, Any]


class EchoError(Exception):
    """It cannot go on."""


class Room:
    """A room of the signalling server."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: Json) -> None:
        await self._socket.send(json.dumps(message))

    async def receive(self) -> Json:
        message: Json = json.loads(await self._socket.recv())
        if message["type"] == "error":
            raise EchoError(f"the signalling server says: {message['message']}")
        return message

    async def join(self, room: str, part: str) -> list[Json]:
        """Joins, and gives the members who were there before."""
        await self.send({"type": "join", "room": room, "info": {"part": part, "language": LANGUAGE}})
        while (message := await self.receive())["type"] != "welcome":
            pass
        members: list[Json] = message["members"]
        return members

    async def answerer(self, members: list[Json]) -> str:
        """Waits for a member who answers."""
        for member in members:
            if member["info"].get("part") == "answerer":
                return str(member["id"])
        while True:
            match await self.receive():
                case {"type": "peer-joined", "member": {"id": str(joined), "info": {"part": "answerer"}}}:
                    return joined

    async def offer(self) -> tuple[str, frazil.Description]:
        """Waits for somebody's offer."""
        while True:
            match await self.receive():
                case {"type": "description", "from": str(member), "description": {"type": "offer", "sdp": str(sdp)}}:
                    return member, frazil.Description(type="offer", sdp=sdp)

    async def tell_description(self, member: str, description: frazil.Description) -> None:
        shape = {"type": description.type, "sdp": description.sdp}
        await self.send({"type": "description", "to": member, "description": shape})

    async def tell_candidate(self, member: str, candidate: frazil.LocalIceCandidate) -> None:
        shape = {
            "candidate": candidate.candidate,
            "sdpMid": candidate.sdp_mid,
            "sdpMLineIndex": candidate.sdp_m_line_index,
            "usernameFragment": candidate.username_fragment,
        }
        await self.send({"type": "candidate", "to": member, "candidate": shape})


async def listen(room: Room, connection: frazil.Connection, member: str) -> None:
    """Hands to the connection what the other member tells."""
    while True:
        match await room.receive():
            case {"type": "description", "from": str(sender), "description": description} if sender == member:
                connection.set_remote_description(
                    frazil.Description(type=description["type"], sdp=description.get("sdp", ""))
                )
            case {"type": "candidate", "from": str(sender), "candidate": candidate} if sender == member:
                connection.add_ice_candidate(
                    frazil.IceCandidate(
                        candidate=candidate["candidate"],
                        sdp_mid=candidate.get("sdpMid"),
                        sdp_m_line_index=candidate.get("sdpMLineIndex"),
                        username_fragment=candidate.get("usernameFragment"),
                    )
                )


class Seen:
    """What the connection has told."""

    def __init__(self) -> None:
        self.channel: asyncio.Future[frazil.Channel] = asyncio.get_running_loop().create_future()
        """The channel that the other side has opened."""
        self.connected_at: float | None = None
        self.is_closed = False


async def attend(connection: frazil.Connection, room: Room, member: str, seen: Seen) -> None:
    """Does what the connection asks for, until it is closed."""
    async for event in connection:
        match event:
            case frazil.Channel():
                seen.channel.set_result(event)
            case frazil.LocalIceCandidate():
                await room.tell_candidate(member, event)
            case frazil.ConnectionStateChange(state="connected"):
                seen.connected_at = seen.connected_at or time.monotonic()
            case frazil.ConnectionStateChange(state="failed", failure=failure):
                raise EchoError(f"there is no connection: {failure}")
            case frazil.ConnectionStateChange(state="closed"):
                seen.is_closed = True


class Received:
    """What has come, and its hash."""

    def __init__(self) -> None:
        self.bytes = 0
        self._hash = hashlib.sha256()

    def take(self, message: str | bytes) -> None:
        message = message.encode() if isinstance(message, str) else message
        self.bytes += len(message)
        self._hash.update(message)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


async def send_random(channel: frazil.Channel, total: int) -> str:
    """Sends that many random bytes, and gives their hash."""
    sent = hashlib.sha256()
    for start in range(0, total, MESSAGE):
        message = os.urandom(min(MESSAGE, total - start))
        sent.update(message)
        await channel.send(message)
    return sent.hexdigest()


async def receive_back(channel: frazil.Channel, total: int, received: Received) -> None:
    while received.bytes < total:
        received.take(await channel.receive())


async def echo(channel: frazil.Channel, received: Received) -> None:
    """Sends each message back, until the other side closes."""
    async for message in channel:
        received.take(message)
        await channel.send(message)


async def run(arguments: argparse.Namespace) -> Json:
    received = Received()
    async with websockets.connect(arguments.signaling) as socket:
        room = Room(socket)
        members = await room.join(arguments.room, arguments.part)
        offer = None
        if arguments.part == "offerer":
            member = await room.answerer(members)
        else:
            member, offer = await room.offer()

        started = time.monotonic()
        async with frazil.Connection(loopback=arguments.loopback) as connection, asyncio.TaskGroup() as tasks:
            seen = Seen()
            attending = tasks.create_task(attend(connection, room, member, seen))
            if offer is None:
                channel = connection.create_data_channel(LABEL, protocol=PROTOCOL)
                description = connection.create_offer()
            else:
                connection.set_remote_description(offer)
                description = connection.create_answer()
            connection.set_local_description(description)
            await room.tell_description(member, description)
            listening = tasks.create_task(listen(room, connection, member))

            if offer is None:
                # We receive while we wait to send: the other side sends no more than we take.
                sending = tasks.create_task(send_random(channel, arguments.bytes))
                await receive_back(channel, arguments.bytes, received)
                if await sending != received.sha256:
                    raise EchoError("what came back is not what was sent")
                await connection.close()
            else:
                await echo(await seen.channel, received)
            await attending
            listening.cancel()
        milliseconds = round((time.monotonic() - started) * 1000)
        await room.send({"type": "leave"})
    return {
        "part": arguments.part,
        "language": LANGUAGE,
        "connected": seen.connected_at is not None,
        "bytes": received.bytes,
        "sha256": received.sha256,
        "closed": seen.is_closed,
        "connectMilliseconds": round(((seen.connected_at or started) - started) * 1000),
        "milliseconds": milliseconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signaling", required=True, metavar="URL", help="the signalling server's WebSocket door")
    parser.add_argument("--room", required=True)
    parser.add_argument("--part", required=True, choices=["offerer", "answerer"])
    parser.add_argument("--bytes", type=int, default=1 << 20, help="how many bytes the offerer sends")
    parser.add_argument("--loopback", action="store_true", help="use loopback addresses too")
    arguments = parser.parse_args()
    try:
        result = asyncio.run(asyncio.wait_for(run(arguments), LIMIT))
    except TimeoutError:
        result = {"error": f"it took longer than {LIMIT:.0f} seconds"}
    except Exception as failure:
        while isinstance(failure, ExceptionGroup):
            failure = failure.exceptions[0]
        result = {"error": f"{type(failure).__name__}: {failure}"}
    if "error" in result:
        result = {"part": arguments.part, "language": LANGUAGE, **result}
    print(json.dumps(result))
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main())
