"""Observation → state → estimate: models, kernel, bank, replay. No clock, thread, socket or log."""
