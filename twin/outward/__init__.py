"""What other systems are told over MQTT: each patient's state, and alarms; ids only, no names."""
