"""What an installation is for and whom it calls, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from ingest.journal.protocol import Journal
from twin.care.purpose import Purpose
from twin.care.settings import Metric, Receipt, Receipts, nobody_called
from twin.config import Config
from twin.config_purpose import WEEK, MailTable
from twin.notify.channels import Channel, Mail, Webhook
from twin.notify.notifier import Notifier
from twin.notify.outbox import Outbox


def purpose_of(config: Config) -> Purpose:
    """What the page is told of the manifest."""
    table = config.purpose
    begins, ends = (
        60 * int(hour) + int(minute)
        for hour, minute in (text.split(":") for text in (table.begins, table.ends))
    )
    days = frozenset(WEEK.index(day) for day in table.days)
    return Purpose(table.mode, table.responsible, days, begins, ends, table.emergency)


def channels_of(config: Config) -> list[Channel]:
    """Every way to call somebody."""
    notify = config.notify
    made: list[Channel] = [
        Webhook(url, notify.secret, n) for n, url in enumerate(notify.webhooks, 1)
    ]
    return made if notify.mail is None else [*made, _mail(notify.mail)]


def _mail(table: MailTable) -> Mail:
    steps = (table.nurse, table.team, table.lead, table.physician)
    recipients = {step: tuple(addresses) for step, addresses in enumerate(steps)}
    return Mail(
        table.host,
        table.port,
        table.sender,
        recipients,
        table.security,
        table.username,
        table.password,
    )


def notifier_of(
    config: Config, journal: Journal, now: Callable[[], int], opened: ExitStack
) -> Notifier | None:
    """Started, and stopped again by `opened`; None where there is nobody to call."""
    if not config.notify.calls:
        return None
    outbox = Outbox(config.paths.notify)
    opened.callback(outbox.close)
    notifier = Notifier(
        journal,
        outbox,
        channels_of(config),
        frozenset(config.notify.priorities),
        config.notify.address or "",
        now,
    )
    notifier.start()
    opened.callback(notifier.stop)
    return notifier


def call_metrics(notifier: Notifier) -> Iterator[Metric]:
    """What became of the calls."""
    for state, n in sorted(notifier.outbox.counts().items()):
        yield Metric("twin_calls", {"state": state}, n, "Calls to people that are kept, by state.")
    expired = notifier.expired
    yield Metric("twin_calls_expired_total", {}, expired, "Alarms too old to call when read.")


def receipts_of(notifier: Notifier | None) -> Receipts:
    """What the page is told of calls."""
    if notifier is None:
        return nobody_called

    def receipts(alarm: str) -> Iterator[Receipt]:
        for call in notifier.outbox.receipts(alarm):
            yield Receipt(call.channel, call.escalation, call.state, call.at)

    return receipts
