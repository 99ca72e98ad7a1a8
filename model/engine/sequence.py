"""One conversation as the engine's bookkeeping sees it: positions, blocks, and a way back. No tensors.

    0 ........ length ........ end .............. capacity (len(blocks) * block_size)
    |  cached  |  submitted    |  room in the last block |

`append` submits rows, `advance` says that the first of them have been run, `rewind` goes back to a position and frees
the blocks past it: the one primitive behind the speculative switch and the interruption alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.events import ContextFull, OutOfStep


@dataclass(eq=False)
class Sequence:
    """One session's run of positions in the cache."""

    session: str
    pool: BlockPool
    max_context: int
    """The longest this sequence may become, in positions."""
    length: int = 0
    """Positions whose latents are in the cache."""
    end: int = 0
    """Positions cached or submitted; the next row goes here."""
    blocks: list[int] = field(default_factory=list)
    decoding: bool = False
    """The sequence makes its own next row after each step."""
    guessed: int = 0
    """How many of its own next rows are guesses, to be run together with the one before them."""
    served: int = 0
    """The number of the engine step that last ran rows of this sequence."""

    @property
    def pending(self) -> int:
        """Rows submitted and not yet run."""
        return self.end - self.length

    @property
    def room(self) -> int:
        """How many positions may still be appended before the context is full."""
        return self.max_context - self.end

    def append(self, rows: int) -> None:
        """Submit `rows` rows, taking the blocks they need.

        Raises ContextFull or PoolFull, and then nothing has changed.
        """
        if rows > self.room:
            raise ContextFull(
                f"the conversation is full: {rows} more positions are needed, "
                f"{self.room} of {self.max_context} are left"
            )
        missing = self.pool.blocks_for(self.end + rows) - len(self.blocks)
        if missing > 0:
            self.blocks.extend(self.pool.allocate(missing))
        self.end += rows

    def advance(self, rows: int) -> None:
        """The first `rows` submitted rows have been run."""
        assert rows <= self.pending, f"{rows} rows were run, {self.pending} were pending"
        self.length += rows

    def mark(self) -> int:
        """Where the sequence stands, for a later `rewind`."""
        return self.end

    def rewind(self, position: int) -> None:
        """Forget everything from `position` on, run or not.

        Raises OutOfStep when the sequence never got there.
        """
        if not 0 <= position <= self.end:
            raise OutOfStep(f"cannot rewind to position {position} of a sequence that ends at {self.end}")
        self.end = position
        self.length = min(self.length, position)
        keep = self.pool.blocks_for(position)
        surplus, self.blocks[keep:] = self.blocks[keep:], []
        self.pool.deallocate(surplus)
