"""`twin quarantine`: what could not be used, why, and using it after all."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.instant import format_instant
from twin.commands.failure import WrongInput, failing
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.place import registry_of
from twin.commands.printing import counted, print_columns, print_json, print_line

if TYPE_CHECKING:
    from ingest.binding import Binding
    from ingest.decide import Replayed
    from ingest.observation import Refused
    from ingest.quarantine import Quarantine, StoredMessage
    from twin.config import Config

app = typer.Typer(no_args_is_help=True, help="What could not be used, and using it after all")

Reason = Annotated[str | None, typer.Option(metavar="REASON", help="Only refused for this.")]
Device = Annotated[str | None, typer.Option(metavar="DEVICE", help="Only of this device.")]
_SHORT = 12  # characters of an id: enough for millions of messages


@contextmanager
def _opened(config: ConfigFile, data_dir: DataDir) -> Iterator[tuple[Config, Quarantine]]:
    import apsw

    from ingest.database import DatabaseUnusable
    from ingest.quarantine import Quarantine
    from twin.commands.place import config_at, present

    place = config_at(config, data_dir)
    path = present(place.paths.quarantine, "quarantine")
    with failing(apsw.Error, DatabaseUnusable):
        quarantine = Quarantine(path, place.ingest_settings().quarantine)
        try:
            yield place, quarantine
        finally:
            quarantine.close()


@app.command("list")
def list_refused(
    reason: Reason = None,
    device: Device = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many items.")] = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """The newest refusals, and how many there are by reason."""
    with _opened(config, data_dir) as (_, quarantine):
        items = quarantine.items(limit, reason, device)
        by_reason, gone = quarantine.summary(), quarantine.totals()
        used, allowed = quarantine.fill()
    if as_json:
        told = [_item_in_json(item) for item in items]
        total = sum(by_reason.values())
        room = {"bytes": used, "allowed_bytes": allowed}
        print_json({"total": total, "by_reason": dict(by_reason), **gone, **room, "items": told})
        return
    print_columns(
        ("id", "last received", "device", "reason", "path", "expected", "got", "bytes", "times"),
        [
            (
                item.id[:_SHORT],
                format_instant(item.received_at)[:19] + "Z",
                item.device or "–",
                item.reason,
                item.path or "–",
                item.expected,
                item.got,
                item.size,
                item.count,
            )
            for item in items
        ],
    )
    total = sum(by_reason.values())
    print_line(f"\n{total} refused: {counted(by_reason) or 'nothing'}{_not_here(gone)}")


def _not_here(gone: Mapping[str, int]) -> str:
    """What was refused and is not in the list: kept no more, or never."""
    kept_once = {name: n for name, n in gone.items() if name != "unkept"}
    less = f"; messages not kept any more: {counted(kept_once)}" if any(kept_once.values()) else ""
    if never := gone["unkept"]:
        less += f"; never kept: {never}, with nothing in them to replay or no basis to keep them"
    return less


@app.command("show")
def show_refused(
    message: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """One message with its payload and everything that is wrong with it."""
    with _opened(config, data_dir) as (_, quarantine):
        found = _the_one(quarantine, message)
        items = quarantine.items_of(found.id)
    if as_json:
        print_json(_message_in_json(found) | {"items": [_item_in_json(item) for item in items]})
        return
    print_line(f"id        {found.id}")
    print_line(f"topic     {found.topic}")
    last = f", {found.count} times, last {format_instant(found.last_at)}" * (found.count > 1)
    print_line(f"received  {format_instant(found.received_at)}{last}")
    print_line(f"payload   {found.size} bytes{'' if found.whole else ', the beginning kept'}")
    for item in items:
        where = f" at {item.path}" if item.path else ""
        print_line(f"refused   {item.reason}{where}: expected {item.expected}, got {item.got}")
    print_line("\n" + found.payload.decode("utf-8", "backslashreplace"))


@app.command("replay")
def replay_refused(
    messages: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids, or their beginnings; without any, all."),
    ] = None,
    reason: Reason = None,
    device: Device = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Decide again, now that a device is bound or a limit changed; beside a running service too.

    A message that is used whole leaves the quarantine; the others stay, with their new reasons.
    """
    from ingest.decide import replay_quarantined
    from ingest.journal.protocol import JournalFull
    from twin.commands.place import opened_journal

    if messages and (reason or device):
        raise WrongInput("ids, or --reason and --device: expected one of them, got both")
    with _opened(config, data_dir) as (place, quarantine), failing(JournalFull, OSError):
        ids = [_the_one(quarantine, each).id for each in messages or ()]
        chosen = ids if messages else quarantine.messages(reason, device)
        settings = place.ingest_settings()
        with closing(registry_of(place)) as registry, opened_journal(place) as journal:
            done = replay_quarantined(quarantine, registry, journal, settings, chosen)
    if as_json:
        print_json(replayed_in_json(done))
    else:
        print_replayed(done)


@app.command("erase")
def erase_refused(
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Everything of this device.")
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Everything of a patient's devices, while they were theirs."
        ),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Erase messages for good. How many were refused, and why, stays in the ledger."""
    if (device is None) == (patient is None):
        raise WrongInput("expected one of --device and --patient")
    with _opened(config, data_dir) as (place, quarantine):
        if device is not None:
            erased = {device: quarantine.erase(device)}
        else:
            with closing(registry_of(place)) as registry:
                if patient not in registry.labels():
                    raise WrongInput(f"{patient}: is not a registered patient")
                worn = [each for each in registry.bindings() if each.patient == patient]
            erased = erase_worn(quarantine, worn)
    total = sum(erased.values())
    if as_json:
        print_json({"erased": total, "by_device": erased})
    else:
        print_line(f"{total} messages erased{': ' * bool(total)}{counted(erased)}")


def erase_worn(quarantine: Quarantine, worn: Iterable[Binding]) -> dict[str, int]:
    """Erase what was received while these bindings held; messages by device."""
    erased: dict[str, int] = {}
    for each in worn:
        gone = quarantine.erase(each.device, each.start, each.end)
        erased[each.device] = erased.get(each.device, 0) + gone
    return erased


def print_replayed(done: Replayed) -> None:
    """What a replay did: the messages that were not used one by one, then the counts."""
    for each in done.messages:
        if each.outcome != "used":
            why = ", ".join(each.reasons) or "its payload is not kept whole"
            print_line(f"{each.id[:_SHORT]}  {each.outcome}: {why}")
    print_line(
        f"{done.count('used')} messages used, {done.observations} observations journalled; "
        f"{done.count('refused')} refused again, {done.count('cut')} not kept whole, "
        f"{done.count('dropped')} dropped for want of a basis"
    )


def replayed_in_json(done: Replayed) -> dict[str, object]:
    """The same, every message of it."""
    counts = {name: done.count(name) for name in ("used", "refused", "cut", "dropped")}
    messages = [
        {
            "id": each.id,
            "outcome": each.outcome,
            "observations": each.observations,
            "reasons": list(each.reasons),
        }
        for each in done.messages
    ]
    return {**counts, "observations": done.observations, "messages": messages}


def _the_one(quarantine: Quarantine, beginning: str) -> StoredMessage:
    found = quarantine.find(beginning)
    if len(found) != 1:
        what = "no message" if not found else f"{len(found)} messages or more"
        raise WrongInput(f"{beginning}: expected the beginning of one id, got that of {what}")
    return found[0]


def _item_in_json(item: Refused) -> dict[str, object]:
    return {
        "id": item.id,
        "reason": item.reason,
        "path": item.path,
        "expected": item.expected,
        "got": item.got,
        "device": item.device,
        "received_at": format_instant(item.received_at),
        "bytes": item.size,
        "count": item.count,
    }


def _message_in_json(message: StoredMessage) -> dict[str, object]:
    told: dict[str, object] = {
        "id": message.id,
        "topic": message.topic,
        "received_at": format_instant(message.received_at),
        "last_at": format_instant(message.last_at),
        "count": message.count,
        "bytes": message.size,
        "whole": message.whole,
    }
    try:
        return told | {"payload": message.payload.decode("utf-8")}
    except UnicodeDecodeError:
        return told | {"payload_base64": base64.b64encode(message.payload).decode("ascii")}
