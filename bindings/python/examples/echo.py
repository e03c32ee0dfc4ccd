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
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import frazil
import websockets

LANGUAGE = "python"
LABEL = "echo"
PROTOCOL = "frazil-echo"
MESSAGE = 16_384
LIMIT = 30.0
"""How many seconds everything may last."""

Json = dict[str, Any]


class Failure(Exception):
    """It cannot go on."""


class Room:
    """A room of the signalling server."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: Json) -> None:
        await self._socket.send(json.dumps(message))

    async def messages(self) -> AsyncIterator[Json]:
        async for text in self._socket:
            message: Json = json.loads(text)
            if message["type"] == "error":
                raise Failure(f"the signalling server says: {message['message']}")
            yield message

    async def join(self, room: str, part: str) -> list[Json]:
        """Joins, and gives the members who were there before."""
        await self.send({"type": "join", "room": room, "info": {"part": part, "language": LANGUAGE}})
        async for message in self.messages():
            if message["type"] == "welcome":
                members: list[Json] = message["members"]
                return members
        raise Failure("the signalling server has closed the connection")


@dataclass
class Outcome:
    """What came of it."""

    received: int = 0
    sha256: str = ""


class Session:
    """A connection whose descriptions and candidates travel through a room."""

    def __init__(self, room: Room, connection: frazil.Connection) -> None:
        self._room = room
        self._connection = connection
        self._member: str | None = None
        self.channel: asyncio.Future[frazil.Channel] = asyncio.get_running_loop().create_future()
        """The channel that the other side opens."""
        self.connected: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        """When the connection was there."""

    async def offer(self, member: str) -> None:
        self._member = member
        offer = self._connection.create_offer()
        self._connection.set_local_description(offer)
        await self._tell(offer)

    async def _answer(self) -> None:
        answer = self._connection.create_answer()
        self._connection.set_local_description(answer)
        await self._tell(answer)

    async def _tell(self, description: frazil.Description) -> None:
        shape = {"type": description.type, "sdp": description.sdp}
        await self._room.send({"type": "description", "to": self._member, "description": shape})

    async def listen(self, *, offers: bool) -> None:
        """Takes what comes from the room. Who offers does so as soon as there is somebody to answer."""
        async for message in self._room.messages():
            match message:
                case {"type": "peer-joined", "member": {"id": member, "info": {"part": "answerer"}}} if offers:
                    if self._member is None:
                        await self.offer(member)
                case {"type": "description", "from": member, "description": description}:
                    if description["type"] == "offer":
                        self._member = member
                    self._connection.set_remote_description(frazil.Description(**description))
                    if description["type"] == "offer":
                        await self._answer()
                case {"type": "candidate", "from": member, "candidate": candidate} if member == self._member:
                    self._connection.add_ice_candidate(
                        frazil.IceCandidate(
                            candidate=candidate["candidate"],
                            sdp_mid=candidate.get("sdpMid"),
                            sdp_m_line_index=candidate.get("sdpMLineIndex"),
                            username_fragment=candidate.get("usernameFragment"),
                        )
                    )
                case {"type": "peer-left", "member": member} if member == self._member:
                    # It may have closed the connection, and left before we heard of that.
                    return

    async def attend(self) -> None:
        """Does what the connection asks for, until it is closed."""
        async for event in self._connection:
            match event:
                case frazil.Channel():
                    self.channel.set_result(event)
                case frazil.LocalIceCandidate():
                    shape = {
                        "candidate": event.candidate,
                        "sdpMid": event.sdp_mid,
                        "sdpMLineIndex": event.sdp_m_line_index,
                        "usernameFragment": event.username_fragment,
                    }
                    await self._room.send({"type": "candidate", "to": self._member, "candidate": shape})
                case frazil.ConnectionStateChange(state="connected"):
                    if not self.connected.done():
                        self.connected.set_result(time.monotonic())
                case frazil.ConnectionStateChange(state="failed", failure=failure):
                    raise Failure(f"there is no connection: {failure}")


async def send_random(channel: frazil.Channel, total: int) -> str:
    """Sends that many random bytes, and gives their hash."""
    sent = hashlib.sha256()
    for start in range(0, total, MESSAGE):
        message = os.urandom(min(MESSAGE, total - start))
        sent.update(message)
        await channel.send(message)
    return sent.hexdigest()


async def offer(channel: frazil.Channel, total: int) -> Outcome:
    """Sends, and takes what comes back, at the same time."""
    outcome, came = Outcome(), hashlib.sha256()
    sending = asyncio.create_task(send_random(channel, total))
    while outcome.received < total:
        message = await channel.receive()
        came.update(message if isinstance(message, bytes) else message.encode())
        outcome.received += len(message)
    outcome.sha256 = came.hexdigest()
    if await sending != outcome.sha256:
        raise Failure("what came back is not what was sent")
    return outcome


async def answer(channel: frazil.Channel) -> Outcome:
    """Sends each message back, until the other side closes."""
    outcome, came = Outcome(), hashlib.sha256()
    async for message in channel:
        came.update(message if isinstance(message, bytes) else message.encode())
        outcome.received += len(message)
        await channel.send(message)
    outcome.sha256 = came.hexdigest()
    return outcome


async def run(arguments: argparse.Namespace) -> Json:
    offers = arguments.part == "offerer"
    started = time.monotonic()
    async with (
        websockets.connect(arguments.signaling) as socket,
        frazil.Connection(loopback=arguments.loopback) as connection,
    ):
        room = Room(socket)
        members = await room.join(arguments.room, arguments.part)
        session = Session(room, connection)
        async with asyncio.TaskGroup() as tasks:
            attending = tasks.create_task(session.attend())
            listening = tasks.create_task(session.listen(offers=offers))
            if offers:
                channel = connection.create_data_channel(LABEL, protocol=PROTOCOL)
                for member in members:
                    if member["info"].get("part") == "answerer":
                        await session.offer(member["id"])
                        break
                outcome = await offer(channel, arguments.bytes)
                await connection.close()
            else:
                outcome = await answer(await session.channel)
            # It ends once the connection is closed, by us or by the other side.
            await attending
            listening.cancel()
        await room.send({"type": "leave"})
    return {
        "part": arguments.part,
        "language": LANGUAGE,
        "connected": session.connected.done(),
        "bytes": outcome.received,
        "sha256": outcome.sha256,
        "closed": True,
        "connectMilliseconds": round((session.connected.result() - started) * 1000),
        "milliseconds": round((time.monotonic() - started) * 1000),
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
