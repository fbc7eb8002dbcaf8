"""Probes: a new connection to each pod, and the answer to its readiness path, as the kubelet would see it.

Bare sockets under one selector: every pod is asked every second, and asyncio's streams took four times the CPU.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
_PATH_CHARACTERS = "/?&=%:@!$'()*+,;~-._"
_STATUS_LINE_BYTES = 256


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """timeout_s: of one probe. at_once: probes under way at a time. late_s: a timeout that we notice later than this is
    our own lateness, and no evidence."""

    timeout_s: float = 0.8
    at_once: int = 500
    late_s: float = 0.25


def probe_all(
    probed: Iterable[Probed], settings: ProbeSettings, clock: Callable[[], float] = time.monotonic
) -> Mapping[str, bool | None]:
    """By `workload/pod`: whether it answered; None where we did not come to ask properly.

    A connection is an answer where no path is given, else a status below 400. Takes at most three times the timeout.
    """
    return _Round(settings, clock).run(probed)


@dataclass(slots=True)
class _Asked:
    """One probe under way. `act` is what to do next with a socket that is ready."""

    key: str
    ip: str
    target: ProbeTarget
    socket: socket.socket
    ends_at_s: float
    act: Callable[[_Asked], None]
    said: bytearray = field(default_factory=bytearray)


class _Round:
    def __init__(self, settings: ProbeSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._asked: dict[str, _Asked] = {}  # the oldest first
        self._verdicts: dict[str, bool | None] = {}

    def run(self, probed: Iterable[Probed]) -> Mapping[str, bool | None]:
        waiting = deque(probed)
        gives_up_at_s = self._clock() + 2.0 * self._settings.timeout_s
        try:
            while waiting or self._asked:
                while waiting and len(self._asked) < self._settings.at_once:
                    self._begin(waiting.popleft(), gives_up_at_s)
                if self._asked:
                    self._go_on()
        finally:
            for asked in list(self._asked.values()):
                self._judge(asked, None)
            self._selector.close()
        return self._verdicts

    def _go_on(self) -> None:
        oldest = next(iter(self._asked.values()))
        # What has come is taken before anything is given up: we may be the ones who are late.
        for ready, _ in self._selector.select(max(0.0, oldest.ends_at_s - self._clock())):
            asked = ready.data
            try:
                asked.act(asked)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wanted:
                reads = isinstance(wanted, ssl.SSLWantReadError)
                self._await(asked, selectors.EVENT_READ if reads else selectors.EVENT_WRITE)
            except BlockingIOError:
                continue
            except ssl.SSLError:  # an OSError too, whose number is OpenSSL's and not the system's
                self._judge(asked, False)
            except OSError as error:
                self._judge(asked, None if error.errno in _OURS else False)
        now_s = self._clock()
        for asked in list(self._asked.values()):
            if asked.ends_at_s > now_s:
                break
            self._judge(asked, None if now_s - asked.ends_at_s > self._settings.late_s else False)

    def _begin(self, each: Probed, gives_up_at_s: float) -> None:
        now_s = self._clock()
        if now_s > gives_up_at_s:
            self._verdicts[each.key] = None
            return
        try:
            opened = socket.socket(socket.AF_INET6 if ":" in each.ip else socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            self._verdicts[each.key] = None
            return
        opened.setblocking(False)
        ends_at_s = now_s + self._settings.timeout_s
        asked = _Asked(each.key, each.ip, each.target, opened, ends_at_s, self._connected)
        self._asked[each.key] = asked
        self._selector.register(opened, selectors.EVENT_WRITE, asked)
        try:
            failure = opened.connect_ex((each.ip, each.target.port))
        except (OSError, UnicodeError):
            self._judge(asked, None)  # no address at all
            return
        if failure not in _UNDER_WAY:
            self._judge(asked, None if failure in _OURS else False)

    def _connected(self, asked: _Asked) -> None:
        failure = asked.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, "not connected")
        if asked.target.path is None:
            self._judge(asked, True)
        elif asked.target.tls:
            self._selector.unregister(asked.socket)
            asked.socket = _UNVERIFIED.wrap_socket(asked.socket, do_handshake_on_connect=False)
            self._selector.register(asked.socket, selectors.EVENT_WRITE, asked)
            asked.act = self._shake_hands
            self._shake_hands(asked)
        else:
            self._send(asked)

    def _shake_hands(self, asked: _Asked) -> None:
        assert isinstance(asked.socket, ssl.SSLSocket)
        asked.socket.do_handshake()
        self._send(asked)

    def _send(self, asked: _Asked) -> None:
        # A few hundred bytes always fit into the buffer of a connection that was just opened.
        asked.socket.send(_request(asked))
        asked.act = self._read
        self._await(asked, selectors.EVENT_READ)

    def _read(self, asked: _Asked) -> None:
        part = asked.socket.recv(_STATUS_LINE_BYTES)
        asked.said += part
        if not part or b"\n" in asked.said or len(asked.said) >= _STATUS_LINE_BYTES:
            self._judge(asked, _is_fine(bytes(asked.said)))

    def _await(self, asked: _Asked, event: int) -> None:
        self._selector.modify(asked.socket, event, asked)

    def _judge(self, asked: _Asked, ok: bool | None) -> None:
        self._verdicts[asked.key] = ok
        del self._asked[asked.key]
        with contextlib.suppress(KeyError, ValueError):  # while it is being wrapped it is not registered
            self._selector.unregister(asked.socket)
        asked.socket.close()


def _request(asked: _Asked) -> bytes:
    target = asked.target
    host = quote(target.host_header or f"{url_host(asked.ip)}:{target.port}", safe=":[].-")
    lines = (
        f"GET {quote(target.path or '/', safe=_PATH_CHARACTERS)} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: foresail-probe",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _is_fine(said: bytes) -> bool:
    words = said.split(None, 2)
    return len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit() and 200 <= int(words[1]) < 400


def _unverified() -> ssl.SSLContext:
    """As the kubelet does: whether a pod answers is asked, not who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_UNVERIFIED = _unverified()
