"""The pool of cache blocks: which blocks are free, as integers. No tensors.

A block is `block_size` consecutive positions of one sequence. The pool hands out block numbers; what lies in a block
is the runner's business.
"""

from __future__ import annotations

from collections.abc import Iterable

from vivavoce.model.engine.events import PoolFull


class BlockPool:
    """`n_blocks` blocks of `block_size` positions each.

    Raises ValueError when either is below one.
    """

    def __init__(self, n_blocks: int, block_size: int) -> None:
        if n_blocks < 1 or block_size < 1:
            raise ValueError(f"a pool needs at least one block of one position, got {n_blocks} of {block_size}")
        self.n_blocks = n_blocks
        self.block_size = block_size
        self._free = list(range(n_blocks - 1, -1, -1))
        self._taken: set[int] = set()

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    def blocks_for(self, positions: int) -> int:
        """How many blocks `positions` positions take."""
        return -(-positions // self.block_size)

    def can_allocate(self, count: int) -> bool:
        return count <= len(self._free)

    def allocate(self, count: int) -> list[int]:
        """Take `count` blocks. All or nothing: raises PoolFull and takes none when fewer are free."""
        if not self.can_allocate(count):
            raise PoolFull(
                f"the cache is full: {count} more blocks of {self.block_size} positions are needed, "
                f"{len(self._free)} of {self.n_blocks} are free"
            )
        taken = [self._free.pop() for _ in range(count)]
        self._taken.update(taken)
        return taken

    def deallocate(self, blocks: Iterable[int]) -> None:
        """Give blocks back. Raises ValueError for one that is not out, before anything is given back."""
        blocks = list(blocks)
        wrong = [block for block in blocks if block not in self._taken]
        if wrong or len(set(blocks)) != len(blocks):
            raise ValueError(f"blocks {wrong or blocks} are not all out of the pool, once each")
        self._taken.difference_update(blocks)
        self._free.extend(blocks)
