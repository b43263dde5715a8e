"""Scores → a credibility report for people (one HTML file with plots) and programs (JSON)."""
