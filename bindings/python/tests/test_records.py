"""Records and events are values: made by keywords, unchangeable, comparable, shown as they are made."""

from __future__ import annotations

from typing import Any, get_args

import frazil
import pytest
from frazil import (
    Certificate,
    ChannelClosed,
    ChannelConfig,
    Config,
    Description,
    IceServer,
    LocalIceCandidate,
    Message,
    NegotiationNeeded,
    Path,
    _core,
)

RECORDS = {
    Config: {"mtu": 1000, "mdns_candidates": True, "ice_transport_policy": "relay"},
    IceServer: {"urls": ["stun:stun.example.org"]},
    Description: {"type": "offer", "sdp": "v=0\r\n"},
    Path: {"protocol": "udp", "local_ip": "::1", "local_port": 1, "remote_ip": "::1", "remote_port": 2},
    ChannelConfig: {"label": "chat", "ordered": False},
    LocalIceCandidate: {"candidate": "candidate:…", "sdp_mid": "0"},
    NegotiationNeeded: {},
    ChannelClosed: {"channel": 3},
    Message: {"channel": 3, "data": b"\x00\xff"},
}


@pytest.mark.parametrize(("kind", "fields"), RECORDS.items(), ids=lambda kind: getattr(kind, "__name__", ""))
def test_they_are_values(kind: Any, fields: dict[str, object]) -> None:
    record = kind(**fields)
    for name in kind.__match_args__:
        assert getattr(record, name) == fields.get(name)
        with pytest.raises(AttributeError):
            setattr(record, name, fields.get(name))
    assert record == kind(**fields)
    assert record != object()
    assert eval(repr(record), vars(frazil)) == record
    assert record.__replace__() == record
    for name, value in fields.items():
        without = {other: fields[other] for other in fields if other != name}
        assert record.__replace__(**{name: value}) == record
        try:
            assert kind(**without) != record
        except TypeError as error:
            assert name in str(error)
    with pytest.raises(TypeError):
        kind(**fields, nonsense=1)


def test_passwords_and_keys_are_not_shown() -> None:
    server = IceServer(urls=["turn:turn.example.org"], username="alice", credential="secret")
    certificate = Certificate(certificate=b"public", private_key=bytearray(b"secret"))
    assert certificate.private_key == b"secret"
    assert "alice" in repr(server)
    assert "secret" not in repr(server) + repr(certificate)
    assert certificate == certificate.__replace__()
    assert certificate != certificate.__replace__(private_key=b"other")


def test_events_work_with_match() -> None:
    match _core.Message(channel=3, data="hello"):
        case Message(channel, str(text)):
            assert (channel, text) == (3, "hello")
        case _:
            raise AssertionError("it is a message")
    assert Message(channel=3, data=memoryview(b"ab")).data == b"ab"
    assert Message(channel=3, data="ab") != Message(channel=3, data=b"ab")


def test_the_union_of_events_is_complete() -> None:
    assert set(get_args(frazil.Event)) == set(_core._EVENTS)
    classes = {value for value in vars(_core).values() if isinstance(value, type)}
    others = {_core.Peer, _core.Waiting, Certificate}
    records = {_core.Config, _core.IceServer, _core.HostSocket, _core.Description, _core.IceCandidate, _core.Path}
    assert classes - set(_core._EVENTS) == others | records | {_core.ChannelConfig, _core.Pair}


def test_everything_is_exported_and_documented() -> None:
    for name, value in vars(_core).items():
        if not name.startswith("_") and name != "version":
            assert name in frazil.__all__
            assert getattr(frazil, name) is value
            assert value.__doc__
            for member_name, member in vars(value).items() if isinstance(value, type) else ():
                assert member_name.startswith("_") or member_name.isupper() or member.__doc__, (name, member_name)
