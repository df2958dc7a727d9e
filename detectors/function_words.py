"""Function words of languages in Latin script: short, frequent, and rare in any other language of the list.

A clinical letter cannot be written without them, whatever its names, drugs and abbreviations; a list of names has none.
"""

from detectors.phrases import listed

ENGLISH = listed(
    "the of and to in a is was for with on that by at from as this be are were has had have not or an it she he they you we i "
    "his her their your our my "
    "will would can could should may been which who what when where there these those if but than then so no up out about after "
    "before over into "
    "also all any each other more some only both do does did its if how him them me us am during without through between under "
    "again further"
)

FOREIGN: dict[str, frozenset[str]] = {
    "es": listed(
        "el la los las del que y en un una unos unas con por para se su sus es son fue está este esta como más pero muy ya sin "
        "sobre entre también "
        "hasta desde cuando hay ha han lo le les al nos usted años día días según refiere tras durante presenta niega paciente señor señora"
    ),
    "fr": listed(
        "le la les des du et en un une que qui dans pour avec sur est sont été ce cette ces pas au aux par il elle nous vous "
        "votre son sa ses ne se "
        "plus mais ou où depuis sans sous très chez lors après avant monsieur madame ans jours était avait être fait patiente a"
    )
    - {"a"},
    "de": listed(
        "der die das und ist nicht mit ein eine einen einem einer des dem den von zu im auf für sich wurde wird bei nach auch "
        "aus als an am oder "
        "sie er wir ich ihr ihre seine sind war hat haben wurden über unter zum zur keine kein seit vor bis sehr geehrte herr frau jahre"
    )
    - {"die", "war", "an", "am"},
    "it": listed(
        "il lo gli della del dei delle dello nel nella con per che non una un è sono di da al alla si su ha anche più come stato "
        "stata questo "
        "questa dal dalla degli ed ma se anni giorni paziente riferisce signor signora le la i"
    )
    - {"i"},
    "pt": listed(
        "o os as um uma de do da dos das em no na nos nas que e com para por se não é foi são ao à pelo pela mais como mas sua "
        "seu está também "
        "há anos dias já sem sobre até paciente refere senhor senhora apresenta"
    )
    - {"as", "do", "no", "e", "o"},
    "nl": listed(
        "het een en van niet dat voor met zijn op te is aan ook door bij naar uit werd wordt heeft hij zij wij ik deze maar om "
        "tot geen sinds "
        "jaar dagen mevrouw meneer patiënt de er als"
    )
    - {"is", "te", "met", "door", "om"},
    "sv": listed("och att det som en på är av för med till den har inte om ett han hon vi var från men eller efter vid kan ska patienten")
    - {"for", "till", "men", "var", "den", "en"},
    "da": listed("og at det som en på er af for med til den har ikke om et han hun vi var fra men eller efter ved kan skal patienten")
    - {"at", "for", "men", "var", "den", "er"},
    "pl": listed("i w z na do się nie jest że od po przez oraz jak dla za był była było są ten ta to pacjent pacjentka lat dnia przy ze")
    - {"i", "do", "to", "w", "z"},
    "ro": listed("și în de la cu pe nu este din pentru care un o au fost a să mai ce prin după pacientul pacienta")
    - {"a", "o", "care", "de", "la"},
    "cs": listed("a v na je se že s z do pro od po jako byl byla bylo nebo který která při pacient pacientka let dne ve")
    - {"a", "v", "s", "z", "do", "let"},
    "fi": listed("ja on ei että se hän oli ovat myös kun tai mutta joka sekä potilas potilaan vuotta ollut ole") - {"on"},
    "tr": listed("ve bir bu için ile da de olarak olan hasta hastanın değil çok daha sonra gibi var yok ne kadar") - {"bu", "de", "ne"},  # noqa: RUF001 - Turkish has a dotless i
    "hu": listed("a az és hogy nem egy is volt meg de van ez mint csak már beteg betegnek évek napok") - {"a", "is", "de", "van"},
    "ca": listed("el la els les dels i amb per que és una un al a més són aquest aquesta pacient anys dies") - {"i", "a"},
    "tl": listed("ang ng mga sa na ay at si ni kay ito siya niya hindi para po pasyente") - {"at"},
    "id": listed("yang dan di ke dari untuk pada dengan tidak ini itu adalah dalam akan oleh pasien tahun"),
    "ht": listed("li nan ak pou yon yo pa sa ki te gen mwen ou nou men anpil doktè malad") - {"men", "sa"},
}

NAME_PARTICLES = listed("el la las los le les de del della der den du des di da dos das van von zu al lo")
"""They occur in names and places (Los Angeles, van der Berg): they count, but never alone."""
