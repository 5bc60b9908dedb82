"""The words that the reader knows besides nouns: relations, what belongs to the picture as a whole, looks of things."""

from __future__ import annotations

from typing import TypeVar

from instdiff.world.predicates import Predicate

T = TypeVar("T")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(phrases: dict[T, str]) -> dict[str, T]:
    """{phrase: value} of {value: "phrase | phrase"}."""
    return {" ".join(phrase.split()): value for value, text in phrases.items() for phrase in text.split("|")}


COLOURS = _words("""
    red green blue yellow black white orange purple pink brown grey gray golden gold silver beige turquoise teal
    violet crimson scarlet maroon navy cyan magenta lavender tan ivory cream bronze copper khaki olive lime indigo
    amber blonde
""")
MATERIALS = _words("""
    wooden metal metallic plastic glass stone brick leather paper cardboard marble steel iron concrete ceramic
    porcelain velvet cotton woolen silk denim rubber straw bamboo wicker clay crystal wool rusty chrome knitted
    fabric oak pine wood
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
LOOKS = _words("""
    tall short long old new young cute happy sad fluffy furry plush striped spotted dark light bright shiny round
    square modern vintage cozy cosy beautiful open empty full pale deep vivid colorful colourful multicolored
    transparent clean dirty wet dry broken cracked fresh ripe rotten hot cold warm soft hard heavy thin thick fat
    slim skinny sleepy angry scared smiling lit bearded elderly wild tame lonely dusty ancient antique rustic elegant
    fancy simple plain curly straight bald barefoot narrow wide rectangular oval triangular circular patterned
    checkered plaid floral friendly fierce majestic sleek smooth rough muddy hairy woolly feathered glowing burning
    frozen abandoned ruined wrecked ornate decorated tiled painted polished worn tattered folded rolled larger
    smaller bigger taller shorter lovely pretty funny spooky haunted medieval futuristic traditional
""")
ADJECTIVES = COLOURS | MATERIALS | LOOKS | frozenset(SIZES)
# short words that are English and in no list of stop words
SHORT = _words("""
    red big old new hot wet dry fat tan sad lit sit sat ran run eat ate fly fix cut put set hit get got let see saw
    say use try ask add win pet hug sun sky sea ice air top man men boy cat dog cow pig hen fox bee ant car bus van
    cup bag box bed hat cap tie jar pot pan egg pie jam tea bar toy gun map pen key fan art day fog mud log oak gem
    owl bat rat elk yak bug fly cab jet jug mug rug tub tv pc uv 3d 2d hd 4k 8k ok ox lap leg arm eye ear lip toe
    jaw bow bun inn zoo gym spa pub den hut barn lay lie lit dim icy raw mad shy coy bay ski surf pop rap mid
""")
SLIPS = {
    "teh": "the", "adn": "and", "wiht": "with", "nad": "and", "hte": "the", "fo": "of", "wth": "with", "an d": "and",
    "behing": "behind", "infront": "front", "betwen": "between", "beetween": "between", "besides": "beside",
}  # fmt: skip

# what a picture is called, and words for how it is made
META = _words("""
    close-up
    photo photograph picture image painting drawing illustration scene view shot render rendering sketch depiction
    portrait watercolor watercolour snapshot frame close-up closeup cartoon artwork poster composition canvas photos
    photography selfie visual layout graphic wallpaper still screenshot panorama art animation comic portrayal
    portrayals dslr finale angle silhouette display cover version print paintings images pictures
""")
# of these, the ones that also are things: only "a painting of", at the head of a text, is the picture itself
FRAMED = _words("painting drawing poster canvas cover print frame portrait comic silhouette display sketch")
STYLE = _words("""
    highly ultra detailed 4k 8k hd uhd cinematic photorealistic realistic hyperrealistic digital watercolor
    watercolour oil acrylic pixel minimalist abstract impressionist impressionism surreal surrealism vector sharp
    high trending artstation unreal octane cgi 3d 2d anime render masterpiece monochrome sepia pastel studio
    professional award-winning quality resolution bokeh best focus depth lens contrast high-contrast low-poly
    isometric hdr raw 16k dslr 35mm 50mm
""")
ASKING = _words("""
    draw paint generate create make show give want like need imagine picture render produce sketch visualize see
    have design depict illustrate put add include place compose get
""")
SPEAKERS = _words("i me you we us myself yourself")
# parts of a body or a thing: they stay in the caption of what they belong to
PARTS = _words("""
    eye hair fur feather wing stripe spot ear tail beard leg window wheel roof smile handle mustache moustache back
    hand head face mouth neck shoulder arm lap foot paw nose beak claw horn tooth trunk skin spine sleeve button lid
    door collar mane whisker freckle braid ponytail finger knee chest belly hoof body frosting rim spout page shell
    scale corner seat fingertip needle fang stinger antenna tusk hump stem thorn cap stalk strap pocket zipper hem
    lace heel sole brim windshield bumper headlight hood fender tire mast deck hull cockpit pedal blade
    stopper base surface edge side front top bottom interior inside outside swoosh
    embellishment pattern print design border silhouette lip eyebrow eyelash cheek chin forehead wrist elbow thigh
    expression grin frown flatbed peel rind crust
""")
# of these, "an elephant toy" or "a statue of an elephant", one sees what they show
MODELS = _words("toy statue figurine sculpture plush plushie doll ornament puppet")
# what is in a cupboard or a fridge where a level is said: "the top shelf"
# kinds of place that are drawn as things where they act: "the river flows through a canyon"
NATURE = _words("river lake sea ocean pond stream brook forest waterfall creek snow")
# what pictures are on
FLAT = _words(
    "flag sign shirt t-shirt poster banner map card stamp coin wall book label badge mug canvas screen plaque board page"
)
COUPLES = _words("parent grandparent twin newlywed eye ear hand foot")
INNER_PARTS = _words("shelf drawer rack compartment")
LEVELS = _words("top bottom upper lower middle")
ROOMS = _words("room hall house building")
SIDE_WORDS = _words("front left right top side back middle center centre bottom edge end inside outside foot base")
DETACHED = _words("petal leaf feather needle seed branch button strap")  # parts that are seen as things of their own
PLACED_PARTS = _words("""
    back top front edge end base foot surface seat side rim bank part arm shoulder head lap middle center centre
    bottom left right inside outside hand paw mouth nose tip
""")
CLOTHES = _words("""
    dress suit coat jacket shirt t-shirt tshirt sweater skirt uniform jeans pants trousers shorts hat cap scarf
    glasses sunglasses shoes shoe boots boot gloves glove tie costume armor armour apron robe gown raincoat hoodie
    vest cape kimono helmet crown mask socks sock swimsuit bikini blazer tuxedo bandana beanie headphones necklace
    backpack mittens mitten goggles spacesuit turban veil wig beret sandals sneakers sneaker blouse cardigan
    overalls pajamas bowtie belt watch bracelet earrings earring ring wristwatch
""")
# what belongs to the picture as a whole and is no thing in it
SCENERY = _words("""
    shade night day daytime nighttime sunset sunrise dawn dusk morning evening afternoon noon midnight winter summer
    autumn fall spring rain snow fog mist storm weather light lighting sunlight moonlight daylight shadow background
    foreground air wind darkness style detail season holiday time color colour perspective atmosphere mood way row
    distance water grass sand mud dust smoke steam ground floor wall ceiling sky horizon space bit lot scenery
    landscape nature resolution quality hour focus depth bokeh camera angle texture position order action silence
    sunshine twilight sea-level wilderness terrain dirt pavement sidewalk moon-light mid-air midair reflection
    halloween christmas easter outdoors indoors daylight puddle nowhere somewhere area region territory
""")
LOCATIONS = _words("""
    hallway corridor lobby concert wedding gym stadium museum hospital shop store basement attic cave canyon valley
    swamp room space universe jungle neighborhood neighbourhood suburb countryside world country town festival
    funeral meeting conference competition race match contest parade ceremony dream alley alleyway driveway porch
    balcony rooftop terrace patio entrance environment planet apartment flat studio mansion warehouse factory lab
    laboratory skatepark spa casino theater theatre cinema club reception loggia cellar pantry woods wood yard lawn
    backyard plaza square courtyard hotel salon gallery market mall sea field meadow hill hillside track trail path
    road street court arena pitch rink savanna tundra prairie marsh plain vineyard trip game party class lesson
""")
TIMES = frozenset(
    ("night", "sunset", "autumn", "spring day", "rainy street", "snowy landscape", "christmas", "halloween")
)
MONTHS_AND_DAYS = _words("""
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday
""")
EMPTY = _words("empty deserted abandoned desolate vacant uninhabited unoccupied lonely")
BUSY = _words("busy crowded cluttered bustling lively packed messy chaotic")
DEPTHS = _table(
    {
        Predicate.BEHIND: "background | distance | horizon | back",
        Predicate.IN_FRONT_OF: "foreground | front",
    }
)
SIDES = _table(
    {
        (Predicate.LEFT,): "left | lefthand",
        (Predicate.RIGHT,): "right | righthand",
        (Predicate.TOP,): "top | upper",
        (Predicate.BOTTOM,): "bottom | lower",
        (Predicate.CENTRE,): "middle | center | centre | central",
    }
)
SIDE_NOUNS = _words("hand side half corner part edge third portion area region corners")
PICTURE_WORDS = _words("""
    picture image photo photograph frame scene canvas shot composition view screen drawing painting page room
    foreground background
""")

RELATIONS = _table(
    {
        Predicate.LEFT_OF: """
        to the left of | on the left of | left of | at the left of | to left of | left to | on left of |
        to the left side of | on the left side of | on the left hand side of
    """,
        Predicate.RIGHT_OF: """
        to the right of | on the right of | right of | at the right of | to right of | right to | on right of |
        to the right side of | on the right side of | on the right hand side of
    """,
        Predicate.ON: """
        on top of | on the top of | atop | upon | on | onto | aboard | astride | on the back of | on the edge of |
        on the side of | over the top of | up on | on the surface of | on to | up the side of | on the arm of |
        on the lap of | on the head of | on the shoulder of | at the top of
    """,
        Predicate.IN: """
        inside | inside of | in | into | within | in the inside of | in between the leaves of | down in | out in
    """,
        Predicate.UNDER: "underneath | beneath | under | on the underside of",
        Predicate.BELOW: """
        below | down from | on the bottom of | at the bottom of | on bottom of | to the bottom of | down below
    """,
        Predicate.ABOVE: "above | over | hanging over | high above | up above | flying over | high over",
        Predicate.NEXT_TO: """
        next to | beside | besides | near | nearby | near to | close to | by | alongside | adjacent to | at |
        against | opposite | facing | across from | along | past | toward | towards | to | at the end of |
        at the edge of | by the side of | at the side of | side by side with | in the company of | to the side of |
        on side of | at the foot of | at the base of | from | across | through | outside | outside of | beyond | accompanying | hand in hand with |
        not far from | right next to | just outside | on the other side of | out of | off | off of | down | up | via |
        for | about | together with | along with | after | before
    """,
        Predicate.IN_FRONT_OF: "in front of | ahead of | at the front of | in the front of",
        Predicate.BEHIND: "behind | in back of | at the back of | in the back of | hidden by | hidden behind | right behind",
    }
)
WEAK = _words("to from across through outside beyond out off down up via for about after before past")
ON_TOP = ("on top of", "on the top of")  # the words ask for the top itself: straight above
BETWEEN = frozenset(
    {"between", "in between", "in the middle of", "among", "amongst", "amid", "amidst", "in the midst of"}
)
AROUND = frozenset({"around", "all around", "round"})
# "a bowl filled with apples" is the same as apples in a bowl
REVERSED = _table(
    {
        Predicate.NEXT_TO: "flanked by | lined with | accompanied by | followed by | led by",
        Predicate.IN: "filled with | full of | stuffed with | packed with | loaded with | overflowing with | laden with",
        Predicate.ON: """
        covered with | covered in | covered by | topped with | stacked with | decorated with | supporting |
        set with | adorned with | crowned with | sprinkled with | draped with | draped in | garnished with
    """,
        Predicate.WORN_BY: "dressed in | dressed up in | clad in | wrapped in | dressed as",
    }
)
SURROUNDED = frozenset({"surrounded by", "encircled by", "ringed by", "surrounded with"})
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
# after these a noun says how a thing looks, and is none itself
LIKENESSES = _words("shape form texture style pattern color colour size look manner likeness")
MADE = frozenset(
    {
        "made of",
        "made out of",
        "made from",
        "made up of",
        "made entirely of",
        "built of",
        "carved from",
        "carved out of",
        "shaped like",
        "in the style of",
        "painted by",
        "directed by",
        "composed of",
        "in the shape of",
        "in the form of",
        "dressed as",
        "disguised as",
        "resembling",
    }
)
MUTUAL = frozenset(
    {
        "side by side",
        "next to each other",
        "next to one another",
        "beside each other",
        "together",
        "near each other",
        "hand in hand",
        "shoulder to shoulder",
        "beside one another",
    }
)
IN_ROW = frozenset({"in a row", "in a line", "in line", "lined up", "in rows", "in a straight line"})
ROWS = _table(
    {
        Predicate.LEFT_OF: "from left to right | left to right",
        Predicate.RIGHT_OF: "from right to left | right to left",
        Predicate.ABOVE: "from top to bottom | top to bottom",
        Predicate.BELOW: "from bottom to top",
    }
)
# verbs, by their base form
HOLD = _words("""
    scribble doodle sketch jot browse
    hold carry grab grip clutch use play read wave raise lift swing throw toss catch eat drink sip bite lick chew write
    brush wield point open shake type text talk chat speak call sing shout blow smoke strum tune pluck sew knit peel
    wash clean fix repair examine hug cradle squeeze give hand offer bring serve show take pick photograph aim shoot
    sweep mop cut slice stir pour spread fly munch nibble enjoy have listen whisper scroll tap feed polish bounce
    dribble juggle kick pet study sign hoist balance twirl light fold knead stretch check
""")
WEAR = _words("wear don sport")
RIDE = _words("ride drive mount pilot steer straddle row paddle pedal race surf sail")
CARRY_ON = _words("support bear display hold")  # what no living thing does to what is on it
COVER = _words(
    "cover adorn top decorate grace crown climb cross mount scale drape coat dot fill garnish blanket occupy"
)
SURROUND = _words("surround encircle circle flank frame ring line")
CONTAIN = _words("contain include feature have hold house")
PUT = _words(
    "put place set hang lay lean throw toss pour drop pin stick load pack paint draw write kick hit drag pull push "
    "roast cook grill fry bake hide bury plant"
)
POSTURES = _table(
    {
        "sitting": "sit | seat | perch | meditate | relax | lounge | rest",
        "lying": "lie | lay | sleep | nap | sunbathe | doze | snooze",
        "kneeling": "kneel",
        "crouching": "crouch | squat",
    }
)
STANDING = _words("""
    stand sit lie lay sleep perch walk run jump step ride balance rest dance kneel crouch lean land skate surf climb grind
    seat place put park stack meditate lounge nap hop leap trot roll slide ski
""")
DOING = frozenset(
    {*HOLD, *WEAR, *RIDE, *COVER, *STANDING, *PUT, *POSTURES, "eat", "wait", "look", "laugh", "smile", "cry"}
)


def is_doing(word: str) -> bool:
    """True for the -ing form of a verb of doing."""
    stem = word.removesuffix("ing")
    return bool({stem, stem + "e", stem[:-1], stem[:-1] + "e"} & DOING)


MALE = _words("man boy king father son husband uncle grandfather prince guy gentleman brother groom waiter monk wizard")
FEMALE = _words("woman girl queen mother daughter wife aunt grandmother princess lady sister bride waitress nun witch")
# one of an abstract pair stands for a person
PERSONS = _words("partner owner friend companion client customer other another someone somebody stranger everyone one")
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
    "plant": frozenset(("tree", "flower", "potted plant", "palm tree", "pine tree", "cactus", "grass", "bouquet")),
}
HYPERNYMS |= {"pet": HYPERNYMS["animal"], "traffic": HYPERNYMS["vehicle"], "wildlife": HYPERNYMS["animal"]}
LIVING = HYPERNYMS["animal"] | {"person", "robot", "statue"}
