"""Holiday houses: what they are called in questions, and what is said of them in descriptions, in other words."""

from collections.abc import Mapping

PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "setting": {
        "by the sea": (
            "Waves break below the terrace.",
            "The beach is three minutes away on foot.",
            "You can hear the surf.",
        ),
        "in the mountains": (
            "Peaks rise on all sides.",
            "It stands at 1,900 metres, above the tree line.",
            "The valley lies far below.",
        ),
        "in a forest": (
            "Beeches and firs surround it.",
            "It is hidden among old oaks.",
            "Pine needles cover the path to the door.",
        ),
        "in a city": (
            "The tram stops at the door.",
            "Theatres and shops are around the corner.",
            "It is a flat above a busy boulevard.",
        ),
        "on a lake": (
            "A jetty leads from the garden into still fresh water.",
            "Swans pass the windows.",
            "Rowing boats are tied up at the shore.",
        ),
        "in a desert": (
            "Dunes begin behind the yard.",
            "There is nothing but sand and stars.",
            "It has not rained here for two years.",
        ),
    },
    "food": {
        "vegetarian cooking": (
            "The kitchen serves no meat.",
            "Dinner is lentils, aubergines and greens.",
            "All meals are made of plants and cheese.",
        ),
        "fresh fish": (
            "The day's catch is grilled each evening.",
            "Trout and mussels are on the menu.",
            "The host smokes his own mackerel.",
        ),
        "home-made bread": (
            "Loaves come out of the stone oven at six.",
            "The sourdough is famous.",
            "Rolls are baked every morning.",
        ),
        "barbecue": (
            "Ribs and sausages sizzle over charcoal.",
            "There is a fire pit with a grate for steaks.",
            "Guests grill in the yard.",
        ),
        "wine tasting": (
            "The cellar holds forty vintages to try.",
            "A sommelier pours Riesling at five.",
            "Vineyards of the family supply the table.",
        ),
        "Indian curries": (
            "Dal, paneer and naan are cooked by the owner from Pune.",
            "It smells of cumin and turmeric.",
            "A tandoor stands in the court.",
        ),
    },
    "pastime": {
        "climbing": (
            "Ropes and harnesses can be borrowed for the cliffs.",
            "Bolted routes start nearby.",
            "There is a bouldering wall in the barn.",
        ),
        "sailing": (
            "A dinghy with a jib is free to use.",
            "The host teaches tacking and knots.",
            "Regattas pass every Sunday.",
        ),
        "painting": (
            "Easels and watercolours wait in the studio.",
            "An artist gives lessons on canvas.",
            "Guests leave their pictures on the walls.",
        ),
        "yoga": (
            "Mats are rolled out at sunrise.",
            "Asanas are taught in the hall.",
            "A teacher from Rishikesh leads the stretching.",
        ),
        "cycling": (
            "Bikes stand ready in the shed.",
            "Gravel tracks invite to long rides.",
            "Maps for tours on two wheels lie in the hall.",
        ),
        "birdwatching": (
            "Binoculars hang by the door for herons and owls.",
            "A hide looks over the reeds.",
            "Ornithologists come in May.",
        ),
    },
    "guests": {
        "dogs are welcome": (
            "Four-legged friends get a bowl and a blanket.",
            "Bring your terrier.",
            "Hounds sleep by the stove.",
        ),
        "suitable for children": (
            "There are swings, cots and a sandpit.",
            "Families get the large room with bunks.",
            "Toddlers are looked after in the morning.",
        ),
        "wheelchair access": (
            "Ramps lead to all rooms, and doors are wide.",
            "There are no steps anywhere, and the lift is large.",
            "Bathrooms have rails and room to turn.",
        ),
        "quiet, for adults only": (
            "Nobody under eighteen stays here.",
            "Silence is kept after nine.",
            "It is a retreat for grown-ups who read.",
        ),
        "groups and weddings": (
            "The hall seats ninety for celebrations.",
            "Brides love the old chapel.",
            "Whole companies come for their parties.",
        ),
        "long stays": (
            "Rent is by the month.",
            "People winter here, with a desk and a washing machine.",
            "Leases begin at eight weeks.",
        ),
    },
}
FILLING = (
    "The rooms have white walls and wooden floors.", "Arrival is from three o'clock.", "Towels are in the cupboard.",
    "The house was built in 1911 and repaired twice since.", "Parking costs nothing.", "Keys are in a box at the gate.",
)  # fmt: skip
