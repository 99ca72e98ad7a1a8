"""Who runs in the next step."""

import pytest

from vivavoce.model.engine.blocks import BlockPool
from vivavoce.model.engine.scheduler import Budget, Plan, Share, plan
from vivavoce.model.engine.sequence import Sequence

BUDGET = Budget(rows=10, rows_beside_decodes=4, decodes=2)


def waiting(name: str, rows: int, *, decoding: bool = False, served: int = 0) -> Sequence:
    sequence = Sequence(name, BlockPool(64, 4), 256, decoding=decoding, served=served)
    sequence.append(rows)
    return sequence


def test_nobody_waits() -> None:
    assert plan([waiting("a", 0)], BUDGET).empty


def test_prompts_share_a_step_in_pieces() -> None:
    assert plan([waiting("a", 7), waiting("b", 7)], BUDGET) == Plan(prefill=(Share("a", 7), Share("b", 3)))


def test_decodes_go_first_and_prompts_get_less_beside_them() -> None:
    chosen = plan([waiting("a", 7), waiting("b", 1, decoding=True)], BUDGET)
    assert chosen == Plan(prefill=(Share("a", 4),), decode=("b",))


def test_a_prompt_still_being_read_is_no_decode_yet() -> None:
    assert plan([waiting("a", 7, decoding=True)], BUDGET) == Plan(prefill=(Share("a", 7),))


def test_whoever_waited_longest_goes_first() -> None:
    replies = [waiting(name, 1, decoding=True, served=at) for name, at in (("a", 3), ("b", 1), ("c", 2))]
    assert plan(replies, BUDGET).decode == ("b", "c")
    prompts = [waiting("a", 9, served=2), waiting("b", 9, served=1)]
    assert plan(prompts, BUDGET).prefill == (Share("b", 9), Share("a", 1))


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Budget(rows_beside_decodes=0)


def test_a_prompt_that_a_reply_waits_for_goes_before_one_that_goes_on() -> None:
    prompts = [waiting("speaks", 9, served=1), waiting("asked", 9, decoding=True, served=2)]
    assert plan(prompts, BUDGET).prefill == (Share("asked", 9), Share("speaks", 1))
