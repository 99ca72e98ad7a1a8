"""The whole network: what is heard, seen, read and said becomes one row of embeddings for the backbone.

A prompt is an integer array [T, 5]: a text id and four speech ids per position. Text id 136 stands for one 80 ms frame of the
user's sound and 142 for one visual token; their rows come from the encoders, in order.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vivavoce.model.audio_encoder import AudioProjector, FsmnEncoder
from vivavoce.model.backbone import Backbone
from vivavoce.model.config import OmniConfig
from vivavoce.model.mtp import MtpHead
from vivavoce.model.speech_head import AudioEmbeddings, AudioOutputLayers
from vivavoce.model.vision_encoder import VisionEncoder, VisionProjector

__all__ = ["AUDIO_PAD", "IMAGE_PAD", "Omni"]

AUDIO_PAD = 136
IMAGE_PAD = 142


class Omni(nn.Module):
    """LongCat-Flash-Omni."""

    def __init__(self, config: OmniConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.hidden_size
        self.backbone = Backbone(config.backbone)
        self.audio_encoder = FsmnEncoder(config.audio)
        self.audio_projector = AudioProjector(config.audio, width)
        self.vision_encoder = VisionEncoder(config.vision)
        self.vision_projector = VisionProjector(config.vision, width)
        self.audio_embeddings = AudioEmbeddings(config.speech, width)
        self.audio_output_layers = AudioOutputLayers(config.speech, width)
        self.mtp: MtpHead | None = None
        """The next-token-prediction head, where the checkpoint has one."""

    def add_mtp(self) -> None:
        """Give the network a fresh next-token-prediction head."""
        self.mtp = MtpHead(self.config.backbone)

    def embed_prompt(self, ids: Tensor, audio_rows: Tensor | None = None, visual_rows: Tensor | None = None) -> Tensor:
        """Prompt ids to embeddings.

        ids: int64 [T, 5] or [B, T, 5]. audio_rows [Na, D], visual_rows [Nv, D]: projected features for the positions whose
        text id is 136 and 142, in reading order over the batch; None for none. Returns [T, D] or [B, T, D].
        Raises ValueError when the number of rows and the number of positions differ, naming both.

        Pads count as nothing beside something; a position of nothing but pads is the text pad's own embedding.
        """
        flat, pad, quiet = ids.reshape(-1, 5), self.config.backbone.pad_token_id, self.config.speech.pad
        text = flat[:, 0]
        rows: Tensor = self.backbone.model.embed_tokens(text)
        spoken = (flat[:, 1:] != quiet).any(dim=1)
        rows = rows * ((text != pad) | ~spoken)[:, None].to(rows.dtype)
        for stream in range(self.config.speech.n_codebooks):
            where = (flat[:, 1 + stream] != quiet).nonzero()[:, 0]
            if where.shape[0]:
                said = self.audio_embeddings(stream, flat[where, 1 + stream])
                rows = rows.index_add(0, where, said.to(rows.dtype))
        rows = _place(rows, text == AUDIO_PAD, audio_rows, "sound")
        rows = _place(rows, text == IMAGE_PAD, visual_rows, "vision")
        return rows.view(*ids.shape[:-1], -1)

    def embed_step(self, text_ids: Tensor, codes: Tensor) -> Tensor:
        """The input after one decoding step: text_ids int64 [N], codes int64 [N, 4] -> [N, D].

        A negative id contributes nothing. Unlike in a prompt, pad ids are not special, and the speech streams are summed
        before the text is added.
        """
        audio = self._embed_or_nothing(self.audio_embeddings.audio_embeddings[0], codes[:, 0])
        for stream in range(1, self.config.speech.n_codebooks):
            audio = audio + self._embed_or_nothing(self.audio_embeddings.audio_embeddings[stream], codes[:, stream])
        return audio + self._embed_or_nothing(self.backbone.model.embed_tokens, text_ids)

    def see(self, patches: Tensor, grid: tuple[int, int]) -> Tensor:
        """Patches [N, P, patch_width] of N pairs of frames of one grid -> visual rows [N, P / 2, D]."""
        rows: Tensor = self.vision_projector(self.vision_encoder(patches, grid))
        return rows

    def hear(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Spliced features [B, T, input_size] of whole clips -> audio rows [B, T, D]."""
        rows: Tensor = self.audio_projector(self.audio_encoder(features, lengths))
        return rows

    @staticmethod
    def _embed_or_nothing(table: nn.Module, ids: Tensor) -> Tensor:
        rows: Tensor = table(ids.clamp(min=0))
        return rows * (ids >= 0)[:, None].to(rows.dtype)

    @property
    def device(self) -> torch.device:
        return self.backbone.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.backbone.lm_head.weight.dtype


def _place(rows: Tensor, positions: Tensor, features: Tensor | None, what: str) -> Tensor:
    """Put `features` [n, D] at the true `positions` [T] of `rows` [T, D]."""
    where = positions.nonzero()[:, 0]
    given = 0 if features is None else features.shape[0]
    if given != where.shape[0]:
        raise ValueError(f"the prompt has {where.shape[0]} positions for {what}, got {given} rows")
    if features is None or given == 0:
        return rows
    return rows.index_copy(0, where, features.to(rows.dtype))
