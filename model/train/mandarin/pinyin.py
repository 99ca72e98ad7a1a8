"""How Mandarin is said: characters to syllables with tones, as the synthesizers were taught them."""

from __future__ import annotations

import re

HAN = re.compile(r"[\u4e00-\u9fff]")
PAUSES = "，。！？、；："
"""Punctuation at which a reader pauses."""


def clauses(text: str) -> list[list[str]]:
    """Syllables such as "hao3", tones 1 to 5 (5 is the neutral one), a list for every stretch between two pauses.

    Tones that change beside others (两个三声, 一, 不) are changed already. What is no Chinese character is left out.
    """
    from pypinyin import Style, lazy_pinyin

    made = []
    for part in re.split(f"[{PAUSES}]", text):
        characters = "".join(HAN.findall(part))
        if characters:
            made.append(
                lazy_pinyin(characters, style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True, v_to_u=False)
            )
    return made


def parts(syllable: str) -> tuple[str, str, str]:
    """ "zhong1" to its initial, final and tone, ("zh", "ong", "1"); y and w, a spelling and no sound, count as initials."""
    sound, tone = syllable[:-1], syllable[-1]
    initial = next((i for i in ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw") if sound.startswith(i)), "")
    return initial, sound[len(initial) :], tone
