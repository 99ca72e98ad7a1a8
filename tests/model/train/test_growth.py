"""A network grows in depth: every layer comes from one that was there, and nothing else changes."""

from dataclasses import replace

import pytest
import torch

from vivavoce.model.config import tiny
from vivavoce.model.omni import Omni
from vivavoce.model.train import growth, kitten
from vivavoce.model.train.further import speaking_parts
from vivavoce.model.train.pantry import Pantry
from vivavoce.model.train.plan import Plan


@pytest.fixture
def omni():
    torch.manual_seed(0)
    made = Omni(tiny())
    made.add_mtp()
    for i, layer in enumerate(made.backbone.model.layers):
        layer.mlp.router.e_score_correction_bias += torch.randn(12, generator=torch.Generator().manual_seed(i))
    return made.eval()


def test_where_the_copies_stand():
    assert growth.sources(3, 6, "stacked") == [0, 1, 2, 0, 1, 2]
    assert growth.sources(3, 6, "interleaved") == growth.sources(3, 6, "quiet") == [0, 0, 1, 1, 2, 2]
    assert growth.sources(3, 4, "stacked") == [0, 1, 2, 0]
    assert growth.sources(3, 5, "interleaved") == [0, 0, 1, 1, 2]
    assert growth.sources(2, 2, "quiet") == [0, 1]
    with pytest.raises(ValueError, match="3 layers cannot grow to 2"):
        growth.sources(3, 2, "stacked")
    with pytest.raises(ValueError, match="sideways"):
        growth.sources(3, 6, "sideways")


def test_a_stacked_network_is_the_old_one_twice(omni):
    """Run over the old layers' own output, with router, bias and norms; tables, heads and the guessing head are untouched."""
    deep = growth.grown(omni, 4, "stacked")
    x = torch.randn(2, 9, 32)
    twice = omni.backbone.last_layer(omni.backbone.last_layer(x))
    assert torch.equal(deep.backbone.last_layer(x), twice)
    assert deep.config == replace(omni.config, backbone=replace(omni.config.backbone, num_layers=4))
    before, after = omni.state_dict(), deep.state_dict()
    same = [name for name in before if not name.startswith(growth.LAYERS)]
    assert any(name.startswith("mtp.") for name in same)
    assert all(torch.equal(before[name], after[name]) for name in same)


@pytest.mark.parametrize("layers", [3, 4, 7])
def test_a_quiet_layer_changes_no_answer_and_learns(omni, layers):
    deep = growth.grown(omni, layers, "quiet")
    x = torch.randn(2, 9, 32)
    assert torch.equal(deep.backbone(x), omni.backbone(x))
    deep.backbone(x).square().mean().backward()
    silent = deep.backbone.model.layers[1]
    for module in (silent.self_attn[0].o_proj, silent.mlps[1].down_proj, silent.post_attention_layernorm[0]):
        assert module.weight.grad.abs().sum() > 0


def test_growing_draws_nothing_from_the_dice_and_leaves_the_old_network_alone(omni):
    before = {name: tensor.clone() for name, tensor in omni.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    deep = growth.grown(omni, 4, "quiet")
    assert torch.equal(torch.rand(3), expected)
    with torch.no_grad():
        deep.backbone.model.layers[0].self_attn[0].o_proj.weight.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in omni.state_dict().items())


def test_a_stage_is_read_back_as_deep_as_it_was_left(tmp_path):
    """And whoever comes next begins with the latest that there is."""
    pantry = Pantry(tmp_path, Plan())
    with pytest.raises(FileNotFoundError, match=r"writing\.pt"):
        pantry.last("talking")
    shallow = Omni(kitten.config())
    deep = growth.grown(shallow, 5, "stacked")
    for name, omni in (("writing", shallow), ("grown", deep)):
        parts = torch.nn.ModuleDict(speaking_parts(omni))
        torch.save({"modules": parts.state_dict()}, tmp_path / f"{name}.pt")
    assert (pantry.last("talking"), pantry.last()) == ("grown", "grown")
    assert pantry.omni("writing").config.backbone.num_layers == 3
    back = pantry.omni(pantry.last())
    assert all(torch.equal(t, deep.state_dict()[n]) for n, t in back.state_dict().items() if n.startswith("backbone."))
