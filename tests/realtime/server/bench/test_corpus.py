"""Who says what, and where in a file they say it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from signals import sounding

from vivavoce.realtime.server.bench import corpus
from vivavoce.realtime.server.bench.script import KINDS, PAUSING
from vivavoce.realtime.server.bench.sound import audible, ms, samples
from vivavoce.realtime.server.serving import Unusable

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def write(folder: Path, name: str, pcm: np.ndarray, rate: int = 24_000) -> None:
    soundfile.write(folder / name, pcm, rate, subtype="PCM_16")


def test_labels_are_samples_of_the_file_whatever_its_rate(tmp_path: Path) -> None:
    write(tmp_path, "a.wav", np.full(16_000, 0.1), rate=16_000)
    label = {"file": "a.wav", "kind": "pausing", "text": "hm", "speech": [[1_600, 8_000], [9_600, 16_000]]}
    (tmp_path / "labels.json").write_text(json.dumps({"clips": [label]}))
    (clip,) = corpus.read_corpus(tmp_path).clips
    assert (clip.kind, clip.text, clip.name) == ("pausing", "hm", "a")
    assert clip.speech == ((2_400, 12_000), (14_400, 24_000))


def test_without_labels_silero_says_where_somebody_speaks(tmp_path: Path, wire_question: np.ndarray) -> None:
    pcm = np.concatenate([np.zeros(samples(500)), wire_question, np.zeros(samples(700))])
    write(tmp_path, "question.wav", pcm)
    (clip,) = corpus.read_corpus(tmp_path).clips
    loud = audible(clip.pcm)
    assert clip.kind == "question"
    assert clip.speech[-1][1] == pytest.approx(loud[-1][1], abs=samples(30))
    assert clip.speech[0][0] == pytest.approx(loud[0][0], abs=samples(60))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("nonsense", "cannot be read"),
        ('{"clips": [{"file": "a.wav", "kind": "song"}]}', "kind 'song'"),
        ('{"clips": [{"file": "a.wav", "speech": []}]}', "nobody speaks"),
        ('{"clips": [{"file": "a.wav", "speech": [[9, 3]]}]}', "nobody speaks"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: str, said: str) -> None:
    write(tmp_path, "a.wav", sounding(500, (0, 500)))
    (tmp_path / "labels.json").write_text(labels)
    with pytest.raises(Unusable, match=said):
        corpus.read_corpus(tmp_path)


def test_an_empty_folder_and_a_kind_that_is_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="holds no sound files"):
        corpus.read_corpus(tmp_path)
    with pytest.raises(Unusable, match="no clip of the kind 'noise'"):
        corpus.Corpus("mine", ()).of("noise")


@needs_espeak
def test_the_corpus_of_its_own_has_every_kind_and_exact_labels(tmp_path: Path) -> None:
    made = corpus.own_corpus(tmp_path)
    assert {clip.kind for clip in made.clips} == set(KINDS)
    for clip in made.clips:
        assert clip.speech[0][0] == 0 and clip.speech[-1][1] <= len(clip.pcm)
        for first, behind in clip.speech:
            loud = audible(clip.pcm[first:behind])
            assert loud[0][0] < samples(5) and behind - first - loud[-1][1] < samples(
                30
            )  # where a voice dies away slowly
    pauses = [ms(b[0] - a[1]) for clip in made.of(PAUSING) for a, b in zip(clip.speech, clip.speech[1:], strict=False)]
    assert min(pauses) >= 299 and max(pauses) <= 1_501 and max(pauses) - min(pauses) > 1_100


@needs_espeak
def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus.own_corpus(tmp_path)
    monkeypatch.setattr(corpus, "say", None)
    assert len(corpus.own_corpus(tmp_path).clips) > 30


def test_without_a_synthesizer_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus.shutil, "which", lambda name: None)
    with pytest.raises(Unusable, match="install espeak-ng"):
        corpus.own_corpus(tmp_path)


def test_a_shuffle_uses_every_clip_as_often_as_the_others() -> None:
    clips = [corpus.joined(str(n), "question", [sounding(50, (0, 50))], [], "") for n in range(3)]
    drawn = [clip.name for clip in corpus.shuffled(clips, 7, seed=1)]
    assert sorted(drawn.count(str(n)) for n in range(3)) == [2, 2, 3]
    assert drawn == [clip.name for clip in corpus.shuffled(clips, 7, seed=1)]
