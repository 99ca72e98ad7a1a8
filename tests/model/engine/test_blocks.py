"""The pool of cache blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.events import PoolFull


def test_blocks_come_out_once_and_go_back() -> None:
    pool = BlockPool(4, 16)
    taken = pool.allocate(3)
    assert len(set(taken)) == 3 and pool.free == 1
    pool.deallocate(taken)
    assert pool.free == 4


def test_all_or_nothing_when_full() -> None:
    pool = BlockPool(2, 16)
    with pytest.raises(PoolFull, match="3 more blocks of 16 positions are needed, 2 of 2 are free"):
        pool.allocate(3)
    assert pool.free == 2


@pytest.mark.parametrize("surplus", [[1], [0, 0]])
def test_a_block_goes_back_only_once(surplus: list[int]) -> None:
    pool = BlockPool(2, 16)
    (block,) = pool.allocate(1)
    assert block == 0
    with pytest.raises(ValueError, match="not all out of the pool"):
        pool.deallocate(surplus)
    assert pool.free == 1


@pytest.mark.parametrize(("positions", "blocks"), [(0, 0), (1, 1), (16, 1), (17, 2)])
def test_blocks_for_positions(positions: int, blocks: int) -> None:
    assert BlockPool(1, 16).blocks_for(positions) == blocks


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 of 16"):
        BlockPool(0, 16)


@given(st.lists(st.integers(min_value=0, max_value=5)))
def test_nobody_ever_shares_a_block(wants: list[int]) -> None:
    pool, held = BlockPool(12, 4), []
    for want in wants:
        if pool.can_allocate(want):
            held.append(pool.allocate(want))
        elif held:
            pool.deallocate(held.pop(0))
        out = [block for blocks in held for block in blocks]
        assert len(out) == len(set(out)) == 12 - pool.free
