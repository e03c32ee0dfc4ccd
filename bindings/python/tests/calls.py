"""A call of every entry point, with arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frazil import ChannelConfig, Description, IceCandidate, Path, Peer
from world import host

NOW = 1_000_000_000
PATH = Path(protocol="udp", local_ip="192.0.2.1", local_port=4000, remote_ip="192.0.2.2", remote_port=4000)

CALLS: dict[str, Callable[[Peer], Any]] = {
    "add_ice_candidate": lambda peer: peer.add_ice_candidate(IceCandidate(candidate=""), NOW),
    "buffered_amount": lambda peer: peer.buffered_amount(0),
    "certificate": lambda peer: peer.certificate(),
    "close": lambda peer: peer.close(),
    "close_channel": lambda peer: peer.close_channel(0, NOW),
    "connection_state": lambda peer: peer.connection_state(),
    "create_answer": lambda peer: peer.create_answer(),
    "create_data_channel": lambda peer: peer.create_data_channel(ChannelConfig(label="chat"), NOW),
    "create_offer": lambda peer: peer.create_offer(),
    "end_of_candidates": lambda peer: peer.end_of_candidates(NOW),
    "failure": lambda peer: peer.failure(),
    "handle_datagram": lambda peer: peer.handle_datagram(0, b"\x17", NOW),
    "handle_datagrams": lambda peer: peer.handle_datagrams([], NOW),
    "handle_network_change": lambda peer: peer.handle_network_change([host()], NOW),
    "handle_resolved": lambda peer: peer.handle_resolved(0, [], NOW),
    "handle_socket_opened": lambda peer: peer.handle_socket_opened(0, None, 0, NOW),
    "handle_stream_accepted": lambda peer: peer.handle_stream_accepted(PATH, NOW),
    "handle_stream_closed": lambda peer: peer.handle_stream_closed(0, NOW),
    "handle_stream_data": lambda peer: peer.handle_stream_data(0, b"", NOW),
    "handle_stream_opened": lambda peer: peer.handle_stream_opened(0, NOW),
    "handle_timeout": lambda peer: peer.handle_timeout(NOW),
    "ice_connection_state": lambda peer: peer.ice_connection_state(),
    "ice_gathering_state": lambda peer: peer.ice_gathering_state(),
    "leave": lambda peer: peer.leave(NOW),
    "local_description": lambda peer: peer.local_description(),
    "path": lambda peer: peer.path(0),
    "path_id": lambda peer: peer.path_id(PATH),
    "poll_event": lambda peer: peer.poll_event(),
    "poll_message": lambda peer: peer.poll_message(),
    "poll_messages": lambda peer: peer.poll_messages(),
    "poll_timeout": lambda peer: peer.poll_timeout(),
    "poll_transmit": lambda peer: peer.poll_transmit(),
    "poll_transmits": lambda peer: peer.poll_transmits(),
    "release": lambda peer: peer.release(0, 0, NOW),
    "remote_description": lambda peer: peer.remote_description(),
    "restart_ice": lambda peer: peer.restart_ice(),
    "selected_pair": lambda peer: peer.selected_pair(),
    "send": lambda peer: peer.send(0, b"", NOW),
    "set_buffered_amount_low_threshold": lambda peer: peer.set_buffered_amount_low_threshold(0, 0),
    "set_event_backlog": lambda peer: peer.set_event_backlog(0, NOW),
    "set_local_description": lambda peer: peer.set_local_description(Description(type="rollback", sdp=""), NOW),
    "set_remote_description": lambda peer: peer.set_remote_description(Description(type="rollback", sdp=""), NOW),
    "set_servers": lambda peer: peer.set_servers([], NOW),
    "signaling_state": lambda peer: peer.signaling_state(),
    "waiting": lambda peer: peer.waiting(),
}


def new_peer() -> Peer:
    """A peer with a socket named."""
    peer = Peer(seed=bytes(32), now=NOW)
    peer.handle_network_change([host()], NOW)
    return peer
