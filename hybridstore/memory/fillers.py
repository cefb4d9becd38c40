"""Fillers: turns such as "ok", "haha yes", "谢谢" or a thumbs up, which say nothing that a recall could be about.

Cosines do not tell them from short answers ("Lisbon!", "tea"): over ten questions "ok" reaches .11, "danke" .35, "a red
Volvo" .12. So what counts is whether a text has any word besides acknowledgements, greetings, laughter and a few words
of grammar between them, in the languages below; in any language a turn of one word is also a filler if it is no nearer
to the query than chance, judged without its neighbours.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from unicodedata import normalize

import regex

_LONGEST = 40  # characters; a filler is short
_VERY_SHORT = 12
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}'’]+")
_DIGIT = regex.compile(r"\p{N}")
_REPEATED = regex.compile(r"(\p{L})\1{2,}")  # "okkkk", "niceee"
_LAUGHTER = regex.compile(
    r"[ahe]*(?:h[aei]+h?){2,}|(?:ja){2,}j?|(?:je){2,}|(?:х[аеи]){2,}х?|l+o+l+|哈{2,}|呵{2,}|[wｗ]{3,}|ㅋ+|ㅎ+|ه{3,}|5{3,}"
)

# Words that make a text a filler, whatever words of grammar are between them.
_WORDS = """
ok okay oki okey kk k yes yeah yep yup yay ya aye no nope nah sure thanks thank thx ty tysm cheers
please pls welcome cool nice great good awesome perfect lovely wonderful amazing fine wow oh ooh ah
aha uh um hm hmm mhm hey hi hello bye goodbye lol lmao rofl haha absolutely definitely exactly
indeed right alright agreed done sorry oops congrats congratulations yikes noted phew ugh aw aww ja jep jo
nein nee danke dankeschön bitte gern gerne genau klar okidoki super toll prima gut schön stimmt
richtig hallo tschüss tschüß jawohl ach achso naja sicher natürlich oui non merci d'accord bien
parfait génial salut bonjour bonsoir ouais voilà bravo sí si gracias vale bueno claro perfecto
genial hola adiós exacto entendido sip sim não obrigado obrigada beleza ótimo perfeito olá tchau
valeu sì grazie bene perfetto ciao certo prego esatto capito bedankt dank goed leuk hoi doei graag
tak tack takk nej nei jättebra bra fint kiitos joo hyvä kiva nie dziękuję dzięki dobrze jasne dobra
ano ne děkuji díky dobře prosím köszönöm igen nem mulțumesc da bine evet hayır tamam teşekkürler
teşekkür sağol terima kasih tidak oke cảm ơn vâng dạ asante sawa ndiyo да нет ага угу спасибо хорошо
ладно окей ок понятно ясно конечно отлично супер привет пока пожалуйста так ні дякую добре ευχαριστώ
ναι όχι εντάξει תודה כן לא בסדר شكرا نعم لا حسنا تمام طيب مرسی ممنون باشه بله धन्यवाद शुक्रिया हाँ
हां नहीं ठीक अच्छा ধন্যবাদ হ্যাঁ না 네 예 아니요 감사합니다 고마워요 고마워 알겠습니다 좋아요 응
"""
# Words of grammar that fillers are made with: "thank you so much", "of course", "sounds good to me".
_GRAMMAR = """
i you me it that's that is so very much too all of to for a the got see sounds well then and
my good morning night evening day problem worries idea luck one again really totally i'm you're
alles vielen guten tag morgen abend sehr gut auch ich das es beaucoup bien sûr très marche ça c'est
ok muchas muy por supuesto de nada está muito bem tudo va molto mille hartelijk heel goed
mange tusen så mycket bardzo большое всё очень çok ederim है hai ठीक
"""
# Whole texts, without their spaces.
_UNSPACED = """
ofcourse isee gotit nevermind mybad seeyou
好 好的 好吧 好啊 行 嗯 嗯嗯 是 是的 对 對 不 不是 没事 沒事 谢谢 謝謝 多谢 谢谢你 谢谢您 谢了
收到 知道了 明白 了解 明白了 可以 没问题
沒問題 不客气 你好 再见 再見 太好了 真的 はい うん ええ いいえ うーん ありがとう ありがとうございます どうも 了解です
わかりました 分かりました すみません なるほど そうですね そう こんにちは さようなら いいね おはよう おはようございます
ครับ ค่ะ ขอบคุณ ขอบคุณครับ ขอบคุณค่ะ โอเค ใช่ ไม่ สวัสดี ได้
"""
_FILLING, _WHOLE = frozenset(_WORDS.split()), frozenset(_UNSPACED.split())
_KNOWN = _FILLING | frozenset(_GRAMMAR.split())


def is_filler(text: str, query: str, *, by_chance: bool = False) -> bool:
    """Return whether a text says nothing of its own, unless the query asks for its very words.

    `by_chance` says that it is no nearer to the query than any text; then a single word is a filler.
    """
    if len(text) > _LONGEST:
        return False
    words, asked = _words(text), _words(query)
    together = "".join(words)
    if not words:
        return text.strip() not in query
    if set(words) <= set(asked) or (together in _WHOLE and together in query):
        return False
    if by_chance and len(words) == 1 and len(together) <= _VERY_SHORT and not _DIGIT.search(together):
        return True
    known = all(_fills(word, _KNOWN) for word in words) and any(_fills(word, _FILLING) for word in words)
    return known or together in _WHOLE


def _fills(word: str, known: AbstractSet[str]) -> bool:
    return word in known or _LAUGHTER.fullmatch(word) is not None


def _words(text: str) -> list[str]:
    folded = normalize("NFC", text).casefold().replace("’", "'")
    return [word if _fills(word, _KNOWN) else _REPEATED.sub(r"\1", word) for word in _WORD.findall(folded)]
