"""One picture: asked for, followed through redirects, read within bounds, looked at; or the reason why there is none.

In: an address and a file to fill.  Out: the digest and size of what was written, or `Missing`.  Every body is written
as it comes and read no further than the limit; nothing is unpacked, and what arrives counts as a picture only when it
decodes.  It knows no shelf and no other address.
"""

from __future__ import annotations

import asyncio
import hashlib
import http
import http.cookiejar
import ssl
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2

from lookwise import __version__
from lookwise.fetching.address import Barred, Guard, Unresolved
from lookwise.fetching.limits import Limits
from lookwise.media import check_image
from lookwise.patience import retry_after

__all__ = ["Downloader", "Got", "Missing"]

_GONE = (404, 410, 451)
"""Answers that a later call would get as well."""
_PASSING = (408, 425, 429)
_UNKNOWN = "the name of its host is not known"
_HEAD = 512
_DECODERS = 2
"""Pictures decoded at once: each may take three bytes a pixel."""


@dataclass(frozen=True, slots=True)
class Got:
    """A picture that was written."""

    digest: str
    size: int


class Missing(Exception):
    """No picture.

    `again` says that another attempt may help, not before `wait` seconds; `final` that a later call would end the same;
    `lost` that the host gave no answer at all.
    """

    def __init__(
        self, reason: str, *, final: bool = False, again: bool = False, wait: float = 0.0, lost: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.final, self.again, self.wait, self.lost = reason, final, again, wait, lost


class Downloader:
    """Asks for pictures, within limits.  For one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all = asyncio.Semaphore(limits.at_once)
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.per_host))
        self._decoders = asyncio.Semaphore(_DECODERS)
        self._http = httpx2.AsyncClient(
            transport=Guard(limits.private, limits.per_host),
            headers={"User-Agent": f"lookwise/{__version__}", "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(limits.seconds, connect=limits.connect),
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def once(self, source: str, draft: Path) -> Got:
        """Fill `draft` with a picture, in one attempt."""
        url = checked(source)
        for _ in range(self._limits.redirects + 1):
            found = await self._hop(url, draft)
            if isinstance(found, tuple):
                got, page = found
                await self._look(draft, page)
                return got
            url = found
        raise Missing(f"more than {self._limits.redirects} redirects")

    async def _hop(self, url: httpx2.URL, draft: Path) -> httpx2.URL | tuple[Got, bool]:
        """Ask one address: the next one, or what was written and whether it was called a page."""
        try:
            async with AsyncExitStack() as held:
                await held.enter_async_context(self._hosts[url.host])
                await held.enter_async_context(self._all)
                await held.enter_async_context(asyncio.timeout(self._limits.seconds))
                response = await held.enter_async_context(self._http.stream("GET", url))
                if response.is_redirect and "location" in response.headers:
                    return _next(url, response.headers["location"])
                if response.status_code != 200:
                    raise _of_status(response, self._limits.wait)
                page = "html" in response.headers.get("content-type", "").lower()
                return await self._write(response, draft), page
        except Barred:
            raise Missing("it leads to a private address, which needs permission") from None
        except Unresolved as fault:
            reason = "the name of its host could not be looked up" if fault.passing else _UNKNOWN
            raise Missing(reason, again=fault.passing, lost=True) from None
        except (TimeoutError, httpx2.TimeoutException) as error:
            lost = isinstance(error, httpx2.ConnectTimeout)
            reason = f"no connection within {self._limits.connect:g} s" if lost else "not there within {:g} s"
            raise Missing(reason.format(self._limits.seconds), again=True, lost=True) from None
        except httpx2.ConnectError as error:
            if _is_tls(error):
                raise Missing("no trusted connection: its certificate is not accepted", lost=True) from None
            raise Missing("no connection", again=True, lost=True) from None
        except httpx2.HTTPError:
            raise Missing("the connection broke off", again=True) from None

    async def _write(self, response: httpx2.Response, draft: Path) -> Got:
        """Write a body as it comes, no further than the limit."""
        most = self._limits.bytes
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise Missing("a packed body, though none was asked for")
        seen, size = hashlib.sha256(), 0
        with draft.open("wb") as file:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > most:
                    raise Missing(f"more than {most:,} bytes")
                seen.update(chunk)
                file.write(chunk)
        return Got(seen.hexdigest(), size)

    async def _look(self, draft: Path, page: bool) -> None:
        """Refuse what is no picture; one that decodes is a picture, whatever the server called it."""
        async with self._decoders:
            reason = await asyncio.to_thread(check_image, draft, None, self._limits.pixels)
        if reason is None:
            return
        with draft.open("rb") as file:
            head = file.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if page or head.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
            raise Missing("a web page instead of an image")
        raise Missing(reason)


def checked(source: str) -> httpx2.URL:
    """Return an address that may be asked for at all."""
    try:
        url = httpx2.URL(source)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise Missing("not a usable address", final=True) from None
    if url.scheme not in ("http", "https"):
        raise Missing(f"an address of scheme {url.scheme[:20]!r}, not http or https", final=True)
    if not url.host:
        raise Missing("an address without a host", final=True)
    if not 0 < (url.port or 80) < 65536:
        raise Missing("an address with an impossible port", final=True)
    if url.userinfo:
        raise Missing("an address with a name or password in it", final=True)
    return url


def _next(url: httpx2.URL, location: str) -> httpx2.URL:
    """Return where a redirect leads, unless to another scheme than the web's, or out of a secure one."""
    try:
        target = url.join(location)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        raise Missing("a redirect to no usable address") from None
    if url.scheme == "https" and target.scheme == "http":
        raise Missing("a redirect out of https")
    try:
        return checked(str(target))
    except Missing as fault:
        raise Missing(f"a redirect to {fault.reason}") from None


def _of_status(response: httpx2.Response, most: float) -> Missing:
    """Return what an answer without a picture means."""
    status = response.status_code
    try:
        reason = f"{status} {http.HTTPStatus(status).phrase.lower()}"
    except ValueError:
        reason = str(status)
    if status not in _PASSING and (status < 500 or status in (501, 505)):
        return Missing(reason, final=status in _GONE)
    wait = retry_after(response.headers)
    if wait > most:
        return Missing(f"{reason}; its server asks to wait {wait:.0f} s")
    return Missing(reason, again=True, wait=wait)


def _is_tls(error: BaseException) -> bool:
    """Return whether a connection failed for its certificate."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
