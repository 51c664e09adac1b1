"""Where a picture may be asked for: names resolved, addresses judged, and no other address connected to.

In: a request for a public name.  Out: its response, or `Barred`/`Unresolved`.  A name is resolved here and the
connection goes to the very address that was judged, so a name that answers differently the second time leads nowhere.
A look-up that failed counts for half a second: a crowd asks once, and who comes later asks anew.
Proxies and .netrc are not used: behind a proxy nobody could say which address is asked.  It knows no pictures.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import time
from dataclasses import dataclass

import httpx2

__all__ = ["Barred", "Guard", "Unresolved", "is_public"]

_TRIED = 4
"""Addresses of one name that are tried."""
_FORGET = 0.5
"""Seconds that a failed look-up counts: no longer than patience's shortest pause, so that each attempt is one."""
_DEFINITE = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""What a resolver says of a name that does not exist; the rest says that it did not get to know."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Barred(Exception):
    """The name leads to an address that may not be asked."""


class Unresolved(Exception):
    """The name leads nowhere; `passing` where that is not sure."""

    def __init__(self, passing: bool = False) -> None:
        super().__init__()
        self.passing = passing


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look-up came to, and until when it counts."""

    addresses: tuple[str, ...]
    passing: bool
    until: float


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet, IPv4 inside IPv6 unwrapped."""
    return _public(ipaddress.ip_address(address.partition("%")[0]))


class Guard(httpx2.AsyncBaseTransport):
    """Connects to addresses that were judged.  Each host has its own connections, as they are checked for its name."""

    def __init__(self, private: bool, per_host: int) -> None:
        self._private, self._per_host = private, per_host
        self._tls = httpx2.create_ssl_context(trust_env=False)
        self._hosts: dict[str, httpx2.AsyncHTTPTransport] = {}
        self._known: dict[tuple[str, int], asyncio.Future[_Found]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to the first address of its host that answers."""
        name = request.url.raw_host.decode("ascii")
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        trouble: httpx2.TransportError | None = None
        for address in (await self._addresses(name, port))[:_TRIED]:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": name},
            )
            try:
                return await self._transport(name).handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                trouble = error
        assert trouble is not None  # `_addresses` gives at least one
        raise trouble

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._hosts.values():
            await transport.aclose()

    def _transport(self, name: str) -> httpx2.AsyncHTTPTransport:
        if name not in self._hosts:
            limits = httpx2.Limits(max_connections=self._per_host, keepalive_expiry=10.0)
            self._hosts[name] = httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=limits)
        return self._hosts[name]

    async def _addresses(self, name: str, port: int) -> list[str]:
        """Return the addresses of a name that may be asked; each name is looked up until it was found once."""
        place = (name, port)
        known = self._known.get(place)
        if known is None or (known.done() and known.result().until < time.monotonic()):
            known = self._known[place] = asyncio.ensure_future(_look_up(name, port))
        found = await asyncio.shield(known)
        if not found.addresses:
            raise Unresolved(found.passing)
        allowed = [address for address in found.addresses if self._private or is_public(address)]
        if not allowed:
            raise Barred
        return allowed


async def _look_up(name: str, port: int) -> _Found:
    try:
        found, passing = await _resolve(name, port), False
    except Unresolved as fault:
        found, passing = [], fault.passing
    return _Found(tuple(found), passing, math.inf if found else time.monotonic() + _FORGET)


async def _resolve(name: str, port: int) -> list[str]:
    """Return a name's addresses, the system's favourite first; Unresolved where there are none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except ValueError:  # a name that no resolver takes
        raise Unresolved from None
    except OSError as error:
        raise Unresolved(passing=error.errno not in _DEFINITE) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
