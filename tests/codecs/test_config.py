"""The codec's yaml, in the words of the release."""

from pathlib import Path

import pytest

from vivavoce.codecs.config import CodecConfig

RELEASED = """
codec_config:
  codec_dimension: 1024
  codec_dec_ratios: [8, 6, 6, 5]
  decoder_dim: 1536
  semantic_dim: 1280
  decoder_type: 24k
  codec_codebook_size: 90
  codec_codebook_search_dim: 8
  codec_codebooks: 3
  semantic_token_nums: 8192
  ckpt_path: ckpts/LongCatAudioCodec_decoder_24k_4codebooks.pt
"""


def test_the_released_yaml_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(RELEASED)
    cfg = CodecConfig.read(tmp_path / "config.yaml")
    assert cfg == CodecConfig(ckpt_path="ckpts/LongCatAudioCodec_decoder_24k_4codebooks.pt")
    assert (cfg.latent_dim, cfg.frame_samples, cfg.acoustic_codes) == (2304, 1440, 8100)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    cfg = CodecConfig(codec_dimension=64, decoder_dim=192, enc_ratios=(2, 4), ckpt_path="voice.pt")
    cfg.write(tmp_path / "config.yaml")
    assert CodecConfig.read(tmp_path / "config.yaml") == cfg


@pytest.mark.parametrize(
    "text, said",
    [
        ("codec_config: {codec_dimension: 63}", "even, got 63"),
        ("codec_config: {decoder_dim: 100}", "multiple of 16 .* got 100"),
        ("codec_config: {codec_codebooks: 0}", "codec_codebooks must be at least 1, got 0"),
        ("codec_config: {codec_dec_ratios: [8, 0]}", r"got \[8, 0\]"),
        ("codec_config: {semantic_dim: wide}", "wide"),
        ("something: else", "codec_config"),
        ("codec_config", "codec_config"),
        ("[", "codec_config"),
    ],
)
def test_a_bad_yaml_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"config\.yaml: [\s\S]*{said}"):
        CodecConfig.read(tmp_path / "config.yaml")
