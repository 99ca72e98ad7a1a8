"""The corpus: dialogues, their user turns spoken by many voices, and kitten's replies in its own voice.

Everything is made on the spot from a seed (`build`), in parallel, and kept in a working folder outside the repository:

| file | content |
|---|---|
| `dialogues.pkl` | list of `Dialogue`, training |
| `users.pkl` | list of `Utterance`: text, voice, first row and number of rows in `users.npy`, one per degraded copy |
| `users.npy` | float16 [rows, 80] log-mel frames of all user utterances, end to end |
| `replies.pkl` | dict `Saying` -> list of recordings, int16 [samples] at 24 kHz |
"""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count, product
from pathlib import Path

import numpy as np
from rich.progress import Progress

from vivavoce.codecs.fbank import FbankConfig, fbank
from vivavoce.model.train import augment, skills, talk_skills, voices
from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.mandarin import lexicon as zh
from vivavoce.model.train.mandarin import talk_skills as talk_zh
from vivavoce.model.train.mandarin.words import exchanged_in, is_mandarin, named
from vivavoce.model.train.plan import Plan
from vivavoce.model.train.sayings import Saying, sayings
from vivavoce.model.train.turns import Dialogue, about_one_thing, exchanged, in_other_words, plural

SPEEDS = 0.88, 1.12
"""Of kitten's own voice, beside its usual one."""
STYLED_SPEEDS = 0.96, 1.04
"""The same where it speaks in some style: slow is to stay slow."""
LESSONS, ERRANDS = 0.4, 0.1
"""Dialogues about one subject, and with functions to call, for each mixed one."""
SHOWS = 0.1
"""The same before a camera that shows more than one scene."""
ALONE = 0.3
"""Share of strange sentences that are only words in a row."""
CROSSED = 0.7
"""Share of strange replies about things that are of another colour and shape, and nothing else."""
EXCHANGED = frozenset(word.lower() for word in lx.WORDS)


@dataclass(frozen=True)
class Utterance:
    """One spoken user sentence in `users.npy`."""

    text: str
    voice: voices.Voice
    start: int
    frames: int


def _user_features(job: tuple[str, int, int, str]) -> list[tuple[voices.Voice, np.ndarray]]:
    """(text, seed, copies, voice group) to that many degraded readings of one voice, each float16 [frames, 80]."""
    text, seed, copies, group = job
    voice, wave = read_aloud(text, seed, group)
    made = []
    for copy in range(copies):
        rng = np.random.default_rng([seed, copy])
        made.append((voice, fbank(augment.degrade(wave, rng), FbankConfig()).astype(np.float16)))
    return made


def read_aloud(text: str, seed: int, group: str) -> tuple[voices.Voice, np.ndarray]:
    """A voice that `seed` draws, and what it says, float32 [samples] at 16 kHz; the next one where that one cannot say the text."""
    language = "zh" if is_mandarin(text) else "en"
    for attempt in count():
        voice = voices.random_voice(random.Random(seed + attempt), group, language)
        try:
            return voice, voices.speak(text, voice)
        except LookupError:
            continue
    raise AssertionError("there is always another voice")


def _reply(job: tuple[Saying, float]) -> np.ndarray:
    """(what and how, speed) to kitten's own voice."""
    saying, speed = job
    return np.round(voices.own_voice(saying.text, speed, saying.style) * 32767).astype(np.int16)


def make_dialogues(
    count: int, recalls: int, seed: int, litter: int = 1, languages: Sequence[str] = ("en",)
) -> list[Dialogue]:
    """`count` mixed conversations and `recalls` that test memory over 1 to 7 turns, as many of each language, with translations
    where there are two; and lessons, if the litter has any. Never a held-out combination."""
    rng, made = random.Random(seed), list[Dialogue]()
    if skills.LITTERS[litter].shows and "en" in languages:
        made += [skills.show(rng, litter=litter) for _ in range(round(count * SHOWS))]
    translations = len(languages) > 1
    for language in languages:
        for _ in range(count // len(languages)):
            made.append(skills.dialogue(rng, litter=litter, language=language, translations=translations))
    for language in languages:
        for _ in range(recalls // len(languages)):
            made.append(skills.recall_dialogue(rng, rng.randint(1, 7), litter=litter, language=language))
    taught = skills.LITTERS[litter]
    for errands, some, share in ((False, taught.lessons, LESSONS), (True, taught.errands, ERRANDS)):
        lessons = round(count * share) if some else 0
        made += [skills.lesson(rng, rng.randint(1, 4), litter=litter, errands=errands) for _ in range(lessons)]
    rng.shuffle(made)
    return made


def build(
    folder: Path,
    *,
    dialogues: int,
    recalls: int,
    more_replies: int,
    strange_replies: int,
    answers: int,
    readings: int,
    strange_readings: int,
    least: int,
    copies: int,
    seed: int,
    workers: int,
    litter: int = 1,
    languages: Sequence[str] = ("en",),
) -> None:
    """Make the whole corpus; a file already there is kept, so a stopped run goes on.

    Args:
        dialogues: mixed conversations; `recalls`: conversations that test memory.
        more_replies: replies of other dialogues, which only teach speaking; `strange_replies`: those of no dialogue (`strange`);
            `answers`: how often every answer about one thing is recorded.
        readings: user turns read aloud, and more until every name and every favourite is in `least` of them;
            `strange_readings`: what no user would say.
        copies: degraded copies of each reading.
        litter: whose skills the dialogues are of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dialogues.pkl").exists():
        save(folder / "dialogues.pkl", make_dialogues(dialogues, recalls, seed, litter, languages))
    talk = load(folder / "dialogues.pkl")
    turns = [t for d in talk for t in d.turns]
    with ProcessPoolExecutor(workers) as pool, Progress() as progress:
        if not (folder / "replies.pkl").exists():
            said = {saying for turn in turns for saying in sayings(turn.reply, turn.style)}
            jobs = _reply_jobs(said, more_replies, strange_replies, answers, seed, litter, languages)
            replies: dict[Saying, list[np.ndarray]] = {}
            spoken = pool.map(_reply, jobs, chunksize=16)
            for (saying, _), wave in zip(jobs, progress.track(spoken, len(jobs), description="replies"), strict=True):
                replies.setdefault(saying, []).append(wave)
            save(folder / "replies.pkl", replies)
        if not (folder / "users.pkl").exists():
            jobs_read = _user_jobs([t.user for t in turns], readings, strange_readings, least, copies, seed)
            _read(folder, jobs_read, pool, progress)


def build_users(folder: Path, texts: list[str], plan: Plan, pool: Executor) -> None:
    """User turns alone, `plan` says how many, of the given texts."""
    jobs = _user_jobs(texts, plan.readings, plan.strange_readings, plan.least, plan.copies, plan.seed)
    with Progress() as progress:
        _read(folder, jobs, pool, progress)


def _read(folder: Path, jobs: list[tuple[str, int, int, str]], pool: Executor, progress: Progress) -> None:
    """Leave `users.npy` and `users.pkl`."""
    rows, made, position = [], [], 0
    results = progress.track(pool.map(_user_features, jobs, chunksize=16), len(jobs), description="user turns")
    for (text, *_), result in zip(jobs, results, strict=True):
        for voice, features in result:
            made.append(Utterance(text, voice, position, len(features)))
            rows.append(features)
            position += len(features)
    np.save(folder / "users.npy", np.concatenate(rows))
    save(folder / "users.pkl", made)


def join(folder: Path, other: Path) -> None:
    """Add the user turns of another working folder to those of this one. Raises FileNotFoundError."""
    made, more = load(folder / "users.pkl"), load(other / "users.pkl")
    rows = np.load(folder / "users.npy", mmap_mode="r")
    made += [replace(u, start=u.start + len(rows)) for u in more]
    part = folder / "users.part.npy"
    np.save(part, np.concatenate([rows, np.load(other / "users.npy", mmap_mode="r")]))
    part.rename(folder / "users.npy")
    save(folder / "users.pkl", made)


def strange(text: str, rng: random.Random) -> str:
    """The sentence with any words of kitten's world instead of its own, or a few such words by themselves.

    A network knows "my favourite fruit is" from "melon" by the words around it, and speaks "the animal is dog" as it has always
    spoken what begins like that. Where anything may follow anything it has to listen, and to read.
    """
    if is_mandarin(text):
        if rng.random() < ALONE:
            return "".join(rng.choices(zh.WORDS, k=rng.randint(1, 5)))
        return exchanged_in(text, {word: rng.choice(zh.WORDS) for word in sorted(set(named(text, zh.WORDS)))})
    if rng.random() < ALONE:
        return " ".join(rng.choices(lx.WORDS, k=rng.randint(1, 6)))
    made = []
    for word in text.split(" "):
        bare = word.rstrip(".,!?")
        made.append(rng.choice(lx.WORDS) + word[len(bare) :] if bare.lower() in EXCHANGED else word)
    return " ".join(made)


def crossed(text: str, rng: random.Random) -> str:
    """The sentence about things of other colours and shapes, as likely a pair that no picture shows."""
    return in_other_words(text, {**exchanged(tuple(lx.COLOURS), rng), **exchanged(lx.SHAPES, rng)})


def in_every_pair(text: str) -> set[str]:
    """The sentence about one thing, about a thing of every colour and shape; nothing of any other sentence."""
    if not about_one_thing(text):
        return set()
    if is_mandarin(text):
        one = [named(text, some) for some in (zh.COLOURS, zh.SHAPES)]
        return {
            exchanged_in(text, dict.fromkeys(one[0], colour) | dict.fromkeys(one[1], shape))
            for colour, shape in product(zh.COLOURS, zh.SHAPES)
        }
    words = [word.rstrip(".,!?") for word in text.split(" ")]
    own = {w for w in words if w in lx.COLOURS}, {s for s in lx.SHAPES if s in words or plural(s, 2) in words}
    pairs = product(lx.COLOURS, lx.SHAPES)
    return {
        in_other_words(text, dict.fromkeys(own[0], colour) | dict.fromkeys(own[1], shape)) for colour, shape in pairs
    }


def _reply_jobs(
    said: Collection[Saying],
    more: int,
    odd: int,
    answers: int,
    seed: int,
    litter: int = 1,
    languages: Sequence[str] = ("en",),
) -> list[tuple[Saying, float]]:
    """Everything said twice, as it is and at another speed; every answer about one thing that there could be `answers` times;
    `more` other replies and `odd` strange ones once.

    If each answer had one recording, its first codes would tell which answer it is (see `examples.STRANGE`), and speaking
    would be known by heart.
    """
    rng = random.Random(seed + 3)
    others = dict.fromkeys(
        saying
        for talk in make_dialogues(more * 6, 0, seed + 4, litter, languages)
        for turn in talk.turns
        for saying in sayings(turn.reply, turn.style)
        if saying not in said
    )

    def varied(saying: Saying) -> float:
        return rng.uniform(*(STYLED_SPEEDS if saying.style else SPEEDS))

    known = [(saying, speed) for saying in sorted(said) for speed in (1.0, varied(saying))]
    texts = {saying.text for saying in said}
    seen = [text for text in sorted(texts) if any(shape in text for shape in (*lx.SHAPES, *zh.SHAPES))] or sorted(texts)
    odd_ones = [
        crossed(rng.choice(seen), rng) if rng.random() < CROSSED else strange(rng.choice(sorted(texts)), rng)
        for _ in range(odd)
    ]
    short = sorted(set[str]().union(*map(in_every_pair, texts)) - set(texts))
    aloud = [
        (Saying(text), speed)
        for text in short
        for speed in (1.0, *SPEEDS, *(rng.uniform(*SPEEDS) for _ in range(answers)))[:answers]
    ]
    more_ones = (*list(others)[:more], *map(Saying, odd_ones))
    return known + aloud + [(saying, varied(saying)) for saying in more_ones]


def _user_jobs(
    texts: list[str], readings: int, odd: int, least: int, copies: int, seed: int
) -> list[tuple[str, int, int, str]]:
    """Every distinct text once, then the most frequent ones again until there are `readings` of them, then rare words, then
    `odd` strange sentences."""
    rng = random.Random(seed + 1)
    distinct = sorted(set(texts))
    chosen = distinct + [rng.choice(texts) for _ in range(max(0, readings - len(distinct)))]
    chosen += _with_rare_words(chosen, least, random.Random(seed + 2))
    chosen += [strange(text, rng) for text in rng.choices(distinct, k=odd)]
    return [(text, rng.randrange(2**31), copies, "seen") for text in chosen]


def _with_rare_words(texts: Sequence[str], least: int, rng: random.Random) -> list[str]:
    """More sentences that tell a name or a favourite, until every one of these is in `least` texts.

    Of 13 readings of a name among 15,000, ears learn nothing, and what is never heard is never recalled.
    """
    mandarin = [text for text in texts if is_mandarin(text)]
    if mandarin:
        return _with_rare_words([text for text in texts if not is_mandarin(text)], least, rng) + _with_rare_mandarin(
            mandarin, least, rng
        )
    said = Counter(word for text in texts for word in text.split(" "))
    wanted = {word for words in (lx.NAMES, *lx.FACTS.values()) for value in words for word in value.split(" ")}
    made: list[str] = []
    while texts and any(said[word] < least for word in wanted):
        text = talk_skills.told(rng).user
        if any(word in wanted and said[word] < least for word in text.split(" ")):
            made.append(text)
            said.update(text.split(" "))
    return made


def _with_rare_mandarin(texts: list[str], least: int, rng: random.Random) -> list[str]:
    """The same for Mandarin names and favourites."""
    wanted = {word for words in (zh.NAMES, *zh.FACTS.values()) for word in words}
    said = Counter(word for text in texts for word in named(text, wanted))
    made: list[str] = []
    while any(said[word] < least for word in wanted):
        text = talk_zh.told(rng).user
        if any(said[word] < least for word in named(text, wanted)):
            made.append(text)
            said.update(named(text, wanted))
    return made


def save(path: Path, value: object) -> None:
    """Pickle a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(value))
    part.rename(path)


def recordings(folder: Path) -> dict[Saying, list[np.ndarray]]:
    """What `build` recorded of kitten's own voice."""
    return {Saying.of(key): some for key, some in load(folder / "replies.pkl").items()}


def load(path: Path):  # type: ignore[no-untyped-def]
    """Unpickle a file that `build` wrote."""
    return pickle.loads(path.read_bytes())
