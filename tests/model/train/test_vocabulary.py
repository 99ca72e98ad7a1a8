"""A checkpoint gets words for a second language and loses nothing of its first."""

import random
from pathlib import Path

import pytest
import torch

from vivavoce.model.aside import Aside
from vivavoce.model.captions import Captions
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import FIRST_FREE, Tokenizer
from vivavoce.model.train import skills, vocabulary
from vivavoce.model.train.collage import cut
from vivavoce.model.train.hearing import BLANK, ctc_target
from vivavoce.model.turn_end import TurnEnd
from vivavoce.model.weights import load_omni

KITTEN = Path(__file__).parents[3] / "model/kitten"
OLD = Tokenizer.load(KITTEN)
NEW = vocabulary.extended(OLD, vocabulary.characters())


@pytest.fixture(scope="module")
def omni() -> Omni:
    return load_omni(KITTEN)


@pytest.fixture(scope="module")
def grown(omni: Omni) -> Omni:
    return vocabulary.grown(omni, NEW.vocab_size)


def dialogues(language: str) -> list[str]:
    talks = [skills.dialogue(random.Random(i), language=language, held=i % 4 == 0) for i in range(200)]
    return [text for talk in talks for turn in talk.turns for text in (turn.user, turn.reply)]


def test_english_is_spelled_as_before():
    for text in (*dialogues("en"), "SYSTEM:", "second{12.5}:", "<|audio|>naïve café\n", '{"a": [1, 2]}'):
        assert NEW.encode(text) == OLD.encode(text)
        assert NEW.encode(" " + text) == OLD.encode(" " + text)
    assert [NEW.decode([i]) for i in range(FIRST_FREE, OLD.vocab_size)] == [
        OLD.decode([i]) for i in range(FIRST_FREE, OLD.vocab_size)
    ]


def test_every_character_of_the_grammar_is_one_piece():
    for text in dialogues("zh"):
        ids = NEW.encode(text)
        assert len(ids) == len(text), text
        assert min(ids) >= OLD.vocab_size
        assert NEW.decode(ids) == text


def test_what_is_there_already_is_not_added_again():
    assert vocabulary.extended(NEW, vocabulary.characters()).json() == NEW.json()
    assert vocabulary.extended(NEW, ["龘"]).vocab_size > NEW.vocab_size


def test_what_a_litter_often_says_is_one_piece():
    words = vocabulary.words(NEW, 2)
    richer = vocabulary.with_words(NEW, words)
    for text in (" ninety", " minutes", " spell", " function", " W"):
        assert text in words and len(NEW.encode(text)) > 1
        assert len(richer.encode(text)) == 1 and richer.decode(richer.encode(text)) == text
    assert all(len(richer.encode(word)) == 1 for word in words)
    assert not vocabulary.words(richer, 2), "and then none is missing"
    assert not vocabulary.words(NEW, 1), "the first litter is spelled as ever"


def test_new_words_change_no_number_and_hardly_a_sentence_of_before():
    richer = vocabulary.with_words(NEW, vocabulary.words(NEW, 2))
    assert [richer.decode([i]) for i in range(FIRST_FREE, NEW.vocab_size)] == [
        NEW.decode([i]) for i in range(FIRST_FREE, NEW.vocab_size)
    ]
    assert richer.encode("1800") == NEW.encode("1800")
    texts = dialogues("en")
    assert sum(richer.encode(text) != NEW.encode(text) for text in texts) < 0.04 * len(texts)


def test_a_caption_of_characters_comes_as_they_do():
    captions = Captions(NEW)
    text = "我看到一个红色的圆形。"
    assert [captions.word(i) for i in NEW.encode(text)] == list(text)
    rare = [captions.word(i) for i in NEW.encode("龘")]  # no piece of its own: bytes
    assert "".join(rare) == "龘" and rare[:-1] == [""] * (len(rare) - 1)


def test_a_reading_is_cut_at_every_character():
    a, b = ctc_target(NEW, "你好")
    assert cut([BLANK, a, a, BLANK, b, BLANK], "你好", NEW) == [("<", 0, 0), ("你", 0, 3), ("好", 3, 5), (">", 5, 6)]


def test_every_old_weight_is_the_same_bit_for_bit(omni: Omni, grown: Omni):
    old, new = omni.state_dict(), grown.state_dict()
    longer = {name for name, tensor in old.items() if tensor.shape != new[name].shape}
    tables = {"backbone.model.embed_tokens.weight", "backbone.lm_head.weight"}
    assert longer == tables | {"audio_encoder.output.weight", "audio_encoder.output.bias"}
    assert all(
        torch.equal(tensor, new[name][: len(tensor)] if name in longer else new[name]) for name, tensor in old.items()
    )
    assert (
        len(new["backbone.model.embed_tokens.weight"][OLD.vocab_size :].unique(dim=0))
        == NEW.vocab_size - OLD.vocab_size
    )


def test_new_pieces_say_nothing_yet(omni: Omni, grown: Omni):
    with torch.inference_mode():
        frames = omni.audio_encoder(torch.randn(1, 60, omni.config.audio.input_size) * 0.5)
        assert torch.equal(*(n.audio_encoder.ctc_logits(frames).argmax(-1) for n in (omni, grown)))
        read = torch.tensor([OLD.encode(" ".join(dialogues("en")[:40]))])
        old, new = (n.backbone.logits(n.backbone(n.backbone.model.embed_tokens(read))) for n in (omni, grown))
    assert torch.equal(old.argmax(-1), new.argmax(-1))
    assert torch.allclose(old, new[..., : OLD.vocab_size], atol=1e-4)


def test_a_vocabulary_does_not_shrink(omni: Omni):
    with pytest.raises(ValueError, match="1280.*cannot grow to 1279"):
        vocabulary.grown(omni, OLD.vocab_size - 1)


def test_a_grown_checkpoint_is_a_checkpoint(tmp_path: Path):
    vocabulary.grow_checkpoint(KITTEN, tmp_path / "grown", vocabulary.characters())
    made = load_omni(tmp_path / "grown")
    assert Tokenizer.load(tmp_path / "grown").vocab_size == made.config.backbone.vocab_size == NEW.vocab_size
    for kind in (TurnEnd, Aside):
        old, new = kind.load(KITTEN), kind.load(tmp_path / "grown")
        assert old is not None and new is not None
        frames = torch.randn(kind.FRAMES, made.config.audio.ffn_hidden)
        assert torch.allclose(
            old.judge(frames, load_omni(KITTEN).audio_encoder), new.judge(frames, made.audio_encoder), atol=1e-3
        )
