"""Muon's steps are orthogonal, and they go downhill."""

import pytest
import torch

from vivavoce.model.train.muon import Muon, orthogonal


def test_steps_have_the_singular_vectors_of_the_gradient_and_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 20, 50), (3, 50, 20)):
        gradients = torch.randn(shape)
        u, _, v = torch.linalg.svd(gradients, full_matrices=False)
        turned = u.mT @ orthogonal(gradients, 5) @ v.mT
        values = turned.diagonal(dim1=1, dim2=2)
        assert values.min() > 0.5
        assert values.max() < 1.3
        assert (turned - torch.diag_embed(values)).abs().max() < 1e-3


def test_a_matrix_without_gradient_gets_no_step():
    assert not orthogonal(torch.zeros(1, 4, 4), 5).any()


def test_it_finds_a_matrix():
    torch.manual_seed(0)
    wanted, weight = torch.randn(6, 9), torch.nn.Parameter(torch.zeros(6, 9))
    optimiser = Muon([weight], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        ((weight - wanted) ** 2).sum().backward()
        optimiser.step()
    assert (weight - wanted).abs().max() < 0.1


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"\[3\]"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
