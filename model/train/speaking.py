"""Kitten's voice: semantic codes, acoustic codes, and the decoder that turns them back into sound.

1. `train_semantic`: CTC on the replies, then k-means of the features: the semantic code.
2. `train_acoustic`: encoder and residual product quantiser, judged by how well log-mel frames come back from the codes
   through a small throw-away network. Cheap, because nothing runs at audio rate.
3. `train_decoder`: codes fixed, the release's causal waveform decoder learns to speak them: log-mel and multi-resolution
   STFT losses, and one for what comes back with every code (`texture`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.codecs.acoustic import MelAcousticEncoder, Residual
from vivavoce.codecs.decoder import LOOKAHEAD, SpeechDecoderNet
from vivavoce.codecs.fbank import FbankConfig, fbank, mel_matrix
from vivavoce.codecs.quantizer import ProductQuantizer, ResidualProductQuantizer
from vivavoce.codecs.semantic import FRAMES_PER_CODE, SemanticConfig, SemanticEncoder
from vivavoce.model.tokenizer import Tokenizer
from vivavoce.model.train.hearing import ctc_target, global_stats
from vivavoce.model.train.run import Recipe, batches_by_length, train
from vivavoce.model.train.sayings import Saying

FRAME_SAMPLES = 1440
"""Samples of 24 kHz sound in one code."""
PLACES = 24
"""In a code, where a decoder may be louder than it should."""


class Recordings:
    """The replies: sound, log-mel frames and text of every recording, by text."""

    def __init__(
        self, replies: Mapping[Saying, Sequence[np.ndarray]], scaling: tuple[np.ndarray, np.ndarray] | None = None
    ) -> None:
        """`scaling`: mean and scale [80] of the frames, where an encoder has learned with them; else those of the recordings."""
        self.sayings = [saying for saying in sorted(replies) for _ in replies[saying]]
        self.texts = [saying.text for saying in self.sayings]
        self.waves = [whole(wave) for saying in sorted(replies) for wave in replies[saying]]
        self.steps = [len(w) // FRAME_SAMPLES for w in self.waves]
        frames = [_frames(w) for w in self.waves]
        self.mean, self.scale = scaling or global_stats(np.concatenate(frames))
        self.frames = [(f - self.mean) * self.scale for f in frames]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Normalised frames [B, 6 T, 80] padded with zeros, steps [B]."""
        steps = torch.tensor([self.steps[i] for i in indices])
        x = torch.zeros(len(indices), int(steps.max()) * FRAMES_PER_CODE, 80)
        for row, i in zip(x, indices, strict=True):
            row[: len(self.frames[i])] = torch.from_numpy(self.frames[i])
        return x, steps


def whole(pcm: np.ndarray) -> np.ndarray:
    """Padded with silence to whole codes."""
    return np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))


def _frames(wave: np.ndarray) -> np.ndarray:
    """Log-mel frames, exactly six a code."""
    narrow = soxr.resample(wave.astype(np.float32) / 32768, 24_000, 16_000)
    count = len(wave) // FRAME_SAMPLES * FRAMES_PER_CODE
    return fbank(np.pad(narrow, (0, 640))[: count * 160 + 240], FbankConfig(amplitude=32767.0))[:count]


def train_semantic(
    recordings: Recordings, tokenizer: Tokenizer, config: SemanticConfig, recipe: Recipe, folder: Path
) -> SemanticEncoder:
    """A CTC recogniser of one voice and its codebook."""
    torch.manual_seed(11)
    encoder = SemanticEncoder(config)
    targets = [torch.tensor(ctc_target(tokenizer, t.lower().rstrip(".!?"))) for t in recordings.texts]
    batches = _endless(recordings.steps, 1200)

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        chosen = batches(step)
        x, steps = recordings.batch(chosen)
        torch.manual_seed(step)
        x = x + 0.3 * torch.randn_like(x)
        log_probs = encoder.ctc_logits(encoder(x, steps)).log_softmax(-1)
        wanted = [targets[i] for i in chosen]
        sizes = torch.tensor([len(w) for w in wanted])
        return F.ctc_loss(log_probs.transpose(0, 1), torch.cat(wanted), steps, sizes, zero_infinity=True), {}

    train(recipe, folder, encoder, loss_at)
    encoder.eval()
    with torch.inference_mode():
        features = torch.cat([encoder(recordings.batch([i])[0])[0] for i in range(0, len(recordings.texts), 2)])
    encoder.fit_codebook(features.clone())
    return encoder


class MelReader(nn.Module):
    """Semantic and acoustic latents [B, semantic + dim, T] back to log-mel frames [B, 6 T, 80]. Used in training alone."""

    def __init__(self, latent: int, width: int = 320) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(latent, width, 3, padding=1),
            *(Residual(width) for _ in range(3)),
            nn.Conv1d(width, FRAMES_PER_CODE * 80, 1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        return self.net(latents).transpose(1, 2).reshape(len(latents), -1, 80)  # type: ignore[no-any-return]


def train_acoustic(
    recordings: Recordings,
    semantic: Sequence[Tensor],
    decoder: SpeechDecoderNet,
    encoder: MelAcousticEncoder,
    recipe: Recipe,
    folder: Path,
) -> None:
    """Train `encoder` and the quantiser and semantic table inside `decoder`; `semantic` holds the codes [T] of each recording."""
    torch.manual_seed(12)
    reader = MelReader(decoder.cfg.semantic_dim + decoder.cfg.codec_dimension)
    parts = nn.ModuleDict(
        {
            "encoder": encoder,
            "reader": reader,
            "quantizer": decoder.acoustic_quantizer,
            "table": decoder.semantic_dequantizer,
        }
    )
    batches = _endless(recordings.steps, 600)
    latest: list[Tensor] = []

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        chosen = batches(step)
        x, steps = recordings.batch(chosen)
        table = decoder.semantic_dequantizer(nn.utils.rnn.pad_sequence([semantic[i] for i in chosen], batch_first=True))
        latent = encoder(x)
        quantised, codes, commit = decoder.acoustic_quantizer(latent)
        latest[:] = [latent.detach()]
        torch.manual_seed(step)
        if step % 4 == 0:  # now and then one stage less, so that the first stages carry the most
            kept = int(torch.randint(1, codes.shape[1] + 1, ()))
            quantised = quantised + (decoder.acoustic_quantizer.decode(codes[:, :kept]) - quantised).detach()
        mask = (torch.arange(x.shape[1])[None] < steps[:, None] * FRAMES_PER_CODE).unsqueeze(-1)
        distance = ((reader(torch.cat([table, quantised], 1)) - x).abs() * mask).sum() / (mask.sum() * 80)
        used = torch.tensor([len(c.unique()) for c in codes.unbind(1)]).float().mean()
        return distance + 0.25 * commit, {"mel": distance.item(), "used": used.item()}

    def after(step: int) -> None:
        if step % 10 == 0 and step < 0.7 * recipe.steps:
            revive(decoder.acoustic_quantizer, latest[0], step)

    train(recipe, folder, parts, loss_at, after=after)


@torch.no_grad()
def revive(quantizer: ResidualProductQuantizer, latent: Tensor, seed: int) -> None:
    """Entries that no column of `latent` [B, dim, T] chose take the place of one of its queries: no codebook dies out."""
    generator = torch.Generator().manual_seed(seed)
    residual = latent
    for stage in quantizer.quantizers:
        assert isinstance(stage, ProductQuantizer)
        quantised, codes, _ = stage(residual)
        for project, table, used in (
            (stage.in_proj_a, stage.codebook_a, codes // stage.codebook_size),
            (stage.in_proj_b, stage.codebook_b, codes % stage.codebook_size),
        ):
            queries = project(residual).transpose(1, 2).flatten(0, 1)
            dead = torch.bincount(used.flatten(), minlength=stage.codebook_size) == 0
            drawn = queries[torch.randint(len(queries), (int(dead.sum()),), generator=generator)]
            table.weight[dead] = drawn
        residual = residual - quantised


@torch.inference_mode()
def encode_all(
    recordings: Recordings, semantic: SemanticEncoder, encoder: MelAcousticEncoder, decoder: SpeechDecoderNet
) -> list[np.ndarray]:
    """int64 codes [T, 4] of every recording."""
    made = []
    for i in range(len(recordings.texts)):
        x, _ = recordings.batch([i])
        acoustic = decoder.acoustic_quantizer.encode(encoder(x))[0]
        made.append(torch.cat([semantic.encode(semantic(x))[0][None], acoustic]).T.numpy())
    return made


class SpectralLoss(nn.Module):
    """L1 between log-mel spectra and spectral convergence plus log magnitude at three resolutions (Parallel WaveGAN, 2019)."""

    mel: Tensor

    def __init__(self, sizes: Sequence[int] = (512, 1024, 2048)) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        mel = mel_matrix(FbankConfig(sample_rate=24_000, n_fft=1024, frame=1024, hop=240, low_hz=20.0, high_hz=-100.0))
        self.register_buffer("mel", torch.from_numpy(mel).float())
        for size in self.sizes:
            self.register_buffer(f"window{size}", torch.hann_window(size))

    def forward(self, made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N] and [B, N] to (loss, mel distance)."""
        total = made.new_zeros(())
        distance = total
        for size in self.sizes:
            a, b = self._magnitude(made, size), self._magnitude(real, size)
            total = total + (b - a).norm() / b.norm().clamp(min=1e-3) + (a.log() - b.log()).abs().mean()
            if size == 1024:
                bank = F.pad(self.mel, (0, a.shape[1] - self.mel.shape[-1]))
                distance = ((bank @ a).clamp(min=1e-4).log() - (bank @ b).clamp(min=1e-4).log()).abs().mean()
        return total / len(self.sizes) + 3.0 * distance, distance

    def _magnitude(self, wave: Tensor, size: int) -> Tensor:
        spectrum = torch.stft(wave, size, size // 4, window=getattr(self, f"window{size}"), return_complex=True)
        return (spectrum.real**2 + spectrum.imag**2 + 1e-7).sqrt()


def texture(made: Tensor, real: Tensor) -> Tensor:
    """By how much what is made hisses louder at some places of every code than at others, [B, N] and [B, N] of whole codes.

    Upsampling treats every place of a code by weights of its own, and spectra over several of them do not see where in a code their
    energy is. Here the high-passed energy of 24 places is compared, in nepers, averaged over all codes of the batch.
    """
    a, b = (_hiss(wave) for wave in (made, real))
    off = (a - b).mean((0, 1))
    return (off - off.mean()).abs().mean()


def _hiss(wave: Tensor) -> Tensor:
    """[B, N] -> log energy [B, codes, places]."""
    high = F.pad(wave.diff(n=2), (2, 0)) ** 2
    return (high.unflatten(1, (-1, PLACES, FRAME_SAMPLES // PLACES)).mean(-1) + 1e-9).log()


def train_decoder(
    waves: Sequence[np.ndarray],
    codes: Sequence[np.ndarray],
    decoder: SpeechDecoderNet,
    recipe: Recipe,
    folder: Path,
    *,
    items: int,
    crop: int,
) -> None:
    """Codes to sound, int16 waves of whole codes. The recurrent part reads whole replies, the rest only `crop` frames of each of
    `items` replies a step."""
    decoder.acoustic_quantizer.requires_grad_(False)
    spectral = SpectralLoss()
    steps = [len(wave) // FRAME_SAMPLES for wave in waves]
    usable = [i for i, n in enumerate(steps) if n > crop]

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([13, step])
        chosen = [usable[i] for i in rng.integers(0, len(usable), items)]
        padded = nn.utils.rnn.pad_sequence([torch.from_numpy(codes[i]) for i in chosen], batch_first=True).transpose(
            1, 2
        )
        memory = F.pad(decoder.decoder.memory(decoder.latents(padded)), (LOOKAHEAD, LOOKAHEAD))
        starts = [int(rng.integers(0, steps[i] - crop + 1)) for i in chosen]
        made = decoder.decoder.model(
            torch.stack([m[:, s : s + crop + 2 * LOOKAHEAD] for m, s in zip(memory, starts, strict=True)])
        )[:, 0]
        real = torch.from_numpy(
            np.stack(
                [waves[i][s * FRAME_SAMPLES : (s + crop) * FRAME_SAMPLES] for i, s in zip(chosen, starts, strict=True)]
            )
        )
        heard = real.float() / 32768
        loss, distance = spectral(made, heard)
        uneven = texture(made, heard)
        return loss + uneven, {"mel": distance.item(), "uneven": uneven.item()}

    train(recipe, folder, decoder, loss_at)
    decoder.acoustic_quantizer.requires_grad_(True)


def _endless(steps: Sequence[int], budget: int):  # type: ignore[no-untyped-def]
    """step -> indices of a batch; a new shuffle each epoch."""
    cache: dict[int, list[list[int]]] = {}
    count = len(batches_by_length(steps, budget, 0))

    def at(step: int) -> list[int]:
        epoch = step // count
        if epoch not in cache:
            cache.clear()
            cache[epoch] = batches_by_length(steps, budget, epoch)
        return cache[epoch][(step % count) % len(cache[epoch])]

    return at
