"""Requests on their way to the model's process: in order, and not without end.

A session's sound and pictures count from `put` until the process says that it has carried them out (`handled`), wherever they
are meanwhile: here, in the pipe, in its hands. Who is too far behind is refused more of them; what ends or forgets something is
never refused, nor is anything small.
"""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue

from vivavoce.model.messages import AddImage, Close, Listen, Request

SESSION_BYTES = 64 * 2**20
"""Sound and pictures of one session. The largest heap that a session makes at once is its whole conversation told anew, 32 MiB
(`SessionConfig.kept_bytes`) beside the turn that made it necessary; of speech as it comes this is a quarter of an hour."""
ALL_BYTES = 512 * 2**20
"""Of all sessions."""


class Behind(Exception):
    """The model is so far behind that it is given no more of a session's sound and pictures; both numbers in words."""


class Backlog:
    """`put`, `handled` and `close` are for one thread, `get` is for another."""

    def __init__(self, session_bytes: int = SESSION_BYTES, all_bytes: int = ALL_BYTES) -> None:
        self._most, self._most_of_all = session_bytes, all_bytes
        self._queue: SimpleQueue[Request | None] = SimpleQueue()
        self._sizes: dict[str, deque[int]] = {}
        self.bytes = 0
        """Sound and pictures that wait, of all sessions."""

    def put(self, request: Request) -> None:
        """One more.

        Raises:
            Behind: there is no room for it; nothing has changed.
        """
        if isinstance(request, Close):
            self.bytes -= sum(self._sizes.pop(request.session, ()))
            self._queue.put(request)
            return
        size = weight(request)
        sizes = self._sizes.get(request.session, deque())
        if size and (waiting := sum(sizes)) + size > self._most:
            raise Behind(f"{waiting + size} bytes of this conversation wait for the model, at most {self._most} may")
        if size and self.bytes + size > self._most_of_all:
            raise Behind(
                f"{self.bytes + size} bytes of all conversations wait for the model, at most {self._most_of_all} may"
            )
        sizes.append(size)
        self._sizes[request.session] = sizes
        self.bytes += size
        self._queue.put(request)

    def handled(self, session: str) -> None:
        """The oldest request of a session that waits has been carried out."""
        if sizes := self._sizes.get(session):
            self.bytes -= sizes.popleft()

    def get(self) -> Request | None:
        """The next one, when it is there; None after `close`."""
        return self._queue.get()

    def close(self) -> None:
        """Nothing more comes."""
        self._queue.put(None)


def weight(request: Request) -> int:
    """Bytes of sound and pictures in a request."""
    match request:
        case Listen(chunk=chunk):
            return (chunk.audio.pcm.nbytes if chunk.audio is not None else 0) + sum(
                frame.rgb.nbytes for frame in chunk.frames
            )
        case AddImage(rgb=rgb):
            return int(rgb.nbytes)
    return 0
