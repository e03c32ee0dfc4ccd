"""Nothing that goes wrong in the core takes the process down, whichever entry point it happens in."""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
from calls import CALLS, NOW, new_peer
from frazil import ClosedError, Config, PanickedError, Peer, _core, host_sockets, udp_driver_config

FUNCTIONS: dict[str, Callable[[], object]] = {
    "host_sockets": lambda: host_sockets(loopback=True),
    "udp_driver_config": lambda: udp_driver_config(Config()),
    "version": _core.version,
}


def test_no_entry_point_is_forgotten() -> None:
    assert set(CALLS) == {name for name in vars(Peer) if not name.startswith("_")}
    functions = {name for name, value in vars(_core).items() if isinstance(value, types.BuiltinFunctionType)}
    assert functions == {*FUNCTIONS, "_inject_panic"}


@pytest.mark.parametrize("name", CALLS)
def test_every_method_is_guarded(name: str) -> None:
    peer = new_peer()
    _core._inject_panic()
    with pytest.raises(PanickedError, match="injected") as caught:
        CALLS[name](peer)
    assert caught.value.reason == "panicked"
    for other, call in CALLS.items():
        if other != "close":
            with pytest.raises(ClosedError if name == "close" else PanickedError):
                call(peer)
    peer.close()
    with pytest.raises(ClosedError if name == "close" else PanickedError):
        peer.create_offer()
    # Others are not touched.
    assert new_peer().connection_state() == "new"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_guarded(name: str) -> None:
    _core._inject_panic()
    with pytest.raises(PanickedError):
        FUNCTIONS[name]()
    assert FUNCTIONS[name]()


def test_the_constructor_is_guarded() -> None:
    _core._inject_panic()
    with pytest.raises(PanickedError):
        Peer(seed=bytes(32), now=NOW)
    Peer(seed=bytes(32), now=NOW).close()
