"""Calling people who do not look at a page: webhooks and e-mail, without any health data."""
