"""Sockets and addresses."""

import pytest

from vivavoce.realtime.server.serving import Unusable, address, bind


def test_a_busy_port_is_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unusable, match=f"port {port} on 127.0.0.1 is in use"):
            bind("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(Unusable, match="cannot listen on 192.0.2.1"):
        bind("192.0.2.1", 0)


def test_the_address_is_one_a_browser_allows_a_microphone_on() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert address(listener) == f"localhost:{listener.getsockname()[1]}"
