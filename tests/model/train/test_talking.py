"""What kitten is trained on is what the server will show it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vivavoce.codecs.cmvn import Cmvn
from vivavoce.codecs.media import AudioChunk, MediaChunk, VideoFrame
from vivavoce.model import prompt
from vivavoce.model.config import tiny
from vivavoce.model.listening import Draft, Scribe, UserTurn
from vivavoce.model.omni import Omni
from vivavoce.model.senses import Ear
from vivavoce.model.tokenizer import AUDIO_PAD, IMAGE_PAD, PAD, train_tokenizer
from vivavoce.model.train import examples, talking
from vivavoce.model.train.examples import ALL, WORDS, Stage
from vivavoce.model.train.run import Recipe
from vivavoce.model.train.sayings import Saying
from vivavoce.model.train.scenes import Scene, Thing
from vivavoce.model.train.seeing import SEEN_WORDS
from vivavoce.model.train.turns import Dialogue, Turn

TOKENIZER = train_tokenizer(
    ["USER:", "VOICE ASSISTANT:", "\n", "second{0.0}:", "The circle is red.", " red", " pizza"] * 20, 440
)
SCENE = Scene((Thing("circle", "red", 0.66, 0.5, 0.3, 0.0),), seed=4)
TURN = Turn("what colour is the circle", "The circle is red.", "colour", "red")
CODES = np.arange(20 * 4).reshape(20, 4) % 25
PICTURE = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def omni():
    torch.manual_seed(0)
    return Omni(tiny(TOKENIZER.vocab_size)).eval()


def seconds(rows):
    """Slots of the question in order, stamps left out: ("#", pictures' tokens) and ("a", sound tokens)."""
    made = []
    for text in rows[:, 0].tolist():
        sign = {AUDIO_PAD: "a", IMAGE_PAD: "#"}.get(text)
        if sign is None:
            if made and made[-1][0] == "a":
                made.append(["", 0])
            continue
        if not made or made[-1][0] != sign:
            made.append([sign, 0])
        made[-1][1] += 1
    return [tuple(m) for m in made if m[0]]


def served(omni, wave):
    """The rows that the server writes for one question with the camera on."""
    scribe = Scribe(omni, TOKENIZER, Ear(omni, Cmvn(np.zeros(80, np.float32), np.ones(80, np.float32))))
    turn, whole = UserTurn(), Draft()
    for start in range(0, len(wave), 16_000):
        at = start // 16
        frames = (VideoFrame(PICTURE, at), VideoFrame(PICTURE, at + 500))
        turn, draft = scribe.listen(
            turn, MediaChunk(at, AudioChunk(wave[start : start + 16_000], 16_000, start), frames, True)
        )
        whole += draft
    return prompt.join(*(whole + scribe.close(turn)[1]).ids)


def test_training_rows_are_the_servers_rows(omni):
    wave = np.zeros(16_000 * 2 + 9000, np.float32)
    rows = served(omni, wave)
    tokens = int((rows[:, 0] == AUDIO_PAD).sum())
    assert tokens == -(-((len(wave) - 400) // 160 + 1) // 8)
    picture = next(n for sign, n in seconds(rows) if sign == "#")
    stage = Stage(
        TOKENIZER,
        {TURN.user: [np.zeros((tokens, 4), np.float16)]},
        {Saying(TURN.reply): [CODES]},
        lambda _: PICTURE,
        picture,
    )
    laid_out = [stage.dialogue(Dialogue((TURN,), SCENE), seed, typed=0.0, written=0.0) for seed in range(40)]
    assert seconds(rows) in [seconds(e.rows) for e in laid_out]
    assert any(e.rows[0, 0] == rows[0, 0] for e in laid_out)


def test_only_replies_are_judged(monkeypatch):
    monkeypatch.setattr(examples, "STRANGE", 0.0)
    stage = Stage(
        TOKENIZER, {TURN.user: [np.zeros((9, 4), np.float16)]}, {Saying(TURN.reply): [CODES]}, lambda _: PICTURE, 6
    )
    example = stage.dialogue(Dialogue((TURN, TURN), None), 1, typed=0.0, written=0.0)
    said = example.rows[example.judged == ALL]
    text = TOKENIZER.decode([i for i in said[:, 0].tolist() if i != PAD])
    assert text == "The circle is red.</longcat_s>" * 2
    assert len(said) == 2 * (len(CODES) + 1)


def test_the_text_of_an_answer_is_also_learned_beside_the_codes_of_another(omni, monkeypatch):
    """Or its first codes, which no other answer has, would give it away."""
    monkeypatch.setattr(examples, "STRANGE", 1.0)
    alike, other = CODES[::-1] % 20, CODES[:9]
    codes = {Saying(TURN.reply): [CODES], Saying("The circle is blue."): [alike], Saying("Yes."): [other]}
    stage = Stage(TOKENIZER, {}, codes, lambda _: PICTURE, 6)
    beside = set()
    for seed in range(20):
        example = stage.dialogue(Dialogue((TURN,), None), seed, typed=1.0, written=0.0)
        said = example.rows[example.judged == WORDS]
        assert TOKENIZER.decode([i for i in said[:, 0].tolist() if i != PAD]) == "The circle is red.</longcat_s>"
        _, figures = talking.losses(omni, [example])
        assert set(figures) == {"text"}
        beside.add(said[0, 1] - prompt.CODE_OFFSET)
    assert beside == {CODES[0, 0], alike[0, 0]}


def test_an_answer_without_a_recording_is_spoken_beside_the_codes_of_another():
    stage = Stage(TOKENIZER, {}, {Saying("Yes."): [CODES[:2]]}, lambda _: PICTURE, 6)
    example = stage.dialogue(Dialogue((TURN,), None), 1, typed=1.0, written=0.0)
    assert not (example.judged == ALL).any()
    assert (example.rows[example.judged == WORDS][:-1, 1] != PAD).all()


def test_codes_lead_astray_and_text_does_not():
    """A share of the codes is read from other frames, some at a time; the words, and what comes before them, stay."""
    torch.manual_seed(0)
    rows = torch.full((40, 50, 5), PAD)
    rows[:, :12, 0] = 200
    rows[:, 10:, 1:] = torch.arange(40 * 40).view(40, 40, 1) + prompt.CODE_OFFSET
    mixed = talking.led_astray(rows, 0.3)
    assert torch.equal(mixed[..., 0], rows[..., 0])
    assert torch.equal(mixed[:, :10], rows[:, :10])
    wrong = (mixed[:, 10:, 1] != rows[:, 10:, 1]).float()
    assert 0.2 < wrong.mean() < 0.35
    assert wrong.mean(1).std() > 0.1, "some replies keep all of theirs"
    followed = (wrong[:, 1:] * wrong[:, :-1]).sum() / wrong[:, :-1].sum()
    assert followed > 0.7, "spans, not frames"
    assert torch.equal(talking.led_astray(rows, 0.0), rows)


def test_a_reply_read_aloud_is_judged_by_its_codes_alone(omni):
    stage = Stage(TOKENIZER, {}, {Saying(TURN.reply): [CODES]}, lambda _: PICTURE, 6)
    _, figures = talking.losses(omni, [stage.reading(Saying(TURN.reply), 1)])
    assert set(figures) == {"audio0", "audio1", "audio2", "audio3"}


def test_the_hidden_z_loss_is_of_the_last_layer_and_keeps_it_small(omni):
    """Written out in float64; off it is no part of the loss, and following it downhill makes the layer's values smaller."""
    stage = Stage(TOKENIZER, {}, {Saying(TURN.reply): [CODES]}, lambda _: PICTURE, 6)
    some = [stage.reading(Saying(TURN.reply), 1)]
    plain, figures = talking.losses(omni, some)
    assert "z" not in figures
    weighed, figures = talking.losses(omni, some, hidden_z=1e-3)
    batch = talking.collate(some)
    last = talking.hidden_states(omni, batch)[:, :-1][batch.judged[:, 1:] > 0].detach()
    z = np.log(np.exp(np.abs(last.double().numpy())).sum(1))
    assert figures["z"] == pytest.approx((z**2).mean(), rel=1e-5)
    assert weighed.item() == pytest.approx(plain.item() + 1e-3 * figures["z"], rel=1e-5)
    last.requires_grad_(True)
    talking.largeness(last).backward()
    assert talking.largeness(last - 1e-2 * last.grad) < talking.largeness(last)
    assert (last - 1e-2 * last.grad).norm() < last.norm()


def test_padding_a_batch_changes_no_loss(omni):
    stage = Stage(TOKENIZER, {}, {Saying(TURN.reply): [CODES], Saying("Yes."): [CODES[:9]]}, lambda _: PICTURE, 6)
    short = stage.reading(Saying("Yes."), 1)
    alone, _ = talking.losses(omni, [short])
    h_alone = omni.backbone(omni.embed_prompt(talking.collate([short]).rows))
    both = omni.backbone(omni.embed_prompt(talking.collate([short, stage.reading(Saying(TURN.reply), 1)]).rows))
    assert torch.allclose(h_alone[0], both[0, : len(short.rows)], atol=1e-5)
    assert torch.isfinite(alone)


def test_a_picture_is_the_words_for_what_its_tokens_show(omni):
    """Even if things have other names in this dialogue than in the world."""
    shot = np.zeros((6, len(SEEN_WORDS)), np.float16)
    shot[2, [SEEN_WORDS.index("red"), SEEN_WORDS.index("circle")]] = 1, 0.5
    stage = Stage(TOKENIZER, {}, {}, lambda _: shot, 6)
    example = stage.dialogue(Dialogue((TURN,), SCENE), 3, typed=1.0, written=1.0, names={"circle": "pizza"})
    table = omni.backbone.model.embed_tokens.weight
    red, pizza = (table[TOKENIZER.encode(f" {word}")[0]] for word in ("red", "pizza"))
    batch = talking.collate([example])
    rows = talking.seen_rows(omni, batch.pictures, batch.names)
    assert torch.allclose(rows[2], talking.LOUDNESS * (red + 0.5 * pizza))
    assert not rows[[0, 1, 3, 4, 5]].any()


def test_sound_is_projected_to_the_words_heard_in_it(tmp_path):
    """After the fit, wherever the recogniser hears a word, that word is the nearest of all."""
    torch.manual_seed(1)
    config = tiny(TOKENIZER.vocab_size)
    omni = Omni(replace(config, audio=replace(config.audio, ctc_vocab=TOKENIZER.vocab_size))).eval()
    prototypes = torch.randn(12, config.audio.ffn_hidden)
    with torch.no_grad():
        heard = omni.audio_encoder.ctc_logits(prototypes).argmax(-1)
    readings = {"all of them": [prototypes.numpy().astype(np.float16)]}
    talking.hear_in_words(omni, readings, Recipe("projector", 80, 2e-2), tmp_path)
    with torch.no_grad():
        nearest = (omni.audio_projector(prototypes) @ omni.backbone.model.embed_tokens.weight.T).argmax(-1)
    spoken = heard != 0
    assert (nearest == heard)[spoken].float().mean() > 0.9
