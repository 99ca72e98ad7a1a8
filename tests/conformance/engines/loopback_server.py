"""`vivavoce serve` as it is, but for its sockets for media: those are opened on the loopback only."""

import aioice.ice

from vivavoce.realtime.server.cli import main

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

if __name__ == "__main__":
    main()
