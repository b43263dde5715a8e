"""`twin devices certificate`: certificates of a trial, from an authority made on first use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.commands.failure import WrongInput, failing, wrong_input
from twin.commands.options import ConfigFile, DataDir, Json
from twin.commands.place import config_at
from twin.commands.printing import print_json, print_line

if TYPE_CHECKING:
    from twin.certificates import Role, TrialAuthority


def issue_certificate(
    device: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A device or gateway, as in its topic; with --ingest one of several ingests.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for NAME.pem, NAME.key and ca.pem."),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST", help="For the broker of this name or address.")
    ] = None,
    ingest: Annotated[bool, typer.Option("--ingest", help="For ingest itself.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Revoke all certificates of this name instead.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="Validity.")] = 365,
    authority: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The authority's folder; else in the data folder."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """A certificate for one device, for the broker or for ingest, or its revocation.

    The authority's key never leaves its folder: keep that folder apart from the broker.
    """
    from twin.certificates import INGEST, CertificateRefused, TrialAuthority, utc_now

    if (device is None and not ingest) == (broker is None):
        raise WrongInput("expected one of NAME, --broker HOST and --ingest")
    folder = authority or config_at(config, data_dir).data_dir / "authority"
    with wrong_input(CertificateRefused), failing(OSError):
        signing = TrialAuthority(folder, utc_now)
        if revoke:
            _revoke(signing, device or broker or INGEST, as_json)
            return
        if out is None:
            raise WrongInput("--out DIR: expected where to put certificate and key")
        role: Role = "ingest" if ingest else "broker" if broker else "device"
        issued = signing.issue(role, device or broker or INGEST, days)
        files = issued.write(out)
    if as_json:
        named = dict(zip(("certificate", "key", "authority"), map(str, files), strict=True))
        print_json({"name": issued.name, "until": issued.until.isoformat(), **named})
    else:
        print_line(f"{issued.name}: valid until {issued.until:%Y-%m-%d}")
        for file in files:
            print_line(f"  {file}")


def _revoke(signing: TrialAuthority, name: str, as_json: bool) -> None:
    count = signing.revoke(name)
    if as_json:
        print_json({"name": name, "revoked": count, "list": str(signing.revocations)})
    else:
        print_line(f"{name}: {count} certificates revoked; give the broker {signing.revocations}")
