"""Device payload → observation → journal. Knows MQTT and the journal's writing end; knows no twin."""
