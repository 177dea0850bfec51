"""Export limits over hundreds of scenarios, checked in OpenDSS."""
