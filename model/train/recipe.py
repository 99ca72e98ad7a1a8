"""The recipe: from nothing to a checkpoint directory, stage by stage, each resumable and each leaving its files in one folder.

| stage | makes | needs |
|---|---|---|
| `corpus` | dialogues, user turns, replies | |
| `tokenizer` | tokenizer.json | corpus |
| `codec` | codec_init.pt, codec_encoder.pt | corpus, tokenizer |
| `codes` | codes.pkl: the replies as codes | codec |
| `voice` | voice.pt: the waveform decoder | codec |
| `second_voice` | second_voice.pt: another one that speaks the same codes, revoiced.pkl: what it learned from | codes, voice |
| `ears` | ears.pt: audio encoder, global_cmvn | corpus, tokenizer |
| `first_eyes` | first_eyes.pt: vision encoder and projector, with fewer layers | |
| `eyes` | eyes.pt: the same with all layers | first_eyes |
| `further_eyes` | further_eyes.pt: eyes that see what the second litter is asked, if the plan's litter is | eyes |
| `writing` | writing.pt: dialogues in writing | tokenizer |
| `sights` | sights.npz: what the pictures show, in the eyes' own words | further_eyes or eyes |
| `sounds` | heard.pkl: what the audio encoder makes of the user turns; pieces.pkl: where their words are | ears |
| `growth` | grown.pt: a deeper language model, if the plan has one | writing |
| `talking` | talking.pt: all dialogues | codes, writing or grown, sights, sounds |
| `alignment` | alignment.pt: ears that a frozen language model understands better | talking, sounds |
| `dpo` | pairs.pkl: its own answers, better and worse; dpo.pt: what it has learned of them | talking |
| `checkpoint` | the release's directory layout | all |

`voice` and `second_voice` may run beside everything after `codes`; `ears` beside `codec`.

A checkpoint that is trained further (`further.py`) stands for all stages but `corpus`, `codes`, `sounds`, `further_eyes`,
`sights`, `growth` and `talking`.
"""

from __future__ import annotations

import json
import pickle
import string
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.codecs.acoustic import MelAcousticEncoder
from vivavoce.codecs.config import VOICES
from vivavoce.codecs.decoder import SpeechDecoderNet
from vivavoce.codecs.fbank import write_cmvn
from vivavoce.codecs.semantic import SemanticEncoder
from vivavoce.model.functions import described, written
from vivavoce.model.images import visual_tokens
from vivavoce.model.omni import Omni
from vivavoce.model.tokenizer import train_tokenizer
from vivavoce.model.train import (
    corpus,
    dpo,
    growth,
    hearing,
    kitten,
    noticing,
    preferences,
    sights,
    speaking,
    talking,
    vocabulary,
)
from vivavoce.model.train.apart import crew as crews
from vivavoce.model.train.apart.crew import ALONE, Crew
from vivavoce.model.train.apart.lesson import train_apart
from vivavoce.model.train.apart.senses import Ears, Eyes
from vivavoce.model.train.collage import Collage, Piece, cut
from vivavoce.model.train.examples import INSTRUCTIONS, Example, Stage
from vivavoce.model.train.further import speaking_parts
from vivavoce.model.train.lagging import Lagging
from vivavoce.model.train.lexicon import CONTENT
from vivavoce.model.train.mandarin.words import is_mandarin
from vivavoce.model.train.pantry import HEIGHT, WIDTH, Pantry
from vivavoce.model.train.plan import (
    ALIGNMENT_SHARES,
    FURTHER_SHARES,
    LAST,
    LAST_SHARES,
    LAST_VOICED,
    QUIET,
    REFERENCE,
    SHARES,
    VOICED,
    Plan,
    with_lessons,
)
from vivavoce.model.train.practice import Practice
from vivavoce.model.train.run import Recipe, cast, save
from vivavoce.model.train.sayings import Saying
from vivavoce.model.weights import save_release

LONGEST = 800
"""Positions of a conversation; then the oldest turns are forgotten, pictures first. It practises on seven turns, four before the
camera: of ten questions about one picture it had half right when it remembered all of them, and three quarters with 1 200. With
20 s of camera between the turns even those are too many: of third to sixth answers 22 in 40 had less than 60 % of the sound that
their words need; with this limit, and four frames kept between turns instead of eight, 1 in 80."""
NOISE = 0.05
"""On sound and pictures, while the language model learns; see `talking.hidden_states`."""
FURTHER_RATE = 6e-4
"""Peak rate of ears that can hear already."""

ATTENTION = ("q_a_proj.weight", "q_b_proj.weight", "kv_a_proj_with_mqa.weight", "kv_b_proj.weight", "o_proj.weight")
EARS = ("ffn.0.weight", "ffn.1.weight", "ffn.2.weight", "ffn.3.weight", "dnn.0.weight", "dnn.2.weight")
"""Matrices that `Muon` trains."""


class Kitchen:
    """One working folder and its plan."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan, self.pantry = folder, plan, Pantry(folder, plan)
        folder.mkdir(parents=True, exist_ok=True)

    def corpus(self) -> None:
        p = self.plan
        corpus.build(
            self.folder,
            dialogues=p.dialogues,
            recalls=p.recalls,
            more_replies=p.more_replies,
            strange_replies=p.strange_replies,
            answers=p.answers,
            readings=p.readings,
            strange_readings=p.strange_readings,
            least=p.least,
            copies=p.copies,
            seed=p.seed,
            workers=p.workers,
            litter=p.litter,
            languages=p.languages,
        )

    def tokenizer(self) -> None:
        texts = ["SYSTEM:", "USER:", "ASSISTANT:", "VOICE ASSISTANT:", "\n"] * 500
        texts += [f"second{{{i}.{j}}}:" for i in range(100) for j in range(10)] + list(INSTRUCTIONS) * 20
        texts += [f" {some}" for word in CONTENT for some in (word, word.lower())] * 20
        for talk in self.pantry.talk():
            texts += [text for text in (described(talk.functions), talk.instructions) if text]
            for turn in talk.turns:
                texts += [written(turn.called), turn.returned] if turn.called else []
                texts += [" " + turn.user, " " + turn.user.lower(), " " + turn.reply.lower().rstrip(".!?"), turn.reply]
        if self.plan.litter > 1:  # what is spelled needs every letter as a piece
            texts += [f" {letter}" for letter in string.ascii_uppercase] * 200
            texts += [f" {word}" for words in noticing.NEW_NAMES.values() for word in words] * 20
        tokenizer = train_tokenizer([text for text in texts if not is_mandarin(text)], kitten.VOCABULARY)
        if "zh" in self.plan.languages:
            tokenizer = vocabulary.extended(tokenizer, vocabulary.characters())
        tokenizer.save(self.folder)

    def codec(self) -> None:
        recordings, tokenizer = self.pantry.recordings(), self.pantry.tokenizer()
        recipe = Recipe("semantic", self.plan.semantic_steps, 1.5e-3)
        semantic = speaking.train_semantic(
            recordings, tokenizer, kitten.semantic_config(tokenizer.vocab_size), recipe, self.folder
        )
        with torch.inference_mode():
            first = [semantic.encode(semantic(recordings.batch([i])[0]))[0] for i in range(len(recordings.texts))]
        torch.manual_seed(self.plan.seed)
        decoder, encoder = (
            SpeechDecoderNet(kitten.codec_config()),
            MelAcousticEncoder(kitten.codec_config().codec_dimension),
        )
        with torch.no_grad():
            decoder.semantic_dequantizer.dequant.weight.copy_(semantic.codebook.T)
        recipe = Recipe("acoustic", self.plan.acoustic_steps, 2e-3)
        speaking.train_acoustic(recordings, [c.clone() for c in first], decoder, encoder, recipe, self.folder)
        encoders = {"semantic": semantic.state_dict(), "acoustic": encoder.state_dict()}
        scaling = {"mean": torch.from_numpy(recordings.mean), "scale": torch.from_numpy(recordings.scale)}
        save(self.folder / "codec_encoder.pt", encoders | scaling)
        save(self.folder / "codec_init.pt", {"decoder": decoder.state_dict()})

    def codes(self) -> None:
        """Every recording of a reply as codes."""
        saved = torch.load(self.folder / "codec_encoder.pt", weights_only=True)
        decoder = self.pantry.codec().net if self.pantry.taken else self.pantry.decoder("codec_init.pt")
        spelled = len(saved["semantic"]["output.weight"])
        semantic = SemanticEncoder(kitten.semantic_config(spelled)).eval()
        acoustic = MelAcousticEncoder(kitten.codec_config().codec_dimension).eval()
        semantic.load_state_dict(saved["semantic"])
        acoustic.load_state_dict(saved["acoustic"])
        recordings = self.pantry.recordings((saved["mean"].numpy(), saved["scale"].numpy()))
        by_saying: dict[Saying, list[np.ndarray]] = {}
        made = speaking.encode_all(recordings, semantic, acoustic, decoder)
        for saying, some in zip(recordings.sayings, made, strict=True):
            by_saying.setdefault(saying, []).append(some)
        _dump(self.folder / "codes.pkl", by_saying)

    def voice(self) -> None:
        recordings, decoder = self.pantry.recordings(), self.pantry.decoder("codec_init.pt")
        codes = [some for _, recorded in sorted(self.pantry.codes().items()) for some in recorded]
        recipe = Recipe("voice", self.plan.voice_steps, 8e-4, betas=(0.8, 0.99), weight_decay=0.01)
        speaking.train_decoder(recordings.waves, codes, decoder, recipe, self.folder, items=12, crop=6)

    def second_voice(self) -> None:
        """The first voice's decoder learns to speak its codes lower: what it says is what was said, revoiced, moment by moment."""
        readings = self.pantry.revoiced()
        waves = [speaking.whole(wave) for _, wave in readings]
        steps = self.plan.second_voice_steps
        recipe = Recipe("second_voice", steps, 8e-4, betas=(0.8, 0.99), weight_decay=0.01)
        codes = [some for some, _ in readings]
        speaking.train_decoder(waves, codes, self.pantry.first_voice(), recipe, self.folder, items=8, crop=6)

    def ears(self) -> None:
        utterances, rows = self.pantry.users()
        torch.manual_seed(self.plan.seed)
        encoder, rate = Omni(self.pantry.config).audio_encoder, 1.2e-3
        if self.plan.further:
            encoder.load_state_dict(torch.load(self.folder / "young_ears.pt", weights_only=True)["modules"])
            rate = FURTHER_RATE
        else:
            write_cmvn(self.folder / "global_cmvn", rows[:: max(1, len(rows) // 300_000)].astype(np.float32))
        hearing.train_ears(
            encoder,
            self.pantry.ears(utterances, rows),
            self.pantry.tokenizer(),
            Recipe("ears", self.plan.ears_steps, rate, orthogonal=EARS),
            self.folder,
            tokens=self.plan.ears_tokens,
            flat_start=0.0 if self.plan.further else hearing.FLAT_START,
        )

    def first_eyes(self) -> None:
        sights.first_eyes(self.pantry)

    def eyes(self) -> None:
        sights.eyes(self.pantry)

    def further_eyes(self) -> None:
        """What the second litter sees; nothing for the first."""
        if self.plan.litter > 1:
            sights.further_eyes(self.pantry)

    def sights(self) -> None:
        """What the eyes can name in the training pictures and in their mirror images, and the scenes they show."""
        sights.name(self.pantry)

    def sounds(self) -> None:
        """Audio-encoder outputs of every user utterance, by text, and where in them each word is."""
        utterances, rows = self.pantry.users()
        omni, heard, pieces = self.pantry.omni("ears"), dict[str, list[np.ndarray]](), dict[str, list[Piece]]()
        tokenizer = self.pantry.tokenizer()
        ears = self.pantry.ears(utterances, rows)
        with torch.inference_mode():
            for index, utterance in enumerate(utterances):
                x, lengths = ears.batch([index], None)
                outputs, text = omni.audio_encoder(x, lengths)[0], utterance.text
                readings = heard.setdefault(text, [])
                for word, start, stop in cut(
                    omni.audio_encoder.ctc_logits(outputs).argmax(-1).tolist(), text, tokenizer
                ):
                    pieces.setdefault(word, []).append(Piece(text, len(readings), start, stop))
                readings.append(outputs.half().numpy())
        _dump(self.folder / "heard.pkl", heard)
        _dump(self.folder / "pieces.pkl", pieces)

    def writing(self) -> None:
        """Dialogues in writing, which need neither ears nor eyes nor voice; most of them drills at first."""
        stage = Stage(self.pantry.tokenizer(), {}, {}, lambda _: np.zeros(0), 0)
        practice = Practice(stage, [], [], self.plan.talk_rows, litter=self.plan.litter)
        steps = self.plan.writing_steps

        def batches(step: int) -> list[list[Example]]:
            drill = max(0.1, 0.8 - 1.2 * step / steps)
            return practice.batches(
                step, with_lessons({"drill": drill, "talk": 1 - drill}, self.plan.litter), voiced=0.0
            )

        recipe = Recipe("writing", steps, 3e-3, warmup=0.03, orthogonal=ATTENTION)
        talking.train_talk(self.pantry.omni(), batches, recipe, self.folder)

    def growth(self) -> None:
        """The language model, grown to the plan's layers; nothing where it has none."""
        if self.plan.layers:
            deeper = growth.grown(self.pantry.omni("writing"), self.plan.layers, growth.WAY)
            save(self.folder / "grown.pt", {"modules": nn.ModuleDict(speaking_parts(deeper)).state_dict()})

    def talking(self, crew: Crew | None = None) -> None:
        """Everything: in writing, by voice, with the camera, and, once the answers are right, aloud; by a crew, if there is one
        or an encoder learns along."""
        practice, omni = self.practice(), self.pantry.omni("ears", self.pantry.last("talking"), self.pantry.eyes)
        self.hear_in_words(omni)
        sights.say(self.pantry, omni)
        self.settle(omni)
        steps = self.plan.talking_steps

        lagging = Lagging(self.folder / "talking.jsonl", REFERENCE) if self.plan.lagging else None
        if lagging is not None and (crew is not None or self.plan.along):
            raise ValueError("shares that follow what lags need `talking` in one process, without encoders along")

        def shares(step: int) -> Mapping[str, float]:
            fixed = FURTHER_SHARES if self.plan.further else LAST_SHARES if step > LAST * steps else SHARES
            fixed = with_lessons(fixed, self.plan.litter)
            return fixed if lagging is None else lagging.shares(step, fixed)

        def batches(step: int) -> list[list[Example]]:
            late = self.plan.further or step > LAST * steps
            voiced = LAST_VOICED if late else VOICED if step > QUIET * steps else 0.0
            return practice.batches(step, shares(step), voiced=voiced)

        def kinds(step: int) -> list[str]:
            return practice.kinds(step, shares(step))

        gentle = ("audio_encoder.", "vision_encoder.", "vision_projector.p0.")
        recipe = Recipe("talking", steps, self.plan.talking_rate, warmup=0.02, orthogonal=ATTENTION, gentle=gentle)
        if crew is None and not self.plan.along:
            z = self.plan.hidden_z
            talking.train_talk(
                omni, batches, recipe, self.folder, noise=NOISE, hidden_z=z, kinds_at=kinds, lagging=lagging
            )
        else:
            self.talk_apart(crew or ALONE, omni, batches, recipe)

    def talk_apart(self, crew: Crew, omni: Omni, batches: Callable[[int], list[list[Example]]], recipe: Recipe) -> None:
        """`talking.train_talk` by a crew, with the encoders that learn along."""
        ears = eyes = None
        if "ears" in self.plan.along:
            ears = Ears(omni.audio_encoder, omni.audio_projector, NOISE)
        if "eyes" in self.plan.along:
            names = torch.from_numpy(np.load(self.folder / "sights.npz")["names"])
            omni.vision_projector.p0.requires_grad_(True)
            eyes = Eyes(omni.vision_encoder, omni.vision_projector, names, self.pantry.grid, NOISE)
        z = self.plan.hidden_z
        train_apart(crew, omni, batches, recipe, self.folder, ears=ears, eyes=eyes, noise=NOISE, hidden_z=z)

    def hear_in_words(self, omni: Omni) -> None:
        """Fit the audio projector to the words heard in what it projects."""
        recipe = Recipe("projector", self.plan.projector_steps, 2e-3, weight_decay=0.01)
        talking.hear_in_words(omni, corpus.load(self.folder / "heard.pkl"), recipe, self.folder)

    def practice(self, *, listening: bool = False) -> Practice:
        """All that there is to practise on; `listening`: with what the ears are given, not with what they have made of it."""
        along = self.plan.along
        heard = self.pantry.unheard() if "ears" in along or listening else corpus.load(self.folder / "heard.pkl")
        shown = sights.Shown(self.pantry, looking="eyes" in along)
        collage = Collage(heard, corpus.load(self.folder / "pieces.pkl"))
        tokens = visual_tokens(HEIGHT, WIDTH, self.pantry.config.vision)
        tokenizer, codes = self.pantry.tokenizer(), self.pantry.codes()
        stage, unerring = (
            Stage(tokenizer, heard, codes, look, tokens, collage, shown.words) for look in (shown.seen, shown.clear)
        )
        recorded = [talk for talk in self.pantry.talk() if talk.scene is None]
        litter, rows = self.plan.litter, self.plan.talk_rows
        return Practice(stage, shown.scenes, recorded, rows, unerring, litter=litter, changes=shown.changes)

    def alignment(self, crew: Crew | None = None) -> None:
        """Audio encoder and projector learn from what a frozen language model answers to what they tell it (report, stage 5)."""
        if self.plan.along:
            raise ValueError("`alignment` is for the ears alone: run it without --along")
        omni = self.pantry.omni("ears", self.pantry.eyes, self.pantry.last("alignment")).requires_grad_(False)
        ears = Ears(omni.audio_encoder, omni.audio_projector, NOISE)
        ears.module.requires_grad_(True)
        practice = self.practice(listening=True)

        def batches(step: int) -> list[list[Example]]:
            return practice.batches(step, ALIGNMENT_SHARES, voiced=0.0, typed={})

        recipe = Recipe("alignment", self.plan.alignment_steps, self.plan.alignment_rate, warmup=0.04)
        # The routers' bias belongs to the language model: it stays as well.
        train_apart(crew or ALONE, omni, batches, recipe, self.folder, ears=ears, noise=NOISE, bias_rate=0.0)

    def dpo(self) -> None:
        """Answers that the language model gives itself, and learns to prefer the better of."""
        if self.plan.along:
            raise ValueError("`dpo` learns from what was encoded before: run it without --along")
        before = self.pantry.last("dpo")
        practice, omni = self.practice(), self.pantry.omni("ears", self.pantry.eyes, before)
        asker = self.pantry.omni("ears", self.pantry.eyes, before)
        pairs = preferences.gather(asker, practice, self.plan.questions, self.folder, self.plan.seed)
        self.settle(omni)
        recipe = Recipe("dpo", self.plan.dpo_steps, self.plan.dpo_rate, warmup=0.03, orthogonal=ATTENTION)
        dpo.train_preferences(omni, pairs, recipe, self.folder)

    @staticmethod
    def settle(omni: Omni) -> None:
        """Freeze what sound and pictures are said in: they speak the language of the table, and would not follow it."""
        for settled in (omni.audio_projector, omni.vision_projector, omni.backbone.model.embed_tokens):
            settled.requires_grad_(False)

    def checkpoint(self, target: Path) -> None:
        """Write the release layout from whatever the last steps are."""
        omni = self.pantry.omni("ears", self.pantry.eyes, self.pantry.last())
        save_release(omni, target)
        self.pantry.tokenizer().save(target)
        (target / "audio" / "global_cmvn").write_bytes((self.folder / "global_cmvn").read_bytes())
        for voice in self.pantry.voices():
            voice.save(target / "audio_codec" / voice_folder(voice.net.cfg.voice), torch.bfloat16)
        # What turns recordings into codes: never used to talk, but without it nobody could train this checkpoint further.
        save(
            target / "audio_codec" / "encoder.pt",
            cast(torch.load(self.folder / "codec_encoder.pt", weights_only=True), torch.bfloat16),
        )
        generation = {
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 3,
            "do_sample": False,
            "audio_repetition_penalty": 1.0,
            "max_length": LONGEST,
        }
        (target / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def voice_folder(name: str) -> str:
    """Where in `audio_codec` a voice of kitten's lies."""
    return "" if name == kitten.VOICE else f"{VOICES}/{name}"


def talk_together(folder: Path, plan: Plan, processes: int) -> None:
    """The stage `talking` in so many processes. Raises `apart.crew.CrewError` when one of them fails."""
    kitchen = Kitchen(folder, plan)
    kitchen.hear_in_words(kitchen.pantry.omni("ears", kitchen.pantry.last("talking")))  # once; all of them find it done
    crews.run(_talk, processes, folder, plan)


def _talk(crew: Crew, folder: Path, plan: Plan) -> None:
    Kitchen(folder, plan).talking(crew)


def _dump(path: Path, value: object) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(value, protocol=4))
    part.rename(path)


STAGES = (
    "corpus",
    "tokenizer",
    "codec",
    "codes",
    "voice",
    "second_voice",
    "ears",
    "first_eyes",
    "eyes",
    "further_eyes",
    "writing",
    "sounds",
    "sights",
    "growth",
    "talking",
)
"""In an order that works."""
MORE = ("dpo", "alignment")
"""What may follow `talking`, in this order: `dpo` learns from what the ears of before have heard."""
