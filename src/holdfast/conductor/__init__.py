"""The effects shell: look, decide, record, act, sleep."""
