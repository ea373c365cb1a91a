"""The engine: pure rules by which a workflow goes from step to step.

Nothing here does I/O, reads a clock or waits. `stepline.engine.search` is the
only other part, imported by those who need it.
"""

from __future__ import annotations

from stepline.engine.advance import advance, outstanding
from stepline.engine.create import create_workflow
from stepline.engine.scope import effective_config, steps_view

__all__ = ["advance", "create_workflow", "effective_config", "outstanding", "steps_view"]
