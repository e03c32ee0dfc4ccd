"""What is refused, and how that is said."""

from __future__ import annotations

from typing import Any

import frazil
import pytest
from calls import CALLS, NOW, PATH, new_peer
from frazil import (
    ChannelConfig,
    ClosedError,
    Config,
    Description,
    Error,
    IceCandidate,
    IceServer,
    InvalidArgumentError,
    InvalidCandidateError,
    InvalidChannelError,
    InvalidDescriptionError,
    InvalidStateError,
    NotSentError,
    Peer,
)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "close"])
def test_after_close_every_call_is_an_error(name: str) -> None:
    peer = new_peer()
    peer.close()
    with pytest.raises(ClosedError, match="the peer is closed") as caught:
        CALLS[name](peer)
    assert caught.value.reason == "closed"


def test_to_close_twice_is_none() -> None:
    peer = new_peer()
    peer.close()
    peer.close()


def test_every_reason_has_its_exception() -> None:
    exceptions = {getattr(frazil, name) for name in frazil.__all__ if name.endswith("Error") and name != "Error"}
    exceptions -= {frazil.IceCandidateError}
    assert exceptions == set(Error.__subclasses__())
    assert {exception.reason for exception in exceptions} == {
        "closed",
        "invalid-argument",
        "invalid-candidate",
        "invalid-channel",
        "invalid-description",
        "invalid-state",
        "not-sent",
        "panicked",
        "system",
    }


def test_the_message_is_that_of_the_core() -> None:
    peer = new_peer()
    with pytest.raises(InvalidStateError) as caught:
        peer.create_answer()
    assert caught.value.message == str(caught.value)
    assert "stable" in caught.value.message
    with pytest.raises(InvalidDescriptionError, match="line"):
        peer.set_remote_description(Description(type="offer", sdp="v=0\r\nnonsense\r\n"), NOW)
    with pytest.raises(InvalidArgumentError, match="offering"):
        peer.set_remote_description(Description(type="offering", sdp=""), NOW)
    with pytest.raises(ClosedError, match="7"):
        peer.send(7, "hello", NOW)
    unopened = peer.create_data_channel(ChannelConfig(label=""), NOW)
    with pytest.raises(NotSentError, match="not open"):
        peer.send(unopened, "hello", NOW)
    with pytest.raises(InvalidArgumentError, match="300"):
        peer.handle_resolved(0, ["300.0.0.1"], NOW)
    with pytest.raises(InvalidArgumentError, match="sctp"):
        peer.path_id(PATH.__replace__(protocol="sctp"))
    with pytest.raises(InvalidChannelError, match="65535"):
        peer.create_data_channel(ChannelConfig(label="", negotiated=65535), NOW)
    with pytest.raises(InvalidArgumentError, match="not both"):
        peer.create_data_channel(ChannelConfig(label="", max_retransmits=1, max_packet_life_time=1), NOW)
    # What was refused has changed nothing.
    assert peer.signaling_state() == "stable"


def test_a_candidate_that_cannot_be_read_is_named() -> None:
    ours, theirs = new_peer(), new_peer()
    ours.create_data_channel(ChannelConfig(label="chat"), NOW)
    with pytest.raises(InvalidStateError):
        ours.add_ice_candidate(IceCandidate(candidate="candidate:1 1 udp 1 192.0.2.9 9 typ host", sdp_mid="0"), NOW)
    theirs.set_remote_description(ours.create_offer(), NOW)
    with pytest.raises(InvalidCandidateError, match="typ"):
        theirs.add_ice_candidate(IceCandidate(candidate="candidate:1 1 udp 1 192.0.2.9 9 typo host", sdp_mid="0"), NOW)


def test_peers_that_cannot_be() -> None:
    for length in 0, 31, 33:
        with pytest.raises(InvalidArgumentError, match=f"{length} bytes in place of 32"):
            Peer(seed=bytes(length), now=NOW)
    with pytest.raises(InvalidArgumentError, match="everything"):
        Peer(config=Config(ice_transport_policy="everything"), seed=bytes(32), now=NOW)
    with pytest.raises(InvalidArgumentError, match="http:"):
        Peer(servers=[IceServer(urls=["http://example.org"])], seed=bytes(32), now=NOW)


def test_what_is_no_number_and_no_bytes_is_refused_as_python_does() -> None:
    peer = new_peer()
    wrong: Any = "0"
    for call in (
        lambda: peer.handle_timeout(wrong),
        lambda: peer.handle_datagram(0, wrong, NOW),
        lambda: peer.handle_datagrams([(0, wrong)], NOW),
        lambda: peer.send(0, wrong, wrong),
        lambda: Peer(seed=wrong, now=NOW),
    ):
        with pytest.raises(TypeError):
            call()
    for number in -1, 1 << 64:
        with pytest.raises(OverflowError):
            peer.handle_timeout(number)
    with pytest.raises(OverflowError):
        peer.path(1 << 32)
