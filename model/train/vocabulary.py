"""More words for a checkpoint that has learned already: pieces for Chinese characters and for a litter's words behind those it
has, and rows for them.

Every old id keeps its piece and its rows, so what was written before is read as before. In the tokenizer's file a character is two
merges of its three UTF-8 bytes, the first of them shared by up to 64 characters; they stand behind all old merges, and nothing
written in Latin letters has such bytes. A word is merged from the pieces it has so far, from left to right.

New rows say nothing at first: they begin as those of the reserved ids, which training has made improbable everywhere.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from inspect import getsource
from pathlib import Path

import torch
from tokenizers import Tokenizer as _Tokenizer
from tokenizers import pre_tokenizers
from torch import Tensor

from vivavoce.model.aside import Aside
from vivavoce.model.functions import described, written
from vivavoce.model.judge import Judge
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import SPECIAL_NAMES, Tokenizer
from vivavoce.model.train import skills
from vivavoce.model.train.mandarin import lexicon, sight_skills, talk_skills, translation
from vivavoce.model.train.mandarin.pinyin import HAN, PAUSES
from vivavoce.model.turn_end import TurnEnd
from vivavoce.model.weights import load_omni, save_release

UNSAID = slice(len(SPECIAL_NAMES), 24)
"""Ids that no text ever had: reserved, and no marker."""
APART = 0.03
"""Deviation of the noise by which the embeddings of new pieces differ; that of learned ones is 0.16."""

DRAWN = 3000
"""Dialogues of a litter whose words are counted."""
OFTEN = 20
"""A word of more pieces than one that is so often in them gets a piece of its own."""
WORD = re.compile(r" ?[A-Z]?[a-z]+| [A-Z]\b")
"""Digits stay single, so that no number is a word of its own."""


def characters() -> list[str]:
    """Every Chinese character of the grammar, and its punctuation, in the order of their code points."""
    modules = lexicon, talk_skills, sight_skills, translation
    return sorted({*PAUSES, *(c for module in modules for c in HAN.findall(getsource(module)))})


def words(tokenizer: Tokenizer, litter: int) -> list[str]:
    """What a litter often says, hears or is told and this tokenizer needs several pieces for, the most expensive first. A space
    before a word belongs to it. None for the first litter: what a shipped checkpoint was taught is spelled as it always was."""
    if litter == 1:
        return []
    said: Counter[str] = Counter()
    for index in range(DRAWN):
        rng = random.Random(index)
        talk = (
            skills.lesson(rng, 3, litter=litter, errands=index % 4 == 1)
            if index % 2
            else skills.dialogue(rng, litter=litter)
        )
        texts = [described(talk.functions), talk.instructions]
        for turn in talk.turns:
            texts += [" " + turn.user, " " + turn.user.lower(), turn.reply]
            texts += [written(turn.called), turn.returned] if turn.called else []
        said.update(word for text in texts if text for word in WORD.findall(text))
    saved = {word: times * (len(tokenizer.encode(word)) - 1) for word, times in said.items() if times >= OFTEN}
    return sorted((word for word, pieces in saved.items() if pieces), key=lambda word: (-saved[word], word))


def with_words(tokenizer: Tokenizer, new: Iterable[str]) -> Tokenizer:
    """The same tokenizer with a piece for each of some words behind its own; those it has are left out."""
    told = json.loads(tokenizer.json())
    pieces: dict[str, int] = told["model"]["vocab"]
    spelling = {index: piece for piece, index in pieces.items()}
    for word in new:
        parts = [spelling[index] for index in Tokenizer(_Tokenizer.from_str(json.dumps(told))).encode(word)]
        whole = parts[0]
        for part in parts[1:]:
            told["model"]["merges"].append([whole, part])
            whole += part
            spelling[pieces.setdefault(whole, len(pieces))] = whole
    return Tokenizer(_Tokenizer.from_str(json.dumps(told)))


def extended(tokenizer: Tokenizer, new: Iterable[str]) -> Tokenizer:
    """The same tokenizer with a piece for each of some characters behind its own; those it has are left out."""
    told = json.loads(tokenizer.json())
    pieces: dict[str, int] = told["model"]["vocab"]
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    for character in new:
        spelling = spell(character)[0][0]  # a letter for every byte
        for end in range(2, len(spelling) + 1):
            if spelling[:end] not in pieces:
                pieces[spelling[:end]] = len(pieces)
                told["model"]["merges"].append([spelling[: end - 1], spelling[end - 1]])
    return Tokenizer(_Tokenizer.from_str(json.dumps(told)))


def grown(omni: Omni, vocabulary: int, seed: int = 1) -> Omni:
    """A network with so many pieces that begins as `omni`, which stays as it is: text table, text head, recogniser's head.

    Raises ValueError for fewer pieces than there are, and for a recogniser that spells in others.
    """
    c = omni.config
    old = c.backbone.vocab_size
    if vocabulary < old or c.audio.ctc_vocab != old:
        raise ValueError(f"a vocabulary of {old} (the recogniser's: {c.audio.ctc_vocab}) cannot grow to {vocabulary}")
    sizes = replace(
        c, backbone=replace(c.backbone, vocab_size=vocabulary), audio=replace(c.audio, ctc_vocab=vocabulary)
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Omni(sizes)
        if omni.mtp is not None:
            made.add_mtp()
        apart = APART * torch.randn(vocabulary - old, c.backbone.hidden_size)
    state = omni.state_dict()
    for name in ("backbone.model.embed_tokens.weight", "backbone.lm_head.weight"):
        state[name] = more_rows(state[name], vocabulary, apart)
    for name in ("audio_encoder.output.weight", "audio_encoder.output.bias"):
        state[name] = more_rows(state[name], vocabulary)
    made.load_state_dict(state)
    return made.train(omni.training)


def more_rows(table: Tensor, rows: int, apart: Tensor | float = 0.0) -> Tensor:
    """[V, ...] to [rows, ...]: its own rows, and then the mean of those that nothing stands for, plus `apart`."""
    unsaid = table[UNSAID].mean(0, keepdim=True).expand(rows - len(table), *table.shape[1:])
    return torch.cat([table, unsaid + apart])


def grown_judge(judge: Judge, vocabulary: int) -> Judge:
    """One that reads so many pieces of the recogniser's, the new ones as nothing at all; the same object."""
    for member in judge.members:
        table: Tensor = member.letters.weight  # type: ignore[union-attr, assignment]
        member.letters = torch.nn.Embedding(vocabulary, table.shape[1])
        with torch.no_grad():
            member.letters.weight.zero_()[: len(table)] = table
    return judge.eval().requires_grad_(False)


def grow_checkpoint(source: Path, target: Path, new: Iterable[str]) -> None:
    """Write a checkpoint anew with pieces for some characters. Raises CheckpointError."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    tokenizer = extended(Tokenizer.load(source), new)
    save_release(grown(load_omni(source), tokenizer.vocab_size), target)
    tokenizer.save(target)
    for kind in (TurnEnd, Aside):
        judge = kind.load(source)
        if judge is not None:
            grown_judge(judge, tokenizer.vocab_size).save(target)
