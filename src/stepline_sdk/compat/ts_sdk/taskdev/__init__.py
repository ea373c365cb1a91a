"""A simple stand-in for a context, for the tests of published task scripts."""

from stepline_sdk.fake import Context, check_test_output, load_pipeline_config, load_test_file

__all__ = ["Context", "check_test_output", "load_pipeline_config", "load_test_file"]
