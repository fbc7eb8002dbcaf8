"""A way into a cluster's network: a listening socket made outside, answered from inside.

Run as a program in the network namespace of a machine, with the number of the inherited socket and the address to
connect to. It imports nothing but the standard library, so that it starts in no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_CHUNK_BYTES = 65536


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Joins every connection to one of its own to the address, until cancelled."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()  # as if there were nobody, which is so
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    server = await asyncio.start_server(joined, sock=listener)
    async with server:
        await server.serve_forever()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, RuntimeError):
        target.write_eof()


def main(descriptor: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    asyncio.run(serve(socket.socket(fileno=int(descriptor)), host, int(port)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
