"""Sentences on which an encoder and its export are compared, from one word to beyond any window."""

from __future__ import annotations

SENTENCES: tuple[str, ...] = (
    "Rain.",
    "Thank you!",
    "tomato soup",
    "Where is the nearest post office?",
    "error code E4012",
    "The kettle has been boiling for five minutes.",
    "How do I compress a folder into a zip archive?",
    "She plays the cello on Thursdays.",
    "def area(radius): return 3.14159 * radius ** 2",
    "Das Fenster im ersten Stock steht offen.",
    "La bibliothèque ferme à dix-huit heures.",
    "El tren de las ocho llegó con retraso.",
    "Поезд отправляется в девять утра.",
    "明日の会議は三階で行われます。",
    "🙂🙂🙂",
    "http://example.org/a/b?c=1#top",
    "SELECT name, price FROM parts WHERE price > 100 ORDER BY name;",
    "The meeting was moved from Monday to Wednesday because the projector is being repaired.",
    "Glaciers store most of the fresh water on Earth, and many of them have been shrinking for a century.",
    "A binary search halves the interval at each step, so a million entries need about twenty comparisons.",
    "Fold the egg whites in gently, or the batter loses its air and the cake will not rise.",
    "The court held that the contract was void since neither party had signed the second page.",
    "Interest is compounded monthly; the nominal rate therefore understates what the borrower pays in a year.",
    "Aspirin inhibits an enzyme that platelets need in order to clump together.",
    "Do not pour water on burning oil.",
    "The bridge was closed to lorries after inspectors found cracks in two of its hangers.",
    "Bees tell one another where flowers are by dancing in the dark of the hive.",
    "Version 2.3.1 fixes a crash when the configuration file is empty.",
    "If the light blinks twice and stays off, replace the battery; if it blinks three times, call support.",
    "A hash table trades memory for time.",
    "The sonata's slow movement returns to the opening theme, this time in a minor key.",
    "Migrating birds steer by the sun, by the stars and by the Earth's magnetic field.",
    "The ferry takes cars only in summer, and only if the wind is below force six.",
    "He sold the shop, paid his debts, and bought a small boat with what was left over.",
    "Photosynthesis turns carbon dioxide and water into sugar and oxygen.",
    "Please enclose a copy of your passport and two recent photographs.",
    "The vaccine is kept at minus seventy degrees until the day it is used.",
    "A lock that is never contended costs almost nothing, one that is costs a trip through the kernel.",
    "Grandmother's handwriting slopes to the left.",
    "The soil here is acid: blueberries thrive in it and cabbages do not.",
    "Inflation fell to two per cent in March, its lowest for three years, as energy became cheaper.",
    "The goalkeeper saved the penalty but could not hold the ball, and the rebound went in off the post.",
    "Parchment was made from the skins of calves, sheep and goats, scraped thin and dried under tension.",
    "An index makes reading faster and writing slower.",
    "Turn left at the church, follow the river for a mile, and you will see the mill on your right.",
    "Whales breathe air, feed their young with milk, and descend from animals that walked on land.",
    (
        "The committee thanked the treasurer for her report, approved the accounts without a vote, and "
        "turned to the question of the roof, on which opinions differed as sharply as they had in the "
        "spring."
    ),
    (
        "When a transaction commits, its pages are appended to the log; readers that began earlier go on "
        "seeing the old pages, and a checkpoint later copies the new ones into the database file itself."
    ),
    (
        "Sourdough needs patience more than skill: feed the starter in the morning, mix the dough in the "
        "afternoon, let it rest overnight in a cool room, and bake it in a pot with the lid on for the "
        "first half hour."
    ),
    (
        "The spacecraft will use the gravity of Venus twice and that of Earth once to gain the speed it "
        "needs, so the journey takes eight years, although Jupiter is never more than a billion "
        "kilometres away from us."
    ),
    (
        "Patients in the second group received the same dose in two portions. After twelve weeks their "
        "blood pressure had fallen by six points on average, against four in the first group; the "
        "difference was within what chance would produce in a trial of this size, and the authors ask for"
        " a larger one."
    ),
    (
        "The town grew up around a ford. Merchants paid a toll to cross, slept at the inn, and left their"
        " news and sometimes their children; within two hundred years there were walls, a market on "
        "Saturdays, a school for boys, and a quarrel with the bishop about who might hang thieves, which "
        "was settled only when the last of the counts died without an heir and the emperor gave the place"
        " its freedom in return for forty horsemen."
    ),
    (
        "To change the tyre, loosen the nuts a quarter of a turn while the wheel is still on the ground, "
        "then raise the car at the point marked on the sill. Remove the nuts, pull the wheel towards you,"
        " and lay it under the car in case the jack slips. Fit the spare, tighten the nuts by hand, lower"
        " the car, and tighten them again crosswise with the wrench. Check the pressure at the next "
        "garage and the nuts after fifty kilometres."
    ),
    "try:\n    value = cache[key]\nexcept KeyError:\n    value = cache[key] = compute(key)\nreturn value",
    "| month | rain | sun |\n| --- | --- | --- |\n| May | 61 mm | 190 h |\n| June | 70 mm | 205 h |",
    "ACGTTGCAAGGCTTAACCGGTATCGATCGGCTA",
    "v1.2.3-rc.4+build.5678",
    "NOTICE: ALL VISITORS MUST SIGN IN AT THE FRONT DESK AND WEAR A BADGE AT ALL TIMES",
    "well i dunno maybe later? cant say for sure tbh",
    "x",
)


# Texts that calibrate int8: none of those above, and like them in kind; short ones above all, since a single large
# activation weighs most there.
CALIBRATION: tuple[str, ...] = (
    "yes",
    "ok!",
    "Good morning!",
    "no, thanks",
    "42",
    "?",
    "blue car",
    "cheap flights to Rome",
    "what time does the museum open on Sundays",
    "README.md",
    "import os, sys",
    "https://docs.example.com/start",
    "Error 404: page not found",
    "你好",
    "Добрый вечер",
    "Guten Tag, wie geht es Ihnen?",
    "👍",
    "The cat slept on the warm stones until the sun had gone behind the barn.",
    "Prices rose in the second quarter while wages stood still.",
    "for row in table:\n    print(row.name, row.value)",
    "The liver stores sugar as glycogen and gives it back between meals.",
    "A queue is first in, first out; a stack is last in, first out.",
    (
        "The orchestra tuned, the lights went down, and somebody in the third row began to cough. The "
        "conductor waited. When it was quiet he raised his hand, thought better of it, turned round and "
        "offered the man a sweet, and the whole hall laughed; the symphony, when at last it came, was the"
        " better for it."
    ),
    (
        "To reset the device, hold the button for ten seconds until the lamp turns red, release it, wait "
        "for the lamp to turn green, and enter the code printed under the battery. If the code is refused"
        " three times, the device locks for an hour. Keep the code in a safe place, because it cannot be "
        "recovered without proof of purchase."
    ),
)


def mixed(window: int) -> list[str]:
    """Return the sentences, and three texts made of them: of about half a window, a whole one and two."""
    # English has about 1.3 tokens a word.
    words = " ".join(text for text in SENTENCES if text.isascii()).split()
    stretched = words * (1 + 2 * window // len(words))
    return [*SENTENCES, *(" ".join(stretched[: int(window * share / 1.3)]) for share in (0.5, 1.0, 2.0))]
