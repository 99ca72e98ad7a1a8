"""Eyes that go on learning begin with what they know, and are asked only what has an answer."""

import numpy as np
import torch

from vivavoce.model.config import tiny
from vivavoce.model.train import eyes_further, noticing, seeing
from vivavoce.model.train.eyes_further import Noticer, Pictures, as_second, batch_at, columns, losses
from vivavoce.model.train.noticing import COLUMN, KINDS, UNKNOWN
from vivavoce.model.train.run import Recipe
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

GRID = (2, 4)


def noticer():
    torch.manual_seed(0)
    config = tiny().vision
    names = torch.randn(config.adaptor_dim + 1, len(seeing.SEEN_WORDS)) * 0.1
    return Noticer(VisionEncoder(config), VisionProjector(config, 16), names), names


def pictures(columns_of_truth, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((6, 4, columns_of_truth), np.int64)
    truth[:, 1, :] = 1
    return Pictures(rng.normal(size=(6, 8, 1176)).astype(np.float16), truth)


def test_it_begins_with_what_the_eyes_could_name_and_nothing_new():
    net, names = noticer()
    patches = torch.randn(2, 8, 1176)
    amounts = net(patches, GRID)
    known = seeing.named(net.projector, net.encoder(patches, GRID), names)
    assert torch.allclose(amounts[..., : known.shape[-1]], known, atol=1e-5)
    assert not amounts[..., known.shape[-1] :].any()
    assert torch.allclose(net.names[:, : known.shape[-1]], names)


def test_half_a_word_is_as_likely_as_none():
    amounts = torch.zeros(1, 1, len(noticing.SEEN_WORDS))
    amounts[0, 0, 0] = 0.5
    colour, *others = columns(amounts)
    assert colour[0, 0, 0] == colour[0, 0, 1]
    assert [some.shape[-1] for some in (colour, *others)] == list(KINDS)
    assert all(some.argmax() == 0 for some in others)


def test_old_pictures_stand_still_show_no_print_and_have_no_answer_to_the_rest():
    truth = as_second(pictures(noticing.OLD).truth)
    assert truth[0, 1, COLUMN["way"]] == 1
    assert not truth[..., COLUMN["word"] :].any()
    assert (truth[..., COLUMN["across"]] == UNKNOWN).all()


def test_what_is_not_known_teaches_nothing():
    net, _ = noticer()
    x, y, plain = batch_at(3, pictures(noticing.OLD), pictures(noticing.COLUMNS, 1), GRID, 4)
    taught, known = torch.arange(0, 4, 2), torch.zeros(2, 4, KINDS[0]).log_softmax(-1)

    def loss(truth):
        return losses(net(torch.from_numpy(x), GRID), known, taught, torch.from_numpy(truth), torch.from_numpy(plain))[
            0
        ].item()

    silent = y.copy()
    silent[..., COLUMN["across"]] = UNKNOWN
    assert np.isfinite(loss(y))
    assert loss(silent) < loss(y)
    assert (batch_at(3, pictures(noticing.OLD), pictures(noticing.COLUMNS, 1), GRID, 4)[0] == x).all()


def test_it_learns_and_goes_on_where_it_was(tmp_path):
    first, second = pictures(noticing.OLD), pictures(noticing.COLUMNS, 1)

    def train(steps):
        net, _ = noticer()
        recipe = Recipe("eyes_further", steps, 1e-3, save_every=1)
        eyes_further.train_further(net, first, second, GRID, recipe, tmp_path, batch=4)
        return net

    train(2)
    assert torch.load(tmp_path / "eyes_further.pt", weights_only=True)["step"] == 2
    net = train(8)
    assert len((tmp_path / "eyes_further.jsonl").read_text().splitlines()) == 8
    figures = eyes_further.examine(net, second, GRID)
    assert 0 <= figures["across"] <= 1
