"""What a Wikidata class (P31, instance of) says of an entity: its types, and whether it is a page of names.

`subclass of` (P279) is not followed: the tree is deep, changes by the day and leads from films to "entity".
These are the classes that items of films, books, music, games and podcasts carry directly; a class that is
not here says nothing. Labels are Wikidata's own, English.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from alias_tables.page_kinds import DATE, DISAMBIGUATION, LIST, NAME, SET_INDEX

_TYPE_CLASSES = {
    "album": (
        "Q482994",  # album
        "Q208569",  # studio album
        "Q209939",  # live album
        "Q222910",  # compilation album
        "Q169930",  # extended play
        "Q4176708",  # soundtrack album
        "Q963099",  # remix album
        "Q723849",  # greatest hits album
    ),
    "award": (
        "Q618779",  # award
        "Q38033430",  # class of award
        "Q4220917",  # film award
        "Q378427",  # literary award
        "Q1364556",  # music award
    ),
    "book": (
        "Q571",  # book
        "Q7725634",  # literary work
        "Q47461344",  # written work
        "Q8261",  # novel
        "Q149537",  # novella
        "Q49084",  # short story
        "Q1279564",  # short story collection
        "Q5185279",  # poem
        "Q37484",  # epic poem
        "Q12106333",  # poetry collection
        "Q277759",  # book series
        "Q1667921",  # novel series
        "Q1318295",  # narrative
        "Q35760",  # essay
        "Q3331189",  # version, edition or translation
        "Q20540385",  # non-fiction work
        "Q747381",  # light novel
        "Q104213567",  # light novel series
    ),
    "character": (
        "Q95074",  # fictional character
        "Q15632617",  # fictional human
        "Q15773347",  # film character
        "Q15773317",  # television character
        "Q3658341",  # literary character
        "Q1114461",  # comics character
        "Q15711870",  # animated character
        "Q1569167",  # video game character
        "Q80447738",  # anime character
        "Q87576284",  # manga character
        "Q50386450",  # opera character
        "Q3375722",  # theatrical character
        "Q188784",  # superhero
        "Q178885",  # deity
        "Q4271324",  # mythical character
        "Q22988604",  # Greek mythological figure
        "Q21070568",  # human who may be fictional
        "Q20643955",  # human biblical figure
    ),
    "comic": (
        "Q1004",  # comics
        "Q1760610",  # comic book
        "Q14406742",  # comic book series
        "Q725377",  # graphic novel
        "Q838795",  # comic strip
        "Q213369",  # webcomic
        "Q8274",  # manga
        "Q21198342",  # manga series
        "Q74262765",  # manhwa series
    ),
    "concept": (
        "Q151885",  # concept
        "Q483394",  # genre
        "Q188451",  # music genre
        "Q201658",  # film genre
        "Q223393",  # literary genre
        "Q659563",  # video game genre
        "Q34770",  # language
        "Q33742",  # natural language
        "Q1288568",  # modern language
        "Q16521",  # taxon
        "Q28640",  # profession
        "Q12737077",  # occupation
        "Q11862829",  # academic discipline
        "Q9174",  # religion
        "Q12136",  # disease
        "Q31629",  # type of sport
        "Q41710",  # ethnic group
        "Q11344",  # chemical element
        "Q11173",  # chemical compound
        "Q2996394",  # biological process
    ),
    "event": (
        "Q1190554",  # occurrence
        "Q198",  # war
        "Q178561",  # battle
        "Q40231",  # public election
        "Q132241",  # festival
        "Q220505",  # film festival
        "Q868557",  # music festival
        "Q27020041",  # sports season
        "Q18608583",  # recurring sporting event
        "Q500834",  # tournament
        "Q15275719",  # recurring event
        "Q182832",  # concert
        "Q1573906",  # concert tour
    ),
    "film": (
        "Q11424",  # film
        "Q24862",  # short film
        "Q24869",  # feature film
        "Q506240",  # television film
        "Q202866",  # animated film
        "Q29168811",  # animated feature film
        "Q17517379",  # animated short film
        "Q20650540",  # anime film
        "Q93204",  # documentary film
        "Q226730",  # silent film
        "Q229390",  # 3D film
        "Q24856",  # film series
        "Q13593818",  # film trilogy
        "Q130232",  # drama film
        "Q157443",  # comedy film
        "Q200092",  # horror film
        "Q188473",  # action film
        "Q471839",  # science fiction film
        "Q172980",  # Western film
        "Q842256",  # musical film
        "Q2484376",  # thriller film
        "Q18011171",  # unfinished or abandoned film project
    ),
    "franchise": (
        "Q196600",  # media franchise
        "Q559618",  # fictional universe
    ),
    "game": (
        "Q7889",  # video game
        "Q7058673",  # video game series
        "Q865493",  # video game modification
        "Q209163",  # expansion pack
        "Q11410",  # game
        "Q131436",  # board game
        "Q142714",  # card game
        "Q734698",  # collectible card game
        "Q1643932",  # tabletop role-playing game
        "Q1121542",  # mobile game
    ),
    "music_group": (
        "Q215380",  # musical group
        "Q2088357",  # musical ensemble
        "Q5741069",  # rock band
        "Q641066",  # girl group
        "Q216337",  # boy band
        "Q9212979",  # musical duo
        "Q281643",  # musical trio
        "Q56816954",  # heavy metal band
        "Q42998",  # orchestra
        "Q131186",  # choir
        "Q207338",  # string quartet
    ),
    "organisation": (
        "Q43229",  # organization
        "Q4830453",  # business
        "Q783794",  # company
        "Q6881511",  # enterprise
        "Q891723",  # public company
        "Q18127",  # record label
        "Q2085381",  # publishing company
        "Q1762059",  # film production company
        "Q1107679",  # animation studio
        "Q375336",  # film studio
        "Q210167",  # video game developer
        "Q1137109",  # video game publisher
        "Q10689397",  # television production company
        "Q2001305",  # television channel
        "Q1616075",  # television station
        "Q1254874",  # television network
        "Q3918",  # university
        "Q875538",  # public university
        "Q3914",  # school
        "Q7278",  # political party
        "Q476028",  # association football club
        "Q13393265",  # basketball team
        "Q12973014",  # sports team
        "Q163740",  # nonprofit organization
        "Q327333",  # government agency
    ),
    "periodical": (
        "Q1002697",  # periodical
        "Q41298",  # magazine
        "Q11032",  # newspaper
        "Q1110794",  # daily newspaper
        "Q5633421",  # scientific journal
        "Q737498",  # academic journal
    ),
    "person": ("Q5",),  # human
    "place": (
        "Q6256",  # country
        "Q3624078",  # sovereign state
        "Q3024240",  # historical country
        "Q515",  # city
        "Q1549591",  # big city
        "Q1637706",  # city with millions of inhabitants
        "Q1093829",  # city in the United States
        "Q5119",  # capital city
        "Q3957",  # town
        "Q532",  # village
        "Q486972",  # human settlement
        "Q484170",  # commune of France
        "Q747074",  # comune of Italy
        "Q262166",  # municipality of Germany
        "Q22865",  # independent city of Germany
        "Q35657",  # U.S. state
        "Q47168",  # county of the United States
        "Q7275",  # state
        "Q4022",  # river
        "Q8502",  # mountain
        "Q23442",  # island
        "Q23397",  # lake
        "Q5107",  # continent
        "Q82794",  # geographic region
        "Q41176",  # building
        "Q33506",  # museum
        "Q16970",  # church building
        "Q23413",  # castle
        "Q55488",  # railway station
        "Q483110",  # stadium
        "Q3895768",  # fictional location
        "Q7270",  # republic
        "Q112099",  # island country
        "Q755707",  # municipality of Norway
        "Q42744322",  # urban municipality in Germany
        "Q1221156",  # federated state of Germany
        "Q835714",  # oblast of Russia
        "Q485258",  # federative unit of Brazil
        "Q200250",  # metropolis
        "Q134626",  # district capital
        "Q207694",  # art museum
        "Q12280",  # bridge
    ),
    "play": (
        "Q25379",  # play
        "Q2743",  # musical
        "Q1344",  # opera
        "Q116476516",  # dramatic work
        "Q58483083",  # dramatico-musical work
        "Q170384",  # operetta
    ),
    "podcast": (
        "Q24634210",  # podcast show
        "Q61855877",  # podcast episode
    ),
    "product": (
        "Q2424752",  # product
        "Q7397",  # software
        "Q166142",  # application
        "Q620615",  # mobile app
        "Q3231690",  # automobile model
        "Q59773381",  # automobile model series
        "Q8076",  # home video game console
        "Q19723451",  # smartphone model
        "Q431289",  # brand
    ),
    "radio": (
        "Q1555508",  # radio program
        "Q14623351",  # radio series
        "Q2635894",  # audio play
        "Q14350",  # radio station
    ),
    "song": (
        "Q7366",  # song
        "Q134556",  # single
        "Q7302866",  # audio track
        "Q105543609",  # musical work/composition
        "Q2188189",  # musical work
        "Q207628",  # musical composition
        "Q9734",  # symphony
        "Q23691",  # national anthem
        "Q55850593",  # music track with vocals
    ),
    "television": (
        "Q5398426",  # television series
        "Q15416",  # television program
        "Q1259759",  # miniseries
        "Q581714",  # animated television series
        "Q117467246",  # animated television series, the later class
        "Q63952888",  # anime television series
        "Q526877",  # web series
        "Q1366112",  # drama television series
        "Q170238",  # sitcom
        "Q23739",  # soap opera
        "Q182415",  # reality television
        "Q622812",  # talk show
        "Q23745",  # telenovela
        "Q3464665",  # television series season
        "Q21191270",  # television series episode
        "Q1983062",  # episode
        "Q1261214",  # television special
        "Q113687694",  # original video animation series
        "Q220898",  # original video animation
    ),
    "work": (
        "Q838948",  # work of art
        "Q17537576",  # creative work
        "Q3305213",  # painting
        "Q860861",  # sculpture
        "Q125191",  # photograph
        "Q193977",  # music video
    ),
}
_FLAG_CLASSES = {
    DISAMBIGUATION: (
        "Q4167410",  # Wikimedia disambiguation page
        "Q22808320",  # Wikimedia human name disambiguation page
    ),
    LIST: ("Q13406463",),  # Wikimedia list article
    SET_INDEX: ("Q15623926",),  # Wikimedia set index article
    NAME: (
        "Q101352",  # family name
        "Q202444",  # given name
        "Q12308941",  # male given name
        "Q11879590",  # female given name
        "Q3409032",  # unisex given name
        "Q66480858",  # affixed family name
    ),
    DATE: (
        "Q577",  # year
        "Q3186692",  # calendar year
        "Q19828",  # leap year
        "Q235729",  # common year
        "Q29964144",  # year BC
        "Q39911",  # decade
        "Q578",  # century
        "Q36507",  # millennium
        "Q14795564",  # point in time with respect to recurrent timeframe
        "Q47150325",  # calendar day of a given year
        "Q47018478",  # calendar month of a given year
        "Q47018901",  # month
        "Q573",  # day
    ),
}
INTERNAL_CLASSES = frozenset(
    int(qid[1:])
    for qid in (
        "Q4167836",  # Wikimedia category
        "Q11266439",  # Wikimedia template
        "Q14204246",  # Wikimedia project page
        "Q4663903",  # Wikimedia portal
        "Q15184295",  # Wikimedia module
        "Q17633526",  # Wikinews article
        "Q20010800",  # Wikimedia user language category
    )
)
"""Items of pages that are no articles: they name no entity."""


def _by_number(classes: Mapping[str, Iterable[str]]) -> Mapping[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for name, qids in classes.items():
        for qid in qids:
            number = int(qid[1:])
            found[number] = (*found.get(number, ()), name)
    return MappingProxyType(found)


TYPES_OF_CLASS = _by_number(_TYPE_CLASSES)
"""Number of a class's QID to `schema.ENTITY_TYPES`."""
FLAGS_OF_CLASS = _by_number(_FLAG_CLASSES)
"""Number of a class's QID to the flags of `page_kinds`."""


def types_of(classes: Iterable[int]) -> list[str]:
    """Return the types of an item by its classes, sorted.

    >>> types_of([11424, 7889, 1])
    ['film', 'game']
    """
    return sorted({name for number in classes for name in TYPES_OF_CLASS.get(number, ())})


def flags_of(classes: Iterable[int]) -> list[str]:
    """Return the flags of an item's page by its classes, sorted.

    >>> flags_of([13406463, 5])
    ['list']
    """
    return sorted({name for number in classes for name in FLAGS_OF_CLASS.get(number, ())})
