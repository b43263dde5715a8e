"""Assessment: what the estimates mean. NEWS2, limits, alarms and their life, change and illness."""
