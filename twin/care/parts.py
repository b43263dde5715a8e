"""What the page is handed, as one value, and how its routes reach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from ingest.onboarding import Onboarding
from twin.care.access import Access
from twin.care.commands import Commands
from twin.care.feed import Feed
from twin.care.names import Names
from twin.care.nothing_kept import NothingKept
from twin.care.questions import NoQuestions, Questions
from twin.care.settings import CareSettings, Health, Metrics, Receipts, nobody_called
from twin.care.sparks import Sparks
from twin.estimate import History, People, Quarantine
from twin.judgement_history import JudgementHistory


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts behind the page. Only their protocols are known here."""

    settings: CareSettings
    feed: Feed
    history: History
    people: People
    quarantine: Quarantine
    health: Callable[[], Health]
    metrics: Metrics
    access: Access
    names: Names
    commands: Commands
    #: Where devices are registered and approved; None: not by this process.
    onboarding: Onboarding | None = None
    receipts: Receipts = nobody_called
    questions: Questions = field(default_factory=NoQuestions)
    sparks: Sparks = field(default_factory=Sparks)
    judged: JudgementHistory = field(default_factory=NothingKept)


def _parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


#: A route's parameter of this type is filled with the app's parts.
PartsOf = Annotated[Parts, Depends(_parts)]
