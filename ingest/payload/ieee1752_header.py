"""Headers of data points: that of IEEE 1752.1 (`uuid`) and that of Open mHealth (`id`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.payload.decoded import Reason, Unusable, shortened, shown
from ingest.payload.ieee1752_schemas import SCHEMAS
from ingest.payload.moments import moment

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_MODALITIES = ("sensed", "self-reported")
_NAMESPACES = ("omh", "ieee")

Fields = Mapping[str, object]


def check_header(header: object, path: str) -> Fields:
    """The header, if its schema allows it. Raises Unusable."""
    if header is None:
        raise Unusable(Reason.FIELD_MISSING, path, "an object")
    fields = _object(header, path)
    if "uuid" in fields:
        _check_ieee(fields, path)
    elif "id" in fields:
        _check_omh(fields, path)
    else:
        raise Unusable(Reason.FIELD_MISSING, path + ".uuid", "uuid, or id in Open mHealth's header")
    return fields


def schema_of(header: Fields, path: str) -> tuple[str, str]:
    """Name and version of a schema that is read. Raises Unusable for any other."""
    if "schema_id" not in header:
        raise Unusable(Reason.FIELD_MISSING, path, "namespace, name and version")
    fields = _object(header["schema_id"], path)
    namespace, name, version = (
        _text(fields, key, f"{path}.{key}") for key in ("namespace", "name", "version")
    )
    if namespace not in _NAMESPACES:
        expected = " or ".join(_NAMESPACES)
        raise Unusable(Reason.SCHEMA_UNKNOWN, path + ".namespace", expected, shown(namespace))
    versions = SCHEMAS.get(name)
    if versions is None or (namespace, name) == ("omh", "physical-activity"):  # counts no steps
        expected = shortened(", ".join(SCHEMAS))
        raise Unusable(Reason.SIGNAL_UNKNOWN, path + ".name", expected, shown(name))
    if version.endswith(".x"):  # the newest of a major version
        same = [each for each in versions if each.split(".")[0] == version[:-2]]
        version = same[-1] if same else version
    if version not in versions:
        expected = ", ".join(versions)
        raise Unusable(Reason.VERSION_UNSUPPORTED, path + ".version", expected, shown(version))
    return name, version


def _check_ieee(header: Fields, path: str) -> None:
    uuid = header["uuid"]
    if not isinstance(uuid, str) or _UUID.fullmatch(uuid) is None:
        raise Unusable(Reason.FIELD_TYPE, path + ".uuid", "a UUID", _kind(uuid))
    _moment(header, "source_creation_date_time", path, required=True)
    _check_modality(header, path)
    sheets = header.get("external_datasheets", ())
    if not isinstance(sheets, list | tuple):
        raise Unusable(Reason.FIELD_TYPE, path + ".external_datasheets", "a list", shown(sheets))
    for i, sheet in enumerate(sheets):
        inner = f"{path}.external_datasheets[{i}]"
        _text(_object(sheet, inner), "datasheet_reference", inner + ".datasheet_reference")


def _check_omh(header: Fields, path: str) -> None:
    _text(header, "id", path + ".id")
    _moment(header, "creation_date_time", path, required=True)
    if "user_id" in header and not isinstance(header["user_id"], str):
        raise Unusable(Reason.FIELD_TYPE, path + ".user_id", "a text", _kind(header["user_id"]))
    if "acquisition_provenance" not in header:
        return
    inner = path + ".acquisition_provenance"
    provenance = _object(header["acquisition_provenance"], inner)
    _text(provenance, "source_name", inner + ".source_name")
    for key in ("source_creation_date_time", "source_last_modification_date_time"):
        _moment(provenance, key, inner, required=False)
    _check_modality(provenance, inner)


def _check_modality(fields: Fields, path: str) -> None:
    if "modality" in fields and fields["modality"] not in _MODALITIES:
        expected = " or ".join(_MODALITIES)
        raise Unusable(Reason.FIELD_VALUE, path + ".modality", expected, shown(fields["modality"]))


def _moment(fields: Fields, key: str, path: str, required: bool) -> None:
    if key in fields:
        moment(fields[key], f"{path}.{key}")
    elif required:
        raise Unusable(Reason.FIELD_MISSING, f"{path}.{key}", "a date and time with zone")


def _object(said: object, path: str) -> Fields:
    if isinstance(said, dict):
        return said
    raise Unusable(Reason.FIELD_TYPE, path, "an object", shown(said))


def _text(fields: Fields, key: str, path: str) -> str:
    if key not in fields:
        raise Unusable(Reason.FIELD_MISSING, path, "a text")
    said = fields[key]
    if isinstance(said, str):
        return said
    raise Unusable(Reason.FIELD_TYPE, path, "a text", _kind(said))


def _kind(said: object) -> str:
    """What was there, without its content: it may be somebody's name."""
    return "a text" if isinstance(said, str) else f"a {type(said).__name__}"
