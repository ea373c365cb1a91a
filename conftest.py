"""Load our own pytest plugin; pyproject.toml keeps it from loading before coverage starts."""

pytest_plugins = [
    "stepline.testing.pytest_plugin",
    "tests.support.engines",
    "tests.support.parallel",
    "tests.support.push_servers",
]
