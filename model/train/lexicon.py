"""The words kitten's world is made of. Every list is a slot of the sentence grammars in `talk_skills.py` and `sight_skills.py`.

Numbers, colours, shapes and names are what the model can be asked about; `PHRASE_*` are what it can be asked to repeat.
"""

from __future__ import annotations

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
"""Spoken form of 0..20."""

TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
"""Spoken form of 0, 10 .. 90."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 34, 40),
    "green": (30, 158, 64),
    "blue": (30, 80, 214),
    "yellow": (240, 210, 30),
    "orange": (245, 130, 20),
    "purple": (130, 40, 160),
    "black": (18, 18, 20),
    "white": (246, 246, 246),
}
"""Name to the sRGB centre that `scenes.py` jitters."""

SHAPES = ("circle", "square", "triangle", "star", "cross")

NAMES = (
    "Anna Ben Carla David Emma Frank Grace Henry Ivan Julia Kevin Laura Martin Nina Oliver Paula Robert Sara Thomas "
    "Victor Alice Brian Clara Daniel Elena George Helen Jack Kate Leo Maria Noah Olga Peter Rosa Simon Tina Walter Zoe Max"
).split()

FACTS: dict[str, tuple[str, ...]] = {
    "colour": ("red", "green", "blue", "yellow", "orange", "purple", "black", "white", "pink", "brown", "grey"),
    "animal": ("cat", "dog", "horse", "rabbit", "tiger", "lion", "monkey", "elephant", "bird", "fish", "mouse", "bear"),
    "food": ("pizza", "rice", "bread", "soup", "chocolate", "cheese", "pasta", "salad", "cake", "ice cream"),
    "city": ("Paris", "London", "Berlin", "Madrid", "Rome", "Tokyo", "Boston", "Chicago", "Moscow", "Cairo"),
    "number": tuple(NUMBERS[1:13]),
    "fruit": ("apple", "banana", "orange", "lemon", "cherry", "melon", "peach", "grape"),
}
"""Kinds of favourite thing one can tell kitten, each with its values."""

PHRASE_ADJECTIVES = "big small old new good happy cold warm little long fast slow clean dark".split()
PHRASE_NOUNS = (
    "cat dog horse bird fish house tree car door window table chair book water river mountain flower garden "
    "apple banana pizza bread cake morning night summer winter friend teacher doctor music school train ship boat"
).split()
PHRASE_VERBS = "runs sleeps jumps sings waits falls reads swims walks plays".split()
PHRASE_PLACES = (
    "in the house,by the river,under the tree,on the table,near the door,in the garden,at school,on the ship,in the car"
).split(",")

UNKNOWN_TOPICS = (
    "the weather like tomorrow,the capital of France,the price of gold,the news today,the time in Tokyo,the tallest "
    "mountain,the meaning of life,the speed of light,the best movie,the population of China,the score of the game,"
    "the name of the president,the stock market doing,the distance to the moon,the recipe for bread,the square root of nine"
).split(",")
UNKNOWN_QUESTIONS = (
    "who wrote Hamlet;who is the president;who won the game last night;who painted the Mona Lisa;when was Napoleon born;"
    "when does the train leave;when did the war end;where is the nearest hotel;where can I buy a ticket;where do you live;"
    "how do I cook an egg;how far is the moon;how old is the universe;how tall is the tower;why is the sky blue;"
    "why do birds fly;why is the sea salty;can you drive a car;can you order a taxi;can you play some music;"
    "can you call my mother;can you open the window;can you write a letter;tell me a joke;tell me a story;sing a song;"
    "turn on the light;set an alarm for seven;send a message to my boss;book a table for two;translate this into German;"
    "do you like football;do you know any jokes;what time is it;what day is it today;what should I wear;"
    "how much does a house cost;which team is the best;explain quantum physics;read me the newspaper;"
    "give me some advice;are you married;how is the traffic;what is on television tonight;do you believe in ghosts"
).split(";")
HELD_OUT_UNKNOWN = (
    "what is the capital of Spain;who discovered America;when is the next holiday;where is my phone;how do airplanes fly;"
    "why do cats sleep so much;can you fix my computer;tell me about the ocean;how hot is the sun;who is the king of England;"
    "what is the fastest car;do you like jazz music;turn off the heating;what does the doctor say;how many people live in India;"
    "which language is the hardest;can you teach me to dance;what happened in history today;buy me a ticket to Rome;"
    "is it going to rain"
).split(";")
"""Questions outside the skills that training never shows."""

CONTENT = tuple(
    dict.fromkeys(
        [
            *NAMES,
            *(value for kind, values in FACTS.items() if kind not in ("colour", "number") for value in values),
            *PHRASE_ADJECTIVES,
            *PHRASE_NOUNS,
            *PHRASE_VERBS,
        ]
    )
)
"""Words that stand for nothing but themselves: whichever is told must be given back."""

WORDS = (*(w for w in CONTENT if " " not in w), *NUMBERS, *COLOURS, *SHAPES)
"""Single words any of which may take the place of any other, if a sentence need not make sense."""
