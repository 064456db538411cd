"""Running Threadwise in server mode: every part as a process of this machine, or as containers."""
