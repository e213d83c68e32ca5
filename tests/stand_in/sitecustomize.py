"""Python imports this when it starts, if its folder is on PYTHONPATH."""

import attach

attach.attach()
