"""Wiring of processes: parts are made, handed to each other, started and stopped in order."""
