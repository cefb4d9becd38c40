"""Synthetic passages about things and their upkeep: every thing meets every concern once, so a query needs both.

A question names a thing and a concern; of the passages that share one of them only one shares both. Of each concern
there is a question that the passage answers in other words, and one in its words.
"""

from __future__ import annotations

from hybridstore import Document

# thing | where it stands | its part | what it is made of | who looks after it | what it is for
_THINGS = """
bilge pump | engine room of the ferry | impeller | bronze | the deckhand | keeping water out of the hull
bread oven | back of the village bakery | door seal | brick | the apprentice baker | loaves before sunrise
church organ | gallery above the nave | bellows | leather | the cantor | hymns and recitals
greenhouse heater | tomato house | burner | sheet steel | the head gardener | frosty spring nights
telescope mount | observatory dome | worm gear | aluminium | the night assistant | following stars
milking machine | dairy barn | teat cup | rubber | the farmhand | forty cows twice a day
loom | weaving mill | shuttle | maple wood | the weaver | blankets and scarves
ski lift | north slope | haul rope | galvanised wire | the lift mechanic | carrying skiers uphill
water turbine | dam below the gorge | guide vane | cast iron | the plant operator | current for the valley
beehive | orchard | brood frame | pine | the beekeeper | honey and pollination
printing press | newspaper cellar | ink roller | composite rubber | the pressman | the evening edition
lighthouse lamp | tower on the reef | lens | crown glass | the keeper | warning ships
espresso machine | station café | group head | chromed brass | the barista | coffee for commuters
grain dryer | cooperative silo | auger | stainless steel | the miller | damp barley
fire engine | volunteer brigade's garage | ladder | light alloy | the fire chief | rescues from upper floors
harpsichord | music room of the castle | quill | crow feather | the tuner | baroque concerts
tram | depot by the river | pantograph | carbon | the fitter | rides through the old town
aquarium filter | reptile and fish house | sponge | polyurethane | the zoo keeper | clear water for rays
kiln | potter's shed | shelf | silicon carbide | the potter | glazed bowls
windmill | dyke | sail | canvas | the molinologist | grinding mustard seed
elevator | town hall | governor | hardened steel | the inspector | reaching the archive floor
dialysis unit | ward seven | membrane | hollow fibre | the night nurse | cleaning blood
seismograph | cave station | pendulum | invar | the geophysicist | recording tremors
paper machine | mill in the forest | felt | polyamide | the shift leader | newsprint
chairlift gearbox | valley station | pinion | nickel steel | the gear specialist | turning the bull wheel
cheese press | alpine dairy | follower plate | beech | the cheesemaker | hard mountain cheese
weather balloon | launch hut | valve | latex | the meteorologist | soundings of the upper air
typewriter | museum of offices | ribbon | silk | the curator | letters on demand
violin | conservatory | bridge | spruce | the luthier | student quartets
submarine hatch | dry dock | gasket | neoprene | the bosun | keeping out the sea
wine barrel | vaulted cellar | hoop | oak | the cooper | ageing red wine
snow plough | mountain pass | blade | manganese steel | the road warden | open roads in winter
"""

# concern → question in other words, question in its words, passage
_CONCERNS = {
    "washing": (
        "How do I get the {thing} clean again?",
        "How often is the {part} of the {thing} rinsed and brushed?",
        (
            "Washing: the {part} is rinsed with lukewarm water and wiped with a soft brush once a week. Nothing "
            "sharp may touch the {material}, and {person} lets everything dry in the shade of the {place} before "
            "it serves again."
        ),
    ),
    "noise": (
        "What if the {thing} makes strange sounds?",
        "What rattles in the {thing}, and how is it tightened?",
        (
            "A rattle or a squeal usually comes from a loose {part}. In the {place} {person} listens with a "
            "wooden rod held to the frame of the {thing}, tightens what shakes, and writes the hour of the day "
            "into the logbook."
        ),
    ),
    "purchase": (
        "How expensive is a new {thing}?",
        "Which invoice was signed for the second hand {thing}?",
        (
            "The last {thing} was bought second hand for the price of a small car. A spare {part} of {material} "
            "adds a month's wages, and delivery to the {place} is charged by weight; {person} signs the invoice."
        ),
    ),
    "history": (
        "Who built the first {thing} here, and when?",
        "Are there old photographs of the {thing} under construction?",
        (
            "Old photographs show the {thing} under construction two generations ago. A family of craftsmen from "
            "abroad carried the {material} to the {place} on mules, and {person} still owns one of their "
            "drawings."
        ),
    ),
    "winter": (
        "Can the {thing} stand freezing cold?",
        "Which part of the {thing} is wrapped in wool because it turns brittle?",
        (
            "Below minus ten degrees the {material} turns brittle. Then {person} wraps the {part} in wool, "
            "empties every pipe, and leaves a small lamp burning in the {place} so that ice cannot form "
            "overnight."
        ),
    ),
    "training": (
        "How long does it take to learn to handle the {thing}?",
        "Is there an examination after half a year at the {thing}?",
        (
            "Beginners watch for three weeks and may then touch the {part} under supervision. After half a year "
            "comes an examination in the {place}, set by {person}, about {use} and about first aid."
        ),
    ),
    "accident": (
        "Has anyone ever been hurt by the {thing}?",
        "Where is the red switch of the {thing}?",
        (
            "Twice a hand was caught by the {part}, and both times the wound healed. Since then a guard of "
            "{material} has been in place, and {person} shows every visitor of the {place} the red switch."
        ),
    ),
    "replacement": (
        "What will come instead of the {thing} one day?",
        "Which electronic successor of the {thing} is planned?",
        (
            "An electronic successor is planned for {use}. It needs neither {part} nor grease, fits into half the "
            "room, and will be tried out beside the present {thing} for a season before {person} decides."
        ),
    ),
}


def documents() -> list[Document]:
    return [
        Document(id=f"{row['thing'].replace(' ', '-')}/{name}", title=row["thing"], text=passage.format(**row))
        for row in _rows()
        for name, (_, _, passage) in _CONCERNS.items()
    ]


def questions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (question.format(**row), (f"{row['thing'].replace(' ', '-')}/{name}",))
        for row in _rows()
        for name, (*either, _) in _CONCERNS.items()
        for question in either
    )


# A sentence to plant, and a question that asks for it in other words.
FACTS = (
    ("The spare key lies under the third flowerpot from the left.", "Where can I find something to unlock the door?"),
    ("Mr Okonjo retired after selling his bakery to two sisters.", "Who took over the shop of the pastry maker?"),
    ("Dolphins were seen in the harbour on Tuesday morning.", "Did anybody spot sea mammals near the port?"),
    ("The choir rehearses every second Thursday at half past seven.", "When do the singers practise?"),
    ("Her grandmother crossed the desert with nine camels.", "Which relative travelled through the sands?"),
    ("Vaccination against rabies costs forty crowns per animal.", "What is the price of protecting a dog by a jab?"),
    ("The bridge closes to lorries over twelve tonnes.", "How heavy may trucks be to cross the river?"),
    ("Potatoes failed that year because of late blight.", "Why was there a bad harvest?"),
    ("The referee sent off the goalkeeper before half time.", "Which footballer had to leave the pitch?"),
    ("Solar panels on the school roof heat the swimming pool.", "How is the bathing water of the pupils warmed?"),
    ("Aunt Mirela collects stamps from islands that no longer exist.", "What is the hobby of the philatelist?"),
    ("The comet will be visible again in seventy-six years.", "How long until the tailed celestial body returns?"),
    ("Trains to the coast leave from platform nine.", "From which track do I get to the seaside?"),
    ("The jury gave first prize to a film without dialogue.", "Which movie won the competition?"),
    ("Mushrooms gathered near the smelter contain lead.", "Are fungi from the neighbourhood of the foundry toxic?"),
    ("The president's speech was interrupted by a power cut.", "Why did the head of state stop talking?"),
    ("Libraries lend umbrellas on rainy days.", "Where can I borrow something against getting wet?"),
    ("Our doctor advises walking barefoot against flat feet.", "What does the physician recommend for fallen arches?"),
    ("The manuscript was written with ink made of oak galls.", "What did the scribe use for writing?"),
    ("Parrots in the park descend from two escaped pets.", "What is the origin of the wild tropical birds?"),
    ("The tax office accepts receipts until the end of May.", "What is the deadline for handing in proofs of payment?"),
    ("He proposed to her on the Ferris wheel.", "Where did the couple get engaged?"),
    ("The volcano last erupted in the reign of Queen Anne.", "When did the mountain spew lava most recently?"),
    ("A broken fan caused the server to overheat.", "Why did the computer become too hot?"),
)


def _rows() -> list[dict[str, str]]:
    names = ("thing", "place", "part", "material", "person", "use")
    return [
        dict(zip(names, (field.strip() for field in line.split("|")), strict=True))
        for line in _THINGS.strip().splitlines()
    ]
