"""Envoy's admin interface on a Unix socket file, over one connection that is kept open."""

from __future__ import annotations

import asyncio

from holdfast.targets.base import Unreachable
from holdfast.targets.local import wire

_ANSWER_S = 2.0


class Admin:
    def __init__(self, path: str) -> None:
        self._path = path
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, path: str, patience: float = 0.0, method: str = "GET") -> bytes:
        """The body of the answer. Tries again for ``patience`` seconds, then ``Unreachable``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            try:
                return await self._once(path, method)
            except (OSError, TimeoutError, wire.NotHttp) as error:
                if loop.time() >= deadline:
                    raise Unreachable(f"Envoy does not answer: {error or 'timeout'}") from error
            await asyncio.sleep(0.01)

    async def _once(self, path: str, method: str) -> bytes:
        async with self._turn, asyncio.timeout(_ANSWER_S):
            if self._stream is None:
                self._stream = await asyncio.open_unix_connection(self._path, limit=1 << 20)
            try:
                answer = await wire.exchange(*self._stream, wire.request(method, path))
            except BaseException:
                self.close()  # half an answer must not be taken for the next one
                raise
        if answer.status != 200:
            raise ConnectionError(f"Envoy answered {answer.status} to {path}")
        return answer.body

    def close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None
