"""Keys of two words like "silver-lantern", for what is to be looked up by a name that no text has."""

from __future__ import annotations

import numpy as np

# No adjective ends in another one and no noun begins with another one: no key is a part of another key.
_ADJECTIVES = """
    silver amber crimson scarlet azure ivory golden copper bronze purple violet yellow orange brown grey black white
    pink green blue teal dusty muddy sandy rocky grassy leafy mossy snowy frosty foggy misty rainy stormy windy
    sunny cloudy starry moonlit shady bright dim pale vivid faded glossy matt shiny rusty polished painted varnished
    gilded carved knitted woven stitched folded bent twisted curly wavy straight crooked slanted round square oval
    hollow solid narrow wide broad slim thick slender tiny small little large huge giant mighty heavy light hefty
    short tall lofty deep shallow steep flat level smooth rough coarse prickly thorny furry fluffy woolly silken
    velvet leather wooden wicker paper glass marble granite iron steel brass cotton linen cosy warm cool chilly
    frozen boiling simmering steaming smoky spicy salty sweet sour bitter tangy juicy ripe mellow crisp crunchy
    creamy buttery fresh stale mouldy damp dry soggy soaked gentle kind friendly polite humble modest honest loyal
    faithful brave bold daring fearless cautious careful clever wise witty cunning curious eager keen earnest
    cheerful merry jolly happy joyful glad proud grumpy gloomy sleepy drowsy lazy idle restless nimble swift quick
    rapid sluggish steady patient calm quiet silent noisy loud hushed shrill musical ancient antique modern recent
    late eternal seasonal weekly daily yearly northern southern eastern western coastal inland rural urban tropical
    polar alpine local distant nearby hidden secret open closed locked empty crowded spare single double triple
    common rare plain fancy elegant graceful tidy messy neat clumsy sturdy fragile brittle flexible elastic rigid
    tender tough stubborn playful sincere noble royal famous nameless lonely wild tame stray speckled spotted
    striped dotted checkered feathered winged hooded masked barefoot wandering floating drifting sinking dancing
    singing whistling laughing sleeping running
"""

_NOUNS = """
    lantern candle kettle teapot saucer bucket barrel basket hamper trunk suitcase satchel wallet purse pocket
    button zipper ribbon thimble needle scissors hammer chisel anvil wrench shovel rake ladder pulley lever hinge
    latch padlock doorknob window curtain carpet cushion pillow blanket mattress cradle hammock stool bench armchair
    table cupboard drawer shelf mirror chandelier fireplace chimney rooftop attic cellar balcony terrace veranda
    staircase corridor hallway gateway fence garden orchard meadow pasture field furrow barn stable kennel cottage
    cabin mansion palace castle tower turret dungeon bridge tunnel harbour jetty lighthouse island lagoon beach
    cliff canyon valley glacier mountain hillside volcano desert oasis prairie swamp marsh forest thicket grove
    jungle river brook waterfall fountain puddle pond reservoir ocean tide whirlpool iceberg thunder blizzard
    rainbow sunrise twilight midnight eclipse comet meteor planet galaxy satellite rocket telescope microscope
    compass sextant hourglass calendar almanac atlas dictionary notebook envelope parcel postcard stamp pencil
    crayon paintbrush easel canvas sculpture pottery vase mosaic tapestry violin cello trumpet trombone clarinet
    flute oboe piano guitar banjo mandolin harp drum cymbal tambourine xylophone whistle melody anthem ballad chorus
    opera theatre puppet costume sandal slipper boot sock mitten glove scarf bonnet helmet turban sweater jacket
    waistcoat raincoat umbrella apron necklace bracelet brooch emerald sapphire ruby diamond pearl crystal pebble
    boulder fossil feather antler whisker acorn chestnut walnut almond hazelnut peanut apricot cherry peach plum
    quince lemon melon mango banana raisin carrot turnip radish parsnip cabbage lettuce spinach celery onion garlic
    pumpkin cucumber potato mushroom pepper ginger cinnamon nutmeg vanilla honey pancake biscuit muffin pretzel
    dumpling noodle sandwich omelette porridge pudding custard toffee marmalade cheese yoghurt cider sparrow robin
    swallow magpie raven falcon eagle pelican heron flamingo ostrich penguin turkey pigeon parrot peacock swan goose
    rabbit squirrel hedgehog badger otter beaver weasel ferret fox wolf leopard tiger panther giraffe elephant camel
    donkey pony zebra buffalo antelope reindeer kangaroo koala dolphin whale walrus lobster shrimp oyster salmon
    herring mackerel turtle lizard beetle cricket butterfly dragonfly bumblebee spider snail tulip daisy daffodil
    orchid lily rose ivy fern clover thistle bamboo willow maple birch poplar cypress bicycle tricycle wagon
    carriage sledge tractor trolley ferry canoe kayak schooner anchor rudder paddle sail airship balloon parachute
    glider engine piston magnet battery lightbulb typewriter camera
"""

ADJECTIVES, NOUNS = _ADJECTIVES.split(), _NOUNS.split()
KEYS = len(ADJECTIVES) * len(NOUNS)


def draw_keys(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    """``count`` different keys, each an adjective and a noun joined by a hyphen.

    Raises:
        ValueError: there are not so many.
    """
    if count > KEYS:
        raise ValueError(f"{count} keys are asked for, and there are {KEYS}")
    chosen = (divmod(number, len(NOUNS)) for number in rng.choice(KEYS, count, replace=False).tolist())
    return tuple(f"{ADJECTIVES[adjective]}-{NOUNS[noun]}" for adjective, noun in chosen)
