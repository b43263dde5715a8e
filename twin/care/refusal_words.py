"""What was expected and what was got instead, in the language of the page.

Decoders say it in English, as their command and the devices' engineers read it, and with it what
formats call their own parts (`effectiveDateTime`, `vb`), which no language changes. What is refused
most is said in French too; of the rest the page says that it is English, so that it is read out as
such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

#: English with {} for what changes → French, the same in the same order.
_FRENCH: Mapping[str, str] = MappingProxyType(
    {
        "{} to {} {}": "{} à {} {}",
        "a finite number": "un nombre fini",
        "a number": "un nombre",
        "a whole number": "un nombre entier",
        "a text": "un texte",
        "a name": "un nom",
        "an alias": "un alias",
        "a list": "une liste",
        "a list of times": "une liste d’heures",
        "a value": "une valeur",
        "an object": "un objet",
        "one JSON object": "un seul objet JSON",
        "an object: signal → value": "un objet\u00a0: signal → valeur",
        "a signal of the catalogue": "un signal du catalogue",
        "a UCUM unit": "une unité UCUM",
        "a LOINC code": "un code LOINC",
        "an ISO-8601 date and time": "une date et une heure ISO-8601",
        "an ISO-8601 date and time with zone, or a whole number of epoch milliseconds":
            "une date et une heure ISO-8601 avec fuseau, ou un nombre entier de millisecondes "
            "epoch",
        "an ISO-8601 date and time with seconds and zone":
            "une date et une heure ISO-8601 avec secondes et fuseau",
        "a zone at the end, e.g. Z or +02:00": "un fuseau à la fin, p. ex. Z ou +02:00",
        "at most {} s ahead of its receipt": "au plus {} s d’avance sur la réception",
        "at most {} days before its receipt": "au plus {} jours avant la réception",
        "at most {} bytes": "au plus {} octets",
        "the key once": "la clé une seule fois",
        "each key once": "chaque clé une seule fois",
        "time or times, not both": "time ou times, pas les deux",
        "{} values, as times has": "{} valeurs, comme times",
        "the device of the topic, or none": "le capteur du topic, ou aucun",
        "a registered device": "un capteur enregistré",
        "a known device: no more are registered by themselves":
            "un capteur connu\u00a0: on n’en enregistre plus d’office",
        "a stamp at which the device is bound to a patient":
            "une heure à laquelle le capteur est attribué à un patient",
        "a stamp further from the device's change of patient":
            "une heure plus éloignée du changement de patient du capteur",
        "a consent or another basis that holds at the stamp and now":
            "un consentement ou une autre base, valable à cette heure et maintenant",
        "a signal that the patient's consent allows":
            "un signal que le consentement du patient permet",
        "a gateway that the configuration declares": "une passerelle que la configuration déclare",
        "a measurement, or something the device says of itself":
            "une mesure, ou un état que le capteur dit de lui-même",
        "a date and time": "une date et une heure",
        "a value at an instant": "une valeur à un instant",
        "an alias that the last birth named": "un alias nommé par la dernière naissance",
        "online or offline": "online ou offline",
        "true or false": "true ou false",
        "none": "rien",
        "nothing": "rien",
        "neither": "ni l’un ni l’autre",
        "twice": "deux fois",
        "both": "les deux",
        "more": "davantage",
        "{} bytes": "{} octets",
        "a clock in another zone: clock_offset_s = {} of the device, or stamp_zone of its model":
            "une horloge d’un autre fuseau\u00a0: clock_offset_s = {} du capteur, ou stamp_zone "
            "de son modèle",
        "epoch {}: stamp_unit = {} of the device's model":
            "un nombre epoch d’une autre unité\u00a0: stamp_unit = {1} du modèle du capteur",
        "{} ({} h ahead: zone?)": "{} (avance de {} h\u00a0: fuseau\u202f?)",
        "{} (looks like seconds)": "{} (ressemble à des secondes)",
        "{} (looks like milliseconds)": "{} (ressemble à des millisecondes)",
        "{} (looks like microseconds)": "{} (ressemble à des microsecondes)",
        "{} (looks like nanoseconds)": "{} (ressemble à des nanosecondes)",
    }
)  # fmt: skip
_LONGEST = 400
#: Between alternatives: ours, of any number ("/min, 1/min or Hz", "a text or a number").
_OR = re.compile(r"( or |, or |, )")
#: Between what was expected and how a device is declared that is known to write otherwise.
_DECLARED = "; to declare "
#: What changes: a number, a unit, a time; no words, so that a sentence is never half translated.
_PART = r"([^\s,;]+)"
_NAME = re.compile(_PART)


def _pattern(english: str) -> re.Pattern[str]:
    return re.compile(_PART.join(map(re.escape, english.split("{}"))))


_WITH_PARTS = [
    (_pattern(english), french) for english, french in _FRENCH.items() if "{}" in english
]


@lru_cache(maxsize=4_096)
def in_french(text: str) -> str | None:
    """The same in French; None where it has no words for it. Pure."""
    if text in _FRENCH:
        return _FRENCH[text]
    expected, declared, how = text.partition(_DECLARED)
    if declared:
        both = in_french(expected), in_french(how)
        return None if None in both else f"{both[0]}\u202f; pour déclarer {both[1]}"
    if len(text) > _LONGEST:
        return None
    for pattern, french in _WITH_PARTS:
        if found := pattern.fullmatch(text):
            return french.format(*found.groups())
    return _alternatives(text) if " or " in text else None


def _alternatives(text: str) -> str | None:
    """All of them names of a format or units, or all of them phrases that have French."""
    parts = _OR.split(text)
    each, between = parts[::2], (*(sign.replace("or", "ou") for sign in parts[1::2]), "")
    if not all(_NAME.fullmatch(one) for one in each):
        each = [_FRENCH.get(one, "") for one in each]
    return None if "" in each else "".join(map("".join, zip(each, between, strict=True)))
