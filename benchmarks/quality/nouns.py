"""Single-word things that people may like, and names of people."""

_NOUNS = """
accordions acorns acrobats airships algebra alligators almonds alpacas anagrams anchors anemones antelopes antiques
apricots aquariums archery armadillos artichokes asparagus asteroids atlases aubergines avocados axolotls badgers
bagels bagpipes ballads ballet balloons bananas bandanas banjos barnacles baseball basil bassoons bathtubs beavers
beetroot begonias belugas binoculars biscuits bison blackberries blizzards blueprints bobsleighs bonsai boomerangs
bowling bracelets bridges broccoli brooches bubblegum buffaloes bulldozers butterflies buttons cabbages cacti calypso
camels camping canals candles canoes caramel caravans cardigans carnivals carousels carpentry cartoons cashews
castanets castles caterpillars cathedrals cauliflower caves cellos centipedes chameleons chandeliers chariots cheddar
cheetahs cherries chess chestnuts chickens chimneys chinchillas chocolate cinnamon circuses clarinets cliffs clocks
clover coconuts comets compasses concertinas coral coriander cormorants cranes crickets crocodiles crosswords crystals
cucumbers curling currants cushions cycling cymbals daffodils dandelions dates deserts diamonds dinosaurs dolphins
dominoes donkeys dragonflies drawbridges drums ducks dumplings dungeons eagles earthworms easels echoes eclipses eels
elephants embroidery emeralds engines escalators falcons fencing fennel ferrets fiddles figs fireflies fireworks
fishing fjords flamingos fossils fountains foxes frisbees fudge galaxies garlic gazelles geckos genealogy geysers
gherkins gingerbread giraffes glaciers globes gnomes goats goldfish gondolas gorillas grapefruit grasshoppers
gravestones guitars gymnastics hailstones halibut hammocks hamsters harmonicas harps hazelnuts hedgehogs helicopters
herons hibiscus hieroglyphs hippos hockey holograms honeycomb hopscotch hornets horoscopes hourglasses hummingbirds
hyenas hymns icebergs igloos iguanas incense irises islands ivy jackals jaguars jasmine jellyfish jigsaws judo
juggling juniper kaleidoscopes kangaroos karaoke kayaks ketchup kimonos kites kiwis koalas labyrinths lacrosse
ladybirds lagoons lamps lanterns lasagne lavender leeks lemons lemurs leopards licorice lighthouses lilacs limericks
lizards llamas lobsters locomotives lollipops lutes lynxes macaroons magnets magnolias magpies mandolins mangoes
mangroves maracas marathons marbling marigolds marionettes marmalade marmots marzipan masks mazes meadows medals
meerkats melons meteors microscopes midges milkshakes mirages mirrors mongooses monorails moose moths motorways
mountaineering mulberries mules museums mushrooms mustard narwhals nectarines nettles newts nightingales noodles
nutmeg oases oboes octopuses olives omelettes onions opals opera orangutans orchids oregano origami ostriches otters
owls oysters paddleboats pagodas palindromes pancakes pandas pangolins papayas parachutes parsley parsnips peaches
peacocks peanuts pearls pelicans penguins pensions peppers petunias phantoms pheasants photography piccolos pickles
pigeons pineapples pirates pistachios pizza planetariums platypuses plums poetry polecats polo pomegranates poppies
porcupines postcards potatoes pottery prawns pretzels primroses puffins pumpkins puppets pyramids quails quicksand
quilts quinces rabbits raccoons radishes rafts rainbows raspberries ravens ravioli reindeer rhubarb riddles robots
rodeos rollerskates roses rowing rubies rugby saffron sailing salamanders salmon samba sandals sandcastles saunas
sausages saxophones scarecrows scarves scooters scorpions sculptures seahorses seals seashells shadows sharks
sheepdogs shipwrecks silhouettes skateboards skeletons sledges sloths snails snorkels snowflakes sombreros sonnets
spaghetti sparrows spiders spinach squash squid squirrels stalactites starfish steamboats sudoku sunflowers surfing
sushi swallows swans tadpoles tambourines tango tapestries tarantulas tarot tattoos teapots telescopes tennis termites
terrapins thimbles thistles thunderstorms thyme tigers tobogganing tofu tomatoes tortoises toucans trampolines treacle
treehouses trombones trout truffles trumpets tulips tundra tunnels turnips turquoise ukuleles umbrellas unicorns
vampires vanilla vineyards violets volcanoes volleyball vultures waffles walnuts walruses waltzes wasps waterfalls
watermelons weasels whales whirlpools whistles wigwams willows windsurfing wolves wombats woodpeckers wrestling
xylophones yachts yodelling yoga yoghurt zebras zeppelins zithers zucchini
"""

_GIVEN = (
    "Adaeze Bjorn Catalina Dragan Eamon Fatima Gunther Hiroko Ignacio Jelena Kwame Lakshmi Mateusz Nkechi Oskar Pilar "
    "Quentin Rashid Sigrid Tomasz Ulrike Vikram Wanda Ximena Yusuf Zofia Anselm Brigitte Cosmin Delphine"
)
_SURNAMES = (
    "Abernathy Borkowski Castellano Dimitrov Eriksen Fitzgerald Gunawardena Hoffmann Ivanova Jankowski Kowalczyk "
    "Lindqvist Moreau Nakamura Okafor Papadakis Quispe Rasmussen Szymanski Takahashi Uzun Vasquez Wojcik Xanthopoulos "
    "Yamaguchi Zielinski Achterberg Bonaventura Czerny Dubrovsky"
)

NOUNS = tuple(_NOUNS.split())
GIVEN_NAMES = tuple(_GIVEN.split())
SURNAMES = tuple(_SURNAMES.split())
