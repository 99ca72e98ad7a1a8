"""Text to ids and back, with the reserved ids of LongCat-Flash-Omni under their own names.

The first 144 ids are reserved: 0..3 are unknown, begin, end and padding, and `<mask_N>` is id N + 24. The markers of the Omni
conversation format are such masks; their readable spelling (`<|audio|>` for `<mask_110>`) is replaced in text before encoding
and put back after decoding, as the released model's client does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as _Tokenizer

UNK, BOS, EOS, PAD = 0, 1, 2, 3
AUDIO_START, AUDIO_END, AUDIO_PAD, PAUSE = 134, 135, 136, 137
IMAGE_PAD, IMAGE = 142, 143

SPECIAL_NAMES = {0: "<longcat_unk>", 1: "<longcat_s>", 2: "</longcat_s>", 3: "<longcat_pad>"}
MARKERS = {
    "<|audio|>": AUDIO_START,
    "<|/audio|>": AUDIO_END,
    "<|audio_pad|>": AUDIO_PAD,
    "</pause>": PAUSE,
    "<begin-of-system>": 138,
    "<begin-of-user>": 139,
    "<begin-of-assistant>": 140,
    "<begin-of-voice-assistant>": 141,
    "<|image_pad|>": IMAGE_PAD,
    "<image>": IMAGE,
}
FIRST_FREE = 144
"""Ids below this are reserved."""


def reserved_tokens() -> list[str]:
    """The spelling of ids 0..143 in the tokenizer file."""
    return [
        SPECIAL_NAMES.get(i, f"<mask_{i - 24}>" if i >= 24 else f"<longcat_reserved_{i}>") for i in range(FIRST_FREE)
    ]


class Tokenizer:
    """A byte-level BPE read from `tokenizer.json`.

    Raises:
        ValueError: the file lacks one of the reserved ids; the message names the id, what stands there and what should.
    """

    def __init__(self, inner: _Tokenizer) -> None:
        self._inner = inner
        for index in (*SPECIAL_NAMES, *MARKERS.values()):
            expected, found = reserved_tokens()[index], inner.id_to_token(index)
            if found != expected and index != UNK:
                raise ValueError(f"tokenizer id {index} is {found!r}, expected {expected!r}")
        self._marker_ids = frozenset(MARKERS.values())
        self._spelling = {index: text for text, index in MARKERS.items()}

    @classmethod
    def load(cls, directory: str | Path) -> Tokenizer:
        """Read `tokenizer.json` in a checkpoint directory. Raises FileNotFoundError, ValueError."""
        path = Path(directory) / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no tokenizer file")
        return cls(_Tokenizer.from_file(str(path)))

    @property
    def vocab_size(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no begin or end is added. Marker spellings become their ids, as in the released client."""
        for spelling, index in MARKERS.items():
            text = text.replace(spelling, f"<mask_{index - 24}>")
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, markers in their readable spelling. Bytes that are not whole UTF-8 become U+FFFD."""
        text: list[str] = []
        run: list[int] = []
        for index in ids:
            if index < FIRST_FREE:
                text += [self._inner.decode(run, skip_special_tokens=False), self._name(index)]
                run = []
            else:
                run.append(int(index))
        return "".join([*text, self._inner.decode(run, skip_special_tokens=False)])

    def _name(self, index: int) -> str:
        return self._spelling.get(index) or reserved_tokens()[index]

    def is_special(self, text: str) -> bool:
        """`text` is one token that stands for nothing but itself."""
        added = self._inner.get_added_tokens_decoder().values()
        return any(token.content == text and token.special for token in added)

    def json(self) -> str:
        """What `tokenizer.json` holds."""
        return str(self._inner.to_str())

    def save(self, directory: str | Path) -> None:
        """Write `tokenizer.json`."""
        self._inner.save(str(Path(directory) / "tokenizer.json"))


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE with the reserved ids first. `vocab_size` counts reserved, 256 bytes and merges."""
    from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

    inner = _Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[AddedToken(t, normalized=False, special=True) for t in reserved_tokens()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return Tokenizer(inner)
