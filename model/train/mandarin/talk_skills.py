"""What kitten can do in Mandarin without a camera: the skills of `talk_skills.py`, in sentences of their own.

As people speak, without punctuation; replies have it. Held-out slot combinations as in English.
"""

from __future__ import annotations

from collections.abc import Sequence

from vivavoce.model.train.mandarin import lexicon as lx
from vivavoce.model.train.mandarin.words import number
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.turns import Memory, Rng, Turn, is_held_out

REQUESTS = tuple("告诉 介绍 说 数 描述 看 把 给 唱 定 订 解释 算 我想".split())
"""How a sentence begins that asks for something, and is no question."""
POLITE = ("", "", "", "", "请问", "嗨", "好的", "那么", "对了")
TAIL = ("", "", "", "", "", "呢", "啊")


def polite(rng: Rng, text: str) -> str:
    """With a word before it, or, behind a question that has no particle yet, one after it."""
    if text.startswith(REQUESTS):
        return asked_for(rng, text)
    before, after = rng.choice(POLITE), rng.choice(TAIL)
    return before + text + ("" if text[-1] in "吗呢吧啊的" else after)


def asked_for(rng: Rng, text: str) -> str:
    """A request, with a word before it or one after it."""
    return rng.choice(("", "", "", "", "请", "嗨", "好的")) + text + rng.choice(("", "", "", "", "", "吧", "好吗"))


def _turn(user: str, reply: str, skill: str, slot: str = "", distance: int = 0) -> Turn:
    return Turn(user, reply, skill, slot, distance, language="zh")


def greeting(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice("你好 您好 嗨 早上好 晚上好 下午好 你好啊 嗨你好 你好小猫 大家好 早 哈喽".split())
    if rng.random() < 0.35:
        user += rng.choice(["最近怎么样", "今天怎么样", "你今天好吗", "过得怎么样"])
        return _turn(user, "你好！我很好，谢谢。", "greeting", "我很好")
    reply = f"你好，{memory.name}！" if memory.name else "你好！我能帮你什么？"
    return _turn(user, reply, "greeting", "你好")


def goodbye(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if rng.random() < 0.5:
        return _turn(
            rng.choice("谢谢 谢谢你 多谢 非常感谢 太好了谢谢 谢谢你的帮助".split()), "不客气。", "thanks", "不客气"
        )
    user = rng.choice("再见 拜拜 回头见 下次见 再见小猫 晚安 明天见 我先走了".split())
    return _turn(user, "再见！回头见。", "goodbye", "再见")


def who_are_you(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if rng.random() < 0.35:
        user = rng.choice(
            "你会做什么 你能做什么 你会什么 你能帮我做什么 你有什么本领 告诉我你会做什么 你都会些什么".split()
        )
        return _turn(polite(rng, user), "我会聊天，数数，记事情，还会看形状。", "skills", "形状")
    user = rng.choice(
        "你是谁 你叫什么名字 你叫什么 你的名字是什么 告诉我你的名字 你有名字吗 介绍一下你自己 告诉我你是谁 怎么称呼你 "
        "说说你自己".split()
    )
    return _turn(polite(rng, user), "我是小猫，一个小小的语音模型。", "identity", "小猫")


def tell_name(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    pattern = rng.choice(
        "我叫{} 我是{} 我的名字是{} 我的名字叫{} 你好我叫{} 你好我是{} 叫我{}吧 你可以叫我{} 大家都叫我{} 嗨我是{}".split()
    )
    names = [n for n in lx.NAMES if is_held_out("name", n, pattern) == held]
    if not names:
        return None
    memory.name = rng.choice(names)
    memory.told_at["name"] = index
    return _turn(pattern.format(memory.name), f"很高兴认识你，{memory.name}。", "tell name", memory.name)


def recall_name(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    user = rng.choice(
        "我叫什么名字 我叫什么 我的名字是什么 我是谁 你记得我的名字吗 你还记得我叫什么吗 告诉我我的名字 "
        "你知道我的名字吗 我刚才说我叫什么".split()
    )
    if memory.name is None:
        return _turn(polite(rng, user), "你还没有告诉我你的名字。", "no fact", "没有")
    distance = index - memory.told_at["name"]
    return _turn(polite(rng, user), f"你的名字是{memory.name}。", "recall name", memory.name, distance)


TELLS_FAVOURITE = (
    "我最喜欢的{k}是{v}",
    "请记住我最喜欢的{k}是{v}",
    "记住我最喜欢的{k}是{v}",
    "我想告诉你我最喜欢的{k}是{v}",
    "{k}里面我最喜欢{v}",
    "{v}是我最喜欢的{k}",
    "在所有的{k}中我最爱{v}",
)


def tell_fact(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    kind, pattern = rng.choice(list(lx.FACTS)), rng.choice(TELLS_FAVOURITE)
    values = [v for v in lx.FACTS[kind] if is_held_out("fact", kind, v, pattern) == held]
    if not values:
        return None
    value = rng.choice(values)
    memory.favourites[kind] = value
    memory.told_at[kind] = index
    return _turn(pattern.format(k=kind, v=value), f"好的，你最喜欢的{kind}是{value}。", "tell fact", f"是{value}")


def told(rng: Rng) -> Turn:
    """A name or a favourite, told."""
    while True:
        turn = rng.choice([tell_name, tell_fact])(rng, Memory(), None, 0, False)
        if turn is not None:
            return turn


def recall_fact(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    known = list(memory.favourites)
    kind = rng.choice(known) if known and rng.random() < 0.85 else rng.choice(list(lx.FACTS))
    user = rng.choice(
        "我最喜欢的{}是什么 你记得我最喜欢的{}吗 告诉我我最喜欢的{}是什么 我最喜欢什么{} 你知道我最喜欢的{}吗 {}里面我最喜欢什么 "
        "你能告诉我我最喜欢的{}吗".split()
    ).format(kind)
    if kind not in memory.favourites:
        return _turn(polite(rng, user), f"你还没有告诉我你最喜欢的{kind}。", "no fact", "没有")
    value, distance = memory.favourites[kind], index - memory.told_at[kind]
    return _turn(polite(rng, user), f"你最喜欢的{kind}是{value}。", "recall fact", f"是{value}", distance)


def _phrase(rng: Rng) -> str:
    noun, other, adjective = rng.choice(lx.NOUNS), rng.choice(lx.NOUNS), rng.choice(lx.ADJECTIVES)
    return rng.choice(
        [
            f"{adjective}{noun}" if len(adjective) == 1 else f"{adjective}的{noun}",
            f"我的{noun}",
            f"{noun}和{other}",
            f"我喜欢{noun}",
            f"我的朋友{rng.choice(lx.PLACES)}{rng.choice(lx.VERBS)}",
            f"他{rng.choice(lx.PLACES)}",
            f"我们去{rng.choice(lx.VERBS)}",
            f"这是我的{noun}",
            f"{noun}很{adjective}",
            f"{rng.choice(lx.NUMBERS[:13])}{rng.choice(lx.NUMBERS[:10])}{rng.choice(lx.NUMBERS[:10])}",
            noun,
            f"{rng.choice(list(lx.COLOURS))}的{noun}",
        ]
    )


def repeat(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    phrase = _phrase(rng)
    while is_held_out("repeat", phrase) != held:
        phrase = _phrase(rng)
    return repeat_words(rng, [phrase])


def repeat_words(rng: Rng, words: Sequence[str]) -> Turn:
    """Any words, to be said after the user."""
    user = rng.choice(
        "跟我说{} 请跟我说{} 请说{} 跟着我念{} 重复一遍{} 请重复{} 你能说{}吗 说一下{} 跟我读{} 请你跟我读{}".split()
    )
    phrase = "".join(words)
    return _turn(user.format(phrase), phrase + "。", "repeat", phrase)


SUMS = (
    "{x}{word}{y}等于多少",
    "{x}{word}{y}是多少",
    "{x}{word}{y}等于几",
    "{x}{word}{y}",
    "算一下{x}{word}{y}",
    "你知道{x}{word}{y}等于多少吗",
)


def arithmetic(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A sum or a difference of 0 to 20; numbers that are counted by themselves, so 2 is 二."""
    while True:
        a, b, sign = rng.randint(0, 20), rng.randint(0, 20), rng.choice("+-")
        pattern = rng.choice((*SUMS, "把{x}和{y}加起来" if sign == "+" else "从{x}里减去{y}"))
        value = a + b if sign == "+" else a - b
        if 0 <= value <= 20 and is_held_out("sum", str(a), sign, str(b), pattern) == held:
            break
    word, x, y = "加" if sign == "+" else "减", number(a), number(b)
    user = rng.choice(("", "", "", "请问", "嗨", "那么")) + pattern.format(x=x, y=y, word=word)
    return _turn(user, f"{x}{word}{y}等于{number(value)}。", "arithmetic", f"等于{number(value)}")


UNKNOWN_REPLY = "对不起，我不知道。"


def unknown(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    if held:
        user = rng.choice(lx.HELD_OUT_UNKNOWN)
    elif rng.random() < 0.3:
        topic = rng.choice(lx.UNKNOWN_TOPICS)
        user = rng.choice(["{}是什么", "告诉我{}", "你知道{}吗", "{}怎么样", "我想知道{}"]).format(topic)
    else:
        user = rng.choice(lx.UNKNOWN_QUESTIONS)
    return _turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "不知道")
