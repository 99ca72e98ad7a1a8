"""What is read, said, heard and seen becomes one row of embeddings, by the rules of the release."""

import pytest
import torch

from vivavoce.model.config import tiny
from vivavoce.model.omni import AUDIO_PAD, IMAGE_PAD, Omni

PAD = 3


@pytest.fixture
def omni() -> Omni:
    return Omni(tiny()).eval()


def tables(omni: Omni) -> tuple[torch.Tensor, list[torch.Tensor]]:
    speech = [table.weight.detach() for table in omni.audio_embeddings.audio_embeddings]
    return omni.backbone.model.embed_tokens.weight.detach(), speech


def test_a_prompt_row_is_the_sum_of_what_it_holds(omni: Omni) -> None:
    text, speech = tables(omni)
    ids = torch.tensor(
        [[50, PAD, PAD, PAD, PAD], [50, 40, PAD, PAD, PAD], [PAD, 40, 41, 42, 43], [PAD, PAD, PAD, PAD, PAD]]
    )
    rows = omni.embed_prompt(ids).detach()
    torch.testing.assert_close(rows[0], text[50])
    torch.testing.assert_close(rows[1], text[50] + speech[0][40])
    torch.testing.assert_close(rows[2], speech[0][40] + speech[1][41] + speech[2][42] + speech[3][43])
    torch.testing.assert_close(rows[3], text[PAD])  # nothing at all is the text pad itself


def test_features_take_their_places_in_order(omni: Omni) -> None:
    quiet = [PAD] * 4
    ids = torch.tensor([[[AUDIO_PAD, *quiet], [7, *quiet]], [[IMAGE_PAD, *quiet], [AUDIO_PAD, *quiet]]])
    heard, seen = torch.randn(2, 32, requires_grad=True), torch.randn(1, 32)
    rows = omni.embed_prompt(ids, heard, seen)
    assert rows.shape == (2, 2, 32)
    torch.testing.assert_close(rows[0, 0], heard[0])
    torch.testing.assert_close(rows[1, 1], heard[1])
    torch.testing.assert_close(rows[1, 0], seen[0])
    rows.sum().backward()
    assert heard.grad is not None and bool((heard.grad == 1).all())


def test_rows_and_places_must_match(omni: Omni) -> None:
    ids = torch.tensor([[AUDIO_PAD, PAD, PAD, PAD, PAD]])
    with pytest.raises(ValueError, match="1 positions for sound, got 2 rows"):
        omni.embed_prompt(ids, torch.zeros(2, 32))
    with pytest.raises(ValueError, match="0 positions for vision, got 1 rows"):
        omni.embed_prompt(ids, torch.zeros(1, 32), torch.zeros(1, 32))


def test_while_decoding_a_negative_id_is_nothing_and_a_pad_is_not_special(omni: Omni) -> None:
    text, speech = tables(omni)
    rows = omni.embed_step(
        torch.tensor([50, -1, 50]), torch.tensor([[40, -1, -1, -1], [40, 41, 42, 43], [PAD, -1, -1, -1]])
    ).detach()
    torch.testing.assert_close(rows[0], text[50] + speech[0][40])
    torch.testing.assert_close(rows[1], speech[0][40] + speech[1][41] + speech[2][42] + speech[3][43])
    torch.testing.assert_close(rows[2], text[50] + speech[0][PAD])


def test_decoding_and_prompting_agree_where_both_can_say_it(omni: Omni) -> None:
    codes = torch.randint(32, 57, (6, 4))
    words = torch.randint(10, 100, (6,))
    torch.testing.assert_close(
        omni.embed_step(words, codes), omni.embed_prompt(torch.cat([words[:, None], codes], dim=1))
    )


def test_a_glance_and_a_word_flow_through_the_whole_network(omni: Omni) -> None:
    quiet = [PAD] * 4
    heard = omni.hear(torch.randn(1, 5, 1200))[0]
    seen = omni.see(torch.randn(1, 8, 1176), (2, 4))[0]
    ids = torch.tensor([[IMAGE_PAD, *quiet]] * 4 + [[AUDIO_PAD, *quiet]] * 5 + [[60, *quiet]])
    hidden = omni.backbone(omni.embed_prompt(ids, heard, seen)[None])[:, -1]
    assert omni.backbone.logits(hidden).shape == (1, 160)
    assert omni.audio_output_layers.chain(hidden).shape == (1, 4)
