"""Names of a published SDK, for task scripts that were written for it.

The worker puts the folder of this package at the end of the import path where the
real package is absent.
"""

from stepline_sdk import __version__ as __version__
