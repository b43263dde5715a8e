"""Simulated wearables and recorded files that publish over real MQTT.

Flow: person → physiology → device → message → publish. Nothing that runs in production imports it.
"""
