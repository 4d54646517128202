"""Not HTTP: a line in, a line out, over plain TCP. Ends its connections politely on SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal

VERSION = os.environ.get("APP_VERSION", "v1")
LINE_MAX = 4096


class Service:
    def __init__(self) -> None:
        self.draining = False
        self.idle: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not self.draining:
                self.idle.add(writer)
                line = await reader.readuntil(b"\n")
                self.idle.discard(writer)
                writer.write(f"{VERSION}\r\n".encode() if line.strip() else b"\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()

    def drain(self) -> None:
        self.draining = True
        for writer in tuple(self.idle):
            writer.close()


async def main() -> None:
    service, stop = Service(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port = int(os.environ.get("PORT", "8085"))
    server = await asyncio.start_server(service.serve, "127.0.0.1", port, limit=LINE_MAX)
    await stop.wait()
    server.close()
    service.drain()


if __name__ == "__main__":
    asyncio.run(main())
