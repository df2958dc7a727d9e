"""A foreign phrase inside an English text, or alone: too short for a window of prose, long enough to say what ails somebody.

Counted are runs of one language's words with few words between them. Function words alone need three different ones that are no parts of
names ("de la"); beside a word that a clinical or a private letter cannot do without, two are enough. Romanised languages have lists too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from detectors.function_words import ENGLISH, FOREIGN, NAME_PARTICLES
from detectors.normalized import Normalized
from detectors.phrases import listed

LARGEST_GAP = 4
DENSITY = 0.4
ENGLISH_SHARE = 0.25
FEWEST = 3
FEWEST_TOLD = 2

TELLING: dict[str, frozenset[str]] = {
    "es": listed(
        "paciente dolor fiebre tos desde ayer hace niega refiere presenta antecedentes hipertensión hipertension torácico toracico "
        "urgencias embarazo edad alergias tratamiento enfermedad enfermera cabeza pecho sangre receta cita semana días diagnóstico "
        "diagnostico cuenta saldo préstamo prestamo tarjeta deuda señora nacimiento arterial mellitus izquierdo derecho opresivo masculino "
        "femenino vómito vomito náuseas nauseas intenso horas niño años médico pastillas"
    ),
    "fr": listed(
        "douleur douleurs depuis hier fièvre fievre toux tension grossesse ordonnance maladie malade médecin medecin urgences traitement "
        "poitrine tête semaine compte prêt dette naissance abdominale thoracique gauche droite antécédents antecedents infirmière"
    ),
    "de": listed(
        "klagt schmerzen kopfschmerzen fieber husten verdacht aufnahme stationäre herzinfarkt blutdruck schwangerschaft krankheit "
        "krankenhaus "
        "behandlung diagnose befund verordnung seit gestern woche konto kredit schulden geburtsdatum tabletten bauchschmerzen "
        "überweisung"
    ),
    "it": listed(
        "paziente dolore febbre tosse giorni ieri pressione gravidanza ricetta malattia medico ospedale cura petto testa settimana conto "
        "prestito debito nascita toracico addominale ricovero diagnosi"
    )
    - {"cura"},
    "pt": listed(
        "paciente dor febre tosse desde ontem peito cabeça cabeca pressão pressao gravidez receita doença doenca hospital médico medico "
        "remédio remedio semana conta empréstimo dívida nascimento nega refere"
    )
    - {"hospital"},
    "nl": listed(
        "patiënt pijn koorts hoest sinds gisteren borst hoofdpijn bloeddruk zwanger ziekenhuis behandeling klaagt rekening lening"
    ),
    "sv": listed("patienten smärta feber hosta sedan igår bröst huvudvärk blodtryck gravid sjukhus behandling"),
    "da": listed("patienten smerter feber hoste siden brystet hovedpine blodtryk gravid sygehus behandling"),
    "pl": listed(
        "pacjent pacjentka ból bóle gorączka kaszel dni wczoraj ciśnienie szpital leczenie zgłasza skarży klatce piersiowej konto"
    ),
    "ro": listed("pacientul pacienta durere dureri febră tuse zile ieri tensiune spital tratament"),
    "cs": listed("pacient pacientka bolest bolesti horečka kašel dnů včera nemocnice léčba tlak"),
    # Normalised: a dotless i is read as a plain one.
    "tr": listed(
        "hasta hastanin hastanin ağrisi ağri ateş öksürük gündür gün şikayetçi şikayeti göğüs tansiyon hastane tedavi yok var üç iki"
    ),
    "fi": listed("potilas potilaan kipu kipua kuume yskä päivää eilen sairaala hoito"),
    "hu": listed("beteg betegnek fájdalom láz köhögés napja tegnap kórház kezelés"),
    "tl": listed("pasyente sakit lagnat ubo araw kahapon dibdib gamot ospital dugo"),
    "id": listed("pasien nyeri demam batuk hari kemarin dada obat sakit darah tekanan"),
    "ht": listed("malad doulè lafyèv tous jou lestomak tansyon lopital medikaman"),
    "vi": listed("bệnh nhân đau ngực ngày không sốt ho và của có là được cho với bị"),
    "sw": listed("mgonjwa maumivu kifua homa kikohozi siku hana wala tangu dawa kwa anaumwa analalamika"),
    "so": listed("bukaanku bukaan xanuun maalmood qandho qufac wuxuu waxay cabanayaa laabta saddex dawo"),
    "hi": listed("mareez marij dard bukhar khansi dawai din mein nahi hain raha rahi karta karti seene aur bhi leta leti"),
    "ru": listed("patsient patsientka bolnoy zhaluetsya zhaloby boli bol grudi temperatura povyshena kashel odyshka techenie dney sukhoy"),
    "ar": listed("almarid almarida mareed yushtaki tashtaki mundhu ayam alam alsadr humma sual laysa ladayhi ladayha"),
    "zh": listed("bingren huanzhe xiongtong fashao kesou meiyou tangniaobing gaoxueya yisheng yiyuan san tian toutong"),
    "ja": listed("kanja itami netsu arimasen imasu shimasu desu mune mikka byouin kusuri uttaete kara"),
}
"""Words without which nobody writes of pain, illness or money; none is English."""
ROMANISED: dict[str, frozenset[str]] = {
    "hi": listed("ko hai mein se aur bhi nahi ka ki ke hain tha thi raha rahi ne"),
    "ru": listed("na v i ne s po za iz u ot pri chto eto"),
    "ar": listed("min wa fi ila ala an hatha la"),
    "zh": listed("you de le zai shi he bing mei"),
    "ja": listed("wa no ni wo ga mo to kara made mae"),
    "sw": listed("na ya wa kwa ni za la"),
    "so": listed("ka ku iyo ah uu ayaa waa"),
    "vi": listed("ba nay"),
}
_NOT_FOREIGN = ENGLISH | listed("san tension diagnose malade due edad var iki")


def _merged() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """By language, its function words and its telling words, without what is English."""
    languages = FOREIGN.keys() | TELLING.keys() | ROMANISED.keys()
    return {
        language: (
            (FOREIGN.get(language, frozenset()) | ROMANISED.get(language, frozenset())) - _NOT_FOREIGN,
            TELLING.get(language, frozenset()) - _NOT_FOREIGN,
        )
        for language in sorted(languages)
    }


LANGUAGES = _merged()
ALL = frozenset().union(*(function | telling for function, telling in LANGUAGES.values()))


def foreign_phrase(text: Normalized) -> bool:
    """Whether some run of words is in one other language."""
    known = text.vocabulary & ALL
    if len(known - NAME_PARTICLES) < FEWEST_TOLD:
        return False
    english: list[int] | None = None
    for function, telling in LANGUAGES.values():
        own = known & (function | telling)
        if len(own - NAME_PARTICLES) < FEWEST_TOLD or not _enough(own, telling):
            continue
        if english is None:
            english = sorted(place for word in ENGLISH & text.vocabulary for place in text.places[word])
        if _in_a_run(text, own, telling, english):
            return True
    return False


def _enough(own: frozenset[str] | set[str], telling: frozenset[str]) -> bool:
    return len(own - NAME_PARTICLES) >= FEWEST or (len(own) >= FEWEST_TOLD and not telling.isdisjoint(own))


def _in_a_run(text: Normalized, own: frozenset[str], telling: frozenset[str], english: Sequence[int]) -> bool:
    places = sorted(place for word in own for place in text.places[word])
    start = 0
    for index in range(1, len(places) + 1):
        if index < len(places) and places[index] - places[index - 1] <= LARGEST_GAP:
            continue
        run, start = places[start:index], index
        if _foreign_run(text, run, telling, english):
            return True
    return False


def _foreign_run(text: Normalized, run: Sequence[int], telling: frozenset[str], english: Sequence[int]) -> bool:
    if len(run) < FEWEST_TOLD or not _enough({text.words[place] for place in run}, telling):
        return False
    length = run[-1] - run[0] + 1
    between = bisect_left(english, run[-1]) - bisect_left(english, run[0])
    return len(run) >= DENSITY * length and between <= ENGLISH_SHARE * length
