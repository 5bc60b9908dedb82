"""Captions of the training scenes, in as many wordings as people use, and the tokenizer that is learned from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from instdiff.training.draft.catalogue import THINGS
from instdiff.world import knowledge
from instdiff.world.nouns import number_word, plural_of, with_article

# words without a singular or without a number: no article
BARE = "skis, scissors, grapes, bread, corn, broccoli, snow, downtown, woods, dunes, grassland, ocean waves".split(", ")
KNOWN = (
    "sea, ocean, open sea, countryside, seaside, shore, seashore, coast, arctic, savannah, clear sky, blue sky, alps, "
    "north pole, south pole, ocean floor"
).split(", ")
INSIDE = ("cozy", "bright", "small", "tidy", "modern", "large", "cute", "warm")
OUTSIDE = ("quiet", "sunny", "beautiful", "busy", "small", "pretty", "peaceful", "wide")
# words for those of a kind with a drawing of its own, and words that do not fit a drawing or say a colour
KINDS = {"woman": ("lady", "girl", "grandmother"), "man": ("gentleman", "boy", "guy", "grandfather")}
UNFIT = frozenset(
    "people, lime, peach, mango, polar bear, brown bear, office chair, deck chair, bunk bed, pine, palm".split(", ")
)
PATTERNS = {
    "striped": (("striped", "stripy"), "with stripes"),
    "dotted": (("dotted", "spotted", "polka-dot"), "with dots"),
    "checkered": (("checkered", "checked"), "with a checkered pattern"),
    "wooden": (("wooden",), "made of wood"),
    "metal": (("metal", "metallic"), "made of metal"),
}


@dataclass(frozen=True)
class Look:
    """What of a thing is said. ``colour`` and ``texture`` are None where it has none worth saying."""

    category: str
    colour: str | None = None
    texture: str | None = None
    noun: str = ""


@dataclass(frozen=True)
class Place:
    """Where the scene is: "in", "a cozy kitchen"; a plain background has no preposition. ``light``: "at night"."""

    preposition: str
    words: str
    light: str = ""


def article(words: str) -> str:
    """ "an orange cat", "a red car", "scissors"."""
    return words if words.split(" ")[-1] in BARE else with_article(words)


def plural(noun: str) -> str:
    """The plural of a noun of the knowledge base, or of any other."""
    return noun if noun.split(" ")[-1] in BARE else plural_of(noun)


@cache
def nouns(category: str, kind: str = "") -> tuple[str, ...]:
    """What a category, or a special kind of it, may be called besides its name; never by another category's name."""
    known_thing = knowledge.things().get(category)
    if kind or known_thing is None:
        return KINDS.get(kind, ())
    taken = UNFIT.union(THINGS, *((kind, *KINDS[kind]) for kind in THINGS[category].kinds))
    return tuple(noun for noun in (*known_thing.synonyms, *known_thing.kinds) if noun not in taken)


def _noun(look: Look, rng: np.random.Generator) -> str:
    """Its name mostly; one in eight gets another word."""
    others = nouns(look.category, look.noun)
    if others and rng.random() < 0.12:
        return others[rng.integers(len(others))]
    return look.noun or look.category


def _describe(look: Look, noun: str, rng: np.random.Generator) -> str:
    """ "red striped ball", "ball with stripes"."""
    colour = "grey" if look.colour == "gray" and rng.random() < 0.4 else look.colour
    if look.texture is None:
        return f"{colour} {noun}" if colour else noun
    before, after = PATTERNS[look.texture]
    if rng.random() < 0.15:
        return f"{colour} {noun} {after}" if colour else f"{noun} {after}"
    words = [word for word in (colour, before[0] if rng.random() < 0.6 else before[rng.integers(len(before))]) if word]
    if rng.random() < 0.25:
        words.reverse()
    return " ".join([*words, noun])


def instance_caption(look: Look, height: float, rng: np.random.Generator) -> str:
    """One thing in words, with its colour and texture. ``height``: share of the picture."""
    name = _describe(look, _noun(look, rng), rng)
    sizes = ("large", "big") if height > 0.6 else ("small", "little", "tiny") if height < 0.15 else ()
    if sizes and rng.random() < 0.2:
        name = f"{sizes[rng.integers(len(sizes))]} {name}"
    form = rng.random()
    if form < 0.6:
        return article(name)
    if form < 0.8:
        return name
    return f"the {name}" if form < 0.88 else f"a photo of {article(name)}" if form < 0.94 else f"one {name}"


def place_of(setting: knowledge.Setting, light: str, rng: np.random.Generator) -> Place:
    """A setting in words: "in a living room", "on a sunny beach", "by a pond"."""
    preposition, _, named_place = setting.phrase.partition(" ")
    light = "" if setting.name in ("night", "sunset", "space", "halloween") else light
    determiner = ""
    noun = named_place
    if named_place.startswith(("a ", "an ", "the ")):
        determiner, _, noun = named_place.partition(" ")
    if setting.synonyms and rng.random() < 0.25:
        noun = setting.synonyms[rng.integers(len(setting.synonyms))]
        determiner = "the" if noun in KNOWN else "a"
    if determiner in ("a", "an"):
        adjectives = INSIDE if setting.place == "indoor" else OUTSIDE
        if not light and rng.random() < 0.3:
            noun = f"{adjectives[rng.integers(len(adjectives))]} {noun}"
        return Place(preposition, article(noun), light)
    return Place(preposition, f"{determiner} {noun}".strip(), light)


def plain_place(colour: str) -> Place:
    """A plain background, its colour named if it has a name."""
    return Place("", f"{with_article(colour)} background" if colour else "")


def scene_caption(
    looks: Sequence[Look], related: tuple[int, str, int] | None, place: Place, rng: np.random.Generator
) -> str:
    """The whole picture in words: all things or some or none, and the place.

    ``related`` is a true relation between two of them: (index, "next to", index), or None.
    """
    lead = ("a photo of ", "a picture of ", "an image of ")[rng.integers(3)] if rng.random() < 0.2 else ""
    where = f" {place.preposition} {place.words}" if place.preposition else f" on {place.words}" if place.words else ""
    light = f" {place.light}" if place.light and rng.random() < 0.8 else ""
    if not looks or rng.random() < (0.13 if place.preposition else 0.04):
        if not place.words:
            return ("a plain background", "a simple picture", "a few things", "a picture")[rng.integers(4)]
        return f"{lead}{place.words}{light}"
    form = rng.random()
    if related and form < 0.35:
        first, relation, second = related
        subject = _caption_of(looks[first], rng)
        words = f"{lead}{subject} {relation} {_caption_of(looks[second], rng)}"
        return words + (where + light if rng.random() < 0.6 else "")
    listed = _list_things(looks, rng)
    if form < 0.55 and place.preposition:
        return f"{lead}{place.words} with {listed}{light}"
    return f"{lead}{listed}" + (where + light if rng.random() < 0.75 else "")


def _caption_of(look: Look, rng: np.random.Generator) -> str:
    return article(_describe(look, _noun(look, rng), rng))


def _list_things(looks: Sequence[Look], rng: np.random.Generator) -> str:
    """ "two red cars, a dog and a house": all things, or (1 in 3) some of them; sometimes without colours."""
    bare = rng.random() < 0.2
    counts = Counter(Look(look.category, noun=look.noun) if bare else look for look in looks)
    groups = [list(counts.items())[i] for i in rng.permutation(len(counts))]
    if rng.random() < 0.33:
        groups = groups[: rng.integers(1, len(groups) + 1)]
    parts = []
    for look, count in groups:
        noun = _noun(look, rng)
        if count == 1:
            parts.append(article(_describe(look, noun, rng)))
            continue
        vague = count > 2 and rng.random() < 0.15
        many = ("some", "several", "many")[rng.integers(3)] if vague else number_word(count)
        parts.append(f"{many} {_describe(look, plural(noun), rng)}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


START = "<|startoftext|>"
END = "<|endoftext|>"
_WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def train_tokenizer(captions: Iterable[str], vocab_size: int = 2048) -> CLIPTokenizer:
    """Learn a tokenizer that any text passes through: unknown words fall apart into bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    every_byte_at_a_word_end = [f"{letter}</w>" for letter in alphabet]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False,
        special_tokens=[START, END, *every_byte_at_a_word_end],
    )  # fmt: skip
    tokenizer.train_from_iterator(captions, trainer)
    state = json.loads(tokenizer.to_str())["model"]
    return CLIPTokenizer(vocab=state["vocab"], merges=[tuple(pair) for pair in state["merges"]], model_max_length=77)
