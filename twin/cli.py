"""The command `twin`. Nothing heavy is imported before a command asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from twin.commands import alarms, devices, patients, quarantine, store
from twin.commands.assess import assess_recording
from twin.commands.backup import back_up_folder, restore_folder
from twin.commands.bench import run_benches
from twin.commands.check import check_configuration
from twin.commands.decode import decode_payloads
from twin.commands.demo import run_demonstration
from twin.commands.export import export_record
from twin.commands.failure import CommandEnded, in_words
from twin.commands.fit import fit_constants
from twin.commands.fleet import run_devices
from twin.commands.given import expect_values
from twin.commands.illness import judge_nights
from twin.commands.printing import print_line, say
from twin.commands.refilter import refilter_record
from twin.commands.replay import replay_recording
from twin.commands.run import run_service
from twin.commands.scenario import ask_scenario
from twin.commands.smooth import smooth_history
from twin.commands.validate import validate_model
from twin.memory import keep_freed_memory

app = typer.Typer(
    name="twin",
    help="A live digital twin of each patient, from wearable telemetry.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # its tracebacks show locals: payloads and identities
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print_line(version("wearable-twin"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """A live digital twin of each patient, from wearable telemetry.

    Exit codes: 0 done, 1 failed, 2 wrong input or usage.
    """


_COMMANDS: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("demo", run_demonstration, "Everything on this machine, with simulated patients"),
    ("run", run_service, "The pipeline against a real broker and database"),
    ("fleet", run_devices, "Simulated or recorded devices over real MQTT"),
    ("replay", replay_recording, "A recording through the twin, offline"),
    ("assess", assess_recording, "NEWS2 and alarms of a recording, offline"),
    ("illness", judge_nights, "Whether nights say that an illness begins, offline"),
    ("validate", validate_model, "A credibility report of a model on recordings"),
    ("scenario", ask_scenario, "What if: a copy of the twin under declared effects"),
    ("smooth", smooth_history, "A patient's signal as it looks afterwards"),
    ("fit", fit_constants, "Constants of a model from recordings"),
    ("decode", decode_payloads, "What the decoder makes of payloads"),
    ("check", check_configuration, "Whether a configuration can be used"),
    ("refilter", refilter_record, "Belated observations folded into the stores, by hand"),
    ("export", export_record, "Observations or estimates as a file"),
    ("backup", back_up_folder, "A copy of the data folder, while the service runs"),
    ("restore", restore_folder, "A data folder of a backup"),
    ("bench", run_benches, "Throughput and latency on this machine"),
)
#: A bench has options of its own, which are not known here.
_PASSED_ON = {"bench": {"ignore_unknown_options": True}}
for _name, _command, _summary in _COMMANDS:
    app.command(_name, short_help=_summary, context_settings=_PASSED_ON.get(_name))(_command)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(alarms.app, name="alarms")
app.add_typer(patients.app, name="patients")
app.add_typer(devices.app, name="devices")
app.add_typer(store.app, name="store")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that was typed, then exit with its code."""
    keep_freed_memory()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    command = typer.main.get_command(app)
    try:
        expect_values(command, typed)
        command(args=typed, prog_name="twin")
    except CommandEnded as ended:
        say(str(ended))
        sys.exit(ended.code)
    except OSError as error:  # what no command expected: a usage that cannot be printed, too
        say(in_words(error))
        sys.exit(1)
