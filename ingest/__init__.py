"""Device payload → observation → journal. Knows MQTT and the journal; knows no twin."""
