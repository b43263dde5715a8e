"""Observation → journal → twin state → estimate → journal → database, live page, alarms."""
