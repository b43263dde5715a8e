"""The web application, put together of parts that are handed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ingest.onboarding import Onboarding
from twin.care import alarm_views, device_views, problem_answers, sign_in, views
from twin.care.access import Access, Guard
from twin.care.api import (
    alarms,
    backtest,
    bodies,
    devices,
    entries,
    judgements,
    limits,
    operations,
    patients,
    purpose,
    questions,
    signals,
    sparks,
    stream,
)
from twin.care.api import onboarding as onboarding_api
from twin.care.feed import Feed
from twin.care.kept import recall
from twin.care.names import Names
from twin.care.nothing_kept import NothingKept
from twin.care.parts import Parts
from twin.care.questions import NoQuestions, Questions
from twin.care.settings import CareSettings, Health, Metrics, Receipts, nobody_called
from twin.care.words import STATIC
from twin.estimate import History, People, Quarantine
from twin.judgement_history import JudgementHistory


class _Static(StaticFiles):
    """Browsers ask again each time whether a file changed (304 if not): no stale script, ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def create_app(
    settings: CareSettings,
    feed: Feed,
    history: History,
    people: People,
    quarantine: Quarantine,
    health: Callable[[], Health] = Health,
    metrics: Metrics = tuple,
    onboarding: Onboarding | None = None,
    receipts: Receipts = nobody_called,
    asked: Questions | None = None,
    judged: JudgementHistory | None = None,
) -> FastAPI:
    """The page and its API. It starts the feed with itself and stops it at its end.

    health and metrics are asked at each request for them, in a thread. Nothing else is started.
    """
    access = Access(settings.token)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(recall, app.state.parts)
        feed.start()
        try:
            yield
        finally:
            feed.hub.close()
            feed.stop()

    app = FastAPI(
        title="wearable-twin",
        version=settings.build,
        description="Live estimates of patients' states, with their uncertainty, age and status.",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        middleware=[Middleware(Guard, access=access)],
    )
    app.state.parts = Parts(
        settings,
        feed,
        history,
        people,
        quarantine,
        health,
        metrics,
        access,
        Names(),
        feed.commands,
        onboarding,
        receipts,
        asked or NoQuestions(),
        judged=judged or NothingKept(),
    )
    app.mount("/static", _Static(directory=STATIC), name="static")
    problem_answers.install(app)
    described = (
        *bodies.BODIES,
        *alarms.BODIES,
        *judgements.BODIES,
        *entries.BODIES,
        *limits.BODIES,
        *backtest.BODIES,
        *purpose.BODIES,
        *questions.BODIES,
        *sparks.BODIES,
        *onboarding_api.BODIES,
    )
    bodies.describe(app, described)
    for part in (
        operations,
        purpose,
        patients,
        signals,
        devices,
        onboarding_api,
        alarms,
        judgements,
        entries,
        limits,
        backtest,
        questions,
        sparks,
        stream,
        views,
        alarm_views,
        device_views,
        sign_in,
    ):
        app.include_router(part.router)
    return app
