"""Kitten's sizes, and the steps of its recipe. Everything here is written into the checkpoint; no other code knows it."""

from __future__ import annotations

from vivavoce.codecs.config import CodecConfig
from vivavoce.codecs.semantic import SemanticConfig
from vivavoce.model.config import AudioConfig, BackboneConfig, OmniConfig, SpeechConfig, VisionConfig

VOCABULARY = 1280
VOICE, SECOND_VOICE = "nora", "hugo"
"""What its voices are called."""
LOWER = 0.56, 0.84
"""Pitch and formants of the second voice beside the first one's: some 118 Hz instead of 210."""
SEMANTIC_CODES = 512
FIRST_LAYERS = 5
"""Layers of the vision encoder that learn to see before the others come to count."""
CODEBOOK = 20
"""Entries of each half of an acoustic codebook: 400 product codes."""


def config(vocabulary: int = VOCABULARY) -> OmniConfig:
    """The whole network, with so many pieces of text."""
    codes = max(SEMANTIC_CODES, CODEBOOK**2)
    return OmniConfig(
        backbone=BackboneConfig(
            vocab_size=vocabulary, hidden_size=256, num_layers=3, num_attention_heads=4, q_lora_rank=64, kv_lora_rank=64,
            qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, ffn_hidden_size=512, expert_ffn_hidden_size=160,
            n_routed_experts=12, zero_expert_num=6, moe_topk=3, routed_scaling_factor=1.5, rope_theta=1e5,
            max_position_embeddings=32768,
        ),
        audio=AudioConfig(
            width=224, ffn_hidden=672, layers_causal=6, layers_lookahead=3, ctc_vocab=vocabulary, projector_hidden=512,
        ),
        vision=VisionConfig(
            num_hidden_layers=7, hidden_size=128, num_attention_heads=4, intermediate_size=480, layer_scale_init=1.0,
            adaptor_dim=256, resize_factor=2, min_tokens=32, max_tokens=96,
        ),
        speech=SpeechConfig(audio_vocab=32 + codes, codebook_sizes=(SEMANTIC_CODES, CODEBOOK**2, CODEBOOK**2, CODEBOOK**2)),
    )  # fmt: skip


def codec_config(voice: str = VOICE) -> CodecConfig:
    """The voice decoder, of one voice or the other: sizes and codes are the same."""
    return CodecConfig(
        codec_dimension=64, semantic_dim=144, semantic_token_nums=SEMANTIC_CODES, codec_codebook_size=CODEBOOK, decoder_dim=192,
        encoder_dim=16, ckpt_path="decoder_24k_4codebooks.pt", voice=voice,
    )  # fmt: skip


def semantic_config(vocabulary: int = VOCABULARY) -> SemanticConfig:
    """The tokenizer side of the codec; not shipped."""
    return SemanticConfig(
        dim=144, layers=4, heads=4, ffn=432, token_nums=SEMANTIC_CODES, channels=16, ctc_vocab=vocabulary
    )
