"""Stop words of four languages: articles, pronouns, auxiliaries, question words, prepositions.

In a store of code or of tables "how" may be rarer than anything a question is about, and its IDF would decide. Without
stop words the keyword leg gained .014 nDCG@10 on sixteen English collections (docs/experiments.md). They are indexed
all the same, for phrases and for queries that consist of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

_ENGLISH = """
a an the and or but nor if of at by for with about against between into through during before after above below to
from up down in out on off over under again further then once here there when where why how what which who whom whose
all any both each few more most other some such no not only own same so than too very can could will would shall
should may might must ought just now also i me my mine myself we our ours ourselves you your yours yourself he him his
himself she her hers herself it its itself they them their theirs themselves this that these those am is are was were
be been being have has had having do does did doing done let because as until while cannot don't doesn't didn't isn't
aren't wasn't weren't can't won't wouldn't shouldn't couldn't hasn't haven't hadn't i'm i've i'd i'll it's that's
what's who's where's how's there's here's let's you're we're they're
"""
_GERMAN = """
der die das den dem des ein eine einen einem einer eines und oder aber auch als wie wenn ob weil dass daß denn doch
nicht kein keine keinen keinem keiner nur noch schon sehr so da dann hier dort wo wer wen wem wessen was wann warum
wieso weshalb wohin woher welche welcher welches welchen welchem in im an am auf aus bei beim mit nach von vom vor zu
zum zur über unter durch für gegen ohne um bis seit während zwischen hinter neben ich mich mir mein meine meinen
meinem meiner du dich dir dein deine er ihn ihm sein seine seinen seinem seiner sie ihr ihre ihren ihrem ihrer es wir
uns unser unsere euch euer sich man dies diese dieser dieses diesen diesem jene jener jenes ist sind war waren bin
bist wird werden wurde wurden worden hat haben hatte hatten habe kann können konnte muss müssen soll sollen sollte
will wollen darf dürfen mag sei gibt
"""
_FRENCH = """
le la les l un une des du de d au aux et ou mais ni car donc or que qui quoi dont où quand comment pourquoi combien
quel quelle quels quelles lequel laquelle ce cet cette ces ceci cela ça c je j me m moi tu te t toi il elle on nous
vous ils elles lui leur leurs se s y en mon ma mes ton ta tes son sa ses notre nos votre vos ne n pas plus très trop
aussi si est sont était étaient être été suis es sommes êtes a ai as avons avez ont avait avaient avoir eu fait faire
peut peuvent pouvoir doit à dans par pour sur sous avec sans entre vers chez depuis pendant avant après contre est-ce
"""
_SPANISH = """
el la los las lo un una unos unas y e o u pero ni que qué quien quién quienes cual cuál cuáles cuando cuándo donde
dónde como cómo cuanto cuánto por porque para de del a al en con sin sobre entre hasta desde durante contra hacia
según si no yo me mi mis mí tú te tu tus ti él ella ello nosotros ellos ellas le les se su sus nos nuestro nuestra
este esta esto estos estas ese esa eso esos esas aquel aquella es son era eran fue fueron ser sido soy está están
estaba estar he ha han había haber hay hace hacer puede pueden muy más también ya
"""
_BY_LANGUAGE = {
    "english": frozenset(_ENGLISH.split()),
    "german": frozenset(_GERMAN.split()),
    "french": frozenset(_FRENCH.split()),
    "spanish": frozenset(_SPANISH.split()),
}
_PUNCTUATION = ".,;:!?()[]{}\"'`´“”„‚‘’«»¿¡…"


def stopwords_in(words: Sequence[str], language: str, *, alone: bool = True) -> tuple[str, ...]:
    """Return the stop words among a query's words, as written.

    Empty if all words are stop words and `alone` in the query, that is without a phrase, or if the language has no
    list. A word in capitals among others is a name (IT, WHO).
    """
    known = _BY_LANGUAGE.get(language)
    if known is None:
        return ()
    all_capitals = all(word.upper() == word for word in words) and sum(word.isupper() for word in words) > 1
    stopwords = tuple(word for word in words if _normalised(word, all_capitals=all_capitals) in known)
    return () if alone and len(stopwords) == len(words) else stopwords


def share_of_stopwords(words: Sequence[str], language: str) -> float:
    """Return the share of words that are stop words of a language with a list; 0 for no words."""
    known = _BY_LANGUAGE[language]
    return sum(_normalised(word, all_capitals=True) in known for word in words) / max(len(words), 1)


def _normalised(word: str, *, all_capitals: bool) -> str:
    text = word.strip(_PUNCTUATION).replace("’", "'")
    return "" if not all_capitals and len(text) > 1 and text.isupper() else text.lower()
