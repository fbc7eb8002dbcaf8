"""Probes: a new connection to a pod, and the answer to its readiness path, as the kubelet would see it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from foresail.objects.databases import url_host
from foresail.objects.fast_plan import Probed
from foresail.objects.records import ProbeTarget

#: Our own troubles, which say nothing about the pod.
_OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EPERM,
        errno.EACCES,
    }
)
_PATH_CHARACTERS = "/?&=%:@!$'()*+,;~-._"


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """timeout_s: of one probe. at_once: probes under way at a time. late_s: a timeout that we notice later than this is
    our own lateness, and no evidence."""

    timeout_s: float = 0.8
    at_once: int = 200
    late_s: float = 0.25


async def probe_all(probed: Iterable[Probed], settings: ProbeSettings) -> Mapping[str, bool | None]:
    """By `workload/pod`: whether it answered; None where we did not come to ask properly."""
    turns = asyncio.Semaphore(settings.at_once)
    ends_at_s = asyncio.get_running_loop().time() + 2.0 * settings.timeout_s

    async def one(each: Probed) -> bool | None:
        async with turns:
            if asyncio.get_running_loop().time() > ends_at_s:
                return None
            return await probe(each.ip, each.target, settings)

    targets = tuple(probed)
    answers = await asyncio.gather(*(one(each) for each in targets))
    return {each.key: ok for each, ok in zip(targets, answers, strict=True)}


async def probe(ip: str, target: ProbeTarget, settings: ProbeSettings) -> bool | None:
    """Whether the pod answers: a connection where no path is given, else a status below 400."""
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + settings.timeout_s
    try:
        async with asyncio.timeout_at(ends_at_s):
            return await _asked(ip, target)
    except TimeoutError:
        return None if loop.time() - ends_at_s > settings.late_s else False
    except OSError as error:
        return None if error.errno in _OURS else False
    except ValueError:
        return False  # a status line longer than any HTTP server's


async def _asked(ip: str, target: ProbeTarget) -> bool:
    # As the kubelet does: whether it answers is asked, not who it is.
    tls = _unverified() if target.tls else None
    reader, writer = await asyncio.open_connection(ip, target.port, ssl=tls)
    try:
        if target.path is None:
            return True
        writer.write(_request(ip, target, target.path))
        await writer.drain()
        return _is_fine(await reader.readline())
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            writer.transport.abort()


def _request(ip: str, target: ProbeTarget, path: str) -> bytes:
    host = quote(target.host_header or f"{url_host(ip)}:{target.port}", safe=":[].-")
    lines = (
        f"GET {quote(path, safe=_PATH_CHARACTERS)} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: foresail-probe",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _is_fine(status_line: bytes) -> bool:
    words = status_line.split(None, 2)
    return len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit() and 200 <= int(words[1]) < 400


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
