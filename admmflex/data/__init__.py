"""From files to prosumers: YAML, time axes, tariffs, profiles, tables; all faults are named before a study starts."""
