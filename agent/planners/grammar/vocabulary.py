"""The words that the grammar of picture descriptions knows besides the nouns of `instdiff.world.knowledge`."""

from __future__ import annotations

from typing import TypeVar

from instdiff.world.predicates import Predicate

T = TypeVar("T")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split("|"))


def _table(phrases: dict[T, str]) -> dict[str, T]:
    """{phrase: value} of {value: "phrase | phrase"}."""
    return {" ".join(phrase.split()): value for value, text in phrases.items() for phrase in text.split("|")}


# hedges of a number, and what they add to it
HEDGES = _table(
    {
        0: """
        at least | no fewer than | no less than | not less than | at most | up to | no more than |
        not more than | exactly | precisely | only | just | about | approximately | roughly | around | nearly |
        almost | over
    """,
        1: "more than",
        -1: "fewer than | less than",
    }
)
ONLY_PLURAL = _words("""
    scissors glasses sunglasses trousers jeans pants shorts headphones binoculars pliers tweezers pajamas goggles
""")
PRONOUNS = _words("it them they he she him her both one another which whom itself themselves")
META = _words("""
    photo photograph picture image painting drawing illustration scene view shot render rendering sketch depiction
    portrait watercolor watercolour snapshot frame close-up closeup cartoon artwork poster composition canvas
    photography selfie visual layout graphic wallpaper still screenshot panorama art animation comic
""")
META_LINKS = _words("""
    of showing with without featuring depicting where in that which containing : , . from
""")
ASKING = _words("""
    draw paint generate create make show give want like need imagine picture render produce sketch visualize see
    please can could would you me i we us let have design depict illustrate put add include place compose get get's
    just now hello hi also then
""")
COLOURS = _words("""
    red green blue yellow black white orange purple pink brown grey gray golden gold silver beige turquoise teal
    violet crimson scarlet maroon navy cyan magenta lavender tan ivory cream bronze copper khaki olive lime indigo
    amber blonde
""")
MATERIALS = _words("""
    wooden metal metallic plastic glass stone brick leather paper cardboard marble steel iron concrete ceramic
    porcelain velvet cotton woolen silk denim rubber straw bamboo wicker clay crystal wool rusty chrome knitted
    fabric oak pine
""")
SIZES = _table(
    {
        2.2: "giant | enormous",
        2.4: "gigantic | colossal",
        1.8: "huge | massive",
        1.25: "big | large",
        1.2: "great",
        0.5: "tiny | mini",
        0.4: "miniature | minuscule",
        0.75: "small | little",
        1.6: "oversized",
        0.6: "baby",
    }
)
ADJECTIVES = (
    COLOURS
    | MATERIALS
    | frozenset(SIZES)
    | _words("""
    tall short long old new young cute happy sad fluffy furry plush striped spotted dark light bright shiny round
    square modern vintage cozy cosy beautiful open empty full pale deep vivid colorful colourful multicolored
    transparent clean dirty wet dry broken cracked fresh ripe rotten hot cold warm soft hard heavy thin thick fat
    slim skinny sleepy angry scared smiling lit bearded elderly wild tame lonely sunny snowy rainy cloudy foggy
    stormy dusty ancient antique rustic elegant fancy simple plain curly straight bald barefoot narrow wide deserted
    crowded busy quiet calm peaceful grassy leafy bare rectangular oval triangular circular patterned checkered
    plaid floral friendly fierce majestic sleek smooth rough muddy hairy woolly feathered glowing burning frozen
    abandoned ruined wrecked ornate decorated tiled painted polished worn tattered folded rolled nearby white
    largest smallest biggest tallest shortest longest oldest youngest bigger smaller larger taller second third
    middle-sized lovely pretty nice gorgeous adorable funny silly magical mysterious spooky scary haunted medieval
    futuristic traditional
""")
)
DEGREES = _words("""
    very quite rather really extremely slightly somewhat so too bit much far even still all mostly entirely
    completely
""")
POSTPOSED = _words("""
    asleep alone outside inside together nearby upright awake everywhere here there apart away ahead afloat overhead
    underneath outdoors underwater indoors side-by-side also too as well again now then today tonight however ago
    still already yet please
""")
# parts of a body or a thing: they stay in the caption of what they belong to
PARTS = _words("""
    eyes eye hair fur feathers wings wing stripes spots ears ear tail beard legs leg windows wheels roof smile
    handle mustache moustache back hand hands head face mouth neck shoulder shoulders arm arms lap feet paw paws
    nose beak claws horns horn teeth trunk skin spines leaves petals branches sleeves buttons lid doors door collar
    mane whiskers freckles braids ponytail fingers knees chest belly hooves body frosting rim spout pages side sides
    shell scales top front bottom edge end base foot corner surface seat
""")
PART_OF = _words("""
    back top front edge end base foot surface seat side rim bank part arm arms shoulder shoulders head lap middle
    center
""")
CLOTHES = _words("""
    dress suit coat jacket shirt t-shirt sweater skirt uniform jeans pants trousers shorts hat cap scarf glasses
    sunglasses shoes boots gloves tie costume armor armour apron robe gown raincoat hoodie vest cape kimono helmet
    crown mask socks swimsuit bikini blazer
""")
# what belongs to the picture as a whole and is no thing in it
SCENERY = _words("""
    shade night day daytime nighttime sunset sunrise dawn dusk morning evening afternoon noon midnight winter summer
    autumn fall spring rain snow fog mist storm weather light lighting lights sunlight moonlight daylight shadow
    shadows background foreground air wind darkness style detail details season holiday time color colors colour
    colours perspective atmosphere mood way side row hand distance water grass sand mud dust smoke steam ground
    floor wall ceiling sky horizon space bit lot front back middle top bottom left right edge center centre corner
    scenery landscape nature scene resolution quality hd hour focus depth bokeh camera lens angle texture clouds'
    position order circle line pose action love silence peace fun anything something everything nothing thing things
    sea-level hours sunshine twilight spells spell clutter shape shapes size sizes number numbers work rest sight
    mind life years year age door-step month week christmas halloween easter reflection reflections noise
    conversation music song game games trip walk ride nap sun's place places part parts theme design pattern weekend
    moment kind sort type crop hills wilderness steps step turn picture photo image
""")
# where things may be, and no things themselves
LOCATIONS = _words("""
    hallway corridor lobby concert wedding gym stadium museum hospital shop store basement attic cave canyon valley
    swamp room space universe jungle neighborhood neighbourhood suburb countryside world country town festival
    funeral meeting conference competition race match contest parade ceremony dream country-side alley alleyway
    driveway porch balcony rooftop terrace patio entrance interior exterior environment area region territory planet
    outdoors indoors apartment flat studio mansion warehouse factory laboratory lab
""")
STYLE = _words("""
    highly ultra detailed 4k 8k hd uhd cinematic photorealistic realistic hyperrealistic digital watercolor
    watercolour oil acrylic pixel minimalist abstract impressionist impressionism surreal surrealism vector sharp
    high trending artstation unreal octane cgi 3d 2d anime render masterpiece monochrome sepia pastel studio
    professional award-winning warm-toned natural
""")
# settings that say when or in what weather, and give way to those that say where
TIMES = _phrases("""
    night | sunset | autumn | spring day | rainy street | snowy landscape | christmas | halloween
""")
BE = _words("is are was were be being been 's am stays remains seems appears looks")
DEPTH_WORDS = _words("background foreground distance horizon")
SETTING_TAILS = _words("""
    terminal hall entrance scene skyline landscape view interior background life corner panorama setting street
    floor area atmosphere
""")
VERBS = _words("""
    held worn driven thrown built drawn led hung shown ridden show shows showing depicts depict displays display
    walk walking barking watching swinging pointing reaching kneeling crouching bending waving having enjoying
    cooking baking leaving going sits sit sat stands stand stood lies lie lay lays sleeps sleep slept runs run ran
    plays walks flies fly flew eats eat drinks looks look parked placed located situated positioned seated standing
    sitting lying sleeping running walking perched hangs hang hung rests rest leaning leans lean wears wear holds
    hold carrying carries carry rides rode reads read chases chase watches watch follows follow jumps jump floats
    float swims swim grazes graze drives drive throws throw kicks kick catches catch bakes bake cooks cook casts
    cast fights fight tied attached grows grow surrounded filled covered topped made seen visible shown waits wait
    builds build pulls pull pushes push crosses cross climbs climb sails sail feeds feed shares share uses use
    belongs surround surrounds faces face contains hugs hug kisses kiss points point gathers gather goes go comes
    come stretches leads sings sing dances dance smiles laughs talks talk works study studies enjoys enjoy takes
    take brings opens opened closes shines shine rises rise sets appears appear happens waves shake shakes hugging
    loves love barks sniffs lined arranged set depicted featured painted colored coloured hovering hovers hover
    soars soar crawls crawl trots gallops wanders appear do does did done doing gets getting have having try trying
    looking make makes making leave leaves-behind stretch pass passes will should must may might shall cannot never
    always gives serve serves served prepares prepare naps dozes snoozes peeks peek spins bounces floating orbiting
    graces adorns occupies fills fill towers tower-over looms loom dives dive splashes splash
""")
WITH = _phrases("""
    with | has | have | having | had | featuring | including | includes | include | containing | contains |
    contain | featured with | complete with
""")
AND = _phrases("""
    and | & | plus | as well as | along with | together with | accompanied by | or | and also | and then | while |
    whilst | and a half
""")
COMPARED = _table(
    {
        Predicate.LARGER_THAN: """
        larger than | bigger than | taller than | greater than | huger than | wider than | longer than |
        higher than | heavier than | twice as big as | twice as large as | twice as tall as | twice the size of
    """,
        Predicate.SMALLER_THAN: """
        smaller than | shorter than | tinier than | lower than | narrower than | lighter than | half the size of
    """,
    }
)
NEGATIONS = _phrases("""
    without | without any | with no | but no | there are no | there is no | not any | no | excluding | except for |
    except | free of | free from | lacking | lacks | lack | devoid of | missing | minus | sans | neither | nor |
    but not | but without | instead of | rather than | other than | apart from | and no | do not include |
    do not include any | do not add | do not add any | do not show | do not show any | do not draw |
    do not draw any | do not put | do not put any | do not want | do not want any | avoid | leave out | omit |
    leaving out | never | not a single | is not a | are not any | is not any | not | not a | not an | not the |
    not with | and not | in the absence of | no sign of | instead of any | should not be any | there should be no
""")
ABSENT_PEOPLE = _phrases("with nobody | with no one | nobody | no one | no-one | noone | not a soul")
# what only says once more that something is absent
AFTERMATHS = _phrases("""
    on it | in it | in sight | in view | around | visible | at all | to be seen | anywhere | sitting there |
    nearby | left | present | there | is there | sitting | outside | inside | whatsoever
""")
EMPTY = _words("empty deserted abandoned desolate vacant uninhabited unoccupied lonely")
BUSY = _words("busy crowded cluttered bustling lively packed messy chaotic")
RELATIONS = _table(
    {
        Predicate.LEFT_OF: "to the left of | on the left of | left of | at the left of | to left of | left to",
        Predicate.RIGHT_OF: "to the right of | on the right of | right of | at the right of | to right of | right to",
        Predicate.ON: """
        on top of | on the top of | atop | upon | riding | riding on | rides | ride | rides on | inside |
        inside of | into | in | on | onto | within | aboard | astride | sitting on | standing on | lying on |
        in the middle of | on the back of | on the edge of | on the side of | in the center of | over the top of
    """,
        Predicate.UNDER: "underneath | beneath | under | on the underside of",
        Predicate.BELOW: "below | down from",
        Predicate.ABOVE: "above | over | hanging over | high above | up above | flying over",
        Predicate.NEXT_TO: """
        next to | beside | besides | near | nearby | near to | close to | by | alongside | adjacent to |
        around | at | against | opposite | facing | across from | along | past | toward | towards | among |
        amongst | amid | amidst | at the foot of | at the base of | at the end of | at the edge of |
        by the side of | at the side of | at the bottom of | side by side with | in the company of |
        to the side of | from | across | through | outside | outside of | beyond | accompanying |
        hand in hand with | not far from | right next to | just outside | down | up
    """,
        Predicate.IN_FRONT_OF: "in front of | ahead of | before | at the front of",
        Predicate.BEHIND: "behind | in back of | at the back of | in the back of | after",
    }
)
# "a bowl filled with apples" is the same as apples in a bowl
REVERSED = _table(
    {
        Predicate.NEXT_TO: "surrounded by | flanked by | encircled by | lined with",
        Predicate.ON: """
        filled with | full of | covered with | covered in | covered by | topped with | loaded with |
        packed with | stacked with | decorated with | wearing | wears | wear | dressed in | supporting |
        set with | laden with
    """,
        Predicate.BEHIND: "followed by",
    }
)
SIDES = _table(
    {
        Predicate.LEFT: "left | lefthand",
        Predicate.RIGHT: "right | righthand",
        Predicate.TOP: "top | upper",
        Predicate.BOTTOM: "bottom | lower",
        Predicate.CENTRE: "middle | center | centre | central",
    }
)
SIDE_NOUNS = _words("hand side half corner part edge third portion area region corners")
OF_SIDE = {
    Predicate.LEFT: Predicate.LEFT_OF,
    Predicate.RIGHT: Predicate.RIGHT_OF,
    Predicate.TOP: Predicate.ON,
    Predicate.BOTTOM: Predicate.NEXT_TO,
    Predicate.CENTRE: Predicate.ON,
}
PICTURE_WORDS = _words("""
    picture image photo photograph frame scene canvas shot composition view screen drawing painting page room
""")
TO_EACH_OTHER = _phrases("""
    each other | one another | side by side | hand in hand | face to face | back to back | one after another
""")
ROWS = _table(
    {
        Predicate.LEFT_OF: "from left to right | left to right",
        Predicate.RIGHT_OF: "from right to left | right to left",
        Predicate.ABOVE: "from top to bottom | top to bottom",
        Predicate.BELOW: "from bottom to top",
    }
)
HYPERNYMS = {
    "animal": _words("""
        cat dog horse cow sheep pig bird duck fish rabbit elephant giraffe zebra lion tiger bear monkey fox wolf
        deer goat goose chicken swan butterfly bee turtle mouse squirrel donkey kangaroo panda koala hedgehog
        frog snake crocodile camel penguin whale dolphin shark octopus crab ladybug ostrich flamingo peacock
        turkey pelican stork bat raccoon skunk badger beaver mole hyena hippopotamus rhinoceros buffalo antelope
        llama sloth lemur lizard snail worm ant spider dragonfly grasshopper beetle mosquito scorpion seal orca
        jellyfish starfish lobster parrot
    """),
    "vehicle": _words("""
        car bus truck bicycle motorcycle train boat airplane helicopter tractor ambulance caravan excavator
        bulldozer rickshaw tricycle tank
    """),
    "furniture": _words("""
        couch chair table bed bookshelf wardrobe lamp rug bench armchair desk sideboard mattress beanbag hammock
        chest
    """),
    "food": _words("""
        apple banana orange pizza cake bread cheese sandwich donut cookie hamburger pineapple strawberry
        watermelon grapes pear lemon tomato soup salad taco sushi noodles steak ham sausage rice pancake
        croissant bagel muffin chocolate candy egg
    """),
    "fruit": _words("""
        apple banana orange pear grapes strawberry pineapple watermelon lemon blueberry plum kiwi melon coconut
        pomegranate
    """),
    "plant": _phrases("tree | flower | potted plant | palm tree | pine tree | cactus | grass | bouquet"),
}
HYPERNYMS |= {"pet": HYPERNYMS["animal"], "traffic": HYPERNYMS["vehicle"], "wildlife": HYPERNYMS["animal"]}
# words that end a noun phrase, besides verbs and pronouns
FUNCTION = _words("""
    there with and or while who which that in of on at to from by for as but nor than then during under over above
    below near beside behind between each other else without no not excluding except into onto inside atop beneath
    underneath along around through across toward towards past against is are was were has have had if when where
    whose what how why so because it them they he she him me you i we us both plus upon within among via per like
    before after amid outside down up off out about only just exactly neither without its his her their all any
    whereas whilst every
""")
