"""From files to prosumers: YAML, time axes, tariffs, profiles and tables; every fault named before anything is solved."""
