"""The stories that kitten knows by heart, as sentence grammars: in order, by what they are about, and on after an interruption.

A story that was interrupted goes on with the first sentence that was not heard to its end. What is left, the server may have told
the model (`realtime/floor.NOTE`); without that it has to know. Of other stories, and what else may have happened in these, it knows
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vivavoce.model.train import lexicon as lx
from vivavoce.model.train.sayings import SENTENCE
from vivavoce.model.train.scenes import Scene
from vivavoce.model.train.talk_skills import UNKNOWN_REPLY
from vivavoce.model.train.turns import Dialogue, Litter, Memory, Rng, Turn, article, is_held_out, polite


@dataclass(frozen=True)
class Story:
    """A few sentences, and what can be asked about them: question to answer and the words that make it right."""

    text: str
    asked: dict[str, tuple[str, str]]

    @property
    def sentences(self) -> list[str]:
        return SENTENCE.split(self.text)


STORIES = {
    "cat": Story(
        "A small cat lived in a big house. Every night she sat at the window and looked at the moon. "
        "One night the moon was gone, and the cat was sad. Then it came up behind the tree. Good night, moon, said the cat.",
        {
            "what happened to the cat": ("The cat lost the moon and found it behind the tree.", "behind the tree"),
            "what did the cat look at": ("The cat looked at the moon.", "moon"),
            "where was the moon": ("The moon was behind the tree.", "behind the tree"),
        },
    ),
    "boat": Story(
        "A red boat slept by the river. It was old, and nobody wanted it. One day the water came up to the road. "
        "The boat took all the children to school.",
        {
            "what happened to the boat": ("The boat took the children to school.", "school"),
            "what colour was the boat": ("The boat was red.", "red"),
            "where did the boat sleep": ("The boat slept by the river.", "river"),
        },
    ),
    "horse": Story(
        "A white horse wanted to be fast. It ran up the mountain and down again, day after day. "
        "One day a bird fell into the river. The horse was fast, and the bird lived.",
        {
            "what happened to the horse": ("The horse was fast and helped the bird.", "bird"),
            "what colour was the horse": ("The horse was white.", "white"),
            "what did the horse want": ("The horse wanted to be fast.", "fast"),
        },
    ),
    "mouse": Story(
        "A mouse found a big yellow cheese. It was too big for the door of her house. "
        "So she called ten friends. They had a party in the garden, and then the cheese was small.",
        {
            "what happened to the mouse": ("The mouse had a party with ten friends.", "party"),
            "what did the mouse find": ("The mouse found a big yellow cheese.", "cheese"),
            "how many friends did the mouse call": ("The mouse called ten friends.", "ten"),
        },
    ),
    "star": Story(
        "A little star was afraid of the dark. But stars live in the dark, said her mother. "
        "So the little star made some light. Now a ship could find its way home, and the star was not afraid.",
        {
            "what happened to the star": ("The star made light and was not afraid.", "light"),
            "what was the star afraid of": ("The star was afraid of the dark.", "dark"),
            "who found the way home": ("A ship found its way home.", "ship"),
        },
    ),
    "train": Story(
        "A slow train went over the mountain every morning. Faster, said the people, faster! "
        "But in winter the snow was deep, and all fast trains had to wait. The slow train came through.",
        {
            "what happened to the train": ("The slow train came through the snow.", "snow"),
            "when was the snow deep": ("The snow was deep in winter.", "winter"),
            "who had to wait": ("All fast trains had to wait.", "fast trains"),
        },
    ),
    "bear": Story(
        "A bear was hungry and found a cake on a table. Is this your cake, he asked the dog. No, said the dog, it is for Anna. "
        "So the bear waited. Anna came and gave him the biggest piece.",
        {
            "what happened to the bear": ("The bear waited and got the biggest piece.", "piece"),
            "what did the bear find": ("The bear found a cake.", "cake"),
            "whose cake was it": ("It was the cake of Anna.", "anna"),
        },
    ),
    "tree": Story(
        "An apple tree stood alone in a garden. Nobody came, because the door was closed. "
        "Then the wind took one apple over the wall. A girl ate it, and the next day she opened the door.",
        {
            "what happened to the tree": ("A girl ate one apple and opened the door.", "door"),
            "why did nobody come": ("Nobody came because the door was closed.", "closed"),
            "what did the girl eat": ("The girl ate one apple.", "apple"),
        },
    ),
}
"""By what they are about, in the order in which they are told."""

ANY = (
    "tell me a story",
    "can you tell me a story",
    "i want to hear a story",
    "do you know a story",
    "tell a story",
    "read me a story",
)
ANOTHER = ("another story", "tell me another story", "one more story", "another one", "a new story")
ABOUT = (
    "tell me the story about the {s}",
    "tell me a story about {a}",
    "do you know a story about {a}",
    "i want to hear the story of the {s}",
    "tell me about the {s}",
    "tell the story with the {s}",
    "can you tell me the story about the {s}",
)
GO_ON = (
    "go on",
    "please go on",
    "continue",
    "and then",
    "what happened then",
    "go on with the story",
    "keep going",
    "tell me the rest",
)
WHICH = (
    "what stories do you know",
    "which stories do you know",
    "how many stories do you know",
    "do you know any stories",
)
LIST = (
    "I know stories about " + ", ".join(article(s) for s in list(STORIES)[:-1]) + f" and {article(list(STORIES)[-1])}."
)
NO_STORY = "Sorry, I don't know that story."
ALL_TOLD = "I know no more stories."
NOTHING_LEFT = "There is nothing to go on with."
STRANGERS = tuple(w for w in (*lx.PHRASE_NOUNS, *lx.FACTS["animal"]) if w not in STORIES) + (
    "dragon",
    "princess",
    "robot",
    "king",
)
LOST = (
    "what happened to the {s};who is the {s};why was the {s} sad;where does the {s} live;what did the {s} say;"
    "write me a poem about the {s};make up a story about {a} and the {s};how does the story of the {s} end"
).split(";")


def _telling(rng: Rng, memory: Memory, about: str, user: str) -> Turn:
    """The story, in a tenth of all cases cut off by the user."""
    story = STORIES[about]
    if about not in memory.stories:
        memory.stories.append(about)
    memory.unheard = ""
    turn = Turn(polite(rng, user), story.text, "story", story.sentences[0], exact=True)
    return _interrupted(rng, memory, turn) if rng.random() < 0.25 else turn


def _interrupted(rng: Rng, memory: Memory, turn: Turn) -> Turn:
    """Heard is what ends behind a mark, or behind a word."""
    words = turn.reply.split(" ")
    some = words[: rng.randint(3, len(words) - 2)]
    heard = " ".join(some)
    behind = max((at for at, word in enumerate(some) if word[-1] in ".,!?"), default=-1)
    if behind >= 2 and rng.random() < 0.8:
        heard = " ".join(some[: behind + 1])
    sentences = SENTENCE.split(turn.reply)
    whole = 0
    while whole < len(sentences) and len(" ".join(sentences[: whole + 1])) <= len(heard):
        whole += 1
    memory.unheard = " ".join(sentences[whole:])
    return replace(turn, heard=heard)


def story(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Any: the first that has not been told. Another, or one about something."""
    left = [about for about in STORIES if about not in memory.stories]
    way = rng.random()
    if way < 0.45:
        about, pattern = rng.choice(list(STORIES)), rng.choice(ABOUT)
        if is_held_out("story", about, pattern) != held:
            return None
        return _telling(rng, memory, about, pattern.format(s=about, a=article(about)))
    if way > 0.95:
        return Turn(polite(rng, rng.choice(WHICH)), LIST, "stories", "stories about", exact=True)
    user = rng.choice(ANOTHER if memory.stories and rng.random() < 0.7 else ANY)
    if not left:
        return Turn(polite(rng, user), ALL_TOLD, "no more stories", "no more", exact=True)
    return _telling(rng, memory, left[0], user)


def go_on(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """The rest of a story that was interrupted; only if one was, and not always the last of what was said."""
    user = polite(rng, rng.choice(GO_ON))
    if memory.unheard:
        turn = Turn(user, memory.unheard, "go on", SENTENCE.split(memory.unheard)[0], exact=True)
        memory.unheard = ""
        return _interrupted(rng, memory, turn) if len(turn.reply.split()) > 12 and rng.random() < 0.2 else turn
    if memory.stories:
        return None  # it has just been told to its end, or a while ago: nobody says "go on"
    return Turn(user, NOTHING_LEFT, "nothing left", "nothing", exact=True)


def what_happened(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """A question about a story, told or not."""
    told = memory.stories or list(STORIES)
    about = rng.choice(told if rng.random() < 0.6 else list(STORIES))
    question = rng.choice(list(STORIES[about].asked))
    reply, slot = STORIES[about].asked[question]
    ending = rng.choice(["", "", " in the story", " in your story", " in the story of the " + about])
    if is_held_out("happened", question, ending) != held:
        return None
    return Turn(polite(rng, question + ending), reply, "what happened", slot, exact=True)


def no_story(rng: Rng, memory: Memory, scene: Scene | None, index: int, held: bool) -> Turn | None:
    """Of something else: it does not make one up. Held out is what it is about."""
    stranger = rng.choice([s for s in STRANGERS if is_held_out("stranger", s) == held])
    if rng.random() < 0.6:
        user = rng.choice([p for p in ABOUT if "story" in p]).format(s=stranger, a=article(stranger))
        return Turn(polite(rng, user), NO_STORY, "unknown", "know", exact=True)
    user = rng.choice(LOST).format(s=stranger, a=article(stranger))
    return Turn(polite(rng, user), UNKNOWN_REPLY, "unknown", "know", exact=True)


def lesson(rng: Rng, turns: int, held: bool) -> Dialogue:
    """Stories, their rests, and questions about them."""
    memory, made = Memory(), list[Turn]()
    while len(made) < max(2, turns):
        weights = [3, 8 if memory.unheard else 0.3, 3, 1]
        maker = rng.choices([story, go_on, what_happened, no_story], weights)[0]
        turn = maker(rng, memory, None, len(made), held)
        if turn is not None:
            made.append(turn)
    return Dialogue(tuple(made), None)


TAUGHT = Litter(
    talk={"story": (story, 0.5), "go on": (go_on, 0.4), "what happened": (what_happened, 0.5)},
    near={"no story": (no_story, 0.25)},
    lessons={"stories": (lesson, 2.0)},
)
