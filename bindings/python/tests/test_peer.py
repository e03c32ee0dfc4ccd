"""Two peers without sockets, in virtual time."""

from __future__ import annotations

import threading

import pytest
from calls import NOW, PATH, new_peer
from frazil import (
    BufferedAmountLow,
    ChannelClosed,
    ChannelOpen,
    ClosedError,
    Config,
    DataChannel,
    Message,
    Waiting,
)
from world import Side, World, is_stable


def connected(*, batched: bool, config: Config | None = None) -> tuple[World, int, int]:
    """Two that are connected, and the number that each has for their channel."""
    world = World(batched=batched, config=config)
    channel = world.connect()
    one, other = world.sides
    world.run_until(lambda: bool(one.find(ChannelOpen) and other.find(DataChannel)))
    assert all(is_stable(side) for side in world.sides)
    (opened,) = other.find(DataChannel)
    assert isinstance(opened, DataChannel)
    assert (opened.label, opened.ordered, opened.max_retransmits) == ("chat", True, None)
    return world, channel, opened.channel


def messages(side: Side) -> list[str | bytes]:
    return [event.data for event in side.events if isinstance(event, Message)]


@pytest.mark.parametrize("batched", [False, True])
def test_text_and_bytes_go_both_ways(batched: bool) -> None:
    world, channel, theirs = connected(batched=batched)
    one, other = world.sides
    sent: list[str | bytes] = ["hello, Zoë", b"\x00\xff", "", b"", bytes(100_000)]
    for message in sent:
        assert one.peer.send(channel, message, world.now)
        assert other.peer.send(theirs, message, world.now)
    world.run_until(lambda: len(messages(one)) + len(messages(other)) == 2 * len(sent))
    assert messages(one) == messages(other) == sent
    assert one.peer.connection_state() == other.peer.connection_state() == "connected"
    pair = one.peer.selected_pair()
    assert pair is not None
    assert (pair.local_ip, pair.remote_ip, pair.remote_type) == ("192.0.2.1", "192.0.2.2", "host")

    one.peer.close_channel(channel, world.now)
    with pytest.raises(ClosedError):
        one.peer.send(channel, "late", world.now)
    world.run_until(lambda: bool(one.find(ChannelClosed) and other.find(ChannelClosed)))
    with pytest.raises(ClosedError):
        one.peer.send(channel, "late", world.now)

    one.peer.leave(world.now)
    world.run_until(lambda: other.peer.connection_state() == "closed")


@pytest.mark.parametrize("batched", [False, True])
def test_a_full_buffer_refuses_and_says_when_there_is_room(batched: bool) -> None:
    world, channel, _ = connected(batched=batched, config=Config(send_buffer=65_536))
    one, other = world.sides
    count = 0
    while one.peer.send(channel, count.to_bytes(4) * 4_000, world.now):
        count += 1
        assert count < 1000
    assert 0 < one.peer.buffered_amount(channel) <= 65_536
    assert not one.find(BufferedAmountLow)
    world.run_until(lambda: bool(one.find(BufferedAmountLow)))
    assert one.peer.send(channel, count.to_bytes(4) * 4_000, world.now)
    world.run_until(lambda: len(messages(other)) == count + 1)
    assert messages(other) == [number.to_bytes(4) * 4_000 for number in range(count + 1)]


def test_messages_can_be_taken_out_before_other_events() -> None:
    world, channel, _ = connected(batched=False)
    one, other = world.sides
    for number in range(20):
        one.peer.send(channel, str(number), world.now)
    one.peer.close_channel(channel, world.now)
    assert other.peer.waiting() == Waiting.NOTHING
    taken: list[str | bytes] = []
    while len(taken) < 20:
        for sender, receiver in (one, other), (other, one):
            for number, datagram in world.drain(sender) if sender is one else iter(sender.peer.poll_transmit, None):
                path = sender.peer.path(number)
                assert path is not None
                back = path.__replace__(local_ip=path.remote_ip, remote_ip=path.local_ip)
                receiver.peer.handle_datagram(receiver.peer.path_id(back), datagram, world.now)
        if other.peer.waiting() == Waiting.MESSAGE:
            if not taken:
                first = other.peer.poll_message()
                assert first is not None
                taken.append(first.data)
            some = other.peer.poll_messages()
            assert len(some) <= 16
            taken += [message.data for message in some]
        else:
            world.now = min(side.peer.poll_timeout() or world.now for side in world.sides)
            for side in world.sides:
                side.peer.handle_timeout(world.now)
    assert taken == [str(number) for number in range(20)]
    assert other.peer.poll_message() is None


def test_bytes_may_be_of_any_kind() -> None:
    world, channel, _ = connected(batched=True)
    one, other = world.sides
    for message in bytearray(b"ab"), memoryview(b"xaby")[1:3], memoryview(b"a-b-")[::2]:
        assert one.peer.send(channel, message, world.now)
    world.run_until(lambda: len(messages(other)) == 3)
    assert messages(other) == [b"ab"] * 3
    number = other.peer.path_id(PATH)
    for datagram in b"\x17", bytearray(b"\x17"), memoryview(b"\x17"):
        assert other.peer.handle_datagram(number, datagram, world.now)
        assert other.peer.handle_datagrams([(number, datagram), (number, datagram)], world.now) == 2


def test_a_number_that_names_no_path_is_told() -> None:
    peer = new_peer()
    number = peer.path_id(PATH)
    assert peer.path(number) == PATH
    assert peer.path(number + 1000) is None
    assert not peer.handle_datagram(number + 1000, b"\x17", NOW)
    assert peer.handle_datagrams([(number, b"\x17"), (number + 1000, b"\x17"), (number, b"\x17")], NOW) == 1


def test_several_threads_may_call() -> None:
    peer = new_peer()
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            path = PATH.__replace__(remote_port=5000 + thread)
            number = peer.path_id(path)
            start.wait()
            for turn in range(2_000):
                assert peer.handle_datagram(number, bytes(1200), NOW + turn)
                assert peer.handle_datagrams([(number, b"\x17" * 1200)] * 4, NOW + turn) == 4
                peer.poll_transmits()
                peer.poll_event()
                peer.poll_timeout()
                assert peer.path(number) == path
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
